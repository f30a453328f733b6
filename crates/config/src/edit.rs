//! Edits one config file and leaves every other byte as it was.
//!
//! `ConfigFile::open(home)?.set_mcp_server(&server)?.save()?`: open takes the lock and reads, each
//! edit splices the text, save proves the result and replaces the file in one step. Traps: the file
//! is compared again right before it is replaced, because an editor knows nothing of our lock; a
//! result that does not parse to exactly what was wanted is never written.

mod splice;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_host::{AbsPath, CodexHome, FileLock, LockError, PrivateFile, WriteError};
use codex_protocol::ServerName;

use crate::layers::{ConfigLayer, LayerSource, LayerStack};
use crate::mcp::raw::{RawMcpServer, field_names};
use crate::mcp::{convert, entry};
use crate::tree::{self, Node, NodeValue, Place};
use crate::{ConfigError, McpServerConfig, TrustLevel, report, sources};

/// How long we wait for another process that edits.
pub(crate) const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// Locked by whoever writes one of the files of the home.
pub(crate) const LOCK_FILE: &str = ".config.lock";
/// How often an edit is made again after somebody changed the file in the middle of it.
const TRIES: usize = 3;
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why a file was not edited. Its content is as before.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read as configuration; a broken file is never written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be replaced.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Somebody kept changing the file.
    #[error("{} changed while it was being edited; nothing was written", file_name(.0))]
    Changed(PathBuf),
    /// A link in a project that is not trusted leads elsewhere.
    #[error("`{}` leads out of its project, which is not trusted; nothing was written", .0.display())]
    LeadsOut(PathBuf),
    /// The entry is spelled in a way that cannot be edited without touching other bytes.
    #[error("cannot edit `{key}` in `{}` without changing other lines; edit the file by hand", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
}

impl EditError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Config(error) => error.hints().to_vec(),
            Self::Lock(LockError::Held { .. }) => vec!["try again when it has ended".to_owned()],
            Self::Changed(_) => vec!["try again when nobody else edits the file".to_owned()],
            Self::Write(WriteError::ReadOnly(path)) => {
                vec![format!("make it writable: `chmod u+w {}`", path.display())]
            }
            Self::Lock(LockError::Io { .. })
            | Self::Write(_)
            | Self::LeadsOut(_)
            | Self::Shape { .. } => Vec::new(),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Returns whether a file, or the nearest folder of it that exists, is outside of a folder.
fn leads_out(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let Some(nearest) = path.ancestors().find(is_there) else {
        return true;
    };
    match (real(nearest), real(folder)) {
        (Some(nearest), Some(folder)) => !nearest.starts_with(&folder),
        _ => true,
    }
}

/// What [`ConfigFile::save`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The file says what it said before and was not touched.
    Unchanged,
    /// The file was replaced.
    Written,
}

/// One change, kept so that it can be made again on a newer text.
#[derive(Debug, Clone)]
enum Change {
    SetServer(Box<McpServerConfig>),
    Set(Vec<String>, Node),
    Remove(Vec<String>),
}

/// A config file under its lock, with the edits made so far.
#[derive(Debug)]
pub struct ConfigFile {
    path: AbsPath,
    original: Option<Arc<[u8]>>,
    text: Text,
    changes: Vec<Change>,
    _lock: FileLock,
}

impl ConfigFile {
    /// Locks and reads the user's file; a missing one is empty. Blocks for at most ten seconds.
    pub fn open(home: &CodexHome) -> Result<Self, EditError> {
        Self::open_path(home, home.config_file())
    }

    /// The same for a file of a project; one that leads out of `within` by links is refused.
    pub fn open_project(
        home: &CodexHome,
        path: AbsPath,
        within: Option<&AbsPath>,
    ) -> Result<Self, EditError> {
        if let Some(folder) = within
            && leads_out(&path, folder)
        {
            return Err(EditError::LeadsOut(path.into_path_buf()));
        }
        Self::open_path(home, path)
    }

    fn open_path(home: &CodexHome, path: AbsPath) -> Result<Self, EditError> {
        let lock = FileLock::acquire(&home.join(LOCK_FILE), LOCK_LIMIT)?;
        let original = read_bytes(&path)?;
        let text = Text::parse(&path, original.as_deref())?;
        Ok(Self {
            path,
            original,
            text,
            changes: Vec::new(),
            _lock: lock,
        })
    }

    /// Returns the file that is edited.
    pub fn path(&self) -> &AbsPath {
        &self.path
    }

