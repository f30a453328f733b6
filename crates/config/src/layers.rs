//! Where a setting can come from, and which source wins.

use std::fmt;

use codex_host::AbsPath;

/// A source of settings. The order of the rows is the order of precedence, the last one wins.
///
/// Only `User` and `SessionFlags` are read today; the others keep their place in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerSource {
    /// The machine's `config.toml`.
    System {
        /// Its file.
        file: AbsPath,
    },
    /// `$CODEX_HOME/config.toml`.
    User {
        /// Its file.
        file: AbsPath,
    },
    /// `$CODEX_HOME/NAME.config.toml`.
    Profile {
        /// Its file.
        file: AbsPath,
    },
    /// `.codex/config.toml` of a project.
    Project {
        /// Its file.
        file: AbsPath,
    },
    /// `-c`, `--enable`, `--disable` and dedicated flags.
    SessionFlags,
    /// `$CODEX_HOME/managed_config.toml`.
    ManagedHome {
        /// Its file.
        file: AbsPath,
    },
    /// The machine's `managed_config.toml`.
    ManagedMachine {
        /// Its file.
        file: AbsPath,
    },
    /// Managed preferences of macOS.
    ManagedPreferences,
}

impl LayerSource {
    /// Returns the file, for the sources that are files.
    pub fn file(&self) -> Option<&AbsPath> {
        match self {
            Self::System { file }
            | Self::User { file }
            | Self::Profile { file }
            | Self::Project { file }
            | Self::ManagedHome { file }
            | Self::ManagedMachine { file } => Some(file),
            Self::SessionFlags | Self::ManagedPreferences => None,
        }
    }

    /// Returns the word for it in messages and in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::System { .. } => "system",
            Self::User { .. } => "user",
            Self::Profile { .. } => "profile",
            Self::Project { .. } => "project",
            Self::SessionFlags => "command line",
            Self::ManagedHome { .. } | Self::ManagedMachine { .. } | Self::ManagedPreferences => {
                "managed"
            }
        }
    }
}

/// Where a value stands. Prints as `<file>:<line>:<column>`, or `command line`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its layer.
    pub layer: LayerSource,
    /// Line, from 1; 0 for the command line.
    pub line: usize,
    /// Column in characters, from 1; 0 for the command line.
    pub column: usize,
}

impl Origin {
    /// Returns the file, when the layer is one.
    pub fn file(&self) -> Option<&AbsPath> {
        self.layer.file()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file() {
            Some(file) => write!(f, "{file}:{}:{}", self.line, self.column),
            None => f.write_str(self.layer.word()),
        }
    }
}

/// One source with what it says.
#[derive(Debug, Clone)]
pub struct ConfigLayer {
    /// Where it comes from.
    pub source: LayerSource,
}

/// All sources, lowest first.
#[derive(Debug, Clone, Default)]
pub struct LayerStack {
    layers: Vec<ConfigLayer>,
}

impl LayerStack {
    /// Returns the layers, lowest first.
    pub fn layers(&self) -> &[ConfigLayer] {
        &self.layers
    }
}
