//! The text of a config file with its meaning: each change splices the one and proves the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use codex_host::AbsPath;

use super::{Change, EditError, splice};
use crate::layers::{ConfigLayer, LayerSource, LayerStack, version_of};
use crate::mcp::convert;
use crate::mcp::raw;
use crate::tree::{self, Node, NodeValue, Place};
use crate::{report, sources};

pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The text of a file and its meaning, always in step.
#[derive(Debug, Clone)]
pub(super) struct Text {
    byte_order_mark: bool,
    /// The lines of the file as it was read end in CR LF.
    windows: bool,
    pub(super) body: String,
    pub(super) tree: Node,
}

/// Which keys of a table stay that its new value does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    /// Those that this program does not write.
    Unknown,
    Everything,
}

impl Text {
    pub(super) fn parse(path: &AbsPath, bytes: Option<&[u8]>) -> Result<Self, EditError> {
        let whole = sources::to_text(path, bytes.unwrap_or_default().to_vec())?;
        let body = whole
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&whole)
            .to_owned();
        let source = LayerSource::User { file: path.clone() };
        let tree = tree::parse(&body, source.number())
            .map_err(|error| report::syntax_error(&source, &body, &error))?;
        Ok(Self {
            byte_order_mark: body.len() < whole.len(),
            windows: body.contains("\r\n"),
            body,
            tree,
        })
    }

    /// Returns the file as the only layer there is.
    pub(super) fn layers(&self, path: &AbsPath) -> LayerStack {
        let source = LayerSource::User { file: path.clone() };
        let body = Arc::from(self.body.as_str());
        let mut layers = LayerStack::default();
        layers.push(ConfigLayer::new(source, body, self.tree.clone()));
        layers.merge();
        layers
    }

    pub(super) fn server_names(&self) -> BTreeSet<String> {
        let table = self.tree.entry(&["mcp_servers"]);
        let entries = table.and_then(|entry| entry.node.as_table()).into_iter();
        let names = entries.flat_map(|table| &table.0);
        names.map(|entry| entry.key.clone()).collect()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mark = if self.byte_order_mark {
            BYTE_ORDER_MARK
        } else {
            ""
        };
        format!("{mark}{}", self.body).into_bytes()
    }

    pub(super) fn version(&self) -> String {
        version_of(self.body.as_bytes())
    }

    pub(super) fn apply(&mut self, path: &AbsPath, change: &Change) -> Result<(), EditError> {
        match change {
            Change::Set(key, value, keep) => self.put(path, key, value, *keep),
            Change::Remove(key) => self.remove(path, key),
            Change::Server(server) => {
                let key = ["mcp_servers".to_owned(), server.name.as_str().to_owned()];
                let mut wanted =
                    convert::to_node(&convert::to_raw(server)).ok_or_else(|| EditError::Shape {
                        path: path.as_path().to_owned(),
                        key: report::dotted(&key),
                    })?;
                if let Some(found) = self.tree.entry(&key) {
                    keep_milliseconds(&found.node, &mut wanted);
                }
                self.put(path, &key, &wanted, Keep::Unknown)
            }
        }
    }

    /// Makes a key say this; of tables only those keys change that differ.
    fn put(
        &mut self,
        path: &AbsPath,
        key: &[String],
        new: &Node,
        keep: Keep,
    ) -> Result<(), EditError> {
        let old = self.tree.entry(key).map(|entry| entry.node.clone());
        let (Some(old), Some(new)) = (old.as_ref().and_then(Node::as_table), new.as_table()) else {
            return match old {
                Some(old) if old == *new => Ok(()),
                Some(_) | None => self.set(path, key, new),
            };
        };
        let below = |name: &str| {
            let name = [name.to_owned()];
            key.iter().cloned().chain(name).collect::<Vec<_>>()
        };
        for entry in &old.0 {
            let inner = below(&entry.key);
            let goes = match keep {
                Keep::Nothing => true,
                Keep::Unknown => is_ours(&inner),
                Keep::Everything => false,
            };
            if !goes || new.get(&entry.key).is_some() {
                continue;
            }
            // `oauth` and `http` beside a command would be a fault.
            let is_of_urls = inner.len() == 3 && matches!(entry.key.as_str(), "oauth" | "http");
            let has_place = !is_of_urls || new.get("command").is_none();
            if keep == Keep::Unknown && has_place && holds_unknown(&inner, &entry.node) {
                self.put(path, &inner, &Node::table(), keep)?;
            } else {
                self.remove(path, &inner)?;
            }
        }
        for entry in &new.0 {
            self.put(path, &below(&entry.key), &entry.node, keep)?;
        }
        Ok(())
    }

    fn set(&mut self, path: &AbsPath, key: &[String], value: &Node) -> Result<(), EditError> {
        let mut wanted = self.tree.clone();
        wanted.set(key, value.clone());
        let in_place = splice::set(&self.body, key, value);
        self.accept(path, key, in_place, wanted.clone())
            .or_else(|_| {
                // Tables with headers of their own are no value that could be replaced.
                let without = splice::remove(&self.body, key);
                let edited = without.and_then(|body| splice::set(&body, key, value));
                self.accept(path, key, edited, wanted)
            })
    }

    fn remove(&mut self, path: &AbsPath, key: &[String]) -> Result<(), EditError> {
        let mut wanted = self.tree.clone();
        wanted.unset(key);
        let edited = splice::remove(&self.body, key);
        self.accept(path, key, edited, wanted)
    }

    /// Takes an edited text only when it means exactly what was wanted.
    pub(super) fn accept(
        &mut self,
        path: &AbsPath,
        key: &[String],
        edited: Option<String>,
        mut wanted: Node,
    ) -> Result<(), EditError> {
        let shape = || EditError::Shape {
            path: path.as_path().to_owned(),
            key: report::dotted(key),
        };
        let mut body = edited.ok_or_else(shape)?;
        if self.windows && !self.body.contains('\n') {
            // The last line that could have told how lines end here went with an edit before.
            body = body.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        let tree = tree::parse(&body, self.tree.at.layer).map_err(|_| shape())?;
        let mut found = tree.clone();
        wanted.prune();
        found.prune();
        if found != wanted {
            return Err(shape());
        }
        self.body = body;
        self.tree = tree;
        Ok(())
    }
}

