//! Where a setting can come from, and which source wins.

use std::fmt;
use std::sync::{Arc, OnceLock};

use codex_host::AbsPath;
use sha2::{Digest, Sha256};

use crate::ConfigError;
use crate::tree::{self, Node, Place};
use crate::{merge, report, sources};

/// Where managed preferences stand, in messages.
const PREFERENCES: &str = "com.openai.codex:config_toml_base64";

/// A source of settings. The order of the rows is the order of precedence, the last one wins.
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
    /// `$CODEX_HOME/NAME.config.toml`, or `[profiles.NAME]` of the user's file.
    Profile {
        /// Its name.
        name: String,
        /// Its file.
        file: AbsPath,
    },
    /// `.codex/config.toml` of a project, between its root and the working directory.
    Project {
        /// How far it is from the root; the nearest to the working directory wins.
        depth: usize,
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
            | Self::Profile { file, .. }
            | Self::Project { file, .. }
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

    /// Returns whether this source is a policy of the machine or was typed: it beats every file of
    /// the user and of a project.
    pub fn beats_files(&self) -> bool {
        match self {
            Self::System { .. }
            | Self::User { .. }
            | Self::Profile { .. }
            | Self::Project { .. } => false,
            Self::SessionFlags
            | Self::ManagedHome { .. }
            | Self::ManagedMachine { .. }
            | Self::ManagedPreferences => true,
        }
    }

    /// Returns whether what it says about trust counts: a project cannot trust itself.
    pub(crate) fn may_trust(&self) -> bool {
        match self {
            Self::System { .. }
            | Self::User { .. }
            | Self::ManagedHome { .. }
            | Self::ManagedMachine { .. }
            | Self::ManagedPreferences => true,
            Self::Profile { .. } | Self::Project { .. } | Self::SessionFlags => false,
        }
    }

    /// Returns its number in places. Known before all layers are, and in the order of precedence.
    pub(crate) fn number(&self) -> usize {
        /// More folders than a path can have.
        const BEHIND_PROJECTS: usize = 100_000;
        match self {
            Self::System { .. } => 0,
            Self::User { .. } => 1,
            Self::Profile { .. } => 2,
            Self::Project { depth, .. } => 3 + depth,
            Self::SessionFlags => BEHIND_PROJECTS,
            Self::ManagedHome { .. } => BEHIND_PROJECTS + 1,
            Self::ManagedMachine { .. } => BEHIND_PROJECTS + 2,
            Self::ManagedPreferences => BEHIND_PROJECTS + 3,
        }
    }
}

/// The file, or the name of a source that is none.
impl fmt::Display for LayerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file() {
            Some(file) => file.fmt(f),
            None if *self == Self::ManagedPreferences => f.write_str(PREFERENCES),
            None => f.write_str(self.word()),
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

    pub(crate) fn command_line() -> Self {
        Self {
            layer: LayerSource::SessionFlags,
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            LayerSource::SessionFlags => self.layer.fmt(f),
            _ => write!(f, "{}:{}:{}", self.layer, self.line, self.column),
        }
    }
}

/// One source with what it says.
#[derive(Debug, Clone)]
pub struct ConfigLayer {
    /// Where it comes from.
    pub source: LayerSource,
    pub(crate) text: Arc<str>,
    pub(crate) document: Node,
}

impl ConfigLayer {
    pub(crate) fn new(source: LayerSource, text: Arc<str>, document: Node) -> Self {
        Self {
            source,
            text,
            document,
        }
    }

    /// Returns the layer of a source that says nothing.
    pub fn empty(source: LayerSource) -> Self {
        Self::new(source, Arc::from(""), Node::table())
    }

    /// Parses the text of a source.
    pub(crate) fn parse(source: LayerSource, text: Arc<str>) -> Result<Self, ConfigError> {
        match tree::parse(&text, source.number()) {
            Ok(document) => Ok(Self::new(source, text, document)),
            Err(error) => Err(report::syntax_error(&source, &text, &error)),
        }
    }

    /// Returns `sha256:…` of its content.
    pub fn version(&self) -> String {
        version_of(self.text.as_bytes())
    }

    /// Returns the string that a key of this layer has.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.document.entry(path)?.node.as_str()
    }

    /// Returns the switch that a key of this layer is.
    pub fn bool_at(&self, path: &[&str]) -> Option<bool> {
        self.document.entry(path)?.node.as_bool()
    }

    /// Returns whether it says something about a server.
    pub fn has_mcp_servers(&self) -> bool {
        let servers = self.document.entry(&["mcp_servers"]);
        servers.is_some_and(|entry| {
            let table = entry.node.as_table();
            table.is_some_and(|table| !table.0.is_empty())
        })
    }
}

