//! MCP servers that nobody here wrote, as a new user meets them: `mcp add`, `tools`, `call`, and
//! turns of `exec` that are scripted, recorded and replayed.
//!
//! The servers are the PyPI time server and the npm reference server over both transports.
//! `cargo xtask test` installs them; without it these tests say that they are left out, and under
//! CI they fail.
#![expect(clippy::expect_used, reason = "a test that cannot prepare stops there")]

use std::net::TcpListener;
use std::time::Duration;

use codex_test_support::{
    CommandOutput, MockResponses, RealParts, RunningCodex, TestHome, ev_assistant_message,
    ev_completed, ev_namespaced_call, ev_response_created, sse,
};
use serde_json::Value;

/// Node and Python start slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `codex` and wants exit code 0.
fn codex<const N: usize>(home: &TestHome, args: [&str; N]) -> CommandOutput {
    home.codex(args).limit(LIMIT).run().success()
}

fn add_time(home: &TestHome, parts: &RealParts) {
    let program = parts.time_server();
    codex(
        home,
        ["mcp", "add", "time", "--", &program.to_string_lossy()],
    );
}

fn add_everything(home: &TestHome, parts: &RealParts) {
    let (node, args) = parts.everything_server("stdio");
    let node = node.to_string_lossy();
    codex(
        home,
        ["mcp", "add", "everything", "--", &node, &args[0], &args[1]],
    );
}

/// Starts the reference server over HTTP, adds it as `web` and returns it running.
fn add_web(home: &TestHome, parts: &RealParts) -> RunningCodex {
    // The server takes a port and does not choose one: this one was free a moment ago.
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = free
        .local_addr()
        .expect("a bound socket has an address")
        .port();
    drop(free);
    let (node, args) = parts.everything_server("streamableHttp");
    let server = home
        .program(node, args)
        .env("PORT", port.to_string())
        .limit(LIMIT)
        .spawn();
    server.wait_for_stderr("listening on port");
    codex(
        home,
        [
            "mcp",
            "add",
            "web",
            "--url",
            &format!("http://127.0.0.1:{port}/mcp"),
        ],
    );
    server
}

/// The result of each MCP call of a turn: server, status, first text.
fn results(output: &CommandOutput) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut results: Vec<_> = output
        .json_lines()
        .iter()
        .filter(|line| line["type"] == "item.completed")
        .map(|line| &line["item"])
        .filter(|item| item["type"] == "mcp_tool_call")
        .map(|item| {
            let said = text(&item["result"]["content"][0]["text"]);
            (text(&item["server"]), text(&item["status"]), said)
        })
        .collect();
    results.sort();
    results
}

