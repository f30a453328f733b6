//! What a project may do to a server of a lower layer: point it elsewhere, and then without what was
//! given to the old one, or hold it tighter. It never loosens what holds the server, and never changes
//! the way of a login that stays.

use codex_protocol::SandboxMode;
use url::Url;

use super::overlay;
use crate::ServerSandbox;
use crate::de;
use crate::tree::{Entry, Node, NodeValue, Place, Table};

/// Keys that decide what runs. One of them changed, and it is another server.
const RUN_KEYS: &[&str] = &["command", "args", "cwd", "env", "inherit_env", "expand_env"];
/// Keys that decide over what, and with which programs and issuers, a login travels.
const WAY_KEYS: &[&str] = &["http", "oauth", "http_headers_helper"];
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
/// What holds a server, with the judgement whether a value holds it less than the lower one does.
const HOLDS: &[(&str, Loosens)] = &[
    ("sandbox", |old, new| {
        old.is_some_and(|old| frees_process(&old.node, &laid(Some(old), new)))
    }),
    ("pin_tools", |old, new| {
        old.is_some_and(|old| old.node.as_bool() != Some(false))
            && new.node.as_bool() == Some(false)
    }),
    ("enabled_tools", |old, new| frees_tools(old, new, has)),
    ("disabled_tools", |old, new| {
        frees_tools(old, new, |old, new| has(new, old))
    }),
    (DEFAULT_MODE, frees),
];
/// The same below `tools.T`.
const TOOL_HOLDS: &[(&str, Loosens)] = &[
    (TOOL_MODE, frees),
    // Whatever such a rule says, more calls run with it than without.
    (TOOL_RULE, |old, new| {
        old.is_none_or(|old| old.node != new.node)
    }),
];
/// Says whether a value holds the server less than the lower one. A value of the wrong type does not:
/// it turns the server off.
type Loosens = fn(Option<&Entry>, &Entry) -> bool;
const DEFAULT_MODE: &str = "default_tools_approval_mode";
const TOOL_MODE: &str = "approval_mode";
const TOOL_RULE: &str = "approve_when";
const APPROVE: &str = "approve";
const PROMPT: &str = "prompt";

/// Returns where a project lets a server of the lower layers run something else or go elsewhere.
pub(super) fn changed_endpoint(low: &Table, high: &Table) -> Option<Place> {
    let mut entries = high.0.iter().filter(|new| {
        let old = low.get(&new.key);
        match new.key.as_str() {
            "url" => old.is_none_or(|old| {
                old.node != new.node && !same_origin(old.node.as_str(), new.node.as_str())
            }),
            key => RUN_KEYS.contains(&key) && changes(old, new),
        }
    });
    entries.next().map(|entry| entry.key_at)
}

fn changes(old: Option<&Entry>, new: &Entry) -> bool {
    old.is_none_or(|old| laid(Some(old), new) != old.node)
}

