//! All layers as one tree. A higher layer wins: tables key by key, everything else as a whole.
//!
//! Two rules of servers stand above that. A layer that reaches a server the other way loses what only
//! the old way needs. A project that lets a server of the user run something else, or go elsewhere,
//! gets none of the credentials and approvals that were given to the old one.

use url::Url;

use crate::layers::{ConfigLayer, LayerSource};
use crate::tree::{Entry, Node, NodeValue, Place, Table};

/// Keys that only a server on this machine has.
const STDIO_KEYS: &[&str] = &["command", "args", "env", "env_vars", "cwd", "inherit_env"];
/// Keys that only a server behind a URL has.
const HTTP_KEYS: &[&str] = &[
    "url",
    "bearer_token",
    "bearer_token_env_var",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "auth",
    "oauth",
    "oauth_resource",
    "http",
];
/// Keys that hand something secret to the server: values, variables, programs that print tokens,
/// client certificates.
const CREDENTIAL_KEYS: &[&str] = &[
    "env",
    "env_vars",
    "inherit_env",
    "bearer_token_env_var",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "oauth",
    "http",
];
const APPROVE: &str = "approve";

/// Something about the merge that people must hear of.
#[derive(Debug, Clone)]
pub(crate) struct Oddity {
    pub(crate) kind: OddityKind,
    /// Where the higher layer says it.
    pub(crate) at: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum OddityKind {
    /// A table stands over a value, or a value over a table.
    Clash { path: Vec<String>, lower: Place },
    /// A higher layer gives the other transport.
    OtherTransport {
        server: String,
        dropped: Vec<String>,
    },
    /// A project changed the endpoint of a lower layer's server.
    OtherEndpoint {
        server: String,
        dropped: Vec<String>,
    },
}

/// Lays the layers over each other, lowest first.
pub(crate) fn merge(layers: &[ConfigLayer]) -> (Node, Vec<Oddity>) {
    let mut oddities = Vec::new();
    let Some((lowest, higher)) = layers.split_first() else {
        return (Node::table(), oddities);
    };
    let mut merged = lowest.document.clone();
    for layer in higher {
        prepare_servers(&mut merged, layer, &mut oddities);
        let mut path = Vec::new();
        overlay(&mut merged, &layer.document, &mut path, &mut oddities);
    }
    (merged, oddities)
}

/// Lays one tree over another one; `path` leads to both.
pub(crate) fn overlay<'n>(
    low: &mut Node,
    high: &'n Node,
    path: &mut Vec<&'n str>,
    oddities: &mut Vec<Oddity>,
) {
    let (NodeValue::Table(low), NodeValue::Table(high)) = (&mut low.value, &high.value) else {
        *low = high.clone();
        return;
    };
    for entry in &high.0 {
        let Some(old) = low.get_mut(&entry.key) else {
            low.0.push(entry.clone());
            continue;
        };
        let is_table = |entry: &Entry| entry.node.as_table().is_some();
        match (is_table(old), is_table(entry)) {
            (true, true) => {
                path.push(&entry.key);
                overlay(&mut old.node, &entry.node, path, oddities);
                path.pop();
            }
            (false, false) => *old = entry.clone(),
            (true, false) | (false, true) => {
                let keys = path.iter().copied().chain([entry.key.as_str()]);
                oddities.push(Oddity {
                    kind: OddityKind::Clash {
                        path: keys.map(str::to_owned).collect(),
                        lower: old.key_at,
                    },
                    at: entry.key_at,
                });
                *old = entry.clone();
            }
        }
    }
}

/// Takes out of the lower layers' servers what must not live on beside what this layer says.
fn prepare_servers(merged: &mut Node, layer: &ConfigLayer, oddities: &mut Vec<Oddity>) {
    let Some(servers) = table_of(&layer.document, "mcp_servers") else {
        return;
    };
    let lower = merged
        .as_table_mut()
        .and_then(|root| root.get_mut("mcp_servers"))
        .and_then(|entry| entry.node.as_table_mut());
    let Some(lower) = lower else { return };
    for entry in &servers.0 {
        let (Some(high), Some(old)) = (entry.node.as_table(), lower.get_mut(&entry.key)) else {
            continue;
        };
        let Some(low) = old.node.as_table_mut() else {
            continue;
        };
        let by_project = matches!(layer.source, LayerSource::Project { .. });
        if by_project && let Some(at) = changed_endpoint(low, high) {
            let dropped = drop_credentials(low);
            if !dropped.is_empty() {
                let server = entry.key.clone();
                oddities.push(Oddity {
                    kind: OddityKind::OtherEndpoint { server, dropped },
                    at,
                });
            }
        }
        if let Some((lost, at)) = lost_transport(low, high) {
            let is_there = |key: &&&str| low.get(key).is_some();
            let dropped: Vec<String> = lost
                .iter()
                .filter(is_there)
                .map(|key| key.to_string())
                .collect();
            dropped.iter().for_each(|key| drop(low.remove(key)));
            let server = entry.key.clone();
            oddities.push(Oddity {
                kind: OddityKind::OtherTransport { server, dropped },
                at,
            });
        }
    }
}

/// Returns the keys of the transport that a higher layer leaves behind.
fn lost_transport(low: &Table, high: &Table) -> Option<(&'static [&'static str], Place)> {
    match (high.get("command"), high.get("url")) {
        (Some(command), None) if low.get("url").is_some() => Some((HTTP_KEYS, command.key_at)),
        (None, Some(url)) if low.get("command").is_some() => Some((STDIO_KEYS, url.key_at)),
        _ => None,
    }
}

/// Returns where a layer lets a server of the lower ones run something else or go elsewhere.
fn changed_endpoint(low: &Table, high: &Table) -> Option<Place> {
    let command = high
        .get("command")
        .filter(|new| low.get("command").is_none_or(|old| old.node != new.node));
    let url = high.get("url").filter(|new| {
        low.get("url").is_none_or(|old| {
            old.node != new.node && !same_origin(old.node.as_str(), new.node.as_str())
        })
    });
    command.or(url).map(|entry| entry.key_at)
}

/// A URL with variables in it is only equal to itself.
fn same_origin(old: Option<&str>, new: Option<&str>) -> bool {
    let origin = |text: Option<&str>| {
        let url = Url::parse(text.filter(|text| !text.contains("${"))?).ok()?;
        Some(url.origin()).filter(url::Origin::is_tuple)
    };
    origin(old).is_some() && origin(old) == origin(new)
}

/// Takes away what was given to the old endpoint, and returns the names of it.
fn drop_credentials(low: &mut Table) -> Vec<String> {
    let mut dropped = Vec::new();
    for key in CREDENTIAL_KEYS {
        if low.remove(key).is_some() {
            dropped.push((*key).to_owned());
        }
    }
    let approves =
        |entry: Option<&Entry>| entry.is_some_and(|entry| entry.node.as_str() == Some(APPROVE));
    let default = "default_tools_approval_mode";
    if approves(low.get(default)) {
        low.remove(default);
        dropped.push(default.to_owned());
    }
    let tools = low
        .get_mut("tools")
        .and_then(|entry| entry.node.as_table_mut());
    for tool in tools.into_iter().flat_map(|tools| &mut tools.0) {
        let Some(settings) = tool.node.as_table_mut() else {
            continue;
        };
        if approves(settings.get("approval_mode")) {
            settings.remove("approval_mode");
            dropped.push(format!("tools.{}.approval_mode", tool.key));
        }
    }
    dropped
}

fn table_of<'n>(document: &'n Node, key: &str) -> Option<&'n Table> {
    document.as_table()?.get(key)?.node.as_table()
}
