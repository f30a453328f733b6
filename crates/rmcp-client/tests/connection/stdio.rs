//! A stdio server's start and end, and what it writes where it should not.

use codex_rmcp_client::{CallError, ClosedReason, ConnectError, Probe};
use codex_test_support::{FakeStdio, Journal, process_lives, wait_until_gone};
use insta::assert_snapshot;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;

/// A journal in a folder of its own.
fn journal() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal.jsonl"));
    (folder, journal)
}

fn assert_nobody_lives(journal: &Journal) {
    let pids = journal.pids();
    assert!(!pids.is_empty(), "the server never started");
    for pid in pids {
        assert!(wait_until_gone(pid, LONG), "process {pid} is left over");
    }
}

#[tokio::test]
async fn a_sound_server_tells_who_it_is_and_answers() {
    let server = FakeStdio::new().name("sound").instructions("be nice");
    let client = connect(&server).await.unwrap();
    let info = client.info();
    assert_eq!(
        (info.name.as_str(), info.protocol_version.as_str()),
        ("sound", "2025-11-25")
    );
    assert_eq!(info.instructions.as_deref(), Some("be nice"));
    let answer = call(&client, "echo", json!({ "text": "hi" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:hi");
    client.shutdown(LONG).await;
    assert_eq!(client.closed().await, ClosedReason::Shutdown);
}

#[tokio::test]
async fn the_handshake_says_who_we_are() {
    let (_folder, journal) = journal();
    let client = connect(&FakeStdio::new().noting_in(&journal))
        .await
        .unwrap();
    let mut initialize = journal.wait_for_method("initialize", LONG);
    assert!(
        initialize["params"]
            .as_object_mut()
            .unwrap()
            .remove("_meta")
            .is_none()
    );
    assert_snapshot!(
        initialize["params"],
        @r#"{"protocolVersion":"2025-11-25","capabilities":{"extensions":{"io.modelcontextprotocol/skills":{}},"elicitation":{"form":{},"url":{}}},"clientInfo":{"name":"codex-mcp-client","title":"Codex","version":"1.2.3"}}"#
    );
    client.shutdown(LONG).await;
    assert_eq!(
        journal.methods()[..2],
        ["initialize", "notifications/initialized"]
    );
}

#[tokio::test]
async fn a_server_that_exits_at_once_shows_its_last_words() {
    let server = FakeStdio::new().stderr("no licence found").exit_at_once(7);
    let error = connect(&server).await.unwrap_err();
    assert_snapshot!(error, @"MCP server `fake` ended before it was ready (exit status 7); its stderr ended with: no licence found");
    assert!(error.is_transient());
}

/// Row 5.command.
#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let endpoint = ServerEndpoint::Stdio(StdioLaunch {
        program: "/nowhere/server".to_owned(),
        args: Vec::new(),
        env: Env::default(),
        cwd: "/".into(),
        sandbox: None,
    });
    let error = connect_with(endpoint, options()).await.unwrap_err();
    assert_snapshot!(error, @"MCP server `fake` could not be started: program not found: `/nowhere/server`");
    assert!(!error.is_transient());
}

/// Row 5.startup_timeout_sec.
#[tokio::test]
async fn a_server_that_hangs_in_initialize_ends_with_the_limit() {
    let (_folder, journal) = journal();
    let server = FakeStdio::new()
        .stderr("warming up")
        .hang_in_initialize()
        .ignore_stdin_end()
        .noting_in(&journal);
    let mut options = options();
    options.startup_timeout = SHORT;
    let error = connect_with(stdio_endpoint(&server), options)
        .await
        .unwrap_err();
    assert_snapshot!(error, @"MCP server `fake` did not answer within 1.5s; its stderr ended with: warming up");
    assert_nobody_lives(&journal);
}

