//! Turns without MCP servers: messages, reasoning, searches, failures, interrupts.

use codex_api_types::{Reasoning, ResponseItem, SummaryPart, WebSearchCall};
use codex_model::{ErrorOrigin, ModelError, ModelEvent, RetryBudget, Retrying};
use codex_protocol::{EventKind, Op, TurnErrorKind, UserInput};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Answer, Room, answer, called, said};

#[tokio::test]
async fn a_text_turn_has_one_message_and_its_usage() {
    let room = Room::new(vec![answer(vec![ModelEvent::Created, said("Hello")])]);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @r#"
    turn started
    item_0 completed: message "Hello"
    turn completed: 10 in, 2 out
    "#);
    assert_eq!(thread.shutdown().await, "");

    let asked = &room.model.asked()[0];
    assert_eq!(asked.tools, "[]");
    assert_eq!(asked.input.len(), 3);
    assert_eq!(
        asked.input[2],
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}"#
    );
    assert!(
        asked.prompt.contains(r#"effort: Some("medium")"#),
        "{}",
        asked.prompt
    );
}

#[tokio::test]
async fn deltas_come_only_to_a_frontend_that_asked_for_them() {
    let deltas = || {
        answer(vec![
            ModelEvent::ReasoningPartAdded,
            ModelEvent::ReasoningDelta("think".to_owned()),
            ModelEvent::ReasoningPartAdded,
            ModelEvent::ReasoningDelta("more".to_owned()),
            ModelEvent::ItemDone(ResponseItem::Reasoning(Reasoning {
                summary: vec![SummaryPart::new("think"), SummaryPart::new("more")],
                ..Reasoning::default()
            })),
            ModelEvent::TextDelta("Hel".to_owned()),
            ModelEvent::TextDelta("lo".to_owned()),
            said("Hello"),
        ])
    };
    let mut room = Room::new(vec![deltas(), deltas()]);
    let mut quiet = room.start().await;
    assert_snapshot!(quiet.turn("hi").await, @r#"
    turn started
    item_0 completed: reasoning "think\n\nmore"
    item_1 completed: message "Hello"
    turn completed: 10 in, 2 out
    "#);
    room.settings.stream_deltas = true;
    let mut lively = room.start().await;
    assert_snapshot!(lively.turn("hi").await, @r#"
    turn started
    item_0 reasoning: "think"
    item_0 reasoning: "\n\n"
    item_0 reasoning: "more"
    item_0 completed: reasoning "think\n\nmore"
    item_1 text: Hel
    item_1 text: lo
    item_1 completed: message "Hello"
    turn completed: 10 in, 2 out
    "#);
}

#[tokio::test]
async fn reasoning_without_a_summary_is_no_item() {
    let silent = ResponseItem::Reasoning(Reasoning {
        encrypted_content: Some("sealed".to_owned()),
        ..Reasoning::default()
    });
    let room = Room::new(vec![answer(vec![
        ModelEvent::ItemDone(silent),
        said("Hello"),
    ])]);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @r#"
    turn started
    item_0 completed: message "Hello"
    turn completed: 10 in, 2 out
    "#);
}

#[tokio::test]
async fn a_search_starts_empty_and_completes_with_its_query() {
    let search = |action| ResponseItem::WebSearchCall(WebSearchCall { action });
    let room = Room::new(vec![answer(vec![
        ModelEvent::ItemAdded(search(None)),
        ModelEvent::ItemDone(search(Some(json!({"type": "search", "query": "rust mcp"})))),
        ModelEvent::ItemDone(search(Some(
            json!({"type": "open_page", "url": "https://x.example"}),
        ))),
        said("found"),
    ])]);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("search").await, @r#"
    turn started
    item_0 started: search "" {"type":"other"}
    item_0 completed: search "rust mcp" {"type":"search","query":"rust mcp"}
    item_1 started: search "" {"type":"other"}
    item_1 completed: search "https://x.example" {"type":"open_page","url":"https://x.example"}
    item_2 completed: message "found"
    turn completed: 10 in, 2 out
    "#);
}

#[tokio::test]
async fn a_failure_of_the_model_ends_open_items_and_then_the_turn() {
    let open_search =
        ModelEvent::ItemAdded(ResponseItem::WebSearchCall(WebSearchCall { action: None }));
    let error = ModelError::new(
        ErrorOrigin::Refused(400),
        TurnErrorKind::BadRequest,
        "bad thing (HTTP 400)",
    );
    let room = Room::new(vec![
        Answer::Events(vec![Ok(open_search), Err(error)]),
        answer(vec![said("again")]),
    ]);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @r#"
    turn started
    item_0 started: search "" {"type":"other"}
    item_0 completed: search "" {"type":"other"}
    turn failed: bad thing (HTTP 400)
    "#);
    // The thread itself lives on.
    assert_snapshot!(thread.turn("once more").await, @r#"
    turn started
    item_1 completed: message "again"
    turn completed: 10 in, 2 out
    "#);
}

#[tokio::test]
async fn retries_are_notices_and_void_the_deltas_before_them() {
    let retrying = Retrying {
        attempt: 2,
        max: Some(5),
        why: "stream cut".to_owned(),
        after: std::time::Duration::ZERO,
    };
    let mut room = Room::new(vec![answer(vec![
        ModelEvent::TextDelta("Hal".to_owned()),
        ModelEvent::Retrying(retrying),
        ModelEvent::TextDelta("Hello".to_owned()),
        said("Hello"),
    ])]);
    room.settings.stream_deltas = true;
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @r#"
    turn started
    item_0 text: Hal
    notice: Reconnecting... 2/5 (stream cut)
    item_1 text: Hello
    item_1 completed: message "Hello"
    turn completed: 10 in, 2 out
    "#);
}

#[tokio::test]
async fn items_before_a_break_stay_and_their_calls_run_once() {
    let broken = vec![
        Ok(said("first I look")),
        Ok(called("call_1", "nothing", "{}")),
        Ok(ModelEvent::Interrupted(RetryBudget::default())),
    ];
    let room = Room::new(vec![Answer::Events(broken), answer(vec![said("done")])]);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @r#"
    turn started
    item_0 completed: message "first I look"
    item_1 started: codex/nothing {} runs
    item_1 completed: codex/nothing {} failed error=unsupported call: nothing
    item_2 completed: message "done"
    turn completed: 10 in, 2 out
    "#);
    let asked = room.model.asked();
    assert_eq!(asked[1].input[..3], asked[0].input[..]);
    assert_eq!(
        asked[1].input[3..],
        [
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"first I look"}]}"#,
            r#"{"type":"function_call","call_id":"call_1","name":"nothing","arguments":"{}"}"#,
            r#"{"type":"function_call_output","call_id":"call_1","output":"unsupported call: nothing"}"#,
        ]
    );
}

