//! Each key of a server by itself: what it becomes, and what holds without it.

use codex_host::Secret;

use super::*;
use crate::{HttpTransport, McpServerConfig, StdioTransport};

/// A row: its id, lines of the entry, what is looked at, and that with and without the lines.
type Row = (
    &'static str,
    &'static str,
    fn(&McpServerConfig) -> String,
    &'static str,
    &'static str,
);

fn server(toml: &str) -> McpServerConfig {
    let config = case(toml).loaded().config;
    config.mcp_servers.values().next().unwrap().clone()
}

fn stdio(server: &McpServerConfig) -> &StdioTransport {
    match &server.transport {
        McpTransport::Stdio(stdio) => stdio,
        McpTransport::StreamableHttp(_) => panic!("{server:?}"),
    }
}

fn http(server: &McpServerConfig) -> &HttpTransport {
    match &server.transport {
        McpTransport::StreamableHttp(http) => http,
        McpTransport::Stdio(_) => panic!("{server:?}"),
    }
}

fn secrets<'s>(map: impl IntoIterator<Item = (&'s String, &'s Secret)>) -> String {
    let pairs = map
        .into_iter()
        .map(|(key, value)| format!("{key}={}", value.expose()));
    pairs.collect::<Vec<_>>().join(" ")
}

/// One key of the login.
macro_rules! oauth {
    ($key:ident) => {
        |server| match &http(server).oauth {
            Some(oauth) => shown(&oauth.$key),
            None => "no login".to_owned(),
        }
    };
}

/// Goes through the rows: the lines behind `base` give the first text, `base` alone the second.
fn each_row(base: &str, rows: &[Row]) {
    for (row, lines, look, with, without) in rows {
        let toml = format!("[mcp_servers.s]\n{base}\n{lines}\n");
        assert_eq!(look(&server(&toml)), *with, "{row}");
        let toml = format!("[mcp_servers.s]\n{base}\n");
        assert_eq!(look(&server(&toml)), *without, "{row}");
    }
}

#[test]
fn every_key_of_a_stdio_server() {
    each_row(
        "command = \"x\"",
        &[
            (
                "Row 5.args",
                "args = ['1', '']",
                |s| shown(&stdio(s).args),
                r#"["1", ""]"#,
                "[]",
            ),
            (
                "Row 5.env",
                "env = { A = '$B' }",
                |s| secrets(&stdio(s).env),
                "A=$B",
                "",
            ),
            (
                "Row 5.env_vars",
                "env_vars = ['A', { name = 'B', source = 'remote' }, { name = 'C' }]",
                |s| {
                    shown(
                        stdio(s)
                            .env_vars
                            .iter()
                            .map(|v| (&v.name, v.source))
                            .collect::<Vec<_>>(),
                    )
                },
                r#"[("A", None), ("B", Some(Remote)), ("C", Some(Local))]"#,
                "[]",
            ),
            (
                "Row 5.cwd",
                "cwd = 'sub'",
                |s| shown(&stdio(s).cwd),
                r#"Some("sub")"#,
                "None",
            ),
            (
                "Row 5.inherit_env",
                "inherit_env = true",
                |s| shown(stdio(s).inherit_env),
                "true",
                "false",
            ),
            (
                "Row 5.sandbox",
                "sandbox = { mode = 'workspace-write', writable_roots = ['/x'] }",
                |s| {
                    stdio(s)
                        .sandbox
                        .as_ref()
                        .map_or_else(String::new, |sandbox| shown(&sandbox.writable_roots))
                },
                r#"["/x"]"#,
                "",
            ),
        ],
    );
    assert_eq!(
        stdio(&server("[mcp_servers.s]\ncommand = 'a b; c'\n")).command,
        "a b; c"
    );
}

