//! A lock between processes, held on a file that is never removed.
//!
//! The operating system frees it when the holder dies, so there is no stale lock. The file holds the
//! holder's pid for messages only. Removing the file would let two processes lock two different inodes.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::PrivateFile;

// A blocking lock has no limit, so we ask again; 5 ms is far below what an edit takes to write.
const POLL: Duration = Duration::from_millis(5);

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone else held it all the time.
    #[error("`{}` is locked by another process{} (waited {} s)", path.display(), holder_text(*.holder), limit.as_secs())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        limit: Duration,
        /// The holder's pid as it wrote it.
        holder: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    holder
        .map(|pid| format!(" (pid {pid})"))
        .unwrap_or_default()
}

/// A lock that is held until it is dropped, and until every child that shares it has ended.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock, waiting at most `limit`. Blocks the thread.
    pub fn acquire(path: &Path, limit: Duration) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = PrivateFile::open_shared(path).map_err(failed)?;
        let deadline = Instant::now() + limit;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let mut text = String::new();
                    let holder = match file.read_to_string(&mut text) {
                        Ok(_) => text.trim().parse().ok(),
                        Err(_) => None,
                    };
                    return Err(LockError::Held {
                        path: path.to_owned(),
                        limit,
                        holder,
                    });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            }
        }
        // On a full disk the lock holds all the same; only a message lacks the holder.
        let _ = note_holder(&mut file);
        Ok(Self { file })
    }

    /// Returns a share of the lock for a child process: it stays locked when we die before the child.
    #[cfg(unix)]
    pub fn share_with_child(&self) -> std::io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// Takes over the share that a parent process gave.
    #[cfg(unix)]
    pub fn inherited(share: OwnedFd) -> Self {
        Self { file: share.into() }
    }
}

fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row E3.
    #[test]
    fn a_held_lock_names_its_holder_after_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let _held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        let error = FileLock::acquire(&path, Duration::ZERO).unwrap_err();
        let LockError::Held { holder, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(holder, Some(std::process::id()));
    }

    #[test]
    fn a_dropped_lock_can_be_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        drop(FileLock::acquire(&path, Duration::ZERO).unwrap());
        FileLock::acquire(&path, Duration::ZERO).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_shared_lock_is_held_until_the_last_share_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        let share = FileLock::inherited(held.share_with_child().unwrap());
        drop(held);
        FileLock::acquire(&path, Duration::ZERO).unwrap_err();
        drop(share);
        FileLock::acquire(&path, Duration::ZERO).unwrap();
    }
}
