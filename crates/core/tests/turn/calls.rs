//! Calls that need no server: the plan, the unknown, the malformed, too many.

use codex_api_types::{CustomToolCall, LocalShellCall, ResponseItem};
use codex_model::ModelEvent;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Room, answer, called, called_in, said};

#[tokio::test]
async fn the_plan_is_one_item_from_the_first_update_to_the_end_of_the_turn() {
    let step = |status: &str| {
        format!(
            r#"{{"plan":[{{"step":"A","status":"{status}"}},{{"step":"B","status":"pending"}}]}}"#
        )
    };
    let mut room = Room::new(vec![
        answer(vec![called("call_1", "update_plan", &step("in_progress"))]),
        answer(vec![
            called("call_2", "update_plan", &step("completed")),
            said("done"),
        ]),
        answer(vec![]),
    ]);
    room.settings.update_plan = true;
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("plan").await, @r#"
    turn started
    item_0 started: todo [ ] A, [ ] B
    item_0 updated: todo [x] A, [ ] B
    item_1 completed: message "done"
    item_0 completed: todo [x] A, [ ] B
    turn completed: 30 in, 6 out
    "#);
    let asked = room.model.asked();
    assert!(
        asked[0]
            .tools
            .starts_with(r#"[{"type":"function","name":"update_plan""#)
    );
    assert_eq!(
        asked[1].input.last().unwrap(),
        r#"{"type":"function_call_output","call_id":"call_1","output":"Plan updated"}"#
    );
}

#[tokio::test]
async fn what_cannot_run_is_one_failed_item_and_one_output_each() {
    let custom = ResponseItem::CustomToolCall(CustomToolCall {
        call_id: "call_3".to_owned(),
        name: "apply_patch".to_owned(),
        input: "*** Begin".to_owned(),
    });
    let shell = ResponseItem::LocalShellCall(LocalShellCall {
        call_id: "call_4".to_owned(),
        action: json!({"type": "exec", "command": ["ls"]}),
    });
    let mut room = Room::new(vec![
        answer(vec![
            called("call_1", "udpate_plan", "{not json"),
            called("call_2", "update_plan", r#"{"plan":3}"#),
            ModelEvent::ItemDone(custom),
            ModelEvent::ItemDone(shell),
            called_in("call_5", "mcp__gone", "tool", "{}"),
        ]),
        answer(vec![said("sorry")]),
    ]);
    room.settings.update_plan = true;
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("try").await, @r#"
    turn started
    item_0 started: codex/udpate_plan "{not json" runs
    item_0 completed: codex/udpate_plan "{not json" failed error=unsupported call: udpate_plan; nearest: update_plan
    item_1 started: codex/update_plan "{\"plan\":3}" runs
    item_1 completed: codex/update_plan "{\"plan\":3}" failed error=failed to parse function arguments: invalid type: integer `3`, expected a sequence at line 1 column 9
    item_2 started: codex/apply_patch "*** Begin" runs
    item_2 completed: codex/apply_patch "*** Begin" failed error=unsupported call: apply_patch
    item_3 started: codex/local_shell_call {"type":"exec","command":["ls"]} runs
    item_3 completed: codex/local_shell_call {"type":"exec","command":["ls"]} failed error=unsupported call: local_shell_call
    item_4 started: codex/mcp__gone__tool {} runs
    item_4 completed: codex/mcp__gone__tool {} failed error=unsupported call: mcp__gone__tool
    item_5 completed: message "sorry"
    turn completed: 20 in, 4 out
    "#);
    let asked = room.model.asked();
    let outputs = &asked[1].input[8..];
    assert_snapshot!(outputs.join("\n"), @r#"
    {"type":"function_call_output","call_id":"call_1","output":"unsupported call: udpate_plan; nearest: update_plan"}
    {"type":"function_call_output","call_id":"call_2","output":"failed to parse function arguments: invalid type: integer `3`, expected a sequence at line 1 column 9"}
    {"type":"custom_tool_call_output","call_id":"call_3","output":"unsupported call: apply_patch"}
    {"type":"function_call_output","call_id":"call_4","output":"unsupported call: local_shell_call"}
    {"type":"function_call_output","call_id":"call_5","output":"unsupported call: mcp__gone__tool"}
    "#);
}

#[tokio::test]
async fn the_128th_call_of_a_response_runs_and_the_129th_fails_the_turn() {
    let calls = |n: usize| {
        (0..n)
            .map(|i| called(&format!("call_{i}"), "nothing", "{}"))
            .collect()
    };
    let room = Room::new(vec![
        answer(calls(128)),
        answer(vec![said("fine")]),
        answer(calls(129)),
        answer(vec![said("still fine")]),
    ]);
    let mut thread = room.start().await;
    let events = thread.turn("many").await;
    assert!(events.ends_with("turn completed: 20 in, 4 out"), "{events}");
    let events = thread.turn("more").await;
    assert!(
        events.ends_with("turn failed: the model made more than 128 calls in one response"),
        "{events}"
    );
    // The history stays whole: each recorded call has its output.
    thread.turn("go on").await;
    let input = &room.model.asked()[3].input;
    let count = |kind: &str| input.iter().filter(|line| line.contains(kind)).count();
    assert_eq!(count(r#""type":"function_call","#), 256);
    assert_eq!(count(r#""type":"function_call_output","#), 256);
}

#[tokio::test]
async fn a_turn_without_an_end_is_ended_after_1000_requests() {
    let room = Room::new(Vec::new());
    room.model
        .say_for_ever(vec![called("call_1", "nothing", "{}")]);
    let mut thread = room.start().await;
    let events = thread.turn("loop").await;
    assert!(
        events.ends_with("turn failed: the turn was ended after 1000 model requests"),
        "{}",
        &events[events.len() - 200..]
    );
    assert_eq!(room.model.n_requests(), 1000);
}

#[tokio::test]
async fn a_turn_that_breaks_is_a_failed_turn_and_the_end_of_the_thread() {
    // Without an answer in its script the model panics.
    let room = Room::new(Vec::new());
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("break").await, @"
    turn started
    turn failed: the turn stopped unexpectedly; resume the thread to go on
    ");
    assert_eq!(thread.next().await, codex_protocol::EventKind::Closed);
}
