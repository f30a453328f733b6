//! An allowed name with the allowed command or url, and a key that leads elsewhere: off all the same.
//!
//! The trap lies behind the allowed identity itself, so whatever uses the entry springs it.

use super::all_stay_off;
use super::guarded::{Guarded, MODEL};
use insta::assert_snapshot;

#[test]
fn an_allowed_program_with_a_key_that_starts_another_stays_off() {
    let rows = [
        ("another search path", "env = { PATH = \"FOLDER\" }"),
        (
            "a library before it",
            "env = { LD_PRELOAD = \"/nowhere.so\" }",
        ),
        (
            "libraries of its own",
            "env = { LD_LIBRARY_PATH = \"/nowhere\" }",
        ),
        (
            "the same on a Mac",
            "env = { DYLD_INSERT_LIBRARIES = \"/nowhere\" }",
        ),
        (
            "options of an interpreter",
            "env = { NODE_OPTIONS = \"--require=/x\" }",
        ),
        (
            "packages from elsewhere",
            "env = { npm_config_registry = \"http://ADDRESS\" }",
        ),
        ("a copied variable", "env_vars = [\"EVIL\", \"LD_PRELOAD\"]"),
        ("the whole environment", "inherit_env = true"),
        (
            "what a shell does at its start",
            "env = { SHELLOPTS = \"xtrace\", PS4 = \"$(PROGRAM)\" }",
        ),
        ("a variable that nobody knows", "env = { MODE = \"1\" }"),
        ("modules of another directory", "cwd = \"FOLDER\""),
    ];
    let rows = rows.map(|(what, line)| (what, format!("command = \"docs-mcp\"\n{line}")));
    let rows: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|(what, entry)| (*what, "docs", entry.as_str()))
        .chain([(
            "a relative command in another directory",
            "near",
            "command = \"./docs-mcp\"\ncwd = \"FOLDER\"",
        )])
        .collect();
    all_stay_off(&rows);
}

#[test]
fn a_variable_in_the_name_of_another_is_no_entry() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(
        "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nenv = { \"BASH_ENV=PROGRAM\" = \"\" }\n",
    );
    assert_snapshot!(guarded.run(&["mcp", "tools", "docs"]), @r#"
    [stderr]
    warning: [CODEX_HOME]/config.toml:3:1: a key of env is not the name of an environment variable
    in `mcp_servers.docs.env`
    MCP server `docs` is off until this is repaired.
    hint: a name is not empty and has no `=` in it: env = { NAME = "value" }
    Error: MCP server 'docs' failed to start: a key of env is not the name of an environment variable ([CODEX_HOME]/config.toml:3:1)
    [exit 10]
    "#);
    guarded.untouched("a name with its value");
}

#[test]
fn an_allowed_address_with_a_key_that_leads_elsewhere_stays_off() {
    let rows = [
        ("a helper", "http_headers_helper = \"PROGRAM\""),
        ("a proxy", "http = { proxy = \"http://ADDRESS\" }"),
        (
            "somebody else to trust",
            "http = { ca_file = \"/nowhere.pem\" }",
        ),
        (
            "another issuer",
            "oauth = { authorization_server_issuer = \"http://ADDRESS\" }",
        ),
        ("an identity provider", "auth = \"ema_auth\""),
        (
            "a proxy of a variable",
            "expand_env = true\nhttp = { proxy = \"${URL}\" }",
        ),
    ];
    let rows = rows.map(|(what, line)| (what, format!("url = \"http://ADDRESS/ok\"\n{line}")));
    let rows: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|(what, entry)| (*what, "web", entry.as_str()))
        .collect();
    all_stay_off(&rows);
}

#[test]
fn a_key_of_another_layer_leads_nowhere_either() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(&format!(
        "{MODEL}[mcp_servers.docs]\ncommand = \"docs-mcp\"\n"
    ));
    let set = |text: &str| guarded.fill(text);
    let path = set("mcp_servers.docs.env.PATH=\"/nowhere\"");
    guarded.stays_off("docs", &["-c", &path], "a flag");
    guarded.user(&format!(
        "{MODEL}[mcp_servers.web]\nurl = \"http://ADDRESS/ok\"\n"
    ));
    let proxy = set("mcp_servers.web.http.proxy=\"http://ADDRESS\"");
    guarded.stays_off("web", &["-c", &proxy], "a flag");
    let file = guarded.home.codex_home().join("managed_config.toml");
    let helper = set("[mcp_servers.web]\nhttp_headers_helper = \"PROGRAM\"\n");
    std::fs::write(&file, helper).unwrap();
    guarded.stays_off("web", &[], "a managed file of the home");
}

#[test]
fn adding_it_again_keeps_the_key_and_asks_nobody() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(
        "[mcp_servers.web]\nurl = \"http://ADDRESS/ok\"\nhttp = { proxy = \"http://ADDRESS\" }\n",
    );
    let added = guarded.run(&["mcp", "add", "web", "--url", "http://ADDRESS/ok"]);
    assert!(
        added
            .stderr
            .contains("warning: `web` is disabled: requirements (/etc/codex/requirements.toml)"),
        "{added}"
    );
    guarded.untouched("add");
    guarded.stays_off("web", &[], "what add kept");
}

#[test]
fn the_reason_names_the_key_and_the_rule() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(
        "[mcp_servers.web]\nurl = \"http://ADDRESS/ok\"\nhttp = { proxy = \"http://ADDRESS\" }\n",
    );
    assert_snapshot!(guarded.run(&["mcp", "tools", "web"]), @"
    [stderr]
    Error: MCP server 'web' is disabled: requirements (/etc/codex/requirements.toml): its rule does not allow `http.proxy`, which may start or reach something else (/etc/codex/requirements.toml:3:23)
    [exit 11]
    ");
    assert_snapshot!(guarded.run(&["mcp", "login", "web"]), @"
    [stderr]
    Error: the MCP server is disabled by managed requirements (/etc/codex/requirements.toml)
    hint: its rule does not allow `http.proxy`, which may start or reach something else (/etc/codex/requirements.toml:3:23)
    [exit 1]
    ");
    let listed = guarded.run(&["mcp", "list", "--json"]).success().json();
    assert_snapshot!(listed[0]["problems"], @r#"[{"severity":"error","message":"its rule does not allow `http.proxy`, which may start or reach something else (/etc/codex/requirements.toml:3:23)","file":"/etc/codex/requirements.toml","line":3,"column":23}]"#);
    let enabled = guarded.run(&["mcp", "enable", "web"]);
    assert_snapshot!(enabled, @"
    [stderr]
    Error: MCP server 'web' is disabled by requirements (/etc/codex/requirements.toml).
    hint: its rule does not allow `http.proxy`, which may start or reach something else (/etc/codex/requirements.toml:3:23)
    [exit 1]
    ");
}

#[test]
fn a_word_of_the_administrator_lets_it_run() {
    let rules =
        "[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\nallow = [\"env.NODE_OPTIONS\"]\n";
    let Some(guarded) = Guarded::with(rules) else {
        return;
    };
    guarded.user(
        "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nenv = { NODE_OPTIONS = \"x\" }\nstartup_timeout_sec = 1\n",
    );
    guarded.run(&["mcp", "tools", "docs"]);
    assert!(guarded.mark.exists());
    let checked = guarded.run(&["mcp", "check", "docs"]);
    let policy = checked.stdout.lines().find(|line| line.contains("policy"));
    assert_snapshot!(policy.unwrap_or_default(), @"  ok    policy       allowed by [mcp_server_allowlist.docs] /etc/codex/requirements.toml:1");
}