#[test]
fn every_key_of_an_http_server() {
    each_row(
        "url = \"https://h/mcp?x=1\"",
        &[
            (
                "Row 5.bearer_token_env_var",
                "bearer_token_env_var = 'T'",
                |s| shown(&http(s).bearer_token_env_var),
                r#"Some("T")"#,
                "None",
            ),
            (
                "Row 5.http_headers",
                "http_headers = { A = 'b' }",
                |s| secrets(&http(s).http_headers),
                "A=b",
                "",
            ),
            (
                "Row 5.env_http_headers",
                "env_http_headers = { A = 'V' }",
                |s| shown(&http(s).env_http_headers),
                r#"{"A": "V"}"#,
                "{}",
            ),
            (
                "Row 5.http_headers_helper",
                "http_headers_helper = '/x'",
                |s| shown(&http(s).http_headers_helper),
                r#"Some("/x")"#,
                "None",
            ),
            (
                "Row 5.http",
                "http = { proxy = 'http://p:1', no_proxy = 'n', ca_file = 'ca', client_cert = 'c', client_key = 'k' }",
                |s| {
                    http(s).http.as_ref().map_or_else(String::new, |peer| {
                        shown((
                            peer.proxy.as_ref().map(Secret::expose),
                            &peer.no_proxy,
                            &peer.ca_file,
                            &peer.client_cert,
                            &peer.client_key,
                        ))
                    })
                },
                r#"(Some("http://p:1"), Some("n"), Some("ca"), Some("c"), Some("k"))"#,
                "",
            ),
            (
                "Row 5.auth",
                "auth = 'ema_auth'",
                |s| shown(http(s).auth),
                "Some(EmaAuth)",
                "None",
            ),
            (
                "Row 5.auth",
                "auth = 'chatgpt'",
                |s| shown(s.is_enabled()),
                "false",
                "true",
            ),
            (
                "Row 5.oauth_resource",
                "oauth_resource = 'urn:x'",
                |s| shown(&http(s).oauth_resource),
                r#"Some("urn:x")"#,
                "None",
            ),
        ],
    );
}

#[test]
fn every_key_of_a_login() {
    each_row(
        "url = \"https://h/mcp\"\n[mcp_servers.s.oauth]",
        &[
            (
                "Row 5.oauth.client_id",
                "client_id = 'c'",
                oauth!(client_id),
                r#"Some("c")"#,
                "None",
            ),
            (
                "Row 5.oauth.client_secret",
                "client_id = 'c'\nclient_secret = 'hunter2'",
                |s| {
                    shown(
                        http(s)
                            .oauth
                            .as_ref()
                            .and_then(|oauth| oauth.client_secret.as_ref())
                            .map(Secret::expose),
                    )
                },
                r#"Some("hunter2")"#,
                "None",
            ),
            (
                "Row 5.oauth.client_secret_env_var",
                "client_id = 'c'\nclient_secret_env_var = 'S'",
                oauth!(client_secret_env_var),
                r#"Some("S")"#,
                "None",
            ),
            (
                "Row 5.oauth.callback_url",
                "callback_url = 'http://127.0.0.1:7/cb'",
                oauth!(callback_url),
                r#"Some("http://127.0.0.1:7/cb")"#,
                "None",
            ),
            (
                "Row 5.oauth.callback_port",
                "callback_port = 7",
                oauth!(callback_port),
                "Some(7)",
                "None",
            ),
            (
                "Row 5.oauth.token_endpoint_auth_method",
                "token_endpoint_auth_method = 'none'",
                oauth!(token_endpoint_auth_method),
                "Some(None)",
                "None",
            ),
            (
                "Row 5.oauth.token_endpoint_auth_method",
                "token_endpoint_auth_method = 'private_key_jwt'",
                oauth!(token_endpoint_auth_method),
                "Some(PrivateKeyJwt)",
                "None",
            ),
            (
                "Row 5.oauth.authorization_server_issuer",
                "authorization_server_issuer = 'https://i'",
                oauth!(authorization_server_issuer),
                r#"Some("https://i")"#,
                "None",
            ),
            (
                "Row 5.oauth.client_metadata_url",
                "client_metadata_url = 'https://m/c.json'",
                oauth!(client_metadata_url),
                r#"Some("https://m/c.json")"#,
                "None",
            ),
            (
                "Row 5.oauth.grant",
                "grant = 'device_code'",
                oauth!(grant),
                "Some(DeviceCode)",
                "None",
            ),
            (
                "Row 5.oauth.private_key_file",
                "private_key_file = 'key.pem'",
                oauth!(private_key_file),
                r#"Some("key.pem")"#,
                "None",
            ),
            (
                "Row 5.oauth.assertion_file",
                "assertion_file = 'a.jwt'",
                oauth!(assertion_file),
                r#"Some("a.jwt")"#,
                "None",
            ),
        ],
    );
}

