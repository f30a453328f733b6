//! Files below given directories, reached without following any link.
//!
//! A program that may write below a directory can put links there, at any moment. So every path is
//! walked from its directory name by name on open handles, and a link anywhere below it is refused:
//! what is checked is what is used. The directories themselves may be reached through links, because
//! the user named them.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Directories below which files may be changed, and places in them that stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Fence {
    roots: Vec<PathBuf>,
    kept: Vec<PathBuf>,
}

/// Why a path is not used.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// It is below none of the directories.
    #[error("`{}` is outside of what may be written: {}", path.display(), list(roots))]
    Outside {
        /// The path.
        path: PathBuf,
        /// The directories.
        roots: Vec<PathBuf>,
    },
    /// It is in a place that stays as it is.
    #[error("`{}` is kept read-only", .0.display())]
    Kept(PathBuf),
    /// It, or a directory on the way, is a symbolic link.
    #[error("`{}` is a symbolic link, and links are not followed", .0.display())]
    Link(PathBuf),
    /// It is a directory or a device.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A file stands where a directory is needed.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// It is larger than what is read.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// The operating system refused.
    #[error("cannot {deed} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This system has no calls that leave links alone.
    #[error("files cannot be changed safely on this system yet")]
    Unsupported,
}

pub(crate) fn list(roots: &[PathBuf]) -> String {
    if roots.is_empty() {
        return "nothing".to_owned();
    }
    let roots = roots.iter().map(|root| format!("`{}`", root.display()));
    roots.collect::<Vec<_>>().join(", ")
}

impl Fence {
    /// Allows everything below these directories, which are absolute.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            kept: Vec::new(),
        }
    }

    /// Takes places out again: these paths and everything below them.
    #[must_use]
    pub fn keeping(mut self, kept: impl IntoIterator<Item = PathBuf>) -> Self {
        self.kept.extend(kept);
        self
    }

    /// Checks by its letters whether a path may be changed.
    ///
    /// The path is absolute, without `.` and `..`.
    pub fn check(&self, path: &Path) -> Result<(), FenceError> {
        self.place(path).map(|_| ())
    }

    /// Reads a file that may be changed; `None` when there is none.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FenceError> {
        self.place(path)?.read(limit)
    }

    /// Returns a path as seen from the nearest of the directories.
    pub(crate) fn place(&self, path: &Path) -> Result<Place, FenceError> {
        let outside = || FenceError::Outside {
            path: path.to_owned(),
            roots: self.roots.clone(),
        };
        let is_plain = |part| {
            matches!(
                part,
                Component::RootDir | Component::Prefix(_) | Component::Normal(_)
            )
        };
        if !path.is_absolute() || !path.components().all(is_plain) {
            return Err(outside());
        }
        if self.kept.iter().any(|kept| is_below(path, kept)) {
            return Err(FenceError::Kept(path.to_owned()));
        }
        let around = self.roots.iter().filter(|root| path.starts_with(root));
        let root = around.max_by_key(|root| root.components().count());
        let root = root.ok_or_else(outside)?;
        let below = path.strip_prefix(root).map_err(|_| outside())?;
        match below.file_name() {
            Some(_) => Ok(Place {
                root: root.clone(),
                below: below.to_owned(),
            }),
            None => Err(FenceError::NotAFile(path.to_owned())),
        }
    }
}

/// Whether a path is another or lies below it, whatever the case of its letters: where the file system
/// makes no difference, `.GIT` is `.git`, and elsewhere hardly anybody misses it.
fn is_below(path: &Path, kept: &Path) -> bool {
    let mut names = path.components();
    kept.components().all(|kept| {
        let name = names.next();
        name.is_some_and(|name| name.as_os_str().eq_ignore_ascii_case(kept.as_os_str()))
    })
}

/// A path below one of the directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    /// At least one plain name.
    pub(crate) below: PathBuf,
}

impl Place {
    pub(crate) fn path(&self) -> PathBuf {
        self.root.join(&self.below)
    }
}

