//! Keys that lead an allowed server elsewhere: off without a word of the administrator, on with it.

use super::*;

const DOCS: &str = "[mcp_server_allowlist.s]\ncommand = \"docs-mcp\"\n";
const WEB: &str = "[mcp_server_allowlist.s]\nurl = \"https://mcp.example.com/mcp\"\n";

/// Why this one server is off; `on` otherwise.
fn state(requirements: &str, server: &str) -> String {
    let machine = Machine::new(requirements).user(&format!("[mcp_servers.s]\n{server}\n"));
    let servers = machine.servers();
    servers.trim().trim_start_matches("s: ").to_owned()
}

fn program(lines: &str) -> String {
    format!("command = \"docs-mcp\"\n{lines}")
}

fn web(lines: &str) -> String {
    format!("url = \"https://mcp.example.com/mcp\"\n{lines}")
}

/// What leads elsewhere: its word in `allow`, and the line.
const OF_PROGRAMS: &[(&str, &str)] = &[
    ("env.PATH", "env = { PATH = \"/evil\" }"),
    ("env.Path", "env = { Path = \"/evil\" }"),
    ("env.LD_PRELOAD", "env = { LD_PRELOAD = \"/evil.so\" }"),
    (
        "env.DYLD_INSERT_LIBRARIES",
        "env = { DYLD_INSERT_LIBRARIES = \"/e\" }",
    ),
    (
        "env.NODE_OPTIONS",
        "env = { NODE_OPTIONS = \"--require=/evil.js\" }",
    ),
    ("env.PYTHONPATH", "env = { PYTHONPATH = \"/evil\" }"),
    (
        "env.npm_config_registry",
        "env = { npm_config_registry = \"http://e\" }",
    ),
    ("env.https_proxy", "env = { https_proxy = \"http://evil\" }"),
    ("env.HOME", "env = { HOME = \"/evil\" }"),
    ("env.SHELLOPTS", "env = { SHELLOPTS = \"xtrace\" }"),
    ("env.PS4", "env = { PS4 = \"$(evil)\" }"),
    (
        "env.AWS_ENDPOINT_URL",
        "env = { AWS_ENDPOINT_URL = \"http://e\" }",
    ),
    ("env.MAVEN_OPTS", "env_vars = [\"MAVEN_OPTS\"]"),
    ("env.NOBODY_KNOWS_IT", "env = { NOBODY_KNOWS_IT = \"1\" }"),
    (
        "env.VAULT_PASSWORD_FILE",
        "env = { VAULT_PASSWORD_FILE = \"/e\" }",
    ),
    (
        "env.BUNDLE_LOCAL__A_TOKEN",
        "env = { BUNDLE_LOCAL__A_TOKEN = \"/e\" }",
    ),
    (
        "env.BASH_FUNC_A_TOKEN%%",
        "env = { \"BASH_FUNC_A_TOKEN%%\" = \"()\" }",
    ),
    ("env.GIT_SSH_COMMAND", "env_vars = [\"GIT_SSH_COMMAND\"]"),
    (
        "env.LD_AUDIT",
        "env_vars = [{ name = \"LD_AUDIT\", source = \"local\" }]",
    ),
    ("inherit_env", "inherit_env = true"),
    ("cwd", "cwd = \"/evil\""),
];
const OF_ADDRESSES: &[(&str, &str)] = &[
    ("http_headers_helper", "http_headers_helper = \"evil\""),
    ("http.proxy", "http = { proxy = \"http://evil\" }"),
    ("http.ca_file", "http = { ca_file = \"/evil.pem\" }"),
    ("auth", "auth = \"ema_auth\""),
    (
        "oauth.authorization_server_issuer",
        "oauth = { authorization_server_issuer = \"https://evil.example\" }",
    ),
];

/// Row 10.detours.
#[test]
fn each_of_them_turns_an_allowed_server_off_until_the_administrator_allows_it() {
    let rows = |rules: &str, server: fn(&str) -> String, rows: &[(&str, &str)]| {
        for (key, line) in rows {
            let why = format!(
                "requirements: its rule does not allow `{key}`, which may start or reach something else (/etc/requirements.toml:1:23)"
            );
            assert_eq!(state(rules, &server(line)), why);
            let allowed = format!("{rules}allow = [\"{key}\"]\n");
            assert_eq!(state(&allowed, &server(line)), "on", "{key}");
            let other = format!("{rules}allow = [\"env.OTHER\"]\n");
            assert_eq!(state(&other, &server(line)), why);
            // Nothing changes where servers are not restricted.
            assert_eq!(state("", &server(line)), "on", "{key}");
        }
    };
    rows(DOCS, program, OF_PROGRAMS);
    rows(WEB, web, OF_ADDRESSES);
}

