//! A path that does not depend on the current directory.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Why a path is not absolute.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not an absolute path", .0.display())]
pub struct NotAbsolute(pub PathBuf);

/// An absolute path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsPath(PathBuf);

impl AbsPath {
    /// Takes a path that is absolute already.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, NotAbsolute> {
        let path = path.into();
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err(NotAbsolute(path))
        }
    }

    /// Returns `path` as seen from this directory: unchanged when it is absolute.
    pub fn join(&self, path: impl AsRef<Path>) -> Self {
        Self(self.0.join(path))
    }

    /// Returns the path for the functions of std.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Returns the directory that holds this path, itself for a root.
    pub fn parent_dir(&self) -> Self {
        Self(self.0.parent().unwrap_or(&self.0).to_owned())
    }

    /// Returns the path as an owned value of std.
    pub fn into_path_buf(self) -> PathBuf {
        self.0
    }
}

impl Deref for AbsPath {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for AbsPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_refused_and_named() {
        let error = AbsPath::new("a/b").unwrap_err();
        assert_eq!(error.to_string(), "`a/b` is not an absolute path");
    }

    #[test]
    fn joining_an_absolute_path_replaces() {
        let base = AbsPath::new("/base").unwrap();
        assert_eq!(base.join("x").as_path(), Path::new("/base/x"));
        assert_eq!(base.join("/y").as_path(), Path::new("/y"));
    }
}