    /// Returns a server of this file; of a broken entry, what can be read of it.
    pub fn mcp_server(&self, name: &ServerName) -> Option<McpServerConfig> {
        let entry = self.text.tree.entry(&["mcp_servers", name.as_str()])?;
        let mut layers = LayerStack::default();
        let source = LayerSource::User {
            file: self.path.clone(),
        };
        let text = Arc::from(self.text.body.as_str());
        layers.push(ConfigLayer::new(source, text, self.text.tree.clone()));
        Some(entry::read(entry, &layers, &mut Vec::new()).server)
    }

    /// Returns the keys of a server's entry in this file, in their order.
    pub fn mcp_server_keys(&self, name: &ServerName) -> Vec<String> {
        let entry = self.text.tree.entry(&["mcp_servers", name.as_str()]);
        let table = entry.and_then(|entry| entry.node.as_table());
        table
            .into_iter()
            .flat_map(|table| &table.0)
            .map(|entry| entry.key.clone())
            .collect()
    }

    /// Returns the names of the servers that this file has, readable or not.
    pub fn server_names(&self) -> BTreeSet<String> {
        self.text.server_names()
    }

    /// The same of a file that nobody edits: without its lock, and nothing is made.
    pub fn server_names_of(path: &AbsPath) -> Result<BTreeSet<String>, EditError> {
        let bytes = read_bytes(path)?;
        Ok(Text::parse(path, bytes.as_deref())?.server_names())
    }

    /// Makes the entry of `server.name` say this; keys that we do not know stay.
    pub fn set_mcp_server(&mut self, server: &McpServerConfig) -> Result<&mut Self, EditError> {
        self.change(Change::SetServer(Box::new(server.clone())))
    }

    /// Removes an entry with its sub-tables and the comment directly above it. `false`: not there.
    pub fn remove_mcp_server(&mut self, name: &ServerName) -> Result<bool, EditError> {
        let path = vec!["mcp_servers".to_owned(), name.as_str().to_owned()];
        let found = self.text.tree.entry(&path).is_some();
        if found {
            self.change(Change::Remove(path))?;
        }
        Ok(found)
    }

    /// Takes every key out of an entry, unknown ones too; its place and the comment above it stay.
    pub fn empty_mcp_server(&mut self, name: &ServerName) -> Result<&mut Self, EditError> {
        for key in self.mcp_server_keys(name) {
            let path = ["mcp_servers", name.as_str(), &key].map(str::to_owned);
            self.change(Change::Remove(path.to_vec()))?;
        }
        Ok(self)
    }

    /// Says whether a server is on; `None` takes the key out. A missing entry gets this one key.
    pub fn set_mcp_server_enabled(
        &mut self,
        name: &ServerName,
        on: Option<bool>,
    ) -> Result<&mut Self, EditError> {
        let path = ["mcp_servers", name.as_str(), "enabled"].map(str::to_owned);
        self.change(match on {
            Some(on) => Change::Set(path.to_vec(), node(NodeValue::Boolean(on))),
            None => Change::Remove(path.to_vec()),
        })
    }

    /// Turns a feature on or off; `None` takes the key out.
    pub fn set_feature(&mut self, key: &str, on: Option<bool>) -> Result<&mut Self, EditError> {
        let path = vec!["features".to_owned(), key.to_owned()];
        self.change(match on {
            Some(on) => Change::Set(path, node(NodeValue::Boolean(on))),
            None => Change::Remove(path),
        })
    }

    /// Writes down whether the settings of a project may be used.
    pub fn set_trust(&mut self, root: &AbsPath, trust: TrustLevel) -> Result<&mut Self, EditError> {
        let word = match trust {
            TrustLevel::Trusted => "trusted",
            TrustLevel::Untrusted => "untrusted",
        };
        let path = ["projects", &root.to_string(), "trust_level"]
            .map(str::to_owned)
            .to_vec();
        self.change(Change::Set(path, node(NodeValue::String(word.to_owned()))))
    }

    /// Replaces the file, or leaves it alone when nothing changed.
    pub fn save(mut self) -> Result<Saved, EditError> {
        for _ in 0..TRIES {
            let content = self.text.bytes();
            if self.original.as_deref().unwrap_or_default() == content {
                return Ok(Saved::Unchanged);
            }
            let prepared = PrivateFile::prepare(&self.path, &content)?;
            let now = read_bytes(&self.path)?;
            if now == self.original {
                prepared.commit()?;
                return Ok(Saved::Written);
            }
            self.text = Text::parse(&self.path, now.as_deref())?;
            self.original = now;
            for change in self.changes.clone() {
                self.text.apply(&self.path, &change)?;
            }
        }
        Err(EditError::Changed(self.path.into_path_buf()))
    }

