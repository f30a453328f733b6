//! Names that do not exist and may not be created: an empty directory holds the place meanwhile.
//!
//! Only something that exists can be a mount point. So a missing `.git` becomes an empty directory
//! for as long as commands run, and is mounted on itself read-only inside. It bears the sticky bit,
//! by which it is told from a directory of the user's own, also after a crash.
//!
//! Commands may run side by side in one directory, and removing a mount point takes the mount away
//! from everybody. So each of them holds a shared lock on the directory; who can have it alone is
//! the last one and removes it. A lock that was gained on a removed directory counts for nothing.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::failure::{Failure, Step};

const STICKY: u32 = 0o1000;

/// How often another command may take the directory away between our making and locking it.
const MAX_TRIES: u32 = 100;

/// The places that this command holds.
#[derive(Debug)]
pub(crate) struct Placeholders(Vec<(PathBuf, File)>);

impl Placeholders {
    pub(crate) fn hold(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut held = Self(Vec::new());
        for path in paths {
            match hold(path) {
                Ok(Some(directory)) => held.0.push((path.clone(), directory)),
                Ok(None) => {}
                Err(failure) => {
                    held.release();
                    return Err(failure);
                }
            }
        }
        Ok(held)
    }

    /// Removes what nobody else holds.
    pub(crate) fn release(self) {
        for (path, directory) in self.0 {
            if directory.try_lock().is_ok() {
                // It stays when somebody outside has filled it.
                let _ = std::fs::remove_dir(&path);
            }
        }
    }
}

/// Returns `None` when there is nothing to hold: something of the user's own is there by now, or
/// nobody may create anything here.
fn hold(path: &Path) -> Result<Option<File>, Failure> {
    const STEP: &str = "hold the place of a protected name";
    for _ in 0..MAX_TRIES {
        match DirBuilder::new().mode(STICKY | 0o755).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if is_denial(&error) && unwritable(path) => return Ok(None),
            Err(error) => return Err(error).step(STEP),
        }
        let directory = match File::open(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).step(STEP),
        };
        if !is_placeholder(path) {
            return Ok(None);
        }
        directory.lock_shared().step(STEP)?;
        if is_same(&directory, path) {
            return Ok(Some(directory));
        }
    }
    Err(Failure::new(STEP, "it comes and goes"))
}

/// Whether it says that nobody may create anything; a full disk, say, is empty again later.
fn is_denial(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EACCES | Errno::EPERM | Errno::EROFS))
}

/// Whether the directory of `path` is somebody else's or is read-only altogether, so that nobody
/// inside can open it to writing.
fn unwritable(path: &Path) -> bool {
    let Some(Ok(facts)) = path.parent().map(Path::metadata) else {
        return false;
    };
    let flags = path.parent().map(nix::sys::statvfs::statvfs);
    let read_only = matches!(flags, Some(Ok(facts)) if facts.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY));
    read_only || facts.uid() != geteuid().as_raw()
}

/// Whether an empty directory of ours is there, so that the name counts as missing.
pub fn is_placeholder(path: &Path) -> bool {
    let marked = path
        .symlink_metadata()
        .is_ok_and(|facts| facts.is_dir() && facts.mode() & STICKY != 0);
    marked && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_same(directory: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (directory.metadata(), path.symlink_metadata()) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests;