/// A source that is there and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisabledLayer {
    /// Where it comes from.
    pub source: LayerSource,
    /// Why, as a sentence.
    pub reason: String,
    /// What the user can do, where the sentence does not say it.
    pub hint: Option<String>,
}

impl DisabledLayer {
    /// Looks into its file, whether it says something about servers; nothing else of it is used.
    pub fn has_mcp_servers(&self) -> bool {
        self.read().is_some_and(|layer| layer.has_mcp_servers())
    }

    /// The same for one server.
    pub fn has_mcp_server(&self, name: &str) -> bool {
        let layer = self.read();
        layer.is_some_and(|layer| layer.document.entry(&["mcp_servers", name]).is_some())
    }

    fn read(&self) -> Option<ConfigLayer> {
        let text = sources::read_file(self.source.file()?).ok()??;
        ConfigLayer::parse(self.source.clone(), text).ok()
    }
}

/// All sources, lowest first. A higher one wins: tables key by key, everything else as a whole.
#[derive(Debug, Clone)]
pub struct LayerStack {
    layers: Vec<ConfigLayer>,
    disabled: Vec<DisabledLayer>,
    merged: Node,
    lines: Vec<LineStarts>,
}

impl Default for LayerStack {
    fn default() -> Self {
        Self {
            layers: Vec::new(),
            disabled: Vec::new(),
            merged: Node::table(),
            lines: Vec::new(),
        }
    }
}

impl LayerStack {
    /// Returns the layers, lowest first.
    pub fn layers(&self) -> &[ConfigLayer] {
        &self.layers
    }

    /// Returns the layers that are there and not used.
    pub fn disabled(&self) -> &[DisabledLayer] {
        &self.disabled
    }

    /// Returns where the effective value of a key stands.
    pub fn origin(&self, path: &[&str]) -> Option<Origin> {
        let entry = self.merged.entry(path)?;
        Some(self.place(entry.key_at))
    }

    /// Returns every place where a key stands: the effective one, then those that it overrides.
    pub fn places(&self, path: &[&str]) -> Vec<Origin> {
        let highest_first = self.layers.iter().rev();
        highest_first
            .filter_map(|layer| layer.document.entry(path))
            .map(|entry| self.place(entry.key_at))
            .collect()
    }

    /// Returns the keys below a table that have an effect, each once.
    pub fn keys(&self, path: &[&str]) -> Vec<&str> {
        let table = self.merged.entry(path);
        let table = table.and_then(|entry| entry.node.as_table());
        let entries = table.into_iter().flat_map(|table| &table.0);
        entries.map(|entry| entry.key.as_str()).collect()
    }

    /// Returns the effective value of a key as TOML, as it was written.
    pub fn value(&self, path: &[&str]) -> Option<String> {
        let entry = self.merged.entry(path)?;
        Some(tree::to_value(&entry.node).to_string().trim().to_owned())
    }

    /// Returns the nearest project file that says something about a server.
    pub fn project_file_of(&self, server: &str) -> Option<&AbsPath> {
        let layers = self.server_layers(server).into_iter();
        let mut projects = layers.filter(|source| matches!(source, LayerSource::Project { .. }));
        projects.next()?.file()
    }

    /// Returns the layers that say something about a server, highest first.
    pub fn server_layers(&self, server: &str) -> Vec<&LayerSource> {
        let highest_first = self.layers.iter().rev();
        highest_first
            .filter(|layer| layer.document.entry(&["mcp_servers", server]).is_some())
            .map(|layer| &layer.source)
            .collect()
    }

    /// Adds a layer; the caller goes through the sources in their order.
    pub(crate) fn push(&mut self, layer: ConfigLayer) {
        debug_assert!(
            self.layers
                .last()
                .is_none_or(|last| last.source < layer.source)
        );
        self.lines.push(LineStarts::default());
        self.layers.push(layer);
    }

    pub(crate) fn disable(&mut self, layer: DisabledLayer) {
        self.disabled.push(layer);
    }

    /// Makes one tree of all layers; each leaf keeps its place. Returns what was odd about it.
    pub(crate) fn merge(&mut self) -> Vec<merge::Oddity> {
        let (merged, oddities) = merge::merge(&self.layers);
        self.merged = merged;
        oddities
    }

    pub(crate) fn merged(&self) -> &Node {
        &self.merged
    }

    /// Returns what a key would be without this layer and those above it.
    pub(crate) fn below<S: AsRef<str>>(&self, at: Place, path: &[S]) -> Option<&Node> {
        let lower = self
            .layers
            .iter()
            .rev()
            .skip_while(|layer| layer.source.number() >= at.layer);
        let entry = lower
            .filter_map(|layer| layer.document.entry(path))
            .next()?;
        Some(&entry.node)
    }

