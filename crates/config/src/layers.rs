//! Where a setting can come from, and which source wins.

use std::fmt;
use std::sync::Arc;

use codex_host::AbsPath;

use crate::tree::{Node, Place};

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
    text: Arc<str>,
    document: Node,
}

/// All sources, lowest first. A higher one wins: tables key by key, everything else as a whole.
#[derive(Debug, Clone, Default)]
pub struct LayerStack {
    layers: Vec<ConfigLayer>,
}

impl LayerStack {
    /// Returns the layers, lowest first.
    pub fn layers(&self) -> &[ConfigLayer] {
        &self.layers
    }

    /// Returns where the effective value of a key stands.
    pub fn origin(&self, path: &[&str]) -> Option<Origin> {
        self.places(path).into_iter().next()
    }

    /// Returns every place where a key stands: the effective one, then those that it overrides.
    pub fn places(&self, path: &[&str]) -> Vec<Origin> {
        let highest_first = self.layers.iter().rev();
        highest_first
            .filter_map(|layer| layer.document.entry(path))
            .map(|entry| self.place(entry.key_at))
            .collect()
    }

    /// Returns the keys below a table, of all layers together, each once.
    pub fn keys(&self, path: &[&str]) -> Vec<&str> {
        let tables = self.layers.iter().filter_map(|layer| {
            let entry = layer.document.entry(path)?;
            entry.node.as_table()
        });
        let mut keys: Vec<&str> = Vec::new();
        for entry in tables.flat_map(|table| &table.0) {
            if !keys.contains(&entry.key.as_str()) {
                keys.push(&entry.key);
            }
        }
        keys
    }

    /// Adds a layer; the caller goes through the sources in their order.
    pub(crate) fn push(&mut self, source: LayerSource, text: Arc<str>, document: Node) {
        debug_assert!(self.layers.last().is_none_or(|last| last.source < source));
        self.layers.push(ConfigLayer {
            source,
            text,
            document,
        });
    }

    /// Returns the number that the next layer will have.
    pub(crate) fn next_number(&self) -> usize {
        self.layers.len()
    }

    /// Returns one tree of all layers; each leaf keeps its place.
    pub(crate) fn merged(&self) -> Node {
        let mut merged = Node::table();
        self.layers
            .iter()
            .for_each(|layer| merged.overlay(&layer.document));
        merged
    }

    /// Turns a place into what people read.
    pub(crate) fn place(&self, at: Place) -> Origin {
        let Some(layer) = self.layers.get(at.layer) else {
            return Origin {
                layer: LayerSource::SessionFlags,
                line: 0,
                column: 0,
            };
        };
        let (line, column) = match layer.source {
            LayerSource::SessionFlags => (0, 0),
            _ => line_and_column(&layer.text, at.offset),
        };
        Origin {
            layer: layer.source.clone(),
            line,
            column,
        }
    }

    /// Returns the text of the layer that a place is in.
    pub(crate) fn text_of(&self, at: Place) -> &str {
        self.layers.get(at.layer).map_or("", |layer| &layer.text)
    }
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
    use crate::tree;

    fn stack() -> LayerStack {
        let mut stack = LayerStack::default();
        let texts = [
            "a = 1\n[mcp_servers.s]\ncommand = \"x\"\nargs = [\"1\", \"2\"]\n",
            "# above\n[mcp_servers.s]\nargs = []\n",
        ];
        for (number, text) in texts.into_iter().enumerate() {
            let file = AbsPath::new(format!("/{number}.toml")).unwrap();
            let source = if number == 0 {
                LayerSource::System { file }
            } else {
                LayerSource::User { file }
            };
            stack.push(source, Arc::from(text), tree::parse(text, number).unwrap());
        }
        stack
    }

    #[test]
    fn tables_merge_key_by_key_and_arrays_are_replaced() {
        let expected = tree::parse(
            "a = 1\nmcp_servers = { s = { command = \"x\", args = [] } }",
            0,
        )
        .unwrap();
        assert_eq!(stack().merged(), expected);
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
}
