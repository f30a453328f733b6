//! `codex mcp get --explain`: where each setting of a server comes from, and what the server gets.
//!
//! Nothing is started and no server is asked.

mod keys;

use std::collections::BTreeMap;

use codex_config::{
    Enablement, HttpTransport, McpServerConfig, McpTransport, McpVerdict, OffReason, Origin,
    StdioTransport,
};
use codex_mcp::{AuthReport, CredentialsBackend, inherited_variables, redirect_uri_to_register};
use codex_runtime::Loaded;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::mask::{MASK, Secrets, printable};

/// Where logins are when there is no keyring.
const CREDENTIALS_FILE: &str = ".credentials.json";

/// One thing that holds, and why.
pub(super) struct Row {
    /// A key, or `env NAME`, `header NAME`, `policy`, `problem`.
    item: String,
    /// A layer, or the key that puts it there.
    from: String,
    /// Where it stands, the effective place first and then what it overrides.
    places: Vec<Origin>,
    /// What there is to see.
    value: Option<String>,
}

/// Returns what there is to explain about a server, in the order of the contract.
pub(super) fn rows(
    server: &McpServerConfig,
    loaded: &Loaded,
    secrets: Secrets,
    report: &AuthReport,
) -> Vec<Row> {
    let name = server.name.as_str();
    let mut rows = keys::rows(server, loaded, secrets);
    rows.push(policy_row(server, loaded));
    match &server.transport {
        McpTransport::Stdio(stdio) => rows.extend(env_rows(server, stdio, loaded, secrets)),
        McpTransport::StreamableHttp(http) => {
            rows.extend(header_rows(name, http, loaded, secrets));
            rows.extend(login_rows(http, loaded, report));
        }
    }
    if let Enablement::Off(OffReason::Invalid { origin, why }) = &server.enablement {
        let places = origin.clone().into_iter().collect();
        rows.push(Row::new("problem", "invalid").at(places).value(why));
    }
    rows
}

/// What the requirements say, and by which rule.
fn policy_row(server: &McpServerConfig, loaded: &Loaded) -> Row {
    let policy = loaded.config.requirements.mcp();
    let verdict = policy.verdict(server, &loaded.env);
    let (word, rule) = match &verdict {
        McpVerdict::Unrestricted => ("none", "servers are not restricted".to_owned()),
        McpVerdict::Allowed(_) => ("allowed", verdict.allowed_by().unwrap_or_default()),
        McpVerdict::Refused {
            source, rule, why, ..
        } => {
            let by = match rule {
                Some(rule) => rule.to_string(),
                None => source.to_string(),
            };
            ("refused", format!("by {by}: {why}"))
        }
    };
    Row::new("policy", word).value(rule)
}

/// Where the login is, and where a browser would come back to.
fn login_rows(http: &HttpTransport, loaded: &Loaded, report: &AuthReport) -> [Row; 2] {
    let detail = &report.detail;
    let place = match detail.backend {
        Some(CredentialsBackend::File) => {
            format!("file {}", loaded.home.join(CREDENTIALS_FILE))
        }
        Some(backend) => backend.to_string(),
        None => detail
            .why
            .clone()
            .unwrap_or_else(|| "nothing stored".to_owned()),
    };
    let redirect = redirect_uri_to_register(http, &loaded.config.mcp_oauth);
    [
        Row::new("login", detail.state.word()).value(place),
        Row::new("redirect", "login").value(redirect.unwrap_or_else(|why| why)),
    ]
}

/// The whole environment of the child, by name.
fn env_rows(
    server: &McpServerConfig,
    stdio: &StdioTransport,
    loaded: &Loaded,
    secrets: Secrets,
) -> Vec<Row> {
    let places = |key: &str| {
        loaded
            .layers
            .places(&["mcp_servers", server.name.as_str(), key])
    };
    let inherited = inherited_variables(stdio, &loaded.env).into_iter();
    let mut rows: BTreeMap<String, Row> = inherited
        .map(|name| (name.clone(), Row::new(format!("env {name}"), "inherited")))
        .collect();
    for variable in &stdio.env_vars {
        let value = match loaded.env.get_os(&variable.name) {
            Some(_) => MASK,
            None => "not set",
        };
        let row = Row::new(format!("env {}", variable.name), "env_vars");
        rows.insert(
            variable.name.clone(),
            row.at(places("env_vars")).value(value),
        );
    }
    for (name, value) in &stdio.env {
        let path = ["mcp_servers", server.name.as_str(), "env", name];
        let row = Row::new(format!("env {name}"), "env").at(loaded.layers.places(&path));
        rows.insert(name.clone(), row.value(secrets.text(value)));
    }
    rows.into_values().collect()
}

