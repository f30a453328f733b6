//! Which of the files a command edits: the user's, or that of the project.

use clap::ValueEnum;
use codex_config::{ConfigFile, DisabledLayer, EditError, LayerSource, TrustLevel};
use codex_host::AbsPath;
use codex_runtime::Loaded;

use crate::mask::printable;

/// As typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scope {
    User,
    Project,
}

impl Scope {
    /// Opens the file under its lock.
    pub(super) fn open(self, loaded: &Loaded) -> Result<ConfigFile, EditError> {
        match self {
            Self::User => ConfigFile::open(&loaded.home),
            Self::Project => open_project(loaded, loaded.project.config_file()),
        }
    }

    /// Returns the file.
    pub(super) fn file(self, loaded: &Loaded) -> AbsPath {
        match self {
            Self::User => loaded.home.config_file(),
            Self::Project => loaded.project.config_file(),
        }
    }

    /// Returns the word in "Added … MCP server".
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::User => "global",
            Self::Project => "project",
        }
    }
}

/// Opens a file of the project under the lock of the home.
pub(super) fn open_project(loaded: &Loaded, file: AbsPath) -> Result<ConfigFile, EditError> {
    let within = match loaded.project.trust {
        Some(TrustLevel::Trusted) => None,
        Some(TrustLevel::Untrusted) | None => Some(&loaded.project.top),
    };
    ConfigFile::open_project(&loaded.home, file, within)
}

/// Returns the layer of a file whose settings have no effect.
pub(super) fn unused<'l>(loaded: &'l Loaded, file: &AbsPath) -> Option<&'l DisabledLayer> {
    let mut disabled = loaded.layers.disabled().iter();
    disabled.find(|layer| layer.source.file() == Some(file))
}

/// Says why a layer is not used, and what to do; one line each.
pub(super) fn why_unused(layer: &DisabledLayer) -> Vec<String> {
    let hint = layer.hint.iter().map(|hint| format!("hint: {hint}"));
    std::iter::once(format!("note: {}", layer.reason))
        .chain(hint)
        .map(|line| printable(&line))
        .collect()
}

/// Returns the layer that a file is.
pub(super) fn layer_of<'l>(loaded: &'l Loaded, file: &AbsPath) -> Option<&'l LayerSource> {
    let layers = loaded.layers.layers().iter().map(|layer| &layer.source);
    // A legacy profile is a part of the user's file; its table is not what is edited.
    let user = loaded.home.config_file();
    let is_part =
        |source: &LayerSource| matches!(source, LayerSource::Profile { file, .. } if *file == user);
    let mut of_file = layers.filter(|source| !is_part(source));
    of_file.find(|source| source.file() == Some(file))
}
