//! What a newer configuration changes, so that a program that runs on applies only that.

use std::collections::BTreeMap;

use codex_protocol::ServerName;

use crate::tree::Node;
use crate::{Config, Feature, LayerStack, McpServerConfig, McpTransport, report};

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
        let around = Around::of(old.0, new.0);
        let names = old.0.mcp_servers.keys().chain(new.0.mcp_servers.keys());
        for name in names {
            let (before, after) = (old.0.mcp_servers.get(name), new.0.mcp_servers.get(name));
            if let Some(change) = server(before, after, &around) {
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

/// What changed outside of the entries and is about their servers all the same.
struct Around {
    /// Where logins are and what they need.
    logins: bool,
    /// Which era of the protocol is tried first; HTTP servers negotiate.
    era: bool,
    /// Whether the tools of a server may change while it runs.
    lists: bool,
}

impl Around {
    fn of(old: &Config, new: &Config) -> Self {
        let is_switched = |feature| old.features.enabled(feature) != new.features.enabled(feature);
        Self {
            logins: old.mcp_oauth != new.mcp_oauth,
            era: is_switched(Feature::Mcp20260728),
            lists: is_switched(Feature::McpToolListChanged),
        }
    }

    fn needs_connecting(&self, server: &McpServerConfig) -> bool {
        match server.transport {
            McpTransport::Stdio(_) => self.era,
            McpTransport::StreamableHttp(_) => self.logins,
        }
    }
}

fn server(
    before: Option<&McpServerConfig>,
    after: Option<&McpServerConfig>,
    around: &Around,
) -> Option<ServerChange> {
    let runs = |server: &&McpServerConfig| server.is_enabled();
    match (before.filter(runs), after.filter(runs)) {
        (None, None) => None,
        (None, Some(_)) => Some(ServerChange::Added),
        (Some(_), None) => Some(ServerChange::Removed),
        (Some(before), Some(after)) => {
            let endpoint = |server: &McpServerConfig| (server.transport.clone(), server.expand_env);
            if endpoint(before) != endpoint(after) || around.needs_connecting(after) {
                return Some(ServerChange::Endpoint);
            }
            let is_other = around.lists || without_places(before) != without_places(after);
            is_other.then_some(ServerChange::Settings)
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

    #[test]
    fn what_is_said_outside_of_the_entries_reaches_the_servers_that_it_is_about() {
        let old = "[features]\nmcp_2026_07_28 = false\nmcp_tool_list_changed = true\n[mcp_servers.s]\ncommand = \"x\"\n[mcp_servers.t]\nurl = \"http://h/\"\n[mcp_servers.off]\ncommand = \"x\"\nenabled = false\n";
        assert_eq!(
            between(old, &old.replace("28 = false", "28 = true")),
            "s Endpoint, features.mcp_2026_07_28"
        );
        assert_eq!(
            between(old, &old.replace("changed = true", "changed = false")),
            "s Settings, t Settings, features.mcp_tool_list_changed"
        );
        let login = "[mcp_enterprise_managed_auth.idp]\nissuer = \"https://i\"\nclient_id = \"c\"\nid_token_file = \"f\"\n";
        assert_eq!(
            between(old, &format!("{old}{login}")),
            "t Endpoint, mcp_enterprise_managed_auth"
        );
        assert_eq!(
            between(old, &format!("mcp_oauth_callback_port = 1234\n{old}")),
            "t Endpoint, mcp_oauth_callback_port"
        );
    }
}
