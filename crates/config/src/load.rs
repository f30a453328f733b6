//! From files and flags to [`Config`].

use codex_host::{AbsPath, CodexHome};

use crate::{Config, ConfigError, LayerStack, Notice};

/// What loading needs; nothing else is looked at.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Holds the user's file.
    pub home: CodexHome,
    /// The directory of the session; it will decide the project layer.
    pub cwd: AbsPath,
    /// `-c`, `--enable`, `--disable` in the order typed.
    pub overrides: Vec<CliOverride>,
    /// `--profile`; not available yet, so `Some` is an error that says so.
    pub profile: Option<String>,
    /// `--strict-config`.
    pub strict: bool,
    /// `--ignore-user-config`: the user's file counts as empty.
    pub ignore_user_file: bool,
}

impl LoadRequest {
    /// Asks for the user's settings without any flag.
    pub fn new(home: CodexHome, cwd: AbsPath) -> Self {
        Self {
            home,
            cwd,
            overrides: Vec::new(),
            profile: None,
            strict: false,
            ignore_user_file: false,
        }
    }
}

/// One flag that changes a setting for this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliOverride {
    /// `-c key.path=value`, uncut.
    Set(String),
    /// `--enable FEATURE`.
    Enable(String),
    /// `--disable FEATURE`.
    Disable(String),
}

/// The result of loading.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What there is to say about them, in order.
    pub notices: Vec<Notice>,
    /// Where they come from.
    pub layers: LayerStack,
}

/// Reads every layer and merges them. Blocks; reads at most one small file per layer.
pub fn load(request: &LoadRequest) -> Result<Loaded, ConfigError> {
    let _ = request;
    todo!()
}
