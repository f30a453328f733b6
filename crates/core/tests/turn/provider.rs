//! The engine on the real client of the Responses API.

use codex_test_support::{
    FakeStdio, MockResponses, Reply, UsageCounts, ev_assistant_message, ev_completed,
    ev_completed_with_usage, ev_namespaced_call, ev_response_created, ev_text_delta, sse,
};
use insta::assert_snapshot;

use crate::mcp::stdio;
use crate::support::Room;

#[tokio::test]
async fn a_turn_with_a_call_is_two_requests_and_the_second_begins_with_the_first() {
    let provider = MockResponses::start();
    let usage = UsageCounts {
        input: 100,
        cached: 80,
        output: 7,
        reasoning: 3,
    };
    provider
        .queue(sse(vec![
            ev_response_created("resp_1"),
            ev_namespaced_call("call_1", "mcp__test", "echo", r#"{"text":"x"}"#),
            ev_completed_with_usage("resp_1", usage),
        ]))
        .queue(sse(vec![
            ev_response_created("resp_2"),
            ev_assistant_message("msg_1", "done"),
            ev_completed_with_usage("resp_2", usage),
        ]));
    let mut room = Room::asking(&provider);
    room.server(stdio("test", &FakeStdio::new()));
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("echo").await, @r#"
    turn started
    item_0 started: test/echo {"text":"x"} runs
    item_0 completed: test/echo {"text":"x"} done result=[{"type":"text","text":"ECHO:x"}] structured={"echo":"x"}
    item_1 completed: message "done"
    turn completed: 200 in, 14 out
    "#);
    let (first, second) = (provider.request(0), provider.request(1));
    assert_eq!(second.input()[..3], first.input()[..]);
    assert_eq!(
        first.header("thread-id"),
        Some(thread.handle.id.to_string().as_str())
    );
    assert_eq!(
        first.json()["prompt_cache_key"],
        thread.handle.id.to_string()
    );
    assert_eq!(first.json()["reasoning"]["effort"], "medium");
    let told = second.function_call_output_text("call_1").unwrap();
    assert!(
        told.ends_with("Output:\nECHO:x\n{\"echo\":\"x\"}"),
        "{told}"
    );
}

#[tokio::test]
async fn a_stream_that_is_cut_after_a_call_runs_the_call_once() {
    let provider = MockResponses::start();
    provider
        .queue(
            sse(vec![
                ev_response_created("resp_1"),
                ev_namespaced_call("call_1", "mcp__test", "echo", r#"{"text":"x"}"#),
            ])
            .cut_at_end(),
        )
        .queue(sse(vec![
            ev_assistant_message("msg_1", "done"),
            ev_completed("resp_2"),
        ]));
    let mut room = Room::asking(&provider);
    room.server(stdio("test", &FakeStdio::new()));
    let mut thread = room.start().await;
    let events = thread.turn("echo").await;
    assert_eq!(
        events.matches("test/echo").count(),
        2,
        "one start and one end:\n{events}"
    );
    assert!(events.contains("notice: Reconnecting... 1/5 ("), "{events}");
    assert!(events.contains("message \"done\""), "{events}");
    let second = provider.request(1);
    assert!(
        second
            .function_call_output_text("call_1")
            .unwrap()
            .contains("ECHO:x")
    );
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_the_turns_one_sentence() {
    let provider = MockResponses::start();
    provider.queue(Reply::error(400, "invalid_value", "bad thing"));
    let room = Room::asking(&provider);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @"
    turn started
    turn failed: bad thing (HTTP 400, code invalid_value)
    ");
}

#[tokio::test]
async fn a_long_answer_in_small_deltas_is_one_message() {
    let provider = MockResponses::start();
    let piece = "0123456789abcdef".repeat(4);
    let n_pieces = 5000;
    let mut events = vec![ev_response_created("resp_1")];
    events.extend((0..n_pieces).map(|_| ev_text_delta("msg_1", &piece)));
    events.push(ev_assistant_message("msg_1", &piece.repeat(n_pieces)));
    events.push(ev_completed("resp_1"));
    provider.queue(sse(events));
    let room = Room::asking(&provider);
    let mut thread = room.start().await;
    let events = thread.turn("much").await;
    assert_eq!(
        events.lines().count(),
        3,
        "no event for a delta that nobody asked for"
    );
    assert!(events.len() > 64 * n_pieces);
}
