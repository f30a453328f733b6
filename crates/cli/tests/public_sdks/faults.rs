//! What goes wrong: at the provider, at the start, and by the will of the caller.

use std::time::Duration;

use codex_test_support::{
    FakeStdio, Gate, Journal, Reply, ev_failed, ev_response_created, sse, wait_until_gone,
};
use serde_json::{Value, json};

use crate::room::{Room, error_of, items_of, runs, says, types};

/// So soon after the end of a run nothing of it may be left.
const SOON: Duration = Duration::from_secs(10);

/// Plays a run that must fail; returns its words and how many requests it made.
fn fails(room: &Room) -> (String, usize) {
    let turn = room.run(json!({}));
    (error_of(&turn), room.provider.requests().len())
}

pub(crate) fn a_key_that_is_refused_fails_the_turn(room: &Room) {
    let message = "Incorrect API key provided";
    room.provider
        .queue(Reply::error(401, "invalid_api_key", message));
    let (error, n_requests) = fails(room);
    assert!(error.contains(message), "{error}");
    assert!(error.contains("HTTP 401"), "{error}");
    assert_eq!(n_requests, 1);
}

pub(crate) fn a_request_that_is_refused_fails_with_the_providers_words(room: &Room) {
    room.provider
        .queue(Reply::error(400, "invalid_value", "bad thing"));
    let turn = room.turn(json!({}), json!({"input": "x", "streamed": true}));
    let events = turn["events"].as_array().unwrap();
    assert_eq!(
        types(events),
        ["thread.started", "turn.started", "error", "turn.failed"],
        "{turn}"
    );
    let words = "bad thing (HTTP 400, code invalid_value)";
    assert_eq!(events[2]["message"], words);
    assert_eq!(events[3]["error"]["message"], words);
    // Who reads the stream to its end learns the exit code too.
    assert!(error_of(&turn).contains("code 1"), "{turn}");
}

pub(crate) fn a_rate_limit_is_waited_for(room: &Room) {
    room.provider
        .queue(Reply::error(429, "rate_limit_exceeded", "slow down").retry_after("0"))
        .queue(says("Hello"));
    let turn = room.run(json!({}));
    assert_eq!(turn["final_response"], "Hello", "{turn}");
    let told = items_of(&turn, "error");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.starts_with("Reconnecting... 1/"), "{message}");
}

pub(crate) fn a_quota_that_is_used_up_fails_the_turn(room: &Room) {
    let message = "You exceeded your current quota";
    room.provider
        .queue(Reply::error(429, "insufficient_quota", message));
    let (error, n_requests) = fails(room);
    assert!(error.contains(message), "{error}");
    assert_eq!(n_requests, 1, "waiting does not help");
}

pub(crate) fn a_provider_that_breaks_fails_the_turn_after_its_tries(room: &Room) {
    room.provider
        .otherwise(Reply::error(500, "server_error", "it broke"));
    let (error, n_requests) = fails(room);
    assert!(error.contains("it broke"), "{error}");
    assert_eq!(n_requests, 5);
}

pub(crate) fn a_stream_that_is_cut_is_tried_again(room: &Room) {
    room.provider
        .queue(says("half of an answer").cut_after(120))
        .queue(says("Hello"));
    let turn = room.run(json!({}));
    assert_eq!(turn["final_response"], "Hello", "{turn}");
    assert_eq!(items_of(&turn, "agent_message").len(), 1, "{turn}");
    assert_eq!(items_of(&turn, "error").len(), 1, "{turn}");
}

pub(crate) fn a_response_that_fails_fails_the_turn(room: &Room) {
    room.provider.queue(sse(vec![
        ev_response_created("r"),
        ev_failed("invalid_prompt", "that is not allowed"),
    ]));
    let (error, n_requests) = fails(room);
    assert!(error.contains("that is not allowed"), "{error}");
    assert_eq!(n_requests, 1);
}

pub(crate) fn a_turn_after_a_failed_one_goes_on(room: &Room) {
    room.provider
        .queue(Reply::error(400, "invalid_value", "bad thing"))
        .queue(says("Hello"));
    let played = room.thread(json!({}), json!([{"input": "a"}, {"input": "b"}]));
    assert!(error_of(&played["turns"][0]).contains("bad thing"));
    assert_eq!(played["turns"][1]["final_response"], "Hello", "{played}");
    let users = room.provider.request(1).texts("user");
    for text in ["a", "b"] {
        assert!(users.iter().any(|user| user == text), "{users:?}");
    }
}

pub(crate) fn a_required_server_that_fails_is_an_error(room: &Room) {
    let server = FakeStdio::new().exit_at_once(7).toml("test");
    room.home
        .write_config(&format!("{server}required = true\n"));
    let (error, n_requests) = fails(room);
    assert!(
        error.contains("required MCP servers failed to initialize: test:"),
        "{error}"
    );
    assert_eq!(n_requests, 0);
}

pub(crate) fn an_abort_before_the_start_asks_nobody(room: &Room) {
    let turn = room.turn(json!({}), json!({"input": "x", "abort_at": "start"}));
    assert!(error_of(&turn).contains("abort"), "{turn}");
    assert!(room.provider.requests().is_empty());
}

/// Configures a server that notes its process.
fn noted_server(room: &Room) -> Journal {
    let journal = Journal::new(room.home.path().join("journal.jsonl"));
    let server = FakeStdio::new().noting_in(&journal).toml("test");
    room.home.write_config(&server);
    journal
}

fn assert_gone(room: &Room, pids: &[u32]) {
    assert!(!pids.is_empty(), "nothing was started");
    for pid in pids {
        assert!(wait_until_gone(*pid, SOON), "{:?}: {pid} is left", room.sdk);
    }
}

pub(crate) fn an_abort_ends_the_run_and_its_servers(room: &Room) {
    let journal = noted_server(room);
    let gate = Gate::new();
    room.provider.queue(says("never told").hold_until(&gate));
    let step = json!({"input": "x", "streamed": true, "abort_at": "turn.started"});
    let turn = room.turn(json!({}), step);
    assert!(error_of(&turn).contains("abort"), "{turn}");
    assert_gone(room, &journal.pids());
    gate.open();
}

/// A turn that ends by the will of the caller when its command and a child of it run.
fn with_a_command(room: &Room, end: &str) -> Value {
    let pids = room.home.cwd().join("pids");
    let command = "sleep 300 & echo $! $$ > new; mv new pids; wait";
    room.provider.queue(runs(command));
    let mut step = json!({"input": "x", "streamed": true, "after_file": pids});
    step[end] = json!("item.started command_execution");
    let turn = room.turn(json!({"sandbox_mode": "danger-full-access"}), step);
    let text = std::fs::read_to_string(pids).unwrap();
    let pids = text.split_whitespace().map(|pid| pid.parse().unwrap());
    assert_gone(room, &pids.collect::<Vec<_>>());
    turn
}

pub(crate) fn an_abort_ends_a_running_command(room: &Room) {
    let turn = with_a_command(room, "abort_at");
    assert!(error_of(&turn).contains("abort"), "{turn}");
    assert_eq!(room.provider.requests().len(), 1);
}

pub(crate) fn leaving_the_stream_ends_the_run(room: &Room) {
    let journal = noted_server(room);
    let turn = with_a_command(room, "leave_at");
    assert_eq!(turn["error"], Value::Null, "{turn}");
    assert_gone(room, &journal.pids());
    assert_eq!(room.provider.requests().len(), 1);
}
