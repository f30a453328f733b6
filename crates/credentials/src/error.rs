//! Why a record could not be read, written or deleted. No message ever holds a part of a record.

use std::path::PathBuf;
use std::time::Duration;

use codex_host::LockError;

use crate::Backend;

/// A sentence that says what the user can do now.
pub type Hint = String;

/// Why the keyring was not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is none on this machine or in this session, so it holds nothing either.
    #[error("there is no keyring here: {0}")]
    Absent(String),
    /// It is there but locked, and nobody unlocked it.
    #[error("the keyring is locked")]
    Locked,
    /// It did not answer; it counts as unavailable for the rest of this process.
    #[error("the keyring did not answer within {} s", .0.as_secs())]
    Hangs(Duration),
    /// It forgets its records at logout or reboot.
    #[error("the keyring does not keep its records over a restart")]
    Volatile,
    /// It has no room for a record of this size, not even in pieces.
    #[error("the record is too large for the keyring")]
    TooLarge,
    /// It took a record and gave another one back.
    #[error("the keyring did not give back what was stored in it")]
    NotKept,
    /// What it holds under this key cannot be read.
    #[error("the keyring's record is damaged")]
    Damaged,
    /// It refused for another reason.
    #[error("the keyring failed: {0}")]
    Failed(String),
}

impl KeyringError {
    /// Returns whether a copy of a record may be in this keyring all the same.
    pub fn may_hold_a_copy(&self) -> bool {
        !matches!(self, Self::Absent(_))
    }

    /// Returns what the user can do.
    pub fn hints(&self) -> Vec<Hint> {
        let file = "or set `mcp_oauth_credentials_store = \"file\"` in config.toml".to_owned();
        match self {
            Self::Locked | Self::Hangs(_) => vec![
                "unlock the keyring (log in to the desktop, or `gnome-keyring-daemon --unlock`)"
                    .to_owned(),
                file,
            ],
            Self::Absent(_) => vec![
                "start a keyring (Secret Service) in this session".to_owned(),
                file,
            ],
            Self::Volatile | Self::TooLarge | Self::NotKept | Self::Failed(_) => {
                vec!["set `mcp_oauth_credentials_store = \"file\"` in config.toml".to_owned()]
            }
            Self::Damaged => vec!["log in again".to_owned()],
        }
    }
}

/// Why the file was not used. Its old content is still there.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path is a link; somebody may want the secrets elsewhere.
    #[error("`{}` is a link, which is refused for a file of secrets", .0.display())]
    Link(PathBuf),
    /// The file has another owner.
    #[error("`{}` belongs to another user", .0.display())]
    ForeignOwner(PathBuf),
    /// The path is a directory or a device.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is not what was written: cut off, or edited.
    #[error("`{}` is damaged (line {line}, column {column}) and was left as it is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
    /// The file is larger than any set of logins.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// Another process held the file all the time.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error("cannot {deed} `{}`", path.display())]
    Io {
        /// What was tried: `read`, `write`.
        deed: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl FileError {
    /// Returns what the user can do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Link(path) => vec![format!(
                "replace it by a plain file of your own, or remove it: `{}`",
                path.display()
            )],
            Self::ForeignOwner(_) => {
                vec!["run as the owner of the file, or set CODEX_HOME".to_owned()]
            }
            Self::Damaged { .. } => vec![
                "repair or remove it; `codex mcp login` sets it aside and begins a new one"
                    .to_owned(),
            ],
            Self::NotAFile(_) | Self::TooLarge { .. } | Self::Lock(_) | Self::Io { .. } => {
                Vec::new()
            }
        }
    }
}

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The policy wants the keyring, and it cannot be used.
    #[error("the keyring cannot be used")]
    Keyring(#[from] KeyringError),
    /// The file cannot be used.
    #[error("the credential file cannot be used")]
    File(#[from] FileError),
}

impl StoreError {
    /// Returns which backend failed.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Keyring(_) => Backend::Keyring,
            Self::File(_) => Backend::File,
        }
    }

    /// Returns what the user can do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Keyring(error) => error.hints(),
            Self::File(error) => error.hints(),
        }
    }
}
