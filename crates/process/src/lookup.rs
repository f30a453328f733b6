//! Which file a program's name means, in the eyes of the child.
//!
//! The lookup is ours so that it uses the child's `PATH` and not ours, and so that a missing
//! program is told from a missing interpreter or directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::{ChildSpec, SpawnError};

/// What the kernel's shells use when there is no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

impl ChildSpec {
    /// Returns the file that would be started.
    pub fn find_program(&self) -> Result<PathBuf, SpawnError> {
        if !self.cwd.is_dir() {
            return Err(SpawnError::NoCwd {
                cwd: self.cwd.clone(),
            });
        }
        let name = Path::new(&self.program);
        if name.components().count() > 1 || name.is_absolute() {
            return check(self.cwd.join(name));
        }
        let path = self
            .env
            .get_os("PATH")
            .unwrap_or_else(|| OsStr::new(DEFAULT_PATH));
        // An empty entry would mean the working directory: whoever wants that writes `./name`.
        std::env::split_paths(path)
            .filter(|directory| !directory.as_os_str().is_empty())
            .flat_map(|directory| candidates(&self.cwd.join(directory).join(name)))
            .find(|file| is_program(file))
            .ok_or_else(|| SpawnError::NotOnPath {
                program: self.program.to_string_lossy().into_owned(),
                path: path.to_string_lossy().into_owned(),
            })
    }
}

fn check(file: PathBuf) -> Result<PathBuf, SpawnError> {
    match candidates(&file).find(|file| is_program(file)) {
        Some(found) => Ok(found),
        None if file.exists() => Err(SpawnError::NotExecutable { program: file }),
        None => Err(SpawnError::NotFound { program: file }),
    }
}

#[cfg(windows)]
fn candidates(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let plain = file.to_path_buf();
    let named = ["exe", "cmd", "bat"].map(|suffix| {
        let mut name = plain.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        PathBuf::from(name)
    });
    std::iter::once(plain.clone())
        .filter(|file| file.extension().is_some())
        .chain(named)
}

#[cfg(not(windows))]
fn candidates(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::iter::once(file.to_path_buf())
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.metadata()
        .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}
