//! The lock of one key, between tasks and between processes.
//!
//! codex 0.169.0 locks the same files in the same way (observed 2026-11-20), so the two programs
//! exclude each other. Traps: the operating system frees the lock when the holder dies; the file
//! stays for ever, else two processes could lock two different inodes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codex_host::{FileLock, LockError};
use tokio::time::Instant;

use crate::StoreKey;

/// The directory of all locks, in the home directory.
pub(crate) const LOCK_DIR: &str = "mcp-oauth-locks";

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Proof that one key is locked; the lock is free when this and all work begun under it is gone.
#[derive(Debug)]
pub struct KeyLock {
    key: StoreKey,
    held: Arc<FileLock>,
}

impl KeyLock {
    /// Takes the lock of a key, waiting at most `limit`; dropping the future stops waiting.
    pub(crate) async fn acquire(
        dir: &Path,
        key: &StoreKey,
        limit: Duration,
    ) -> Result<Self, LockError> {
        let held = acquire(&dir.join(key.lock_file_name()), limit).await?;
        Ok(Self {
            key: key.clone(),
            held: Arc::new(held),
        })
    }

    /// Returns the key that is locked.
    pub fn key(&self) -> &StoreKey {
        &self.key
    }

    /// Returns a share of the lock for a child process: it stays locked when we die before the child.
    #[cfg(unix)]
    pub fn share_with_child(&self) -> std::io::Result<std::os::fd::OwnedFd> {
        self.held.share_with_child()
    }

    /// Takes over the share that a parent process gave.
    #[cfg(unix)]
    pub fn inherited(key: StoreKey, share: std::os::fd::OwnedFd) -> Self {
        let held = Arc::new(FileLock::inherited(share));
        Self { key, held }
    }

    /// Returns a share of the lock for work that must go on when its caller is dropped.
    pub(crate) fn share(&self) -> Arc<FileLock> {
        Arc::clone(&self.held)
    }
}

/// Takes a file lock without blocking the thread.
pub(crate) async fn acquire(path: &Path, limit: Duration) -> Result<FileLock, LockError> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        match FileLock::acquire(path, Duration::ZERO) {
            Err(LockError::Held { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // The lock itself waited for nothing; the message tells what the caller waited.
            Err(LockError::Held { path, holder, .. }) => {
                return Err(LockError::Held {
                    path,
                    limit,
                    holder,
                });
            }
            result => return result,
        }
    }
}