    fn change(&mut self, change: Change) -> Result<&mut Self, EditError> {
        self.text.apply(&self.path, &change)?;
        self.changes.push(change);
        Ok(self)
    }
}

/// The text of a file and its meaning, always in step.
#[derive(Debug, Clone)]
struct Text {
    byte_order_mark: bool,
    /// The lines of the file as it was read end in CR LF.
    windows: bool,
    body: String,
    tree: Node,
}

impl Text {
    fn parse(path: &AbsPath, bytes: Option<&[u8]>) -> Result<Self, EditError> {
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

    fn server_names(&self) -> BTreeSet<String> {
        let table = self.tree.entry(&["mcp_servers"]);
        let entries = table.and_then(|entry| entry.node.as_table()).into_iter();
        let names = entries.flat_map(|table| &table.0);
        names.map(|entry| entry.key.clone()).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let mark = if self.byte_order_mark {
            BYTE_ORDER_MARK
        } else {
            ""
        };
        format!("{mark}{}", self.body).into_bytes()
    }

    fn apply(&mut self, path: &AbsPath, change: &Change) -> Result<(), EditError> {
        match change {
            Change::Set(key, value) => self.set(path, key, value),
            Change::Remove(key) => self.remove(path, key),
            Change::SetServer(server) => {
                let key = ["mcp_servers".to_owned(), server.name.as_str().to_owned()];
                let mut wanted =
                    convert::to_node(&convert::to_raw(server)).ok_or_else(|| EditError::Shape {
                        path: path.as_path().to_owned(),
                        key: report::dotted(&key),
                    })?;
                match self.tree.entry(&key).map(|entry| entry.node.clone()) {
                    Some(found) if found.as_table().is_some() => {
                        keep_milliseconds(&found, &mut wanted);
                        self.merge(path, &key, &found, &wanted)
                    }
                    Some(_) | None => self.set(path, &key, &wanted),
                }
            }
        }
    }

    /// Changes only those keys that differ; unknown ones stay.
    fn merge(
        &mut self,
        path: &AbsPath,
        key: &[String],
        old: &Node,
        new: &Node,
    ) -> Result<(), EditError> {
        let (Some(old), Some(new)) = (old.as_table(), new.as_table()) else {
            return Ok(());
        };
        let below = |name: &str| {
            key.iter()
                .cloned()
                .chain([name.to_owned()])
                .collect::<Vec<_>>()
        };
        for entry in &old.0 {
            let inner = below(&entry.key);
            if new.get(&entry.key).is_none() && is_ours(&inner) {
                self.remove(path, &inner)?;
            }
        }
        for entry in &new.0 {
            let inner = below(&entry.key);
            match old.get(&entry.key) {
                Some(old) if old.node == entry.node => {}
                Some(old) if old.node.as_table().is_some() && entry.node.as_table().is_some() => {
                    self.merge(path, &inner, &old.node, &entry.node)?;
                }
                Some(_) | None => self.set(path, &inner, &entry.node)?,
            }
        }
        Ok(())
    }

    fn set(&mut self, path: &AbsPath, key: &[String], value: &Node) -> Result<(), EditError> {
        let mut wanted = self.tree.clone();
        wanted.set(key, value.clone());
        let edited = splice::set(&self.body, key, value);
        self.accept(path, key, edited, wanted)
    }

    fn remove(&mut self, path: &AbsPath, key: &[String]) -> Result<(), EditError> {
        let mut wanted = self.tree.clone();
        wanted.unset(key);
        let edited = splice::remove(&self.body, key);
        self.accept(path, key, edited, wanted)
    }

    /// Takes an edited text only when it means exactly what was wanted.
    fn accept(
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
    let same = node(NodeValue::Float(millis as f64 / 1000.0));
    let equal = wanted.entry(&[NEW]).is_some_and(|entry| entry.node == same);
    if equal && found.entry(&[NEW]).is_none() {
        wanted.unset(&[NEW]);
        wanted.set(&[OLD], old);
    }
}

/// Returns whether a key below `[mcp_servers.NAME]` is one that this program writes.
fn is_ours(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path[..] {
        [_, _, key] => field_names::<RawMcpServer>().contains(&key),
        [_, _, "tools", _, key] => matches!(key, "approval_mode" | "output_token_limit"),
        _ => true,
    }
}

fn node(value: NodeValue) -> Node {
    Node {
        value,
        at: Place::default(),
    }
}

fn read_bytes(path: &AbsPath) -> Result<Option<Arc<[u8]>>, EditError> {
    Ok(sources::read_bytes(path)?.map(Arc::from))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
