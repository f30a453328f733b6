//! A server as people and programs see it: words, cells, JSON with a fixed order of keys.

use std::time::Duration;

use codex_config::{
    Enablement, EnvVar, EnvVarSource, HttpTransport, McpServerConfig, McpTransport, OffReason,
    Origin, PolicyOrigin, StdioTransport,
};
use codex_mcp::AuthReport;
use codex_protocol::McpAuthStatus;
use serde_json::{Map, Value, json};

use crate::mask::{MASK, Secrets};

/// Returns the words of the Auth column.
pub(super) fn auth_words(status: McpAuthStatus) -> &'static str {
    match status {
        McpAuthStatus::Unsupported => "Unsupported",
        McpAuthStatus::NotLoggedIn => "Not logged in",
        McpAuthStatus::BearerToken => "Bearer token",
        McpAuthStatus::OAuth => "OAuth",
        McpAuthStatus::Unknown => "Unknown",
    }
}

fn auth_key(status: McpAuthStatus) -> &'static str {
    match status {
        McpAuthStatus::Unsupported => "unsupported",
        McpAuthStatus::NotLoggedIn => "not_logged_in",
        McpAuthStatus::BearerToken => "bearer_token",
        McpAuthStatus::OAuth => "o_auth",
        McpAuthStatus::Unknown => "unknown",
    }
}

/// Returns `enabled`, `disabled` or `disabled: <why>`.
pub(super) fn status_words(server: &McpServerConfig) -> String {
    match &server.enablement {
        Enablement::On => "enabled".to_owned(),
        Enablement::Off(reason) => match reason.text() {
            Some(text) => format!("disabled: {text}"),
            None => "disabled".to_owned(),
        },
    }
}

/// Returns `NAME=*****` of the variables set and then of those copied.
pub(super) fn env_words(stdio: &StdioTransport, secrets: Secrets) -> String {
    let set = stdio
        .env
        .iter()
        .map(|(name, value)| format!("{name}={}", secrets.text(value)));
    let copied = stdio
        .env_vars
        .iter()
        .map(|variable| format!("{}={MASK}", variable.name));
    set.chain(copied).collect::<Vec<_>>().join(", ")
}

/// Returns `NAME=*****` of the headers.
pub(super) fn header_words(http: &HttpTransport, secrets: Secrets) -> String {
    let headers = http
        .http_headers
        .iter()
        .map(|(name, value)| format!("{name}={}", secrets.text(value)));
    headers.collect::<Vec<_>>().join(", ")
}

/// Returns the object of `mcp list --json`.
pub(super) fn list_json(server: &McpServerConfig, report: &AuthReport, secrets: Secrets) -> Value {
    let mut object = head(server, secrets);
    object.extend(timeouts(server));
    object.insert("auth_status".to_owned(), auth_key(report.status).into());
    object.extend(tools(server));
    object.extend(rest(server, report));
    Value::Object(object)
}

/// Returns the object of `mcp get --json`, which has another order.
pub(super) fn get_json(server: &McpServerConfig, report: &AuthReport, secrets: Secrets) -> Value {
    let mut object = head(server, secrets);
    object.extend(tools(server));
    object.extend(timeouts(server));
    object.insert("auth_status".to_owned(), auth_key(report.status).into());
    object.extend(rest(server, report));
    Value::Object(object)
}

fn head(server: &McpServerConfig, secrets: Secrets) -> Map<String, Value> {
    let reason = match &server.enablement {
        Enablement::On => None,
        Enablement::Off(reason) => reason.text(),
    };
    object([
        ("name", server.name.as_str().into()),
        ("enabled", server.is_enabled().into()),
        ("disabled_reason", reason.into()),
        ("transport", transport(server, secrets)),
    ])
}

fn transport(server: &McpServerConfig, secrets: Secrets) -> Value {
    match &server.transport {
        McpTransport::Stdio(stdio) => json!({
            "type": "stdio",
            "command": stdio.command,
            "args": stdio.args,
            "env": map_or_null(stdio.env.iter().map(|(name, value)| (name, secrets.text(value)))),
            "env_vars": stdio.env_vars.iter().map(env_var).collect::<Vec<_>>(),
            "cwd": stdio.cwd,
        }),
        McpTransport::StreamableHttp(http) => json!({
            "type": "streamable_http",
            "url": secrets.url(&http.url),
            "bearer_token_env_var": http.bearer_token_env_var,
            "http_headers": map_or_null(http.http_headers.iter().map(|(name, value)| (name, secrets.text(value)))),
            "env_http_headers": map_or_null(http.env_http_headers.iter().map(|(name, value)| (name, value.as_str()))),
            "http_headers_helper": http.http_headers_helper,
        }),
    }
}

