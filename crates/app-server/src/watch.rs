//! Notices when a file of settings changed.
//!
//! The files are looked at once a second: a dozen calls of `stat`, which work on every file system and
//! see a file that an editor replaced, a link that points elsewhere and a file that was not there
//! before alike.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

use codex_host::AbsPath;

/// How often the files are looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What the files looked like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stamps(Vec<(AbsPath, Option<Stamp>)>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    n_bytes: u64,
    modified: Option<SystemTime>,
    identity: (u64, i64, i64),
}

impl Stamps {
    /// Looks at files. Blocks.
    pub(crate) fn take(files: Vec<AbsPath>) -> Self {
        Self(files.into_iter().map(Self::stamp).collect())
    }

    fn stamp(file: AbsPath) -> (AbsPath, Option<Stamp>) {
        let metadata = std::fs::metadata(&file).ok();
        (file, metadata.map(|metadata| Stamp::of(&metadata)))
    }

    /// Looks at those of the files that it has not looked at yet. Blocks.
    pub(crate) fn of(self, files: Vec<AbsPath>) -> Self {
        let mut known: std::collections::BTreeMap<_, _> = self.0.into_iter().collect();
        let stamp = |file: AbsPath| match known.remove_entry(&file) {
            Some(stamp) => stamp,
            None => Self::stamp(file),
        };
        Self(files.into_iter().map(stamp).collect())
    }

    /// Looks at the same files again. Blocks.
    pub(crate) fn again(&self) -> Self {
        Self::take(self.0.iter().map(|(file, _)| file.clone()).collect())
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let identity = (0, 0, 0);
        Self {
            n_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            identity,
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test prepares its files directly"
)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_comes_changes_or_goes_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = AbsPath::new(folder.path().join("config.toml")).unwrap();
        let absent = Stamps::take(vec![file.clone()]);
        assert_eq!(absent.again(), absent);
        std::fs::write(&file, "a = 1\n").unwrap();
        let first = absent.again();
        assert_ne!(first, absent);
        assert_eq!(first.again(), first);
        // Replaced by a file of the same size.
        let fresh = folder.path().join("new");
        std::fs::write(&fresh, "a = 2\n").unwrap();
        std::fs::rename(&fresh, &file).unwrap();
        assert_ne!(first.again(), first);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(first.again(), absent);
    }
}
