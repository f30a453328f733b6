//! `codex exec` with servers that people log in to: it opens no browser and says what to run.

use std::time::{Duration, Instant};

use codex_test_support::{
    AuthFault, AuthSettings, FakeAuth, Gate, MockResponses, TestHome, process_lives,
};

use crate::exec_support::{calls, human, json, mcp_calls, notices, says, types};
use crate::mcp_login::log_in;

const NOT_LOGGED_IN: &str = "The oa MCP server is not logged in. Run `codex mcp login oa`.";

/// A model that calls the tool and then says `done`, and a home with the server of `auth`.
fn scripted(auth: &FakeAuth, more: &str) -> (MockResponses, TestHome) {
    let provider = MockResponses::start();
    provider
        .queue(calls("oa", "whoami", "{}"))
        .queue(says("done"));
    let url = auth.mcp_url();
    let config = format!(
        "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{url}\"\n{more}"
    );
    let home = TestHome::with_provider(&provider, &config);
    (provider, home)
}

#[test]
fn a_server_without_a_login_is_a_notice_and_its_calls_are_items_with_the_command() {
    let auth = FakeAuth::start(AuthSettings::default());
    let (provider, home) = scripted(&auth, "");
    let output = json(&home, &["hi"]).run().success();
    assert_eq!(notices(&output), [NOT_LOGGED_IN]);
    let call = &mcp_calls(&output)[0];
    assert_eq!(
        (&call["server"], &call["tool"]),
        (&"oa".into(), &"whoami".into())
    );
    assert_eq!(call["status"], "failed");
    assert_eq!(call["error"]["message"], NOT_LOGGED_IN);
    let heard = provider.request(1).function_call_output_text("call_1");
    assert!(heard.unwrap_or_default().contains(NOT_LOGGED_IN));
    // No browser, no registration: nobody asked for a login.
    assert!(auth.requests("/register").is_empty());

    let (_provider, home) = scripted(&auth, "");
    let output = human(&home, &["hi"]).run().success();
    assert!(output.stderr.contains(NOT_LOGGED_IN), "{output}");
}

#[test]
fn a_required_server_without_a_login_fails_the_start_with_the_command() {
    let auth = FakeAuth::start(AuthSettings::default());
    let (provider, home) = scripted(&auth, "required = true\n");
    let output = json(&home, &["hi"]).run();
    assert_eq!(output.exit(), Some(1));
    assert_eq!(types(&output), ["error"]);
    let sentence = format!("required MCP servers failed to initialize: oa: {NOT_LOGGED_IN}");
    assert_eq!(output.json_lines()[0]["message"], sentence);
    assert!(provider.requests().is_empty());
}

#[test]
fn a_call_that_needs_more_scopes_fails_with_the_command_that_asks_for_all_of_them() {
    let auth = FakeAuth::start(AuthSettings {
        call_scope: Some("c".to_owned()),
        ..AuthSettings::default()
    });
    let (provider, home) = scripted(
        &auth,
        "scopes = [\"a\", \"b\"]\ndefault_tools_approval_mode = \"approve\"\n",
    );
    log_in(&home, &["mcp", "login", "oa"]);
    let output = json(&home, &["hi"]).run().success();
    assert_eq!(notices(&output), [] as [&str; 0]);
    assert_eq!(
        mcp_calls(&output)[0]["error"]["message"],
        "MCP server `oa` wants more scopes. Run `codex mcp login oa --scopes a,b,c`."
    );

    // The command heals it.
    log_in(&home, &["mcp", "login", "oa", "--scopes", "a,b,c"]);
    provider
        .queue(calls("oa", "whoami", "{}"))
        .queue(says("done"));
    let output = json(&home, &["hi"]).run().success();
    assert_eq!(mcp_calls(&output)[0]["status"], "completed");
}

#[test]
fn a_login_that_was_refused_for_good_fails_the_start_of_its_server_as_expired() {
    let auth = FakeAuth::start(AuthSettings::default());
    let (_provider, home) = scripted(&auth, "");
    log_in(&home, &["mcp", "login", "oa"]);
    auth.end_access_tokens();
    auth.end_refresh_tokens();
    let output = json(&home, &["hi"]).run().success();
    assert_eq!(
        notices(&output),
        ["The login of the oa MCP server has expired. Run `codex mcp login oa`."]
    );
}

#[test]
fn exec_ends_while_the_token_endpoint_is_slow() {
    let auth = FakeAuth::start(AuthSettings::default());
    let provider = MockResponses::start();
    let may_call = Gate::new();
    provider
        .queue(calls("oa", "whoami", "{}").hold_until(&may_call))
        .queue(says("done"));
    let url = auth.mcp_url();
    let home = TestHome::with_provider(
        &provider,
        &format!(
            "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{url}\"\n\
             tool_timeout_sec = 0.5\ndefault_tools_approval_mode = \"approve\"\n"
        ),
    );
    log_in(&home, &["mcp", "login", "oa"]);
    let running = json(&home, &["hi"]).spawn();
    running.wait_for_stdout("turn.started");
    // The call is refused, its renewal takes longer than the call may take, and the turn is over.
    auth.end_access_tokens();
    let slow = Gate::new();
    auth.script("/token", AuthFault::Hold(slow.clone()));
    may_call.open();
    let seen = running.wait_for_stdout("turn.completed");
    assert!(seen.contains("timed out"), "{seen}");
    // Longer than the servers have for their end.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1500) {
        assert!(process_lives(running.pid()), "it left the renewal behind");
        std::thread::yield_now();
    }
    slow.open();
    assert_eq!(running.wait().exit(), Some(0));
    let stored = std::fs::read_to_string(home.codex_home().join(".credentials.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let record = stored.as_object().unwrap().values().next().unwrap();
    let token = record["refresh_token"].as_str().unwrap();
    assert!(auth.knows(token), "the login is lost");
}
