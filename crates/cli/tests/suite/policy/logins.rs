//! Stored logins of servers that may not be reached: deleted here, and nobody is told there.

use codex_test_support::{AuthSettings, CommandOutput, FakeAuth, TestHome, private_etc};
use insta::assert_snapshot;

use crate::mcp_login::log_in;

/// A home with a login at `auth`, made before anybody forbade it.
fn logged_in(auth: &FakeAuth) -> TestHome {
    let home = TestHome::with_config(&format!(
        "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
        auth.mcp_url()
    ));
    log_in(&home, &["mcp", "login", "oa"]);
    home
}

/// Runs a verb; the login must be gone and the server left alone.
#[track_caller]
fn ends_here_only(auth: &FakeAuth, home: &TestHome, args: &[&str]) -> CommandOutput {
    let n_before = auth.journal().len();
    let output = home.codex(args).run().success();
    assert!(!home.codex_home().join(".credentials.json").exists());
    assert_eq!(auth.journal().len(), n_before, "{output}");
    output
}

/// What was said, without the time of the token's end.
fn said(output: &CommandOutput) -> String {
    let told = output.filtered_stderr();
    let lines = told
        .lines()
        .map(|line| line.split("; the token expires at").next());
    let lines: Vec<&str> = lines.flatten().collect();
    format!("{}{}", output.stdout, lines.join("\n"))
}

#[test]
fn a_refused_server_is_logged_out_of_and_removed_without_being_asked() {
    if !private_etc() {
        return;
    }
    let auth = FakeAuth::start(AuthSettings::default());
    for (rules, verb) in [
        ("[mcp_server_allowlist]\n", "logout"),
        ("[mcp_server_allowlist]\n", "remove"),
        ("[mcp_servers\n", "logout"),
        ("[mcp_servers\n", "remove"),
    ] {
        let home = logged_in(&auth);
        home.write_system_file("requirements.toml", rules);
        let output = ends_here_only(&auth, &home, &["mcp", verb, "oa"]);
        let told = "warning: not revoked: the MCP server is disabled by managed requirements (/etc/codex/requirements.toml)";
        assert!(output.stderr.contains(told), "{output}");
    }
}

#[test]
fn an_allowed_server_with_a_way_of_its_own_is_not_asked_either() {
    if !private_etc() {
        return;
    }
    let auth = FakeAuth::start(AuthSettings::default());
    let home = logged_in(&auth);
    let rules = format!("[mcp_server_allowlist.oa]\nurl = \"{}\"\n", auth.mcp_url());
    home.write_system_file("requirements.toml", &rules);
    let proxy = format!(
        "{}http = {{ proxy = \"{}\" }}\n",
        home.config(),
        auth.mcp_url()
    );
    home.write_config(&proxy);
    let output = ends_here_only(&auth, &home, &["mcp", "remove", "oa"]);
    assert_snapshot!(said(&output), @r#"
    Removed global MCP server 'oa'.
    note: removed the stored login
    warning: not revoked: the MCP server is disabled by managed requirements (/etc/codex/requirements.toml)
    note: The keyring was left alone, as `mcp_oauth_credentials_store = "file"` says.
    "#);
}

#[test]
fn a_project_that_is_not_trusted_sends_no_revocation_on_its_way() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = logged_in(&auth);
    let url = auth.mcp_url();
    home.write_file(".git/HEAD", "");
    home.write_file(
        ".codex/config.toml",
        format!("[mcp_servers.oa]\nurl = \"{url}\"\nhttp = {{ proxy = \"{url}\" }}\n"),
    );
    home.write_config("mcp_oauth_credentials_store = \"file\"\n");
    let args = ["mcp", "remove", "oa", "--scope", "project"];
    let output = ends_here_only(&auth, &home, &args);
    assert_snapshot!(said(&output), @r#"
    Removed project MCP server 'oa'.
    note: removed the stored login
    warning: not revoked: MCP server 'oa' is not approved ([CWD]/.codex/config.toml)
    note: The keyring was left alone, as `mcp_oauth_credentials_store = "file"` says.
    "#);
}
