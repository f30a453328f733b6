//! A directory held open, for files of secrets that no link may lead away.
//!
//! [`crate::PrivateFile`] follows a link, because a user may keep a config file elsewhere. A file of
//! secrets is stricter: no link is followed, owner and type are checked on the open descriptor, and
//! every step happens within one directory handle, so that nobody can swap the directory in between.
//! Traps: the temporary file has a fixed name, so writers must exclude each other by a lock; what a
//! killed writer left is replaced by the next one.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::PrivateFile;

/// Why a file of secrets was not used. Its old content is still there.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The name is a symbolic link, or the file has a second name.
    #[error("`{}` is a link, which is refused for a file of secrets", .0.display())]
    Link(PathBuf),
    /// The file has another owner.
    #[error("`{}` belongs to another user", .0.display())]
    ForeignOwner(PathBuf),
    /// The name is a directory or a device.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is larger than what the caller reads.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// The operating system refused.
    #[error("cannot {deed} `{}`", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A file that was read.
#[derive(Debug)]
pub struct SecretFile {
    /// The content.
    pub bytes: Vec<u8>,
    /// The mode it had when others could use it; it is 0600 now.
    pub narrowed_from: Option<u32>,
}

/// A directory held open; all names are names in it. All functions block.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    #[cfg(unix)]
    handle: std::fs::File,
}

impl PrivateDir {
    /// Opens a directory; when it is missing it is made, 0700.
    pub fn create(path: &Path) -> io::Result<Self> {
        PrivateFile::create_dir(path)?;
        Self::open(path)
    }

    fn failed(&self, deed: &'static str, name: &str, source: io::Error) -> SecretFileError {
        SecretFileError::Io {
            deed,
            path: self.path.join(name),
            source,
        }
    }
}

