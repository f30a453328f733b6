//! All layers as one tree. A higher layer wins: tables key by key, everything else as a whole.
//!
//! Two rules of servers stand above that. A layer that reaches a server the other way loses what only
//! the old way needs. A project that lets a server of the user run something else, or go elsewhere,
//! gets none of the credentials and approvals that were given to the old one, and it never loosens what
//! holds such a server.

pub(crate) mod project;

use crate::layers::{ConfigLayer, LayerSource};
use crate::tree::{Entry, Node, NodeValue, Place, Table};

/// Keys that only a server on this machine has.
const STDIO_KEYS: &[&str] = &[
    "command",
    "args",
    "env",
    "env_vars",
    "cwd",
    "inherit_env",
    "sandbox",
];
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
    /// A project says something of a lower layer's server that it may not say.
    Refused {
        server: String,
        refused: Vec<String>,
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
        let document = prepare_servers(&mut merged, layer, &mut oddities);
        overlay(&mut merged, &document, &mut Vec::new(), &mut oddities);
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

/// Takes out of the lower layers' servers what must not live on beside what this layer says, and
/// returns what the layer may say.
fn prepare_servers(merged: &mut Node, layer: &ConfigLayer, oddities: &mut Vec<Oddity>) -> Node {
    let mut document = layer.document.clone();
    let (Some(lower), Some(servers)) = (servers_of(merged), servers_of(&mut document)) else {
        return document;
    };
    let by_project = matches!(layer.source, LayerSource::Project { .. });
    for entry in &mut servers.0 {
        let (Some(high), Some(old)) = (entry.node.as_table_mut(), lower.get_mut(&entry.key)) else {
            continue;
        };
        let Some(low) = old.node.as_table_mut() else {
            continue;
        };
        let server = &entry.key;
        if by_project {
            judge_project(low, high, (server, entry.key_at), oddities);
        }
        if let Some((lost, at)) = lost_transport(low, high) {
            let is_there = |key: &&&str| low.get(key).is_some();
            let dropped: Vec<String> = lost
                .iter()
                .filter(is_there)
                .map(|key| key.to_string())
                .collect();
            dropped.iter().for_each(|key| drop(low.remove(key)));
            let server = server.clone();
            oddities.push(Oddity {
                kind: OddityKind::OtherTransport { server, dropped },
                at,
            });
        }
    }
    document
}

/// Holds a project to what it may do to a server of the lower layers.
fn judge_project(
    low: &mut Table,
    high: &mut Table,
    (server, at): (&str, Place),
    oddities: &mut Vec<Oddity>,
) {
    if let Some(at) = project::changed_endpoint(low, high) {
        let dropped = project::drop_credentials(low);
        if !dropped.is_empty() {
            let server = server.to_owned();
            let kind = OddityKind::OtherEndpoint { server, dropped };
            oddities.push(Oddity { kind, at });
        }
    }
    let refused = project::refuse(low, high);
    if !refused.is_empty() {
        let server = server.to_owned();
        let kind = OddityKind::Refused { server, refused };
        oddities.push(Oddity { kind, at });
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

fn servers_of(document: &mut Node) -> Option<&mut Table> {
    let servers = document.as_table_mut()?.get_mut("mcp_servers")?;
    servers.node.as_table_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::raw::{RawMcpServer, field_names};

    /// Keys that servers of both kinds have.
    const BOTH: &[&str] = &[
        "name",
        "scopes",
        "enabled",
        "required",
        "startup_timeout_sec",
        "startup_timeout_ms",
        "tool_timeout_sec",
        "enabled_tools",
        "disabled_tools",
        "default_tools_approval_mode",
        "supports_parallel_tool_calls",
        "tool_input_schema_max_bytes",
        "startup_readiness",
        "expand_env",
        "pin_tools",
        "environment_id",
        "tools",
    ];

    /// Row M5.
    #[test]
    fn every_key_belongs_to_one_transport_or_to_both() {
        for key in field_names::<RawMcpServer>() {
            let lists = [STDIO_KEYS, HTTP_KEYS, BOTH];
            let n_lists = lists.iter().filter(|list| list.contains(key)).count();
            assert_eq!(n_lists, 1, "{key}");
        }
    }
}
