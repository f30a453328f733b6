//! The one writer of the user's files.
//!
//! A replaced file is written beside its target (0600 from creation), synced, renamed over it, and
//! the directory is synced: whatever happens in between, the old or the new file is there whole.
//! Traps: a symlink must stay and its *target* be replaced; a rename ignores the permissions of the
//! old file, so a read-only file is refused here by hand.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

const PREFIX: &str = ".codex-";
const SUFFIX: &str = ".tmp";
/// Older temporary files have no writer any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Why a file was not written. The old content is still there.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The user made the file read-only; that is respected.
    #[error("`{}` is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// The link leads nowhere.
    #[error("`{}` is a link to a file that does not exist", .0.display())]
    DanglingLink(PathBuf),
    /// The path is not a regular file.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The operating system refused.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Writes files that only their owner may read. All functions block.
#[derive(Debug)]
pub struct PrivateFile;

impl PrivateFile {
    /// Replaces the whole file, or makes it; missing directories are made (0700).
    pub fn replace(path: &Path, content: &[u8]) -> Result<(), WriteError> {
        Self::prepare(path, content)?.commit()
    }

    /// Writes and syncs the new content beside the file; [`PreparedFile::commit`] puts it in place.
    ///
    /// Dropping the result leaves everything as it was.
    pub fn prepare(path: &Path, content: &[u8]) -> Result<PreparedFile, WriteError> {
        let target = real_target(path)?;
        let failed = |source| WriteError::Io {
            path: target.clone(),
            source,
        };
        let dir = target.parent().unwrap_or(Path::new("/")).to_owned();
        Self::create_dir(&dir).map_err(failed)?;
        remove_abandoned(&dir);
        let mut temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(&dir)
            .map_err(failed)?;
        temporary.write_all(content).map_err(failed)?;
        keep_owner(&target, temporary.as_file());
        temporary.as_file().sync_all().map_err(failed)?;
        Ok(PreparedFile {
            temporary,
            target,
            dir,
        })
    }

    /// Makes a new file, 0600; an existing one is an error of kind `AlreadyExists`.
    pub fn create_new(path: &Path) -> io::Result<File> {
        options().write(true).create_new(true).open(path)
    }

    /// Opens a file for appending; a new one is 0600.
    pub fn append(path: &Path) -> io::Result<File> {
        options().append(true).create(true).open(path)
    }

    /// Makes a directory and its missing parents, 0700.
    pub fn create_dir(path: &Path) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    /// Opens a file that several processes use, without truncating it; a new one is 0600.
    pub(crate) fn open_shared(path: &Path) -> io::Result<File> {
        if let Some(dir) = path.parent() {
            Self::create_dir(dir)?;
        }
        options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    }
}

/// New content that is safe on disk but not yet in place.
#[derive(Debug)]
pub struct PreparedFile {
    temporary: NamedTempFile,
    target: PathBuf,
    dir: PathBuf,
}

impl PreparedFile {
    /// Gives the new file the permissions of the one that it replaces; without one it stays 0600.
    ///
    /// Another group than the old one gets none: the old permissions were not meant for it.
    #[cfg(unix)]
    pub fn keep_mode(self) -> Result<Self, WriteError> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let Ok(old) = std::fs::metadata(&self.target) else {
            return Ok(self);
        };
        let new = self.temporary.as_file();
        let set = new.metadata().and_then(|made| {
            let is_same_group = old.gid() == made.gid();
            let mode = old.mode() & if is_same_group { 0o777 } else { 0o707 };
            new.set_permissions(std::fs::Permissions::from_mode(mode))
        });
        match set {
            Ok(()) => Ok(self),
            Err(source) => Err(WriteError::Io {
                path: self.target,
                source,
            }),
        }
    }

    /// Elsewhere the access list of the folder is inherited.
    #[cfg(not(unix))]
    pub fn keep_mode(self) -> Result<Self, WriteError> {
        Ok(self)
    }

    /// Puts the new content in place, in one step.
    pub fn commit(self) -> Result<(), WriteError> {
        let target = self.target;
        if let Err(error) = self.temporary.persist(&target) {
            return Err(WriteError::Io {
                path: target,
                source: error.error,
            });
        }
        sync_dir(&self.dir).map_err(|source| WriteError::Io {
            path: target,
            source,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one writer of files"
)]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Removes what writers left that were killed: nobody works on one file for an hour.
fn remove_abandoned(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || !name.ends_with(SUFFIX) {
            continue;
        }
        let modified = entry.metadata().and_then(|found| found.modified());
        let age = modified.ok().and_then(|then| then.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Follows links to the file that will be replaced and refuses what must not be.
fn real_target(path: &Path) -> Result<PathBuf, WriteError> {
    let failed = |source| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(error) => return Err(failed(error)),
    };
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if found.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
            return Err(WriteError::DanglingLink(path.to_owned()));
        }
        Err(error) => return Err(failed(error)),
    };
    let metadata = std::fs::metadata(&target).map_err(failed)?;
    if !metadata.is_file() {
        return Err(WriteError::NotAFile(path.to_owned()));
    }
    if metadata.permissions().readonly() {
        return Err(WriteError::ReadOnly(path.to_owned()));
    }
    Ok(target)
}

/// Gives the new file the owner of the old one; a refusal is fine, only root may give files away.
#[cfg(unix)]
fn keep_owner(target: &Path, new: &File) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (Ok(old), Ok(made)) = (std::fs::metadata(target), new.metadata()) else {
        return;
    };
    let is_kept = (old.uid(), old.gid()) == (made.uid(), made.gid())
        || fchown(new, Some(old.uid()), Some(old.gid())).is_ok();
    if !is_kept {
        // A group of its own is something that everybody may give.
        let _ = fchown(new, None, Some(old.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_target: &Path, _new: &File) {}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Row E4.
    #[test]
    fn a_new_file_and_its_directories_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        PrivateFile::replace(&path, b"x").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    /// Row E5.
    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        PrivateFile::replace(&real, b"old").unwrap();
        symlink("real", &link).unwrap();
        PrivateFile::replace(&link, b"new").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
    }

    /// Row E5.
    #[test]
    fn a_dangling_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("nowhere", &link).unwrap();
        let error = PrivateFile::replace(&link, b"new").unwrap_err();
        assert!(matches!(error, WriteError::DanglingLink(_)), "{error}");
    }

    /// Row E10.
    #[test]
    fn a_read_only_file_is_refused_and_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        PrivateFile::replace(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        let error = PrivateFile::replace(&path, b"new").unwrap_err();
        assert!(matches!(error, WriteError::ReadOnly(_)), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(mode(&path), 0o400);
    }

    #[test]
    fn the_mode_of_the_old_file_is_kept_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let replace = || {
            let prepared = PrivateFile::prepare(&path, b"new").unwrap();
            assert_eq!(mode(prepared.temporary.path()), 0o600);
            prepared.keep_mode().unwrap().commit().unwrap();
            mode(&path)
        };
        assert_eq!(replace(), 0o600);
        for kept in [0o640, 0o644, 0o600] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(kept)).unwrap();
            assert_eq!(replace(), kept);
        }
    }

    #[test]
    fn a_prepared_file_that_is_dropped_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        PrivateFile::replace(&path, b"old").unwrap();
        drop(PrivateFile::prepare(&path, b"new").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn create_new_refuses_an_existing_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        PrivateFile::create_new(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let error = PrivateFile::create_new(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
