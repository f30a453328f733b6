//! What a newer configuration changes, so that a program that runs on applies only that.

use std::collections::BTreeMap;

use codex_protocol::ServerName;

use crate::tree::Node;
use crate::{Config, LayerStack, McpServerConfig, report};

/// What became of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerChange {
    /// It is new, or was turned on.
    Added,
    /// It is gone, or was turned off.
    Removed,
    /// It is started or reached in another way: it must be connected anew.
    Endpoint,
    /// It is the same server with other settings.
    Settings,
}

/// The differences between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// Servers that run or ran.
    pub servers: BTreeMap<ServerName, ServerChange>,
    /// Other keys, with dots, in the order of the newer files and then of the older ones.
    pub keys: Vec<String>,
}

impl ConfigChanges {
    /// Compares a configuration and its layers with newer ones.
    pub fn between(old: (&Config, &LayerStack), new: (&Config, &LayerStack)) -> Self {
        let mut changes = Self::default();
        let names = old.0.mcp_servers.keys().chain(new.0.mcp_servers.keys());
        for name in names {
            let (before, after) = (old.0.mcp_servers.get(name), new.0.mcp_servers.get(name));
            if let Some(change) = server(before, after) {
                changes.servers.insert(name.clone(), change);
            }
        }
        keys(
            old.1.merged(),
            new.1.merged(),
            &mut Vec::new(),
            &mut changes.keys,
        );
        changes
    }

    /// Returns whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.keys.is_empty()
    }
}

fn server(
    before: Option<&McpServerConfig>,
    after: Option<&McpServerConfig>,
) -> Option<ServerChange> {
    let runs = |server: &&McpServerConfig| server.is_enabled();
    match (before.filter(runs), after.filter(runs)) {
        (None, None) => None,
        (None, Some(_)) => Some(ServerChange::Added),
        (Some(_), None) => Some(ServerChange::Removed),
        (Some(before), Some(after)) => {
            let endpoint = |server: &McpServerConfig| (server.transport.clone(), server.expand_env);
            if endpoint(before) != endpoint(after) {
                return Some(ServerChange::Endpoint);
            }
            (without_places(before) != without_places(after)).then_some(ServerChange::Settings)
        }
    }
}

/// A line that was inserted above changes nothing.
fn without_places(server: &McpServerConfig) -> McpServerConfig {
    McpServerConfig {
        source: None,
        warnings: Vec::new(),
        ..server.clone()
    }
}

fn keys(old: &Node, new: &Node, path: &mut Vec<String>, changed: &mut Vec<String>) {
    let (Some(before), Some(after)) = (old.as_table(), new.as_table()) else {
        if old != new {
            changed.push(report::dotted(path));
        }
        return;
    };
    let gone = before
        .0
        .iter()
        .filter(|entry| after.get(&entry.key).is_none());
    for entry in after.0.iter().chain(gone) {
        if path.is_empty() && entry.key == "mcp_servers" {
            continue;
        }
        path.push(entry.key.clone());
        match (before.get(&entry.key), after.get(&entry.key)) {
            (Some(old), Some(new)) => keys(&old.node, &new.node, path, changed),
            _ => changed.push(report::dotted(path)),
        }
        path.pop();
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test prepares its file directly"
)]
mod tests {
    use codex_host::{AbsPath, CodexHome};

    use super::*;
    use crate::{LoadRequest, SystemPaths, load};

    fn between(old: &str, new: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let root = AbsPath::new(dir.path()).unwrap();
        let loaded = |text: &str| {
            std::fs::write(root.join("config.toml"), text).unwrap();
            let system = SystemPaths::below(&root.join("etc"));
            let home = CodexHome::at(root.clone());
            load(&LoadRequest::new(home, root.clone(), system)).unwrap()
        };
        let (old, new) = (loaded(old), loaded(new));
        let changes =
            ConfigChanges::between((&old.config, &old.layers), (&new.config, &new.layers));
        let servers = changes
            .servers
            .iter()
            .map(|(name, change)| format!("{name} {change:?}"));
        servers
            .chain(changes.keys.clone())
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn only_what_changed_is_told() {
        let old =
            "model = \"a\"\n[features]\nview_image = true\n[mcp_servers.s]\ncommand = \"x\"\n";
        assert_eq!(between(old, old), "");
        assert_eq!(between(old, &format!("# moved\n\n{old}")), "");
        let servers = "[mcp_servers.s]\ncommand = \"x\"\ntool_timeout_sec = 5\n[mcp_servers.t]\nurl = \"http://h/\"\n";
        assert_eq!(
            between(old, &format!("model = \"b\"\n{servers}")),
            "s Settings, t Added, model, features"
        );
        assert_eq!(
            between(servers, &servers.replace("\"x\"", "\"y\"")),
            "s Endpoint"
        );
        assert_eq!(
            between(
                servers,
                &servers.replace("http://h/\"", "http://h/\"\nenabled = false")
            ),
            "t Removed"
        );
    }
}
