//! The renewal in a process of its own, which goes on when ours is killed.
//!
//! A rotating server uses a refresh token up when it answers. Who dies between that answer and the
//! store has lost the login, and no order of writes in one process helps against SIGKILL. So the
//! request and the write are given to a deputy: the same program, in a session of its own, for the
//! moment of one renewal. It gets the lock as well: descriptor 0 is a socket with the order and the
//! answer, descriptor 1 the lock file, so that nobody asks with the old token while it works.
//!
//! Left is what no client can close: the machine, or the deputy itself, dies in that moment.
//! Without a deputy (a library's user, a sandbox that starts nothing) the renewal is done here.

#[cfg(unix)]
mod process;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;

#[cfg(unix)]
pub use serve::serve_renewal;

/// A program that renews for us: it calls [`serve_renewal`] and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deputy {
    /// The program.
    pub program: PathBuf,
    /// What makes it a deputy.
    pub args: Vec<OsString>,
}

#[cfg(not(unix))]
impl Deputy {
    /// Says that the renewal is to be done here: a lock cannot be handed over.
    pub(crate) async fn exchange(
        &self,
        _refresh: &crate::RefreshTransaction,
        _lock: &crate::KeyLock,
        _tokens: &crate::OAuthTokens,
    ) -> Option<Result<crate::Renewed, crate::RefreshError>> {
        None
    }
}