#[cfg(unix)]
impl PrivateDir {
    /// Opens a directory that exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            handle: std::fs::File::open(path)?,
        })
    }

    /// Reads a file of at most `limit` bytes; `None` when there is none.
    ///
    /// A file that others could use is narrowed to 0600 first.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<SecretFile>, SecretFileError> {
        let Some((file, mode)) = self.open_checked(name)? else {
            return Ok(None);
        };
        let failed = |source| self.failed("read", name, source);
        let is_wide = mode & 0o177 != 0;
        if is_wide {
            rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o600))
                .map_err(|errno| failed(errno.into()))?;
        }
        let mut bytes = Vec::new();
        (&file)
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > limit {
            let path = self.path.join(name);
            return Err(SecretFileError::TooLarge { path, limit });
        }
        Ok(Some(SecretFile {
            bytes,
            narrowed_from: is_wide.then_some(mode),
        }))
    }

    /// Replaces a file whole, 0600 from its creation; a link at the name is refused.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), SecretFileError> {
        use std::io::Write;

        use rustix::fs::{Mode, OFlags};
        let failed = |source| self.failed("write", name, source);
        self.open_checked(name)?;
        let temporary = temporary_name(name);
        self.remove_if_there(&temporary).map_err(failed)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(
            &self.handle,
            &temporary,
            flags | OFlags::NOFOLLOW,
            Mode::from_raw_mode(0o600),
        );
        let mut file = std::fs::File::from(file.map_err(|errno| failed(errno.into()))?);
        let written = file
            .write_all(content)
            // An odd umask may have taken bits away from the owner too.
            .and_then(|()| Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(0o600))?))
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                rustix::fs::renameat(&self.handle, &temporary, &self.handle, name)?;
                Ok(())
            });
        if let Err(source) = written {
            let _ = self.remove_if_there(&temporary);
            return Err(failed(source));
        }
        self.handle.sync_all().map_err(failed)
    }

    /// Removes a file; a missing one is fine, a link is removed and not what it leads to.
    pub fn remove(&self, name: &str) -> Result<(), SecretFileError> {
        self.remove_if_there(&temporary_name(name))
            .and_then(|()| self.remove_if_there(name))
            .and_then(|()| self.handle.sync_all())
            .map_err(|source| self.failed("remove", name, source))
    }

    /// Gives a file the first free name `<name>.<suffix>-<n>` and returns the new path.
    pub fn set_aside(&self, name: &str, suffix: &str) -> Result<PathBuf, SecretFileError> {
        use rustix::fs::AtFlags;
        use rustix::io::Errno;
        let failed = |source| self.failed("rename", name, source);
        for n in 1..=99 {
            let aside = format!("{name}.{suffix}-{n}");
            match rustix::fs::statat(&self.handle, &aside, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    rustix::fs::renameat(&self.handle, name, &self.handle, &aside)
                        .map_err(|errno| failed(errno.into()))?;
                    self.handle.sync_all().map_err(failed)?;
                    return Ok(self.path.join(aside));
                }
                Err(errno) => return Err(failed(errno.into())),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// Opens a file without following a link, and returns it with its permission bits.
    fn open_checked(&self, name: &str) -> Result<Option<(std::fs::File, u32)>, SecretFileError> {
        use std::os::unix::fs::MetadataExt;

        use rustix::fs::{Mode, OFlags};
        let path = || self.path.join(name);
        let failed = |source| self.failed("read", name, source);
        // NONBLOCK: a pipe put at the name must not hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP) => return Err(SecretFileError::Link(path())),
            Err(errno) => return Err(failed(errno.into())),
        };
        let file = std::fs::File::from(file);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(SecretFileError::NotAFile(path()));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(SecretFileError::ForeignOwner(path()));
        }
        if found.nlink() > 1 {
            return Err(SecretFileError::Link(path()));
        }
        Ok(Some((file, found.mode() & 0o7777)))
    }

    fn remove_if_there(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Elsewhere the home directory's access list, which names the user only, is inherited.
#[cfg(not(unix))]
impl PrivateDir {
    /// Opens a directory that exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path)?.is_dir() {
            true => Ok(Self {
                path: path.to_owned(),
            }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Reads a file of at most `limit` bytes; `None` when there is none.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<SecretFile>, SecretFileError> {
        if !self.check(name)? {
            return Ok(None);
        }
        let failed = |source| self.failed("read", name, source);
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(SecretFileError::TooLarge { path, limit });
        }
        Ok(Some(SecretFile {
            bytes,
            narrowed_from: None,
        }))
    }

    /// Replaces a file whole; a link at the name is refused.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), SecretFileError> {
        self.check(name)?;
        PrivateFile::replace(&self.path.join(name), content)
            .map_err(|error| self.failed("write", name, io::Error::other(error)))
    }

    /// Removes a file; a missing one is fine.
    pub fn remove(&self, name: &str) -> Result<(), SecretFileError> {
        match std::fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", name, error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a file the first free name `<name>.<suffix>-<n>` and returns the new path.
    pub fn set_aside(&self, name: &str, suffix: &str) -> Result<PathBuf, SecretFileError> {
        let failed = |source| self.failed("rename", name, source);
        for n in 1..=99 {
            let aside = self.path.join(format!("{name}.{suffix}-{n}"));
            match std::fs::hard_link(self.path.join(name), &aside) {
                Ok(()) => {
                    self.remove(name)?;
                    return Ok(aside);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// Returns whether there is a plain file of that name.
    fn check(&self, name: &str) -> Result<bool, SecretFileError> {
        let path = self.path.join(name);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => Err(SecretFileError::Link(path)),
            Ok(metadata) if !metadata.is_file() => Err(SecretFileError::NotAFile(path)),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }
}

#[cfg(unix)]
fn temporary_name(name: &str) -> String {
    format!("{name}.codex-tmp")
}

#[cfg(unix)]
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files directly")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const LIMIT: u64 = 1024;

    fn dir() -> (tempfile::TempDir, PrivateDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = PrivateDir::create(folder.path()).unwrap();
        (folder, dir)
    }

    #[test]
    fn a_wide_file_is_narrowed_and_says_so() {
        let (folder, dir) = dir();
        let path = folder.path().join("f");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let file = dir.read("f", LIMIT).unwrap().unwrap();
        assert_eq!(
            (file.bytes, file.narrowed_from),
            (b"x".to_vec(), Some(0o644))
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(dir.read("f", LIMIT).unwrap().unwrap().narrowed_from, None);
    }

    #[test]
    fn a_symlink_is_neither_read_nor_written_through() {
        let (folder, dir) = dir();
        std::fs::write(folder.path().join("real"), "theirs").unwrap();
        symlink("real", folder.path().join("f")).unwrap();
        for error in [
            dir.read("f", LIMIT).unwrap_err(),
            dir.replace("f", b"ours").unwrap_err(),
        ] {
            assert!(matches!(error, SecretFileError::Link(_)), "{error}");
        }
        assert_eq!(
            std::fs::read(folder.path().join("real")).unwrap(),
            b"theirs"
        );
    }

    #[test]
    fn a_hard_link_is_refused() {
        let (folder, dir) = dir();
        dir.replace("f", b"x").unwrap();
        std::fs::hard_link(folder.path().join("f"), folder.path().join("g")).unwrap();
        let error = dir.read("f", LIMIT).unwrap_err();
        assert!(matches!(error, SecretFileError::Link(_)), "{error}");
    }

    #[test]
    fn a_swapped_directory_gets_nothing() {
        let (folder, _) = dir();
        let (home, moved) = (folder.path().join("home"), folder.path().join("moved"));
        let dir = PrivateDir::create(&home).unwrap();
        std::fs::rename(&home, &moved).unwrap();
        std::fs::create_dir(&home).unwrap();
        dir.replace("f", b"x").unwrap();
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
        assert_eq!(std::fs::read(moved.join("f")).unwrap(), b"x");
    }

    #[test]
    fn a_temporary_file_that_a_killed_writer_left_is_no_obstacle() {
        let (folder, dir) = dir();
        std::fs::write(folder.path().join("f.codex-tmp"), "half").unwrap();
        dir.replace("f", b"whole").unwrap();
        assert_eq!(dir.read("f", LIMIT).unwrap().unwrap().bytes, b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_set_aside_overwrites_nothing() {
        let (folder, dir) = dir();
        for n in 1..=2 {
            dir.replace("f", b"x").unwrap();
            let aside = dir.set_aside("f", "damaged").unwrap();
            assert_eq!(aside, folder.path().join(format!("f.damaged-{n}")));
        }
        assert!(dir.read("f", LIMIT).unwrap().is_none());
    }

    #[test]
    fn a_pipe_or_a_too_large_file_is_refused_at_once() {
        let (folder, dir) = dir();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            folder.path().join("pipe"),
            rustix::fs::Mode::from_raw_mode(0o600),
        )
        .unwrap();
        let error = dir.read("pipe", LIMIT).unwrap_err();
        assert!(matches!(error, SecretFileError::NotAFile(_)), "{error}");
        dir.replace("large", &vec![b'x'; 1025]).unwrap();
        let error = dir.read("large", LIMIT).unwrap_err();
        assert!(matches!(error, SecretFileError::TooLarge { .. }), "{error}");
    }
}