#[cfg(not(unix))]
impl Place {
    fn read(&self, _limit: u64) -> Result<Option<Vec<u8>>, FenceError> {
        Err(FenceError::Unsupported)
    }
}

#[cfg(unix)]
pub(crate) use unix::{NamedIn, Walk};

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::Read;

    use rustix::fs::{AtFlags, Mode, OFlags, Stat};
    use rustix::io::Errno;

    use super::{FenceError, Path, PathBuf, Place};

    /// What happens where a directory is missing.
    pub(crate) enum Walk<'a> {
        /// The walk ends.
        Existing,
        /// It is made, and told just before.
        Making(&'a mut dyn FnMut(Place) -> Result<(), FenceError>),
    }

    /// A name in an open directory.
    pub(crate) struct NamedIn<'a> {
        pub(crate) dir: &'a File,
        pub(crate) name: &'a OsStr,
        pub(crate) path: PathBuf,
    }

    impl Place {
        pub(super) fn read(&self, limit: u64) -> Result<Option<Vec<u8>>, FenceError> {
            match self.open_parent(Walk::Existing)? {
                Some(dir) => self.named(&dir).read(limit),
                None => Ok(None),
            }
        }

        /// Opens the directory that holds the file; `None` when it is missing.
        pub(crate) fn open_parent(&self, mut walk: Walk<'_>) -> Result<Option<File>, FenceError> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let mut path = self.root.clone();
            let failed = |path: &Path, errno: Errno| FenceError::Io {
                deed: "open",
                path: path.to_owned(),
                source: errno.into(),
            };
            let root = rustix::fs::open(&path, flags, Mode::empty());
            let mut dir = File::from(root.map_err(|errno| failed(&path, errno))?);
            let parents = self.below.parent().unwrap_or(Path::new(""));
            let mut below = PathBuf::new();
            for name in parents {
                path.push(name);
                below.push(name);
                let open = |dir: &File| {
                    rustix::fs::openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty())
                };
                let opened = match (open(&dir), &mut walk) {
                    (Err(Errno::NOENT), Walk::Existing) => return Ok(None),
                    (Err(Errno::NOENT), Walk::Making(tell)) => {
                        tell(Self {
                            root: self.root.clone(),
                            below: below.clone(),
                        })?;
                        match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                            Ok(()) | Err(Errno::EXIST) => open(&dir),
                            Err(errno) => Err(errno),
                        }
                    }
                    (opened, _) => opened,
                };
                dir = match opened {
                    Ok(opened) => File::from(opened),
                    // Both are said of a link here, depending on the system.
                    Err(Errno::LOOP | Errno::NOTDIR) => {
                        return Err(match is_link(&dir, name) {
                            true => FenceError::Link(path),
                            false => FenceError::NotADirectory(path),
                        });
                    }
                    Err(errno) => return Err(failed(&path, errno)),
                };
            }
            Ok(Some(dir))
        }

        /// Names the file in its open directory.
        pub(crate) fn named<'a>(&'a self, dir: &'a File) -> NamedIn<'a> {
            NamedIn {
                dir,
                name: self.below.file_name().unwrap_or_default(),
                path: self.path(),
            }
        }
    }

    fn is_link(dir: &File, name: &OsStr) -> bool {
        let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| file_type(&found).is_symlink())
    }

    fn file_type(found: &Stat) -> rustix::fs::FileType {
        rustix::fs::FileType::from_raw_mode(found.st_mode)
    }

    impl NamedIn<'_> {
        /// Reads the file; `None` when there is none.
        pub(crate) fn read(&self, limit: u64) -> Result<Option<Vec<u8>>, FenceError> {
            match self.stat()? {
                None => return Ok(None),
                Some(found) if file_type(&found).is_symlink() => {
                    return Err(FenceError::Link(self.path.clone()));
                }
                Some(found) if !file_type(&found).is_file() => {
                    return Err(FenceError::NotAFile(self.path.clone()));
                }
                Some(_) => {}
            }
            // NONBLOCK: a pipe may have been put at the name since.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(self.dir, self.name, flags, Mode::empty()) {
                Ok(file) => File::from(file),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP) => return Err(FenceError::Link(self.path.clone())),
                Err(errno) => return Err(self.failed("read", errno.into())),
            };
            if !file.metadata().is_ok_and(|found| found.is_file()) {
                return Err(FenceError::NotAFile(self.path.clone()));
            }
            let mut bytes = Vec::new();
            let read = file.take(limit + 1).read_to_end(&mut bytes);
            read.map_err(|error| self.failed("read", error))?;
            match bytes.len() as u64 > limit {
                true => Err(FenceError::TooLarge {
                    path: self.path.clone(),
                    limit,
                }),
                false => Ok(Some(bytes)),
            }
        }

        /// Looks at what stands at the name, a link included.
        pub(crate) fn stat(&self) -> Result<Option<Stat>, FenceError> {
            match rustix::fs::statat(self.dir, self.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => Ok(Some(found)),
                Err(Errno::NOENT) => Ok(None),
                Err(errno) => Err(self.failed("read", errno.into())),
            }
        }

        pub(crate) fn failed(&self, deed: &'static str, source: std::io::Error) -> FenceError {
            FenceError::Io {
                deed,
                path: self.path.clone(),
                source,
            }
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMIT: u64 = 100;

    #[test]
    fn only_files_below_the_roots_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let (root, other) = (dir.path().join("w"), dir.path().join("other"));
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        std::fs::create_dir(&other).unwrap();
        for file in [
            root.join("sub/f"),
            root.join(".git/config"),
            other.join("f"),
        ] {
            crate::PrivateFile::replace(&file, b"x").unwrap();
        }
        symlink(&other, root.join("out")).unwrap();
        symlink("sub/f", root.join("link")).unwrap();
        symlink(&root, dir.path().join("also-w")).unwrap();
        let fence = Fence::new([root.clone()]).keeping([root.join(".git")]);
        let told = |path: &Path| match fence.read(path, LIMIT) {
            Ok(Some(_)) => "there".to_owned(),
            Ok(None) => "none".to_owned(),
            Err(error) => error
                .to_string()
                .replace(&*dir.path().to_string_lossy(), ""),
        };
        let rows = [
            ("w/sub/f", "there"),
            ("w/sub/none", "none"),
            ("w/none/none", "none"),
            ("w/.git/config", "`/w/.git/config` is kept read-only"),
            ("w/.git", "`/w/.git` is kept read-only"),
            ("w/.GIT/config", "`/w/.GIT/config` is kept read-only"),
            ("w/.Git", "`/w/.Git` is kept read-only"),
            ("w/.gitignore", "none"),
            (
                "other/f",
                "`/other/f` is outside of what may be written: `/w`",
            ),
            (
                "w/../other/f",
                "`/w/../other/f` is outside of what may be written: `/w`",
            ),
            ("wider", "`/wider` is outside of what may be written: `/w`"),
            (
                "w/out/f",
                "`/w/out` is a symbolic link, and links are not followed",
            ),
            (
                "w/link",
                "`/w/link` is a symbolic link, and links are not followed",
            ),
            ("w/sub/f/g", "`/w/sub/f` is not a directory"),
            ("w/sub", "`/w/sub` is not a regular file"),
            ("w", "`/w` is not a regular file"),
        ];
        for (path, expected) in rows {
            assert_eq!(told(&dir.path().join(path)), expected, "{path}");
        }
        let by_link = Fence::new([dir.path().join("also-w")]);
        let read = by_link
            .read(&dir.path().join("also-w/sub/f"), LIMIT)
            .unwrap();
        assert_eq!(read.as_deref(), Some(&b"x"[..]));
        let large = fence.read(&root.join("sub/f"), 0).unwrap_err();
        assert!(matches!(large, FenceError::TooLarge { limit: 0, .. }));
    }
}
