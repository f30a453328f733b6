//! Several files changed as one: all of them or none, whatever happens in between.
//!
//! New contents are written beside their targets, the old ones get a second name, then renames put
//! the new ones in place. A journal in a private folder names everything beforehand; a run that was
//! killed in the middle is undone by the next one that opens the folder, which puts the old contents
//! back and removes what was left beside them. A file that somebody changed in the meantime is left
//! as it is; one that cannot be put back keeps its old content beside it until it can. One run at a time uses a folder, by a lock that dies with its holder, so a journal that
//! is found belongs to a dead one.
//! Traps: only permissions and owner of a replaced file are kept, no access lists; and the folder must
//! be one that no sandboxed program can write, because the journal is believed.

use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::time::Duration;

use crate::fence::list;
use crate::{Fence, FenceError, LockError};

/// One file before and after; `None` = there is no such file.
#[derive(Debug, Clone, Copy)]
pub struct FileChange<'a> {
    /// Absolute path.
    pub path: &'a Path,
    /// The content that it must still have.
    pub before: Option<&'a [u8]>,
    /// The content that it gets.
    pub after: Option<&'a [u8]>,
    /// An older file whose permissions a new one takes over.
    pub like: Option<&'a Path>,
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A path cannot be used.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// Another run did not end.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else changed a file.
    #[error("`{}` was changed in the meantime; nothing was written", .0.display())]
    Changed(PathBuf),
    /// The journal cannot be written.
    #[error("cannot write the journal `{}`: {source}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Files of a change that did not happen have their new content still; where the old ones are
    /// kept, the next attempt puts them back.
    #[error(
        "what a change that failed or was killed did to {} cannot be undone: {source}; their old \
         contents, where they are kept, lie beside them as `.codex-*.old`",
        list(files)
    )]
    NotUndone {
        /// The files.
        files: Vec<PathBuf>,
        /// Why, for the first.
        #[source]
        source: FenceError,
    },
    /// A change failed in the middle and could not be undone.
    #[error("{cause}; {left}")]
    HalfDone {
        /// Why it failed.
        cause: Box<ChangeError>,
        /// What is left of it.
        left: Box<ChangeError>,
    },
}

impl ChangeError {
    /// Whether files may have been changed all the same.
    pub fn leaves_changes(&self) -> bool {
        matches!(self, Self::NotUndone { .. } | Self::HalfDone { .. })
    }
}

/// How long another run may take.
#[cfg(unix)]
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// Changes files, all or none. Blocks. `folder` holds the journal.
pub fn change_files(
    fence: &Fence,
    folder: &Path,
    changes: &[FileChange<'_>],
) -> Result<(), ChangeError> {
    #[cfg(unix)]
    return unix::change(fence, folder, changes, &mut || {});
    #[cfg(not(unix))]
    {
        let _ = (fence, folder, changes);
        Err(FenceError::Unsupported.into())
    }
}

/// Undoes what killed runs left half done; returns the files that were put back. Blocks.
pub fn undo_unfinished_changes(folder: &Path) -> Result<Vec<PathBuf>, ChangeError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    #[cfg(unix)]
    return unix::undo_all(folder);
    #[cfg(not(unix))]
    Ok(Vec::new())
}

#[cfg(unix)]
mod journal;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
#[cfg(test)]
mod tests;