#[test]
fn every_key_of_both_kinds() {
    let rows: &[Row] = &[
        (
            "Row 5.scopes",
            "scopes = ['a']",
            |s| shown(&s.scopes),
            r#"Some(["a"])"#,
            "None",
        ),
        (
            "Row 5.enabled",
            "enabled = false",
            |s| shown(s.is_enabled()),
            "false",
            "true",
        ),
        (
            "Row 5.required",
            "required = true",
            |s| shown(s.required),
            "true",
            "false",
        ),
        (
            "Row 5.enabled_tools",
            "enabled_tools = []",
            |s| shown(s.tools.allows("t")),
            "false",
            "true",
        ),
        (
            "Row 5.enabled_tools",
            "enabled_tools = ['t']",
            |s| shown((s.tools.allows("t"), s.tools.allows("u"))),
            "(true, false)",
            "(true, true)",
        ),
        (
            "Row 5.disabled_tools",
            "enabled_tools = ['t', 'u']\ndisabled_tools = ['t']",
            |s| shown((s.tools.allows("t"), s.tools.allows("u"))),
            "(false, true)",
            "(true, true)",
        ),
        (
            "Row 5.default_tools_approval_mode",
            "default_tools_approval_mode = 'writes'",
            |s| shown(s.approval_mode("t")),
            "Writes",
            "Auto",
        ),
        (
            "Row 5.tools.approval_mode",
            "tools.t.approval_mode = 'prompt'",
            |s| shown((s.approval_mode("t"), s.approval_mode("u"))),
            "(Prompt, Auto)",
            "(Auto, Auto)",
        ),
        (
            "Row 5.tools.output_token_limit",
            "tools.t.output_token_limit = 5",
            |s| shown(s.tool_settings.get("t").and_then(|t| t.output_token_limit)),
            "Some(5)",
            "None",
        ),
        (
            "Row 5.supports_parallel_tool_calls",
            "supports_parallel_tool_calls = true",
            |s| shown(s.supports_parallel_tool_calls),
            "true",
            "false",
        ),
        (
            "Row 5.tool_input_schema_max_bytes",
            "tool_input_schema_max_bytes = 9",
            |s| shown(s.tool_input_schema_max_bytes),
            "Some(9)",
            "None",
        ),
        (
            "Row 5.startup_timeout_sec",
            "startup_timeout_sec = 2.5",
            |s| shown(s.startup_timeout()),
            "2.5s",
            "30s",
        ),
        (
            "Row 5.startup_timeout_ms",
            "startup_timeout_ms = 250",
            |s| shown(s.startup_timeout()),
            "250ms",
            "30s",
        ),
        (
            "Row 5.startup_timeout_ms",
            "startup_timeout_ms = 250\nstartup_timeout_sec = 7",
            |s| shown(s.startup_timeout()),
            "7s",
            "30s",
        ),
        (
            "Row 5.tool_timeout_sec",
            "tool_timeout_sec = 7",
            |s| shown(s.tool_timeout()),
            "7s",
            "300s",
        ),
        (
            "Row 5.times",
            "tool_timeout_sec = 0\nstartup_timeout_sec = 0.0",
            |s| shown((s.tool_timeout(), s.startup_timeout())),
            "(0ns, 0ns)",
            "(300s, 30s)",
        ),
        (
            "Row 5.startup_readiness",
            "startup_readiness = 'connection'",
            |s| shown(s.startup_readiness),
            "Connection",
            "Catalog",
        ),
        (
            "Row 5.expand_env",
            "expand_env = true",
            |s| shown(s.expand_env),
            "true",
            "false",
        ),
        (
            "Row 5.pin_tools",
            "pin_tools = true",
            |s| shown(s.pin_tools),
            "true",
            "false",
        ),
        (
            "Row 5.name",
            "name = 'Docs'",
            |s| shown(&s.display_name),
            r#"Some("Docs")"#,
            "None",
        ),
        (
            "Row 5.environment_id",
            "environment_id = 'local'",
            |s| shown(s.is_enabled()),
            "true",
            "true",
        ),
        (
            "Row 5.environment_id",
            "environment_id = 'vm'",
            |s| shown(s.is_enabled()),
            "false",
            "true",
        ),
    ];
    each_row("command = \"x\"", rows);
    each_row("url = \"https://h/mcp\"", rows);
}

/// Row 5.names.
#[test]
fn any_key_of_toml_is_a_name() {
    let toml = "[mcp_servers.\"a.b c/ä\"]\ncommand = \"x\"\n[mcp_servers.\"\"]\ncommand = \"y\"\n[mcp_servers.1]\nurl = \"http://h/\"\n";
    let case = case(toml);
    assert_eq!(case.said(), "");
    let config = case.loaded().config;
    let names: Vec<&str> = config.mcp_servers.keys().map(ServerName::as_str).collect();
    assert_eq!(names, ["", "1", "a.b c/ä"]);
}