#[tokio::test]
async fn an_interrupt_ends_the_turn_and_leaves_the_thread() {
    let room = Room::new(vec![
        Answer::ThenHang(vec![said("so far")]),
        answer(vec![said("new")]),
    ]);
    let mut thread = room.start().await;
    thread.say("hi").await;
    while !matches!(thread.next().await, EventKind::ItemCompleted(_)) {}
    thread.handle.submit(Op::Interrupt).await.unwrap();
    assert_eq!(thread.until_end().await, "turn interrupted");
    assert_snapshot!(thread.turn("go on").await, @r#"
    turn started
    item_1 completed: message "new"
    turn completed: 10 in, 2 out
    "#);
    assert!(room.model.asked()[1].input[3].contains("so far"));
}

#[tokio::test]
async fn a_shutdown_in_a_turn_ends_the_turn_first() {
    let room = Room::new(vec![Answer::ThenHang(vec![said("so far")])]);
    let mut thread = room.start().await;
    thread.say("hi").await;
    while !matches!(thread.next().await, EventKind::ItemCompleted(_)) {}
    assert_eq!(thread.shutdown().await, "turn interrupted");
}

#[tokio::test]
async fn a_second_turn_is_not_started_beside_a_running_one() {
    let room = Room::new(vec![Answer::ThenHang(vec![said("so far")])]);
    let mut thread = room.start().await;
    thread.say("hi").await;
    while !matches!(thread.next().await, EventKind::ItemCompleted(_)) {}
    thread.say("me too").await;
    let EventKind::Notice(text) = thread.next().await else {
        panic!("a notice is expected")
    };
    assert_eq!(
        text,
        "a turn is already running; the new one was not started"
    );
}

#[tokio::test]
async fn the_schema_of_a_turn_is_sent_with_its_requests_only() {
    let room = Room::new(vec![answer(vec![said("{}")]), answer(vec![said("free")])]);
    let mut thread = room.start().await;
    let op = Op::UserTurn {
        input: vec![UserInput::Text("hi".to_owned())],
        output_schema: Some(json!({"type": "object"})),
    };
    thread.handle.submit(op).await.unwrap();
    thread.until_end().await;
    thread.turn("now free").await;
    let asked = room.model.asked();
    assert!(
        asked[0].prompt.contains("format: Some("),
        "{}",
        asked[0].prompt
    );
    assert!(
        asked[1].prompt.contains("format: None"),
        "{}",
        asked[1].prompt
    );
}

#[tokio::test]
async fn a_dropped_handle_ends_the_thread() {
    let room = Room::new(Vec::new());
    let thread = room.start().await;
    let sender = thread.handle.sender();
    drop(thread);
    // The sender keeps it alive until it is told to end, and then takes nothing more.
    sender.submit(Op::Shutdown).await.unwrap();
    while sender.submit(Op::Interrupt).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
