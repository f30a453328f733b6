//! Keys that lead a server elsewhere although its name and its command or url are the listed ones.
//!
//! An identity is a program or an address. A key told here decides what else is started, what code the
//! program loads, or where a request really goes; with an active list it needs the administrator's word.
//! No list of variables is complete: it has what dynamic loaders, shells, interpreters, package runners
//! and TLS libraries obey.

use std::path::Path;

use codex_host::Env;

use super::identity::effective;
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

/// Variables that choose programs, code, servers or whom to trust.
const VARIABLES: &[&str] = &[
    "ALL_PROXY",
    "APPDATA",
    "BASH_ENV",
    "BROWSER",
    "CLASSPATH",
    "COMSPEC",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "KUBECONFIG",
    "LOCALAPPDATA",
    "PAGER",
    "PATH",
    "PATHEXT",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSH_ASKPASS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SUDO_ASKPASS",
    "USERPROFILE",
    "VIRTUAL_ENV",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];
/// Beginnings of further ones.
const FAMILIES: &[&str] = &[
    "BASH_FUNC_",
    "BUNDLE_",
    "BUN_",
    "CARGO_",
    "COMPLUS_",
    "CONDA_",
    "CORECLR_",
    "COR_",
    "DENO_",
    "DOCKER_",
    "DOTNET_",
    "DYLD_",
    "ELECTRON_",
    "GEM_",
    "GIT_",
    "JAVA_",
    "JDK_",
    "LD_",
    "LUA_",
    "NODE_",
    "NPM_",
    "OPENSSL_",
    "PERL",
    "PIPX_",
    "PIP_",
    "PYTHON",
    "RUBY",
    "RUSTUP_",
    "UV_",
    "XDG_",
];
/// Members of those families that choose nothing, and stand in many entries.
const HARMLESS: &[&str] = &[
    "NODE_ENV",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONIOENCODING",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
];
/// What every server gets from our own environment; to copy it changes nothing.
const INHERITED: &[&str] = &["HOME", "PATH", "SHELL"];

/// Returns the keys of a server that need a word of the administrator, as `allow` spells them.
pub(super) fn keys(server: &McpServerConfig, env: &Env) -> Vec<String> {
    match &server.transport {
        McpTransport::Stdio(stdio) => {
            // What cannot be expanded was refused before, and counts as relative here.
            let command = effective(server, &stdio.command, env).unwrap_or_default();
            of_program(stdio, &command, env)
        }
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

fn of_program(stdio: &StdioTransport, command: &str, env: &Env) -> Vec<String> {
    let copied = stdio.env_vars.iter().map(|variable| &variable.name);
    let copied = copied.filter(|name| !INHERITED.contains(&name.as_str()));
    let mut keys: Vec<String> = stdio
        .env
        .keys()
        .chain(copied)
        .filter(|name| leads_elsewhere(name))
        .map(|name| format!("env.{name}"))
        .collect();
    if stdio.inherit_env {
        keys.push("inherit_env".to_owned());
    }
    if stdio.cwd.is_some() && is_seen_from_cwd(command, env) {
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

/// Case does not count: some programs read a variable in both, and Windows knows one only.
fn leads_elsewhere(variable: &str) -> bool {
    let name = variable.to_ascii_uppercase();
    let of_family = FAMILIES.iter().any(|family| name.starts_with(family));
    VARIABLES.contains(&name.as_str()) || (of_family && !HARMLESS.contains(&name.as_str()))
}

/// Whether the directory decides which file a command is.
fn is_seen_from_cwd(command: &str, env: &Env) -> bool {
    let command = Path::new(command);
    if command.is_absolute() {
        return false;
    }
    let search = env.get_os("PATH").unwrap_or_default();
    let is_relative = |folder: &Path| !folder.as_os_str().is_empty() && folder.is_relative();
    command.components().count() != 1
        || std::env::split_paths(search).any(|folder| is_relative(&folder))
}