    /// Turns a place into what people read.
    pub(crate) fn place(&self, at: Place) -> Origin {
        let Some(index) = self.index_of(at) else {
            return Origin::command_line();
        };
        let layer = &self.layers[index];
        if layer.source == LayerSource::SessionFlags {
            return Origin::command_line();
        }
        let (line, column) = self.lines[index].position(&layer.text, at.offset);
        Origin {
            layer: layer.source.clone(),
            line,
            column,
        }
    }

    /// Returns the text of the layer that a place is in.
    pub(crate) fn text_of(&self, at: Place) -> &str {
        self.index_of(at)
            .map_or("", |index| &self.layers[index].text)
    }

    /// Returns the layer that a place is in.
    pub(crate) fn layer_of(&self, at: Place) -> Option<&ConfigLayer> {
        self.layers.get(self.index_of(at)?)
    }

    fn index_of(&self, at: Place) -> Option<usize> {
        self.layers
            .iter()
            .position(|layer| layer.source.number() == at.layer)
    }
}

/// Where the lines of a text begin, found once: a file with many servers is asked for many places.
#[derive(Debug, Clone, Default)]
struct LineStarts(OnceLock<Vec<usize>>);

impl LineStarts {
    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let starts = self.0.get_or_init(|| {
            let behind_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(behind_newlines).collect()
        });
        let line = starts.partition_point(|start| *start <= offset);
        let start = starts[line - 1];
        let before = text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// Returns the version of a file of this content; a byte order mark is none of it.
pub(crate) fn version_of(content: &[u8]) -> String {
    let content = content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content);
    format!("sha256:{}", hex(&Sha256::digest(content)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Counts lines and characters up to a byte offset, both from 1.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> LayerStack {
        let file = |name: &str| AbsPath::new(format!("/{name}.toml")).unwrap();
        let mut stack = LayerStack::default();
        let texts = [
            "a = 1\n[mcp_servers.s]\ncommand = \"x\"\nargs = [\"1\", \"2\"]\n",
            "# above\n[mcp_servers.s]\nargs = []\n",
        ];
        let sources = [
            LayerSource::System { file: file("0") },
            LayerSource::User { file: file("1") },
        ];
        for (source, text) in sources.into_iter().zip(texts) {
            stack.push(ConfigLayer::parse(source, Arc::from(text)).unwrap());
        }
        stack.merge();
        stack
    }

    #[test]
    fn tables_merge_key_by_key_and_arrays_are_replaced() {
        let expected = tree::parse(
            "a = 1\nmcp_servers = { s = { command = \"x\", args = [] } }",
            0,
        )
        .unwrap();
        assert_eq!(*stack().merged(), expected);
    }

    #[test]
    fn each_leaf_keeps_the_place_of_the_layer_that_set_it() {
        let origin = |path: &[&str]| stack().origin(path).unwrap().to_string();
        assert_eq!(origin(&["mcp_servers", "s", "command"]), "/0.toml:3:1");
        assert_eq!(origin(&["mcp_servers", "s", "args"]), "/1.toml:3:1");
        assert!(stack().origin(&["b"]).is_none());
    }

    #[test]
    fn places_and_keys_are_those_of_all_layers() {
        let stack = stack();
        let places = stack.places(&["mcp_servers", "s", "args"]);
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(places, ["/1.toml:3:1", "/0.toml:4:1"]);
        assert_eq!(stack.keys(&["mcp_servers", "s"]), ["command", "args"]);
        assert!(stack.keys(&["a"]).is_empty());
    }

    #[test]
    fn the_numbers_of_places_follow_the_order_of_precedence() {
        let file = AbsPath::new("/f").unwrap();
        let project = |depth| LayerSource::Project {
            depth,
            file: file.clone(),
        };
        let profile = LayerSource::Profile {
            name: "p".to_owned(),
            file: file.clone(),
        };
        let sources = [
            LayerSource::System { file: file.clone() },
            LayerSource::User { file: file.clone() },
            profile,
            project(0),
            project(7),
            LayerSource::SessionFlags,
            LayerSource::ManagedHome { file: file.clone() },
            LayerSource::ManagedMachine { file: file.clone() },
            LayerSource::ManagedPreferences,
        ];
        assert!(sources.is_sorted() && sources.is_sorted_by_key(LayerSource::number));
    }

    #[test]
    fn a_place_behind_the_last_line_end_is_the_start_of_a_line() {
        let lines = LineStarts::default();
        assert_eq!(lines.position("ä\nbc\n", 3), (2, 1));
        assert_eq!(lines.position("ä\nbc\n", 2), (1, 2));
        assert_eq!(lines.position("ä\nbc\n", 6), (3, 1));
    }
}
