//! Which backends may be used, and where each kind of record lies in them.

use std::fmt;
use std::str::FromStr;

/// Which backends may be used: the words of `mcp_oauth_credentials_store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorePolicy {
    /// The keyring when it works, else the file, with a notice.
    #[default]
    Auto,
    /// The file only; the keyring is never touched.
    File,
    /// The keyring or an error.
    Keyring,
}

/// A word that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown variant `{0}`, expected one of `auto`, `file`, `keyring`")]
pub struct UnknownPolicy(pub String);

impl fmt::Display for StorePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::File => "file",
            Self::Keyring => "keyring",
        })
    }
}

impl FromStr for StorePolicy {
    type Err = UnknownPolicy;

    fn from_str(word: &str) -> Result<Self, UnknownPolicy> {
        match word {
            "auto" => Ok(Self::Auto),
            "file" => Ok(Self::File),
            "keyring" => Ok(Self::Keyring),
            _ => Err(UnknownPolicy(word.to_owned())),
        }
    }
}

/// A place where records lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Secret Service, Keychain or Credential Manager.
    Keyring,
    /// The private file.
    File,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
        })
    }
}

/// A kind of record: its file, its keyring service, and the field that tells the newer of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// The file's name in the home directory.
    pub file: &'static str,
    /// The service under which the keyring keeps it.
    pub keyring_service: &'static str,
    /// The numeric field whose greater value wins when both backends hold a record.
    pub newest_by: &'static str,
}

impl Collection {
    /// Logins, where codex 0.169.0 keeps them too (observed 2026-11-20).
    ///
    /// That program drops fields it does not know when it writes the file and rejects the whole
    /// file when one entry lacks a field: nothing else may ever go in here.
    pub const LOGINS: Self = Self {
        file: ".credentials.json",
        keyring_service: "Codex MCP Credentials",
        newest_by: "expires_at",
    };
    /// What belongs to a login but has no place in [`Self::LOGINS`].
    pub const CLIENTS: Self = Self {
        file: ".mcp-clients.json",
        keyring_service: "Codex MCP Clients",
        newest_by: "saved_at",
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_word_names_the_right_ones() {
        assert_eq!(
            "keyrung".parse::<StorePolicy>().unwrap_err().to_string(),
            "unknown variant `keyrung`, expected one of `auto`, `file`, `keyring`"
        );
        assert_eq!("auto".parse(), Ok(StorePolicy::Auto));
    }
}