#[tokio::test]
async fn a_cancelled_start_leaves_nothing_behind() {
    let (_folder, journal) = journal();
    let server = FakeStdio::new()
        .hang_in_initialize()
        .ignore_stdin_end()
        .noting_in(&journal);
    let cancel = CancellationToken::new();
    let (sender, _events) = mpsc::channel(1);
    let connecting = McpClient::connect(stdio_endpoint(&server), options(), sender, cancel.clone());
    let wait_then_cancel = async {
        let noted = journal.clone();
        let waited = tokio::task::spawn_blocking(move || {
            noted.wait_for_method("initialize", LONG);
        });
        waited.await.unwrap();
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(connecting, wait_then_cancel);
    assert!(matches!(outcome, Err(ConnectError::Cancelled { .. })));
    assert_nobody_lives(&journal);
}

#[tokio::test]
async fn noise_on_stdout_is_tolerated() {
    let server = FakeStdio::new().stdout_noise();
    let client = connect(&server).await.unwrap();
    assert_eq!(client.list_tools(LONG).await.unwrap().tools.len(), 1);
    let answer = call(&client, "echo", json!({ "text": "hi" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:hi");
}

#[tokio::test]
async fn twenty_megabytes_of_noise_on_one_line_are_skipped() {
    let server = FakeStdio::new().huge_line(20_000_000);
    let client = connect(&server).await.unwrap();
    assert_eq!(client.list_tools(LONG).await.unwrap().tools.len(), 1);
}

#[tokio::test]
async fn an_answer_of_twenty_megabytes_fails_its_call_only() {
    let server = FakeStdio::new().tools(["echo", "big"]);
    let client = connect(&server).await.unwrap();
    let error = call(&client, "big", json!({ "bytes": 20_000_000 })).await;
    let CallError::Transport { why } = error.unwrap_err() else {
        panic!("a failure of the transport");
    };
    assert!(
        why.ends_with("bytes on one line, the limit is 16777216 bytes"),
        "{why}"
    );
    let answer = call(&client, "echo", json!({ "text": "still here" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:still here");
}

#[tokio::test]
async fn an_answer_of_ten_megabytes_arrives() {
    let server = FakeStdio::new().tools(["big"]);
    let client = connect(&server).await.unwrap();
    let answer = call(&client, "big", json!({ "bytes": 10_000_000 })).await;
    assert_eq!(text(&answer.unwrap()).len(), 10_000_000);
}

#[tokio::test]
async fn a_server_that_dies_in_mid_call_fails_the_call_at_once() {
    let server = FakeStdio::new().tools(["die"]).stderr("about to crash");
    let client = connect(&server).await.unwrap();
    let error = call(&client, "die", json!({})).await.unwrap_err();
    let CallError::Closed { reason } = &error else {
        panic!("{error}");
    };
    assert!(
        reason.starts_with("the server ended (exit status "),
        "{reason}"
    );
    assert!(reason.ends_with("about to crash"), "{reason}");
    assert!(matches!(client.closed().await, ClosedReason::Exited { .. }));
    assert!(client.stderr_tail().contains("about to crash"));
    let later = call(&client, "die", json!({})).await;
    assert!(matches!(later, Err(CallError::Closed { .. })));
}

#[tokio::test]
async fn a_stubborn_server_and_its_children_are_killed_within_the_limit() {
    let (_folder, journal) = journal();
    let server = FakeStdio::new()
        .ignore_sigterm()
        .ignore_stdin_end()
        .grandchildren(2)
        .noting_in(&journal);
    let client = connect(&server).await.unwrap();
    assert_eq!(journal.pids().len(), 3);
    client.shutdown(SHORT).await;
    assert_nobody_lives(&journal);
    assert_eq!(journal.events("sigterm").len(), 1);
}

#[tokio::test]
async fn dropping_a_connection_kills_its_processes() {
    let (_folder, journal) = journal();
    let server = FakeStdio::new()
        .ignore_sigterm()
        .ignore_stdin_end()
        .grandchildren(1)
        .noting_in(&journal);
    let client = connect(&server).await.unwrap();
    assert!(journal.pids().into_iter().all(process_lives));
    drop(client);
    assert_nobody_lives(&journal);
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_does_not_hide_the_end() {
    let server = FakeStdio::new().tools(["die"]).grandchildren(1);
    let client = connect(&server).await.unwrap();
    let error = call(&client, "die", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::Closed { .. }));
}

#[tokio::test]
async fn an_unknown_revision_is_refused_and_the_server_stopped() {
    let (_folder, journal) = journal();
    let server = FakeStdio::new()
        .protocol_version("2099-01-01")
        .noting_in(&journal);
    let error = connect(&server).await.unwrap_err();
    assert_snapshot!(error, @"MCP server `fake` speaks protocol `2099-01-01`, which this client does not know");
    assert_nobody_lives(&journal);
}

#[tokio::test]
async fn older_revisions_are_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18"] {
        let client = connect(&FakeStdio::new().protocol_version(version))
            .await
            .unwrap();
        assert_eq!(client.info().protocol_version, version);
        let answer = call(&client, "echo", json!({ "text": version })).await;
        assert_eq!(text(&answer.unwrap()), format!("ECHO:{version}"));
    }
}

#[tokio::test]
async fn the_probe_finds_a_server_without_a_handshake() {
    let server = FakeStdio::new()
        .era(codex_test_support::Era::Modern)
        .name("modern");
    let mut options = options();
    options.probe = Probe::Modern;
    let (client, _) = connect_with(stdio_endpoint(&server), options)
        .await
        .unwrap();
    assert_eq!(client.info().protocol_version, "2026-07-28");
    let answer = call(&client, "echo", json!({ "text": "hi" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:hi");
}

#[tokio::test]
async fn a_server_that_ends_on_the_probe_is_started_again() {
    for server in [
        FakeStdio::new().exit_on("server/discover"),
        FakeStdio::new().silent_on("server/discover"),
        FakeStdio::new(),
    ] {
        let mut options = options();
        options.probe = Probe::Modern;
        options.startup_timeout = 3 * SHORT;
        let (client, _) = connect_with(stdio_endpoint(&server), options)
            .await
            .unwrap();
        assert_eq!(client.info().protocol_version, "2025-11-25");
    }
}
