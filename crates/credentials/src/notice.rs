//! What the user should know though the deed was done.

use std::path::PathBuf;

use crate::{Hint, KeyringError};

/// Something that did not stop the deed; each is reported once per store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The keyring cannot be used, so the file is.
    FileInsteadOfKeyring {
        /// Why.
        why: KeyringError,
    },
    /// The keyring could not be read; a newer record may lie there.
    KeyringUnread {
        /// Why.
        why: KeyringError,
    },
    /// The file could be read by others and was narrowed to 0600.
    Narrowed {
        /// The file.
        path: PathBuf,
        /// The mode it had.
        mode: u32,
    },
    /// The file was damaged; it was set aside under another name and a new one begun.
    SetAside {
        /// The file.
        path: PathBuf,
        /// Where the old content is now.
        aside: PathBuf,
    },
    /// An entry of the file is no record; it was kept as it is.
    EntryKept {
        /// The entry's key.
        key: String,
    },
    /// The policy is `file`, so a copy in the keyring was neither looked for nor deleted.
    KeyringLeftAlone,
    /// The file could not be read; the keyring's record is used.
    FileUnread {
        /// Why.
        why: String,
    },
    /// The record lies in the keyring now, but its old copy in the file could not be removed.
    FileCopyLeft {
        /// Why.
        why: String,
    },
}

impl Notice {
    /// Returns the notice as one sentence.
    pub fn text(&self) -> String {
        match self {
            Self::FileInsteadOfKeyring { why } => {
                format!("{why}; credentials are kept in a file that only you can read.")
            }
            Self::KeyringUnread { why } => format!("{why}; logins kept there are not seen."),
            Self::Narrowed { path, mode } => format!(
                "`{}` could be read by others (mode {mode:04o}); it is 0600 now.",
                path.display()
            ),
            Self::SetAside { path, aside } => format!(
                "`{}` was damaged; it is kept as `{}` and a new one was begun.",
                path.display(),
                aside.display()
            ),
            Self::EntryKept { key } => {
                format!("The entry `{key}` of the credential file cannot be read; it was kept.")
            }
            Self::KeyringLeftAlone => {
                "The keyring was left alone, as `mcp_oauth_credentials_store = \"file\"` says."
                    .to_owned()
            }
            Self::FileUnread { why } => {
                format!("The credential file was not read: {why}.")
            }
            Self::FileCopyLeft { why } => {
                format!("The old copy in the credential file could not be removed: {why}.")
            }
        }
    }

    /// Returns what the user can do.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::FileInsteadOfKeyring { why } | Self::KeyringUnread { why } => why.hints(),
            Self::Narrowed { .. }
            | Self::SetAside { .. }
            | Self::EntryKept { .. }
            | Self::KeyringLeftAlone
            | Self::FileUnread { .. }
            | Self::FileCopyLeft { .. } => Vec::new(),
        }
    }
}