/// An equal limit in the older spelling is left as it stands.
fn keep_milliseconds(found: &Node, wanted: &mut Node) {
    const OLD: &str = "startup_timeout_ms";
    const NEW: &str = "startup_timeout_sec";
    let Some(old) = found.entry(&[OLD]).map(|entry| entry.node.clone()) else {
        return;
    };
    let NodeValue::Integer(millis) = old.value else {
        return;
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "a limit of more than 2^53 ms is none"
    )]
    let same = Node {
        value: NodeValue::Float(millis as f64 / 1000.0),
        at: Place::default(),
    };
    let equal = wanted.entry(&[NEW]).is_some_and(|entry| entry.node == same);
    if equal && found.entry(&[NEW]).is_none() {
        wanted.unset(&[NEW]);
        wanted.set(&[OLD], old);
    }
}

/// Returns whether a key below `[mcp_servers.NAME]` is one that this program writes.
fn is_ours(path: &[String]) -> bool {
    let below: Vec<&str> = path.iter().skip(2).map(String::as_str).collect();
    raw::knows(&below)
}

/// Returns whether a key of an entry has keys below it that this program does not write.
fn holds_unknown(path: &[String], node: &Node) -> bool {
    let mut entries = node.as_table().into_iter().flat_map(|table| &table.0);
    entries.any(|entry| {
        let inner: Vec<String> = path.iter().chain([&entry.key]).cloned().collect();
        !is_ours(&inner) || holds_unknown(&inner, &entry.node)
    })
}
