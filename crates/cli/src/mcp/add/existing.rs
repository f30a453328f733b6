//! What an entry keeps when `add` names it again.

use codex_config::{HttpTransport, McpServerConfig, McpTransport, StdioTransport, ToolSettings};
use codex_protocol::ToolApprovalMode;

use crate::mask::printable;

/// Keys that say how a server is reached; `add` replaces them as a whole.
const ENDPOINT_KEYS: &[&str] = &[
    "command",
    "args",
    "env",
    "env_vars",
    "cwd",
    "url",
    "bearer_token_env_var",
    "http_headers",
    "env_http_headers",
    "http_headers_helper",
    "auth",
    "oauth",
    "oauth_resource",
];

/// Keys of one transport that stay with it.
const PEER_KEYS: &[&str] = &["inherit_env", "sandbox", "http"];

/// Gives the new server everything of the old one but its endpoint; returns what there is to say.
pub(super) fn keep(
    new: &mut McpServerConfig,
    old: McpServerConfig,
    old_keys: &[String],
) -> Vec<String> {
    let name = new.name.clone();
    let same_peer = same_peer(&new.transport, &old.transport);
    let new_transport = new.transport.clone();
    *new = old.clone();
    new.enablement = kept_enablement(&old);
    new.transport = with_peer_settings(new_transport, &old.transport);
    let dropped = if same_peer {
        Vec::new()
    } else {
        drop_approvals(new)
    };

    let own_kind = std::mem::discriminant(&new.transport) == std::mem::discriminant(&old.transport);
    let is_kept = |key: &&String| {
        let of_other_kind = PEER_KEYS.contains(&key.as_str()) && !own_kind;
        let gone = match key.as_str() {
            "default_tools_approval_mode" => new.default_tools_approval_mode.is_none(),
            "tools" => new
                .tool_settings
                .values()
                .all(|tool| *tool == ToolSettings::default()),
            _ => false,
        };
        !ENDPOINT_KEYS.contains(&key.as_str()) && !of_other_kind && !gone
    };
    let kept: Vec<&str> = old_keys
        .iter()
        .filter(is_kept)
        .map(String::as_str)
        .collect();
    let mut notes = vec![match kept.as_slice() {
        [] => format!("note: replaced how `{name}` is started"),
        kept => format!(
            "note: replaced how `{name}` is started; kept {} (use --replace for an empty start)",
            kept.join(", ")
        ),
    }];
    if !dropped.is_empty() {
        notes.push(format!(
            "note: dropped the approval of {}: it was given to another command or address",
            dropped.join(", ")
        ));
    }
    notes
}

/// Names what was said about the old command or address and is gone, each side a server with the keys of
/// its entry; no values.
pub(super) fn dropped(
    old: (&McpServerConfig, &[String]),
    new: (&McpServerConfig, &[String]),
) -> Option<String> {
    let ((old, old_keys), (new, new_keys)) = (old, new);
    let is_dropped = |key: &&String| {
        let key = key.as_str();
        let is_of_endpoint = ENDPOINT_KEYS.contains(&key) || PEER_KEYS.contains(&key);
        let is_replaced = matches!(key, "command" | "url");
        is_of_endpoint && !is_replaced && !new_keys.iter().any(|other| other == key)
    };
    let mut names: Vec<String> = old_keys.iter().filter(is_dropped).cloned().collect();
    let is_left = |table: &str| new_keys.iter().any(|key| key == table);
    for (table, old, new) in tables(&old.transport, &new.transport) {
        let gone = old.into_iter().filter(|name| !new.contains(name));
        names.extend(
            gone.filter(|_| is_left(table))
                .map(|name| format!("{table}.{name}")),
        );
    }
    let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
    (!names.is_empty()).then(|| format!("note: dropped {}", names.join(", ")))
}

/// The tables of variables and headers that both have, with the names in them.
fn tables<'t>(
    old: &'t McpTransport,
    new: &'t McpTransport,
) -> Vec<(&'static str, Vec<&'t str>, Vec<&'t str>)> {
    match (old, new) {
        (McpTransport::Stdio(old), McpTransport::Stdio(new)) => {
            let names = |stdio: &'t StdioTransport| stdio.env.keys().map(String::as_str).collect();
            vec![("env", names(old), names(new))]
        }
        (McpTransport::StreamableHttp(old), McpTransport::StreamableHttp(new)) => {
            let fixed =
                |http: &'t HttpTransport| http.http_headers.keys().map(String::as_str).collect();
            let read = |http: &'t HttpTransport| {
                http.env_http_headers.keys().map(String::as_str).collect()
            };
            vec![
                ("http_headers", fixed(old), fixed(new)),
                ("env_http_headers", read(old), read(new)),
            ]
        }
        (McpTransport::Stdio(_), McpTransport::StreamableHttp(_))
        | (McpTransport::StreamableHttp(_), McpTransport::Stdio(_)) => Vec::new(),
    }
}

/// A broken entry that is made whole again is on, unless its user had turned it off.
fn kept_enablement(old: &McpServerConfig) -> codex_config::Enablement {
    use codex_config::{Enablement, OffReason};
    match &old.enablement {
        Enablement::Off(OffReason::User) => Enablement::Off(OffReason::User),
        Enablement::Off(
            OffReason::Requirements { .. }
            | OffReason::NotApproved { .. }
            | OffReason::Invalid { .. },
        )
        | Enablement::On => Enablement::On,
    }
}

/// Proxy, certificates, the inherited environment and the sandbox are no part of the endpoint.
fn with_peer_settings(mut new: McpTransport, old: &McpTransport) -> McpTransport {
    match (&mut new, old) {
        (McpTransport::Stdio(new), McpTransport::Stdio(old)) => {
            new.inherit_env = old.inherit_env;
            new.sandbox.clone_from(&old.sandbox);
        }
        (McpTransport::StreamableHttp(new), McpTransport::StreamableHttp(old)) => {
            new.http.clone_from(&old.http)
        }
        (McpTransport::Stdio(_), McpTransport::StreamableHttp(_))
        | (McpTransport::StreamableHttp(_), McpTransport::Stdio(_)) => {}
    }
    new
}

fn same_peer(new: &McpTransport, old: &McpTransport) -> bool {
    let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
    match (new, old) {
        (McpTransport::Stdio(new), McpTransport::Stdio(old)) => new.command == old.command,
        (McpTransport::StreamableHttp(new), McpTransport::StreamableHttp(old)) => {
            origin(&new.url).is_some() && origin(&new.url) == origin(&old.url)
        }
        (McpTransport::Stdio(_), McpTransport::StreamableHttp(_))
        | (McpTransport::StreamableHttp(_), McpTransport::Stdio(_)) => false,
    }
}

/// Takes every `approve` away and returns whose it was.
fn drop_approvals(server: &mut McpServerConfig) -> Vec<String> {
    let mut dropped = Vec::new();
    if server.default_tools_approval_mode == Some(ToolApprovalMode::Approve) {
        server.default_tools_approval_mode = None;
        dropped.push("all tools".to_owned());
    }
    for (tool, settings) in &mut server.tool_settings {
        let is_approved = settings.approval_mode == Some(ToolApprovalMode::Approve);
        if is_approved {
            settings.approval_mode = None;
        }
        if settings.approve_when.take().is_some() || is_approved {
            dropped.push(format!("`{tool}`"));
        }
    }
    dropped
}