/// A provider whose first answer calls a tool of each server.
fn provider_that_calls_all() -> MockResponses {
    let provider = MockResponses::start();
    let noon = r#"{"source_timezone":"Etc/UTC","time":"12:00","target_timezone":"Asia/Tokyo"}"#;
    provider.queue(sse(vec![
        ev_response_created("resp_1"),
        ev_namespaced_call("call_time", "mcp__time", "convert_time", noon),
        ev_namespaced_call(
            "call_echo",
            "mcp__everything",
            "echo",
            r#"{"message":"hi"}"#,
        ),
        ev_namespaced_call("call_sum", "mcp__web", "get_sum", r#"{"a":2,"b":40}"#),
        ev_completed("resp_1"),
    ]));
    provider.queue(sse(vec![
        ev_response_created("resp_2"),
        ev_assistant_message("msg_1", "all three answered"),
        ev_completed("resp_2"),
    ]));
    provider
}

/// Approves every call: what the servers say about their own tools is not what is tested.
const APPROVE: [&str; 6] = [
    "-c",
    "mcp_servers.time.default_tools_approval_mode=\"approve\"",
    "-c",
    "mcp_servers.everything.default_tools_approval_mode=\"approve\"",
    "-c",
    "mcp_servers.web.default_tools_approval_mode=\"approve\"",
];

fn exec(home: &TestHome, more: &[&str]) -> CommandOutput {
    let fixed = ["exec", "--json", "--skip-git-repo-check"];
    home.codex(fixed.iter().chain(&APPROVE).chain(more))
        .limit(LIMIT)
        .run()
}

fn assert_all_answered(output: &CommandOutput) {
    let results = results(output);
    let servers: Vec<(&str, &str)> = results
        .iter()
        .map(|(server, status, _)| (server.as_str(), status.as_str()))
        .collect();
    let expected = [
        ("everything", "completed"),
        ("time", "completed"),
        ("web", "completed"),
    ];
    assert_eq!(servers, expected, "{output}");
    assert_eq!(results[0].2, "Echo: hi");
    assert!(results[1].2.contains("T21:00:00+09:00"), "{}", results[1].2);
    assert!(results[2].2.contains("42"), "{}", results[2].2);
    let last = output.json_lines().pop().unwrap_or_default();
    assert_eq!(last["type"], "turn.completed", "{output}");
}

#[test]
fn the_time_server_is_added_listed_and_called() {
    let Some(parts) = RealParts::find() else {
        return;
    };
    let home = TestHome::new();
    add_time(&home, &parts);
    let tools = codex(&home, ["mcp", "tools", "time"]).stdout;
    assert!(
        tools.contains("get_current_time") && tools.contains("convert_time"),
        "{tools}"
    );
    let zone = "timezone=Europe/Paris";
    let now = codex(
        &home,
        ["mcp", "call", "time", "get_current_time", "-a", zone],
    )
    .stdout;
    assert!(now.contains("Europe/Paris"), "{now}");
}

#[test]
fn the_reference_server_is_called_over_stdio() {
    let Some(parts) = RealParts::find() else {
        return;
    };
    let home = TestHome::new();
    add_everything(&home, &parts);
    let tools = codex(&home, ["mcp", "tools", "everything"]).stdout;
    assert!(tools.contains("get-sum"), "{tools}");
    let sum = codex(
        &home,
        [
            "mcp",
            "call",
            "everything",
            "get-sum",
            "-a",
            "a=2",
            "-a",
            "b=40",
        ],
    );
    assert!(sum.stdout.contains("42"), "{sum}");
}

#[test]
fn the_reference_server_is_called_over_http() {
    let Some(parts) = RealParts::find() else {
        return;
    };
    let home = TestHome::new();
    let _server = add_web(&home, &parts);
    let tools = codex(&home, ["mcp", "tools", "web"]).stdout;
    assert!(tools.contains("get-sum"), "{tools}");
    let echo = codex(
        &home,
        ["mcp", "call", "web", "echo", r#"{"message":"over HTTP"}"#],
    );
    assert!(echo.stdout.contains("Echo: over HTTP"), "{echo}");
}

#[test]
fn real_servers_work_in_a_sandbox_without_network() {
    let Some(parts) = RealParts::find() else {
        return;
    };
    let home = TestHome::new();
    add_time(&home, &parts);
    add_everything(&home, &parts);
    for mode in ["read-only", "workspace-write"] {
        let server = |name: &str| format!("mcp_servers.{name}.sandbox=\"{mode}\"");
        let (time, everything) = (server("time"), server("everything"));
        let call = |words: &[&str]| {
            let fixed = ["-c", &time, "-c", &everything, "mcp", "call"];
            let output = home.codex(fixed.iter().chain(words)).limit(LIMIT).run();
            output.success().stdout
        };
        let now = call(&["time", "get_current_time", "-a", "timezone=Europe/Paris"]);
        assert!(now.contains("Europe/Paris"), "{mode}: {now}");
        let sum = call(&["everything", "get-sum", "-a", "a=2", "-a", "b=40"]);
        assert!(sum.contains("42"), "{mode}: {sum}");
    }
}

#[test]
fn every_real_server_passes_its_check() {
    let Some(parts) = RealParts::find() else {
        return;
    };
    let home = TestHome::new();
    add_time(&home, &parts);
    add_everything(&home, &parts);
    let _server = add_web(&home, &parts);
    let report = codex(&home, ["mcp", "check", "--json"]).json();
    assert_eq!(report["exit_code"], 0, "{report}");
    let servers = report["servers"].as_array().cloned().unwrap_or_default();
    let names: Vec<&Value> = servers.iter().map(|server| &server["name"]).collect();
    assert_eq!(names, ["everything", "time", "web"]);
    for server in &servers {
        let catalog = &server["steps"][6];
        assert_eq!(catalog["id"], "catalog", "{server}");
        assert!(catalog["details"]["tools"].as_u64() > Some(1), "{server}");
        assert_ne!(server["steps"][5]["details"]["server_name"], "", "{server}");
    }
    let connect = &servers[2]["steps"][3];
    let address = connect["details"]["address"].as_str().unwrap_or_default();
    assert!(address.starts_with("127.0.0.1:"), "{connect}");
}

#[test]
fn a_turn_calls_each_server_and_its_recording_replays() {
    let Some(parts) = RealParts::find() else {
        return;
    };
    let provider = provider_that_calls_all();
    let home = TestHome::with_provider(&provider, "");
    add_time(&home, &parts);
    add_everything(&home, &parts);
    let _server = add_web(&home, &parts);
    let recording = home.path().join("turn.jsonl");
    let recording = recording.to_string_lossy();

    let live = exec(&home, &["--record", &recording, "ask all three"]);
    assert_all_answered(&live);
    let last = provider.request(1);
    for call in ["call_time", "call_echo", "call_sum"] {
        let output = last.function_call_output_text(call).unwrap_or_default();
        assert!(output.contains("Output:"), "{call}: {output}");
    }

    let n_requests = provider.requests().len();
    assert_all_answered(&exec(&home, &["--replay", &recording]));
    assert_eq!(
        provider.requests().len(),
        n_requests,
        "a replay asks nobody"
    );
}