/// What a key is when the project's value lies over the lower one.
fn laid(old: Option<&Entry>, new: &Entry) -> Node {
    let Some(old) = old else {
        return new.node.clone();
    };
    let mut node = old.node.clone();
    overlay(&mut node, &new.node, &mut Vec::new(), &mut Vec::new());
    node
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
pub(super) fn drop_credentials(low: &mut Table) -> Vec<String> {
    let mut dropped = Vec::new();
    for key in CREDENTIAL_KEYS {
        if low.remove(key).is_some() {
            dropped.push((*key).to_owned());
        }
    }
    let approves =
        |entry: Option<&Entry>| entry.is_some_and(|entry| entry.node.as_str() == Some(APPROVE));
    if approves(low.get(DEFAULT_MODE)) {
        low.remove(DEFAULT_MODE);
        dropped.push(DEFAULT_MODE.to_owned());
    }
    for tool in tools_of(low) {
        let Some(settings) = tool.node.as_table_mut() else {
            continue;
        };
        if approves(settings.get(TOOL_MODE)) {
            settings.remove(TOOL_MODE);
            dropped.push(format!("tools.{}.{TOOL_MODE}", tool.key));
        }
        if settings.remove(TOOL_RULE).is_some() {
            dropped.push(format!("tools.{}.{TOOL_RULE}", tool.key));
        }
    }
    dropped
}

/// Takes out of a project's entry what it may not say of a lower layer's server, and returns the
/// names of it. The credentials that stay are those of `low`.
pub(super) fn refuse(low: &Table, high: &mut Table) -> Vec<String> {
    let mut refused = Vec::new();
    let stays = |new: &Entry| {
        low.get("url").is_some_and(|old| {
            same_origin(old.node.as_str(), new.node.as_str()) || old.node == new.node
        })
    };
    let keeps_login = low.get("url").is_some()
        && high.get("command").is_none()
        && high.get("url").is_none_or(stays);
    high.0.retain(|new| {
        let old = low.get(&new.key);
        let is_refused = match new.key.as_str() {
            key if WAY_KEYS.contains(&key) => keeps_login && changes(old, new),
            _ => loosens(HOLDS, old, new),
        };
        if is_refused {
            refused.push(new.key.clone());
        }
        !is_refused
    });
    let low_tools = low.get("tools").and_then(|entry| entry.node.as_table());
    for tool in tools_of(high) {
        let old = low_tools.and_then(|tools| tools.get(&tool.key)?.node.as_table());
        let Some(settings) = tool.node.as_table_mut() else {
            continue;
        };
        let old = |key: &str| old.and_then(|old| old.get(key));
        settings.0.retain(|new| {
            let is_refused = loosens(TOOL_HOLDS, old(&new.key), new);
            if is_refused {
                refused.push(format!("tools.{}.{}", tool.key, new.key));
            }
            !is_refused
        });
    }
    refused
}

fn loosens(holds: &[(&str, Loosens)], old: Option<&Entry>, new: &Entry) -> bool {
    let mut holds = holds.iter().filter(|(key, _)| *key == new.key);
    holds.any(|(_, loosens)| loosens(old, new))
}

fn has(list: &[Node], of: &[Node]) -> bool {
    of.iter().all(|item| list.contains(item))
}

fn frees_tools(old: Option<&Entry>, new: &Entry, holds: fn(&[Node], &[Node]) -> bool) -> bool {
    let Some(old) = old else { return false };
    match (&old.node.value, &new.node.value) {
        (NodeValue::Array(old), NodeValue::Array(new)) => !holds(old, new),
        (_, NodeValue::Array(_)) => true,
        _ => false,
    }
}

/// A project may ask more often; how the other words stand to what holds elsewhere is not known here.
fn frees(old: Option<&Entry>, new: &Entry) -> bool {
    let word = new.node.as_str();
    let old = old.and_then(|old| old.node.as_str());
    word.is_some() && word != Some(PROMPT) && word != old && old != Some(APPROVE)
}

fn frees_process(old: &Node, new: &Node) -> bool {
    let read = |node| de::read::<ServerSandbox>(node, &[], &mut Vec::new()).ok();
    let Some(new) = read(new) else { return false };
    let Some(old) = read(old) else { return true };
    let writes_more = old.mode == SandboxMode::ReadOnly && new.mode != SandboxMode::ReadOnly;
    let is_new = |root| !old.writable_roots.contains(root);
    writes_more
        || (new.network_access && !old.network_access)
        || new.writable_roots.iter().any(is_new)
}

fn tools_of(server: &mut Table) -> impl Iterator<Item = &mut Entry> {
    let tools = server.get_mut("tools");
    let tools = tools.and_then(|entry| entry.node.as_table_mut());
    tools.into_iter().flat_map(|tools| &mut tools.0)
}

/// What the docs say of each key of a server, in the words of their table.
#[cfg(test)]
pub(crate) fn rule_of(key: &str) -> String {
    let (holds, key) = match key.strip_prefix("tools.*.") {
        Some(key) => (TOOL_HOLDS, key),
        None => (HOLDS, key),
    };
    let rules = [
        ("new", RUN_KEYS.contains(&key) || key == "url"),
        ("lost", CREDENTIAL_KEYS.contains(&key) || key == TOOL_RULE),
        ("way", WAY_KEYS.contains(&key)),
        ("tighter", holds.iter().any(|(held, _)| *held == key)),
        ("asks", [DEFAULT_MODE, TOOL_MODE].contains(&key)),
    ];
    let rules = rules.iter().filter(|(_, holds)| *holds);
    rules.map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}
