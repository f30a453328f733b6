//! Edits one config file and leaves every other byte as it was.
//!
//! `ConfigFile::open(home)?.set_mcp_server(&server)?.save()?`: open takes the lock and reads, each
//! edit splices the text, save proves the result and replaces the file in one step. Traps: the file
//! is compared again right before it is replaced, because an editor knows nothing of our lock; a
//! result that does not parse to exactly what was wanted is never written.

mod check;
mod splice;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_host::{AbsPath, CodexHome, FileLock, LockError, PrivateFile, WriteError};
use codex_protocol::ServerName;

use crate::edit::text::{Keep, Text};
use crate::layers::{LayerStack, version_of};
use crate::mcp::entry;
use crate::tree::{self, Node, NodeValue, Place};
use crate::{ConfigError, McpServerConfig, TomlValue, TrustLevel, sources};

/// How long we wait for another process that edits.
pub(crate) const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// Locked by whoever writes one of the files of the home.
pub(crate) const LOCK_FILE: &str = ".config.lock";
/// How often an edit is made again after somebody changed the file in the middle of it.
const TRIES: usize = 3;

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
    /// The file is not the one that the caller read.
    #[error(
        "{} was changed since it was read; nothing was written",
        file_name(path)
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that the caller read.
        expected: String,
        /// The version that is there.
        found: String,
    },
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
            Self::Version { .. } => vec!["read it again and repeat the change".to_owned()],
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
    Server(Box<McpServerConfig>),
    Set(Vec<String>, Node, Keep),
    Remove(Vec<String>),
}

/// A config file under its lock, with the edits made so far.
#[derive(Debug)]
pub struct ConfigFile {
    path: AbsPath,
    original: Option<Arc<[u8]>>,
    text: Text,
    changes: Vec<Change>,
    expected: Option<String>,
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
            expected: None,
            _lock: lock,
        })
    }

    /// Returns the file that is edited.
    pub fn path(&self) -> &AbsPath {
        &self.path
    }

    /// Refuses to write over any other version than this one, of [`Self::version`] or
    /// [`crate::ConfigLayer::version`]: now, and again when the file is replaced.
    pub fn expect_version(&mut self, version: &str) -> Result<&mut Self, EditError> {
        self.expected = Some(version.to_owned());
        self.check_version()?;
        Ok(self)
    }

    /// Returns `sha256:…` of the text with the changes made so far.
    pub fn version(&self) -> String {
        self.text.version()
    }

    /// Returns a server of this file; of a broken entry, what can be read of it.
    pub fn mcp_server(&self, name: &ServerName) -> Option<McpServerConfig> {
        let entry = self.text.tree.entry(&["mcp_servers", name.as_str()])?;
        let layers = self.text.layers(&self.path);
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
        self.change(Change::Server(Box::new(server.clone())))
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
            Some(on) => set(path.to_vec(), NodeValue::Boolean(on)),
            None => Change::Remove(path.to_vec()),
        })
    }

    /// Turns a feature on or off; `None` takes the key out.
    pub fn set_feature(&mut self, key: &str, on: Option<bool>) -> Result<&mut Self, EditError> {
        let path = vec!["features".to_owned(), key.to_owned()];
        self.change(match on {
            Some(on) => set(path, NodeValue::Boolean(on)),
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
        self.change(set(path, NodeValue::String(word.to_owned())))
    }

    /// Gives a key this value and no other; a missing table on the way is made.
    ///
    /// Nobody has looked whether the value fits; [`Self::save_checked`] does.
    pub fn set_value(&mut self, key: &[String], value: &TomlValue) -> Result<&mut Self, EditError> {
        let value = tree::from_value(value, Place::default());
        self.change(Change::Set(key.to_vec(), value, Keep::Nothing))
    }

    /// The same, except that of a table the keys stay that the value does not name.
    pub fn merge_value(
        &mut self,
        key: &[String],
        value: &TomlValue,
    ) -> Result<&mut Self, EditError> {
        let value = tree::from_value(value, Place::default());
        self.change(Change::Set(key.to_vec(), value, Keep::Everything))
    }

    /// Removes a key or a table. `false`: not there.
    pub fn remove_value(&mut self, key: &[String]) -> Result<bool, EditError> {
        let found = self.text.tree.entry(key).is_some();
        if found {
            self.change(Change::Remove(key.to_vec()))?;
        }
        Ok(found)
    }

    /// Returns the first fault that the changes brought into the file, as loading would tell it.
    fn check(&self, loaded: &LayerStack) -> Result<(), ConfigError> {
        let before = Text::parse(&self.path, self.original.as_deref());
        check::new_fault(&self.path, before.as_ref().ok(), &self.text, loaded)
    }

    /// Replaces the file, or leaves it alone when nothing changed.
    pub fn save(mut self) -> Result<Saved, EditError> {
        self.replace(|_| Ok(()))
    }

    /// The same, unless the changes bring a fault into the file that is there; returns the version of
    /// what it says now. What was wrong before stays the user's: it is no reason to refuse a change
    /// elsewhere. Of a server the loaded layers may have the command or url.
    pub fn save_checked(mut self, loaded: &LayerStack) -> Result<String, EditError> {
        self.replace(|file| file.check(loaded))?;
        Ok(self.version())
    }

    fn replace(
        &mut self,
        check: impl Fn(&Self) -> Result<(), ConfigError>,
    ) -> Result<Saved, EditError> {
        for _ in 0..TRIES {
            check(self)?;
            let content = self.text.bytes();
            if self.original.as_deref().unwrap_or_default() == content {
                return Ok(Saved::Unchanged);
            }
            let prepared = PrivateFile::prepare(&self.path, &content)?;
            let now = read_bytes(&self.path)?;
            if now == self.original {
                prepared.keep_mode()?.commit()?;
                return Ok(Saved::Written);
            }
            self.text = Text::parse(&self.path, now.as_deref())?;
            self.original = now;
            self.check_version()?;
            for change in self.changes.clone() {
                self.text.apply(&self.path, &change)?;
            }
        }
        Err(EditError::Changed(self.path.to_path_buf()))
    }

    fn check_version(&self) -> Result<(), EditError> {
        let found = version_of(self.original.as_deref().unwrap_or_default());
        match &self.expected {
            Some(expected) if *expected != found => Err(EditError::Version {
                path: self.path.as_path().to_owned(),
                expected: expected.clone(),
                found,
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) -> Result<&mut Self, EditError> {
        self.text.apply(&self.path, &change)?;
        self.changes.push(change);
        Ok(self)
    }
}

fn set(path: Vec<String>, value: NodeValue) -> Change {
    let at = Place::default();
    Change::Set(path, Node { value, at }, Keep::Nothing)
}

fn read_bytes(path: &AbsPath) -> Result<Option<Arc<[u8]>>, EditError> {
    Ok(sources::read_bytes(path)?.map(Arc::from))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
