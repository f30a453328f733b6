//! Why the configuration cannot be used at all.

use std::path::PathBuf;

use crate::Origin;

/// Why [`crate::load`] gave up. Display has everything the user needs, also over several lines:
/// print it below `Error: failed to load configuration` / `Caused by:`, except for
/// [`ConfigError::Flag`], whose sentence stands alone.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag is malformed: `Invalid override (missing '='): foo`, `Unknown feature flag: zzz`.
    #[error("{message}")]
    Flag {
        /// The sentence.
        message: String,
        /// What to do.
        hints: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no TOML, or a value is not what its key wants; with position and excerpt.
    #[error("{text}")]
    Invalid {
        /// `<file>:<line>:<column>: <what>` and the source line, or the key.
        text: String,
        /// Where.
        origin: Option<Origin>,
        /// What to do.
        hints: Vec<String>,
    },
    /// The profile that was asked for is not there, or is there twice.
    #[error("{0}")]
    Profile(String),
}

impl ConfigError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> &[String] {
        match self {
            Self::Flag { hints, .. } | Self::Invalid { hints, .. } => hints,
            Self::Unreadable { .. } | Self::Profile(_) => &[],
        }
    }
}
