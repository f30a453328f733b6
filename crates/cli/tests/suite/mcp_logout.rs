//! `codex mcp logout` where not everything goes well.

use codex_test_support::{AuthFault, AuthSettings, FakeAuth, TestHome};
use insta::assert_snapshot;
use serde_json::Value;

use crate::mcp_login::log_in;

/// A home with a login at `auth`.
fn logged_in(auth: &FakeAuth) -> TestHome {
    let home = TestHome::with_config(&format!(
        "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
        auth.mcp_url()
    ));
    log_in(&home, &["mcp", "login", "oa"]);
    home
}

#[test]
fn a_logout_that_cannot_revoke_says_so_and_deletes_all_the_same() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = logged_in(&auth);
    for _ in 0..2 {
        auth.script("/revoke", AuthFault::Answer(503, Value::Null));
    }
    let output = home.codex(["mcp", "logout", "oa"]).run().success();
    assert_eq!(output.stdout, "Removed OAuth credentials for 'oa'.\n");
    let told = "warning: not revoked: HTTP 503; the token expires at ";
    assert!(output.stderr.starts_with(told), "{output}");
    assert!(!home.codex_home().join(".credentials.json").exists());
    assert_eq!(auth.requests("/revoke").len(), 2, "both tokens are tried");
}

#[test]
fn a_logout_finds_the_login_of_a_server_that_is_gone() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = logged_in(&auth);
    assert_snapshot!(home.codex(["mcp", "remove", "oa", "--keep-credentials"]).run(), @"
    Removed global MCP server 'oa'.
    [exit 0]
    ");
    assert_snapshot!(home.codex(["mcp", "logout", "oa"]).run(), @"
    Removed OAuth credentials for 'oa'.
    [exit 0]
    ");
    assert_snapshot!(home.codex(["mcp", "logout", "oa"]).run(), @"
    [stderr]
    Error: No MCP server named 'oa' found in configuration.
    [exit 1]
    ");
}
