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
    ("env.GIT_SSH_COMMAND", "env_vars = [\"GIT_SSH_COMMAND\"]"),
    (
        "env.LD_AUDIT",
        "env_vars = [{ name = \"LD_AUDIT\", source = \"local\" }]",
    ),
    ("inherit_env", "inherit_env = true"),
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
                "requirements: its rule does not allow `{key}`, which can start or reach something else (/etc/requirements.toml:1:23)"
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
        "env_vars = [\"GITHUB_TOKEN\", \"PATH\", \"HOME\"]",
        "cwd = \"/\"",
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
fn a_directory_counts_where_it_decides_which_file_is_started() {
    let at = |command: &str, path: &str| {
        let rules = format!("[mcp_server_allowlist.s]\ncommand = \"{command}\"\n");
        let user = format!("[mcp_servers.s]\ncommand = \"{command}\"\ncwd = \"/evil\"\n");
        let mut machine = Machine::new(&rules).user(&user);
        machine.request.env = Env::from_pairs([("PATH", path)]);
        machine.servers().contains("s: on")
    };
    assert!(at("/opt/docs", "/bin"));
    assert!(at("docs", "/bin:/usr/bin"));
    assert!(!at("docs", "/bin:tools"));
    assert!(!at("docs", ".:/bin"));
    assert!(!at("./docs", "/bin"));
    assert!(!at("tools/docs", "/bin"));
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
    assert_snapshot!(state(&rules(all, "\"env.PATH\""), &server), @"requirements: its rule does not allow `env.LD_PRELOAD`, `inherit_env`, which can start or reach something else (/etc/requirements.toml:4:16)");
    assert_snapshot!(state(&rules("", all), &server), @"requirements: its rule does not allow `env.LD_PRELOAD`, `env.PATH`, `inherit_env`, which can start or reach something else (/etc/requirements.toml:1:23)");
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
