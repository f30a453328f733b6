//! Keys that lead a server elsewhere although its name and its command or url are the listed ones.
//!
//! An identity is a program or an address. A key told here decides what else is started, what code the
//! program loads, or where a request really goes; with an active list it needs the administrator's word.
//! Nobody knows what variables a program obeys, so each one needs it that is not known to be harmless.

use crate::{HttpAuth, HttpTransport, McpServerConfig, McpTransport, StdioTransport};

/// Keys that an administrator can allow, beside `env.NAME`.
const KEYS: &[&str] = &[
    "auth",
    "cwd",
    "http.ca_file",
    "http.proxy",
    "http_headers_helper",
    "inherit_env",
    "oauth.authorization_server_issuer",
];

/// Variables that choose nothing, and stand in many entries.
const HARMLESS: &[&str] = &[
    "CI",
    "COLORTERM",
    "FORCE_COLOR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NODE_ENV",
    "NO_COLOR",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONIOENCODING",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "TZ",
];
/// Last words of further ones: who the server is for its peer, and how much it tells.
const HARMLESS_ENDS: &[&str] = &[
    "_ACCESS_KEY",
    "_ACCESS_KEY_ID",
    "_API_KEY",
    "_CLIENT_ID",
    "_LOG_LEVEL",
    "_PASSWORD",
    "_SECRET",
    "_SECRET_KEY",
    "_TOKEN",
    "_USERNAME",
];

/// Returns the keys of a server that need a word of the administrator, as `allow` spells them.
pub(super) fn keys(server: &McpServerConfig) -> Vec<String> {
    match &server.transport {
        McpTransport::Stdio(stdio) => of_program(stdio),
        McpTransport::StreamableHttp(http) => of_connection(http),
    }
}

/// Says why a word of `allow` allows nothing.
pub(super) fn check_word(word: &str) -> Result<(), String> {
    let is_variable = word
        .strip_prefix("env.")
        .is_some_and(|name| !name.is_empty());
    match is_variable || KEYS.contains(&word) {
        true => Ok(()),
        false => {
            let keys: Vec<String> = KEYS.iter().map(|key| format!("`{key}`")).collect();
            let keys = keys.join(", ");
            Err(format!("`allow` takes {keys} and `env.NAME`"))
        }
    }
}

fn of_program(stdio: &StdioTransport) -> Vec<String> {
    let copied = stdio.env_vars.iter().map(|variable| &variable.name);
    // What every server gets from our own environment changes nothing.
    let copied = copied.filter(|name| !McpServerConfig::inherits(name));
    let names = stdio.env.keys().chain(copied);
    // An entry with a `=` in a name is refused before; for a program the name would end there.
    let names = names.map(|name| name.split_once('=').map_or(name.as_str(), |(name, _)| name));
    let mut keys: Vec<String> = names
        .filter(|name| !is_harmless(name))
        .map(|name| format!("env.{name}"))
        .collect();
    if stdio.inherit_env {
        keys.push("inherit_env".to_owned());
    }
    // Interpreters load code from there, whatever the command is.
    if stdio.cwd.is_some() {
        keys.push("cwd".to_owned());
    }
    keys
}

fn of_connection(http: &HttpTransport) -> Vec<String> {
    let own = http.http.as_ref();
    let oauth = http.oauth.as_ref();
    let set = [
        // The identity provider is a machine of its own.
        ("auth", http.auth == Some(HttpAuth::EmaAuth)),
        ("http.ca_file", own.is_some_and(|own| own.ca_file.is_some())),
        ("http.proxy", own.is_some_and(|own| own.proxy.is_some())),
        ("http_headers_helper", http.http_headers_helper.is_some()),
        (
            "oauth.authorization_server_issuer",
            oauth.is_some_and(|oauth| oauth.authorization_server_issuer.is_some()),
        ),
    ];
    let set = set.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(key, _)| key.to_owned()).collect()
}

/// Case does not count. A name with `__` can be a key below tables of a program's settings.
fn is_harmless(variable: &str) -> bool {
    let name = format!("_{}", variable.to_ascii_uppercase());
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let ends_well = HARMLESS_ENDS.iter().any(|end| name.ends_with(end));
    HARMLESS.contains(&&name[1..]) || (ends_well && is_word && !name.contains("__"))
}
