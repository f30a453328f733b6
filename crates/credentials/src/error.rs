//! Why a record could not be read, written or deleted. No message ever holds a part of a record.

use std::path::PathBuf;
use std::time::Duration;

use codex_host::{LockError, SecretFileError};

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
    /// The file was refused, or the operating system refused.
    #[error(transparent)]
    Refused(#[from] SecretFileError),
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
    /// Another process held the file all the time, or its lock cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The home directory cannot be opened or made.
    #[error("cannot use the directory `{}`", path.display())]
    Home {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file system took the new content and gave another one back.
    #[error("`{}` does not hold what was written to it", .0.display())]
    NotKept(PathBuf),
    /// The work was ended in the middle by a defect of ours.
    #[error("the work on the credential file broke off")]
    BrokeOff,
}

impl FileError {
    /// Returns what the user can do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Refused(SecretFileError::Link(path)) => vec![format!(
                "put a plain file of your own at `{}`, or remove what is there",
                path.display()
            )],
            Self::Refused(SecretFileError::ForeignOwner(_)) => {
                vec!["run as the owner of the file, or set CODEX_HOME".to_owned()]
            }
            Self::Damaged { .. } => vec![
                "repair or remove it; `codex mcp login` sets it aside and begins a new one"
                    .to_owned(),
            ],
            Self::Refused(_)
            | Self::Lock(_)
            | Self::Home { .. }
            | Self::NotKept(_)
            | Self::BrokeOff => Vec::new(),
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