fn env_var(variable: &EnvVar) -> Value {
    match variable.source {
        None => variable.name.as_str().into(),
        Some(source) => {
            let source = match source {
                EnvVarSource::Local => "local",
                EnvVarSource::Remote => "remote",
            };
            json!({"name": variable.name, "source": source})
        }
    }
}

fn timeouts(server: &McpServerConfig) -> Map<String, Value> {
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64()).into();
    object([
        ("startup_timeout_sec", seconds(server.startup_timeout)),
        ("tool_timeout_sec", seconds(server.tool_timeout)),
    ])
}

fn tools(server: &McpServerConfig) -> Map<String, Value> {
    let disabled = Some(&server.tools.disabled).filter(|names| !names.is_empty());
    object([
        ("enabled_tools", json!(server.tools.enabled)),
        ("disabled_tools", json!(disabled)),
    ])
}

fn rest(server: &McpServerConfig, report: &AuthReport) -> Map<String, Value> {
    let (oauth, oauth_resource) = match &server.transport {
        McpTransport::StreamableHttp(http) => (oauth(http), json!(http.oauth_resource)),
        McpTransport::Stdio(_) => (Value::Null, Value::Null),
    };
    object([
        ("required", server.required.into()),
        (
            "default_tools_approval_mode",
            json!(server.default_tools_approval_mode),
        ),
        ("tools", json!(server.tool_settings)),
        (
            "supports_parallel_tool_calls",
            server.supports_parallel_tool_calls.into(),
        ),
        ("scopes", json!(server.scopes)),
        ("oauth", oauth),
        ("oauth_resource", oauth_resource),
        ("source", source(server)),
        ("auth_detail", auth_detail(report)),
        ("problems", problems(server)),
    ])
}

fn auth_detail(report: &AuthReport) -> Value {
    let detail = &report.detail;
    let mut object = object([
        ("state", detail.state.word().into()),
        (
            "backend",
            json!(detail.backend.map(|backend| backend.to_string())),
        ),
        (
            "expires_at",
            json!(detail.expires_at.map(|time| time.to_string())),
        ),
        ("refreshable", detail.refreshable.into()),
        ("issuer", json!(detail.issuer)),
        ("scopes", json!(detail.scopes)),
    ]);
    if let Some(why) = &detail.why {
        object.insert("reason".to_owned(), json!(why));
    }
    Value::Object(object)
}

fn oauth(http: &HttpTransport) -> Value {
    let Some(oauth) = &http.oauth else {
        return Value::Null;
    };
    json!({
        "client_id": oauth.client_id,
        "client_secret": oauth.client_secret.as_ref().map(|_| MASK),
        "callback_url": oauth.callback_url,
        "callback_port": oauth.callback_port,
        "token_endpoint_auth_method": oauth.token_endpoint_auth_method,
    })
}

pub(super) fn source(server: &McpServerConfig) -> Value {
    let Some(origin) = &server.source else {
        return Value::Null;
    };
    let file = origin.file();
    json!({
        "layer": origin.layer.word(),
        "file": file.map(ToString::to_string),
        "line": file.map(|_| origin.line),
    })
}

fn problems(server: &McpServerConfig) -> Value {
    let problem = |severity: &str, message: &str, origin: Option<&Origin>| {
        json!({
            "severity": severity,
            "message": message,
            "file": origin.and_then(|origin| origin.file()).map(ToString::to_string),
            "line": origin.map(|origin| origin.line),
            "column": origin.map(|origin| origin.column),
        })
    };
    let of_policy = |message: &str, origin: &PolicyOrigin| {
        json!({
            "severity": "error",
            "message": message,
            "file": origin.source.to_string(),
            "line": origin.line,
            "column": origin.column,
        })
    };
    let error = match &server.enablement {
        Enablement::Off(OffReason::Invalid { origin, why }) => {
            Some(problem("error", why, origin.as_ref()))
        }
        Enablement::Off(OffReason::Requirements {
            why,
            fault: Some(origin),
            ..
        }) => Some(of_policy(why, origin)),
        Enablement::Off(
            OffReason::User | OffReason::Requirements { .. } | OffReason::NotApproved { .. },
        )
        | Enablement::On => None,
    };
    let warnings = server
        .warnings
        .iter()
        .map(|warning| problem("warning", &warning.text, Some(&warning.origin)));
    error.into_iter().chain(warnings).collect()
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn map_or_null<'a>(entries: impl Iterator<Item = (&'a String, &'a str)>) -> Value {
    let map: Map<String, Value> = entries
        .map(|(key, value)| (key.clone(), value.into()))
        .collect();
    if map.is_empty() {
        Value::Null
    } else {
        Value::Object(map)
    }
}
