//! `codex exec --explain`: by which rule a call was allowed; approvals by arguments.

use codex_test_support::{
    FakeStdio, MockResponses, TestHome, ev_completed, ev_custom_tool_call, ev_function_call,
    ev_namespaced_call, ev_response_created, sse,
};
use insta::assert_snapshot;

use crate::exec_support::{human, json, mcp_calls, says};

/// A model that runs a command, patches, and calls a tool with these arguments.
fn works(arguments: &str) -> (MockResponses, TestHome) {
    let provider = MockResponses::start();
    let patch = "*** Begin Patch\n*** Add File: new\n+x\n*** End Patch\n";
    provider
        .queue(sse(vec![
            ev_response_created("r"),
            ev_function_call("c1", "exec_command", r#"{"cmd":"true","login":false}"#),
            ev_completed("r"),
        ]))
        .queue(sse(vec![
            ev_response_created("r"),
            ev_custom_tool_call("c2", "apply_patch", patch),
            ev_completed("r"),
        ]))
        .queue(sse(vec![
            ev_response_created("r"),
            ev_namespaced_call("c3", "mcp__test", "write", arguments),
            ev_completed("r"),
        ]))
        .queue(says("done"));
    let server = FakeStdio::new().tools(["write"]).toml("test");
    let home = TestHome::with_provider(
        &provider,
        &format!(
            "sandbox_mode = \"workspace-write\"\n{server}\
             tools.write.approve_when = {{ text = {{ prefix = \"note: \" }} }}\n"
        ),
    );
    (provider, home)
}

#[test]
fn each_allowed_call_names_its_rule_when_that_is_asked_for() {
    const FITS: &str = r#"{"text":"note: x"}"#;
    let (_provider, home) = works(FITS);
    let events = json(&home, &["--explain", "x"])
        .run()
        .success()
        .json_lines();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["item"]["type"] != "agent_message" && event["type"] != "turn.started")
        .map(|event| {
            let id = event["item"]["id"].as_str().or(event["item_id"].as_str());
            let why = event["why"].as_str().unwrap_or_default();
            let words = [event["type"].as_str().unwrap(), id.unwrap_or_default(), why];
            words.join(" ").trim_end().to_owned()
        })
        .collect();
    assert_snapshot!(told.join("\n"), @"
    thread.started
    item.started item_0
    item.allowed item_0 the sandbox confines it
    item.completed item_0
    item.allowed item_1 the sandbox confines it
    item.completed item_1
    item.started item_2
    item.allowed item_2 its arguments fit `approve_when`
    item.completed item_2
    turn.completed
    ");
    let (_provider, home) = works(FITS);
    let quiet = json(&home, &["x"]).run().success().stdout;
    assert!(!quiet.contains("item.allowed"), "{quiet}");
    let (_provider, home) = works(FITS);
    let output = human(&home, &["--explain", "x"]).run();
    let allowed: Vec<_> = output
        .stderr
        .lines()
        .filter(|line| line.starts_with("allowed: "))
        .collect();
    assert_snapshot!(allowed.join("\n"), @"
    allowed: the sandbox confines it
    allowed: the sandbox confines it
    allowed: its arguments fit `approve_when`
    ");
}

#[test]
fn arguments_that_do_not_fit_are_refused_and_named() {
    let (provider, home) = works(r#"{"text":"drop"}"#);
    let output = json(&home, &["--explain", "x"]).run().success();
    let refused = provider.request(3).function_call_output_text("c3").unwrap();
    assert_snapshot!(refused, @"MCP tool call requires approval, but approval policy is never; [mcp_servers.test.tools.write] approve_when does not fit: argument `text` does not begin with `note: `");
    assert_eq!(mcp_calls(&output)[0]["error"]["message"], refused);
    assert_eq!(output.stdout.matches("item.allowed").count(), 2);
}