/// The configured headers; those of the protocol are not told.
fn header_rows(server: &str, http: &HttpTransport, loaded: &Loaded, secrets: Secrets) -> Vec<Row> {
    let places = |path: &[&str]| {
        let whole: Vec<&str> = ["mcp_servers", server]
            .iter()
            .chain(path)
            .copied()
            .collect();
        loaded.layers.places(&whole)
    };
    let from_variable = |variable: &str| match loaded.env.non_empty(variable) {
        Some(_) => format!("{MASK} from {variable}"),
        None => format!("{variable} is not set"),
    };
    let mut rows = Vec::new();
    for (name, value) in &http.http_headers {
        let row = Row::new(format!("header {name}"), "http_headers");
        rows.push(
            row.at(places(&["http_headers", name]))
                .value(secrets.text(value)),
        );
    }
    for (name, variable) in &http.env_http_headers {
        let row = Row::new(format!("header {name}"), "env_http_headers");
        let row = row.at(places(&["env_http_headers", name]));
        rows.push(row.value(from_variable(variable)));
    }
    if let Some(variable) = &http.bearer_token_env_var {
        let key = "bearer_token_env_var";
        let row = Row::new("header Authorization", key).at(places(&[key]));
        rows.push(row.value(from_variable(variable)));
    }
    rows
}

impl Row {
    fn new(item: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            item: item.into(),
            from: from.into(),
            places: Vec::new(),
            value: None,
        }
    }

    fn at(mut self, places: Vec<Origin>) -> Self {
        self.places = places;
        self
    }

    fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Returns the place, what it overrides, and the value.
    fn rest(&self) -> String {
        let mut places = self.places.iter();
        let own = places.next().and_then(place);
        let over = places.map(|origin| match place(origin) {
            Some(place) => format!("over {} {place}", origin.layer.word()),
            None => format!("over {}", origin.layer.word()),
        });
        let words: Vec<String> = own.into_iter().chain(over).collect();
        let value = self.value.clone();
        let whole: Vec<String> = (!words.is_empty())
            .then(|| words.join(", "))
            .into_iter()
            .chain(value)
            .collect();
        whole.join("  ")
    }
}

/// Returns `<file>:<line>`; a flag stands nowhere.
fn place(origin: &Origin) -> Option<String> {
    let file = origin.file()?;
    Some(format!("{file}:{}", origin.line))
}

/// Lays the rows out below `explain:`.
pub(super) fn text(rows: &[Row]) -> String {
    let widest = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).width()).max().unwrap_or(0);
    let (items, sources) = (widest(|row| &row.item), widest(|row| &row.from));
    let mut text = "  explain:\n".to_owned();
    for row in rows {
        let pad = |word: &str, width: usize| " ".repeat(width.saturating_sub(word.width()));
        let (item, from) = (pad(&row.item, items), pad(&row.from, sources));
        let line = format!("{}{item}  {}{from}  {}", row.item, row.from, row.rest());
        text.push_str(&format!("    {}\n", printable(line.trim_end())));
    }
    text
}

/// Returns the rows as the value of the key `explain`.
pub(super) fn json(rows: &[Row]) -> Value {
    let place = |origin: &Origin| {
        json!({
            "layer": origin.layer.word(),
            "file": origin.file().map(ToString::to_string),
            "line": origin.file().map(|_| origin.line),
        })
    };
    let rows = rows.iter().map(|row| {
        json!({
            "item": row.item,
            "from": row.from,
            "places": row.places.iter().map(place).collect::<Vec<_>>(),
            "value": row.value,
        })
    });
    rows.collect()
}
