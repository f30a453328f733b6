//! `codex exec` with MCP servers: calls, approvals, servers that fail or are late.

use codex_test_support::{
    FakeHttp, FakeStdio, Gate, Journal, MockResponses, Reply, TestHome, ev_completed,
    ev_function_call, ev_namespaced_call, ev_response_created, sse,
};
use insta::assert_snapshot;
use serde_json::json;

use crate::exec_support::{LIMIT, calls, human, json, mcp_calls, notices, says, types};

/// A provider that lets `calls` happen and then says `done`, and a home with these servers.
fn scripted(first: Reply, config: &str) -> (MockResponses, TestHome) {
    let provider = MockResponses::start();
    provider.queue(first).queue(says("done"));
    let home = TestHome::with_provider(&provider, config);
    (provider, home)
}

#[test]
fn a_call_by_namespace_is_one_item_and_its_output_goes_back() {
    let server = FakeStdio::new().toml("test");
    let (provider, home) = scripted(calls("test", "echo", r#"{"text":"x"}"#), &server);
    let output = json(&home, &["call it"]).run();
    assert_snapshot!(output, @r#"
    {"type":"thread.started","thread_id":"[UUID]"}
    {"type":"turn.started"}
    {"type":"item.started","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":{"text":"x"},"result":null,"error":null,"status":"in_progress"}}
    {"type":"item.completed","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":{"text":"x"},"result":{"content":[{"type":"text","text":"ECHO:x"}],"structured_content":{"echo":"x"}},"error":null,"status":"completed"}}
    {"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"done"}}
    {"type":"turn.completed","usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0}}
    [exit 0]
    "#);
    assert!(
        provider
            .request(0)
            .tool_names()
            .contains(&"mcp__test.echo".to_owned())
    );
    let sent = provider
        .request(1)
        .function_call_output_text("call_1")
        .unwrap_or_default();
    assert!(sent.contains("ECHO:x"), "{sent}");
}

#[test]
fn a_call_by_flat_name_reaches_the_same_tool() {
    let flat = sse(vec![
        ev_response_created("r"),
        ev_function_call("call_1", "mcp__test__echo", r#"{"text":"x"}"#),
        ev_completed("r"),
    ]);
    let (_provider, home) = scripted(flat, &FakeStdio::new().toml("test"));
    let calls = mcp_calls(&json(&home, &["call it"]).run().success());
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["tool"], "echo");
    assert_eq!(calls[0]["status"], "completed");
}

#[test]
fn a_server_over_http_is_called_too() {
    let server = FakeHttp::new().start();
    let (_provider, home) = scripted(calls("web", "echo", r#"{"text":"x"}"#), &server.toml("web"));
    let calls = mcp_calls(&json(&home, &["call it"]).run().success());
    assert_eq!(
        calls[0]["result"]["content"],
        json!([{"type": "text", "text": "ECHO:x"}])
    );
}

#[test]
fn several_calls_of_one_answer_are_one_item_each_in_order() {
    let call = |n: usize| {
        ev_namespaced_call(
            &format!("c{n}"),
            "mcp__test",
            "echo",
            &format!(r#"{{"text":"{n}"}}"#),
        )
    };
    let mut events = vec![ev_response_created("r")];
    events.extend((0..5).map(call));
    events.push(ev_completed("r"));
    let (provider, home) = scripted(sse(events), &FakeStdio::new().toml("test"));
    let output = json(&home, &["call it"]).run().success();
    assert_eq!(mcp_calls(&output).len(), 5);
    for n in 0..5 {
        let sent = provider
            .request(1)
            .function_call_output_text(&format!("c{n}"));
        assert!(sent.unwrap_or_default().contains(&format!("ECHO:{n}")));
    }
}

#[test]
fn a_tool_that_may_write_is_refused_and_the_refusal_says_how_to_allow_it() {
    let server = FakeStdio::new().tools(["write"]);
    let call = || calls("test", "write", r#"{"text":"x"}"#);
    let (provider, home) = scripted(call(), &server.toml("test"));
    let output = json(&home, &["call it"]).run().success();
    let refused = &mcp_calls(&output)[0];
    assert_eq!(refused["status"], "failed");
    assert_eq!(
        refused["error"]["message"],
        "MCP tool call requires approval, but approval policy is never; to allow it set \
         [mcp_servers.test.tools.write] approval_mode = \"approve\""
    );
    provider.queue(call()).queue(says("done"));
    let allow = "mcp_servers.test.tools.write.approval_mode=\"approve\"";
    let output = json(&home, &["-c", allow, "call it"]).run().success();
    assert_eq!(mcp_calls(&output)[0]["status"], "completed", "{output}");
    provider.queue(call()).queue(says("done"));
    let bypass = "--dangerously-bypass-approvals-and-sandbox";
    let output = json(&home, &[bypass, "call it"]).run().success();
    assert_eq!(mcp_calls(&output)[0]["status"], "completed", "{output}");
}

#[test]
fn every_approval_policy_is_read_and_none_is_asked() {
    let rows = [
        (r#""untrusted""#, 0),
        (r#""on-failure""#, 0),
        (r#""on-request""#, 0),
        (
            "{granular = {mcp_elicitations = true, sandbox_approval = true}}",
            1,
        ),
    ];
    for (policy, n_notices) in rows {
        let server = FakeStdio::new().tools(["write"]).toml("test");
        let (_provider, home) = scripted(calls("test", "write", r#"{"text":"x"}"#), &server);
        let policy = format!("approval_policy={policy}");
        let output = json(&home, &["-c", &policy, "call it"]).run().success();
        let message = mcp_calls(&output)[0]["error"]["message"].to_string();
        assert!(message.contains("approval policy is never"), "{output}");
        assert_eq!(notices(&output).len(), n_notices, "{output}");
    }
}

#[test]
fn a_tool_that_fails_keeps_its_words() {
    let server = FakeStdio::new().tools(["fail"]).toml("test");
    let config = format!("{server}default_tools_approval_mode = \"approve\"\n");
    let (_provider, home) = scripted(calls("test", "fail", r#"{"text":"no disk"}"#), &config);
    let call = mcp_calls(&json(&home, &["call it"]).run().success()).remove(0);
    assert_eq!(call["status"], "failed");
    assert_eq!(call["error"], json!(null));
    assert_eq!(call["result"]["content"][0]["text"], "no disk");
}

#[test]
fn unknown_tools_and_malformed_arguments_are_items_that_failed() {
    let both = sse(vec![
        ev_response_created("r"),
        ev_function_call("c1", "no_such_function", "{}"),
        ev_namespaced_call("c2", "mcp__test", "echo", "{not json"),
        ev_completed("r"),
    ]);
    let (provider, home) = scripted(both, &FakeStdio::new().toml("test"));
    let output = json(&home, &["call it"]).run().success();
    let items = mcp_calls(&output);
    assert_eq!(items.len(), 2, "{output}");
    let message = |item: &serde_json::Value| {
        assert_eq!(item["status"], "failed");
        item["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        (items[0]["server"].as_str(), items[0]["tool"].as_str()),
        (Some("codex"), Some("no_such_function"))
    );
    assert!(message(&items[0]).starts_with("unsupported call: no_such_function"));
    assert_eq!(items[1]["arguments"], "{not json");
    assert!(message(&items[1]).starts_with("failed to parse function arguments: "));
    for id in ["c1", "c2"] {
        assert!(provider.request(1).function_call_output(id).is_some());
    }
}

#[test]
fn a_call_over_its_limit_fails_and_the_server_stays_usable() {
    let server = FakeStdio::new().tools(["echo", "slow"]).toml("test");
    let config = format!("{server}tool_timeout_sec = 1.5\n");
    let provider = MockResponses::start();
    provider
        .queue(calls("test", "slow", "{}"))
        .queue(calls("test", "echo", r#"{"text":"still here"}"#))
        .queue(says("done"));
    let home = TestHome::with_provider(&provider, &config);
    let items = mcp_calls(&json(&home, &["call it"]).run().success());
    assert_eq!(items[0]["status"], "failed");
    let why = items[0]["error"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("timed out after 1.5s"), "{why}");
    assert_eq!(items[1]["status"], "completed");
}

#[test]
fn an_optional_server_that_fails_is_a_notice_and_the_run_goes_on() {
    let config = "[mcp_servers.gone]\ncommand = \"/no/such/program\"\n";
    let provider = MockResponses::start();
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, config);
    let output = json(&home, &["hi"]).run().success();
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].starts_with("MCP server `gone` failed to start: "),
        "{told:?}"
    );
}

/// Rows 7.required, 7.views.
#[test]
fn a_required_server_that_cannot_be_read_stops_the_run_and_another_is_a_notice() {
    let broken = "[mcp_servers.x]\ncommand = 3\n";
    let (provider, home) = scripted(says("done"), &format!("{broken}required = true\n"));
    let output = json(&home, &["hi"]).run();
    assert_eq!(output.exit(), Some(1), "{output}");
    let expected = "failed to initialize: x: invalid type: integer `3`, expected a string";
    assert!(output.stdout.contains(expected), "{output}");
    assert_eq!(provider.requests().len(), 0);

    let (_provider, home) = scripted(says("done"), broken);
    let told = notices(&json(&home, &["hi"]).run().success());
    let told: Vec<_> = told
        .iter()
        .filter(|text| text.contains("mcp_servers.x"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

/// Row 5.required.
#[test]
fn a_required_server_that_fails_stops_the_run_before_any_request_and_any_file() {
    let config = "[mcp_servers.gone]\ncommand = \"/no/such/program\"\nrequired = true\n";
    let provider = MockResponses::start();
    let home = TestHome::with_provider(&provider, config);
    let output = json(&home, &["hi"]).run();
    assert_eq!(output.exit(), Some(1));
    assert_eq!(types(&output), ["error"]);
    let message = output.json_lines()[0]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        message.starts_with("required MCP servers failed to initialize: gone: "),
        "{message}"
    );
    assert!(
        output.stderr.starts_with(&format!("Error: {message}\n")),
        "{output}"
    );
    assert!(provider.requests().is_empty());
    assert!(!home.codex_home().join("sessions").exists());
}

#[test]
fn an_optional_server_that_is_late_is_waited_for() {
    let (provider, home) = scripted(calls("late", "echo", r#"{"text":"x"}"#), "");
    let server = FakeStdio::new().start_when(home.cwd().join("go"));
    home.write_config(&format!("{}{}", home.config(), server.toml("late")));
    let running = json(&home, &["call it"]).spawn();
    running.wait_for_stdout("Waiting for MCP servers");
    assert!(provider.requests().is_empty());
    home.write_file("go", "");
    let output = running.wait();
    assert_eq!(output.exit(), Some(0), "{output}");
    assert_eq!(
        notices(&output),
        ["Waiting for MCP servers: late"],
        "{output}"
    );
    assert!(
        provider
            .request(0)
            .tool_names()
            .contains(&"mcp__late.echo".to_owned())
    );
}

/// Row 8.mcp_optional_startup_grace_ms.
#[test]
fn a_server_that_misses_the_grace_joins_a_later_request() {
    let provider = MockResponses::start();
    let home = TestHome::new();
    let journal = Journal::new(home.path().join("journal.jsonl"));
    let late = FakeStdio::new()
        .start_when(home.cwd().join("go"))
        .noting_in(&journal)
        .toml("late");
    let gate = Gate::new();
    provider
        .queue(calls("other", "pause", r#"{"ms":400}"#).hold_until(&gate))
        .queue(says("done"));
    let other = FakeStdio::new().tools(["pause"]).toml("other");
    let url = provider.base_url();
    home.write_config(&format!(
        "openai_base_url = \"{url}\"\nmcp_optional_startup_grace_ms = 300\n\
         {other}required = true\n{late}"
    ));
    let running = json(&home, &["hi"]).env("CODEX_API_KEY", "k").spawn();
    provider.wait_for_requests(1, LIMIT);
    home.write_file("go", "");
    // The pause of the tool that is called now is for the answer alone.
    journal.wait_for_method("tools/list", LIMIT);
    gate.open();
    let output = running.wait();
    assert_eq!(output.exit(), Some(0), "{output}");
    assert_eq!(
        notices(&output),
        ["MCP servers still starting: late; their tools join when they are ready"],
        "{output}"
    );
    assert!(
        !provider
            .request(0)
            .tool_names()
            .contains(&"mcp__late.echo".to_owned())
    );
    assert!(
        provider
            .request(1)
            .tool_names()
            .contains(&"mcp__late.echo".to_owned())
    );
}

#[test]
fn a_server_that_asks_the_user_is_declined_with_a_notice() {
    let server = FakeStdio::new().tools(["elicit"]).toml("test");
    let config = format!("{server}default_tools_approval_mode = \"approve\"\n");
    let (_provider, home) = scripted(
        calls("test", "elicit", r#"{"message":"Your name?"}"#),
        &config,
    );
    let output = json(&home, &["call it"]).run().success();
    assert_eq!(
        notices(&output),
        ["MCP server `test` asked for input (\"Your name?\"); declined, exec cannot ask"]
    );
    assert_eq!(mcp_calls(&output)[0]["status"], "completed", "{output}");
}

#[test]
fn under_bypass_a_form_without_fields_is_accepted_and_another_is_not() {
    let bypass = "--dangerously-bypass-approvals-and-sandbox";
    let answered = |tool: &str, flag: &[&str]| {
        let config = format!(
            "{}default_tools_approval_mode = \"approve\"\n",
            FakeStdio::new().tools([tool]).toml("test")
        );
        let (_provider, home) = scripted(calls("test", tool, r#"{"message":"Sure?"}"#), &config);
        let output = json(&home, &[flag, &["call it"]].concat()).run().success();
        let said = mcp_calls(&output)[0]["result"]["content"][0]["text"].to_string();
        (said.contains("accept"), notices(&output).len())
    };
    assert_eq!(answered("confirm", &[bypass]), (true, 0));
    assert_eq!(answered("elicit", &[bypass]), (false, 1));
    assert_eq!(answered("confirm", &[]), (false, 1));
}

#[test]
fn a_server_that_dies_in_mid_call_is_told_and_started_again() {
    let server = FakeStdio::new().tools(["die", "echo"]).toml("test");
    let config = format!("{server}default_tools_approval_mode = \"approve\"\n");
    let provider = MockResponses::start();
    provider
        .queue(calls("test", "die", "{}"))
        .queue(calls("test", "echo", r#"{"text":"back"}"#))
        .queue(says("done"));
    let home = TestHome::with_provider(&provider, &config);
    let output = json(&home, &["call it"]).run().success();
    let items = mcp_calls(&output);
    assert_eq!(items[0]["status"], "failed", "{output}");
    assert_eq!(items[1]["status"], "completed", "{output}");
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].starts_with("MCP server `test` ended unexpectedly ("),
        "{told:?}"
    );
    assert!(told[0].ends_with("); restarting"), "{told:?}");
}

#[test]
fn a_filter_that_matches_nothing_is_a_notice() {
    let server = FakeStdio::new().toml("test");
    let config = format!("{server}enabled_tools = [\"echo\", \"ehco\"]\n");
    let provider = MockResponses::start();
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, &config);
    let output = json(&home, &["hi"]).run().success();
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(told[0].contains("ehco"), "{told:?}");
}

#[test]
fn people_see_calls_start_and_end() {
    let server = FakeStdio::new().tools(["echo", "fail"]).toml("test");
    let config = format!("{server}default_tools_approval_mode = \"approve\"\n");
    let both = sse(vec![
        ev_response_created("r"),
        ev_namespaced_call("c1", "mcp__test", "echo", r#"{"text":"x"}"#),
        ev_namespaced_call("c2", "mcp__test", "fail", r#"{"text":"no disk"}"#),
        ev_completed("r"),
    ]);
    let (_provider, home) = scripted(both, &config);
    let output = human(&home, &["call it"]).run().success();
    assert_eq!(output.stdout, "done\n");
    for line in [
        "mcp: test/echo started",
        "mcp: test/echo (completed)",
        "mcp: test/fail started",
        "mcp: test/fail (failed): no disk",
    ] {
        assert!(
            output.stderr.lines().any(|told| told == line),
            "{line}\n{output}"
        );
    }
}