/// Row 10.detours.
#[test]
fn what_leads_nowhere_else_needs_no_word() {
    let program_lines = [
        "args = [\"--any\"]",
        "env = { GITHUB_TOKEN = \"t\", NODE_ENV = \"production\", PYTHONUNBUFFERED = \"1\" }",
        "env = { API_KEY = \"k\", BRAVE_API_KEY = \"k\", JIRA_USERNAME = \"u\", fastmcp_log_level = \"info\" }",
        "env = { AWS_ACCESS_KEY_ID = \"a\", AWS_SECRET_ACCESS_KEY = \"b\", AWS_SESSION_TOKEN = \"c\" }",
        "env_vars = [\"GITHUB_TOKEN\", \"PATH\", \"HOME\", \"LC_TIME\", \"USER\"]",
        "sandbox = \"read-only\"",
    ];
    for line in program_lines {
        assert_eq!(state(DOCS, &program(line)), "on", "{line}");
    }
    let web_lines = [
        "http_headers = { X-Team = \"t\" }",
        "bearer_token_env_var = \"T\"",
        "http = { no_proxy = \"*\", client_cert = \"/c.pem\", client_key = \"/k.pem\" }",
        "oauth = { client_id = \"c\", callback_port = 1, client_metadata_url = \"https://c.example\" }",
        "auth = \"oauth\"\noauth_resource = \"https://r.example\"",
    ];
    for line in web_lines {
        assert_eq!(state(WEB, &web(line)), "on", "{line}");
    }
}

/// Row 10.detours.
#[test]
fn a_name_that_holds_its_value_is_no_entry_and_leads_nowhere() {
    for line in [
        r#"env = { "BASH_ENV=/evil/rc" = "" }"#,
        r#"env = { "A=\nA_TOKEN" = "" }"#,
        r#"env = { "BASH_ENV\u0000_TOKEN" = "x" }"#,
        r#"env = { "" = "x" }"#,
        r#"env_vars = ["BASH_ENV=/evil/rc"]"#,
        r#"env_vars = [""]"#,
    ] {
        let allowed = format!("{DOCS}allow = [\"env.BASH_ENV\", \"env.A\"]\n");
        for rules in ["", DOCS, &allowed] {
            let state = state(rules, &program(line));
            assert_eq!(state, "invalid (/home/config.toml:3:1)", "{line}");
        }
    }
    // One that came past the reader of entries.
    let mut server = McpServerConfig::stdio(ServerName::from_config("s"), "docs-mcp");
    if let McpTransport::Stdio(stdio) = &mut server.transport {
        let value = codex_host::Secret::new(String::new());
        stdio.env.insert("PS4=_TOKEN".to_owned(), value);
    }
    assert_eq!(crate::requirements::detours::keys(&server), ["env.PS4"]);
}

#[test]
fn both_rules_of_a_name_must_allow_a_key_and_all_that_is_missing_is_named() {
    let rules = |a: &str, b: &str| {
        format!(
            "[mcp_server_allowlist.s]\ncommand = \"docs-mcp\"\nallow = [{a}]\n[mcp_servers.s.identity]\ncommand = \"docs-mcp\"\nallow = [{b}]\n"
        )
    };
    let server = program("env = { PATH = \"/evil\", LD_PRELOAD = \"e\" }\ninherit_env = true");
    let all = r#""env.PATH", "env.LD_PRELOAD", "inherit_env""#;
    assert_eq!(state(&rules(all, all), &server), "on");
    assert_snapshot!(state(&rules(all, "\"env.PATH\""), &server), @"requirements: its rule does not allow `env.LD_PRELOAD`, `inherit_env`, which may start or reach something else (/etc/requirements.toml:4:16)");
    assert_snapshot!(state(&rules("", all), &server), @"requirements: its rule does not allow `env.LD_PRELOAD`, `env.PATH`, `inherit_env`, which may start or reach something else (/etc/requirements.toml:1:23)");
}

#[test]
fn a_word_that_allow_does_not_know_closes_the_entry() {
    for word in ["\"http_proxy\"", "\"env.\"", "\"*\"", "3"] {
        let rules = format!("{DOCS}allow = [{word}]\n");
        assert!(!runs(&rules, "command = \"docs-mcp\""), "{word}");
    }
    let machine = Machine::new(&format!("{DOCS}allow = [\"http_proxy\"]\n"));
    assert_snapshot!(machine.said(), @"warning: /etc/requirements.toml:1:23: [mcp_server_allowlist.s] allows nothing: `allow` takes `auth`, `cwd`, `http.ca_file`, `http.proxy`, `http_headers_helper`, `inherit_env`, `oauth.authorization_server_issuer` and `env.NAME`");
}

#[test]
fn the_name_of_a_variable_cannot_paint_on_a_terminal() {
    let server = program("env = { \"LD_\\u001b[2J\" = \"e\" }");
    assert!(state(DOCS, &server).contains(r"`env.LD_\u{1b}[2J`"));
}
