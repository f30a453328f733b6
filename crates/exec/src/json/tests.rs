//! Tables: one event in, its lines out.

use std::path::PathBuf;

use codex_protocol::{
    McpOutcome, McpToolCall, PatchChange, PatchChangeKind, TodoItem, TokenUsage, TurnErrorKind,
};
use insta::assert_snapshot;

use super::*;

fn running() -> JsonLines {
    let mut lines = JsonLines::default();
    lines.event(&EventKind::TurnStarted);
    lines
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn item(id: u64, details: ItemDetails) -> ThreadItem {
    ThreadItem {
        id: ItemId(id),
        details,
    }
}

fn done(lines: &mut JsonLines, id: u64, details: ItemDetails) -> String {
    text(lines.event(&EventKind::ItemCompleted(item(id, details))))
}

fn call(status: ItemStatus) -> McpToolCall {
    McpToolCall {
        server: "test".to_owned(),
        tool: "echo".to_owned(),
        arguments: json!({"text": "x"}),
        result: None,
        error: None,
        status,
    }
}

fn message(text: &str) -> ItemDetails {
    ItemDetails::AgentMessage {
        text: text.to_owned(),
    }
}

fn command(output: &str, exit_code: Option<i32>, status: ItemStatus) -> ItemDetails {
    ItemDetails::CommandExecution(CommandExecution {
        command: "/bin/bash -lc 'echo hi; exit 3'".to_owned(),
        cwd: PathBuf::from("/srv/app"),
        aggregated_output: output.to_owned(),
        exit_code,
        status,
    })
}

#[test]
fn thread_is_named_by_its_uuid() {
    let id = "01a1fabd-271c-7641-9288-7a6c1251e488".parse().unwrap();
    assert_snapshot!(text(JsonLines::default().thread_started(id)), @r#"{"type":"thread.started","thread_id":"01a1fabd-271c-7641-9288-7a6c1251e488"}"#);
}

#[test]
fn turn_start_has_no_other_key() {
    assert_snapshot!(text(JsonLines::default().event(&EventKind::TurnStarted)), @r#"{"type":"turn.started"}"#);
}

#[test]
fn usage_has_five_keys() {
    let usage = TokenUsage {
        input_tokens: 200,
        cached_input_tokens: 80,
        cache_write_input_tokens: 0,
        output_tokens: 14,
        reasoning_output_tokens: 6,
    };
    assert_snapshot!(text(running().event(&EventKind::TurnCompleted { usage })), @r#"{"type":"turn.completed","usage":{"input_tokens":200,"cached_input_tokens":80,"cache_write_input_tokens":0,"output_tokens":14,"reasoning_output_tokens":6}}"#);
}

#[test]
fn failed_turn_tells_the_error_first() {
    let error = TurnError {
        message: "bad thing (HTTP 400)".to_owned(),
        kind: TurnErrorKind::BadRequest,
        hints: vec!["never on this wire".to_owned()],
    };
    assert_snapshot!(text(running().event(&EventKind::TurnFailed(error))), @r#"
    {"type":"error","message":"bad thing (HTTP 400)"}
    {"type":"turn.failed","error":{"message":"bad thing (HTTP 400)"}}
    "#);
}

#[test]
fn failure_without_a_turn_is_one_error_line() {
    assert_snapshot!(text(JsonLines::default().fatal("no such file")), @r#"{"type":"error","message":"no such file"}"#);
}

#[test]
fn messages_and_reasoning_have_only_an_end() {
    let mut lines = running();
    let reasoning = ItemDetails::Reasoning {
        text: "**Plan**\n\nlook first".to_owned(),
    };
    assert_snapshot!(text(lines.event(&EventKind::ItemStarted(item(9, reasoning.clone())))), @"");
    assert_snapshot!(done(&mut lines, 9, reasoning), @r#"{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"**Plan**\n\nlook first"}}"#);
    assert_snapshot!(done(&mut lines, 4, message("Hello")), @r#"{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Hello"}}"#);
}

#[test]
fn mcp_call_starts_and_ends_under_one_name() {
    let mut lines = running();
    let started = ItemDetails::McpToolCall(Box::new(call(ItemStatus::InProgress)));
    assert_snapshot!(text(lines.event(&EventKind::ItemStarted(item(3, started)))), @r#"{"type":"item.started","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":{"text":"x"},"result":null,"error":null,"status":"in_progress"}}"#);
    let ended = ItemDetails::McpToolCall(Box::new(McpToolCall {
        result: Some(McpOutcome {
            content: vec![json!({"type": "text", "text": "ECHO:x"})],
            structured: Some(json!({"echo": "x"})),
            is_error: false,
            meta: None,
        }),
        ..call(ItemStatus::Completed)
    }));
    assert_snapshot!(done(&mut lines, 3, ended), @r#"{"type":"item.completed","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":{"text":"x"},"result":{"content":[{"type":"text","text":"ECHO:x"}],"structured_content":{"echo":"x"}},"error":null,"status":"completed"}}"#);
}

#[test]
fn tool_error_keeps_its_result_and_its_meta() {
    let mut lines = running();
    let details = ItemDetails::McpToolCall(Box::new(McpToolCall {
        result: Some(McpOutcome {
            content: vec![json!({"type": "odd", "z": 1, "a": 2})],
            structured: None,
            is_error: true,
            meta: Some(json!({"k": 1})),
        }),
        ..call(ItemStatus::Failed)
    }));
    lines.event(&EventKind::ItemStarted(item(
        1,
        ItemDetails::McpToolCall(Box::new(call(ItemStatus::InProgress))),
    )));
    assert_snapshot!(done(&mut lines, 1, details), @r#"{"type":"item.completed","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":{"text":"x"},"result":{"content":[{"type":"odd","z":1,"a":2}],"_meta":{"k":1},"structured_content":null},"error":null,"status":"failed"}}"#);
}

#[test]
fn refused_call_gets_the_start_it_never_had() {
    let mut lines = running();
    let details = ItemDetails::McpToolCall(Box::new(McpToolCall {
        arguments: json!("{not json"),
        error: Some("failed to parse function arguments: expected `}`".to_owned()),
        ..call(ItemStatus::Failed)
    }));
    assert_snapshot!(done(&mut lines, 1, details), @r#"
    {"type":"item.started","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":"{not json","result":null,"error":null,"status":"in_progress"}}
    {"type":"item.completed","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":"{not json","result":null,"error":{"message":"failed to parse function arguments: expected `}`"},"status":"failed"}}
    "#);
}

#[test]
fn command_and_patch_are_spelled_as_published() {
    let mut lines = running();
    assert_snapshot!(done(&mut lines, 1, command("hi\n", Some(3), ItemStatus::Failed)), @r#"
    {"type":"item.started","item":{"id":"item_0","type":"command_execution","command":"/bin/bash -lc 'echo hi; exit 3'","aggregated_output":"","exit_code":null,"status":"in_progress"}}
    {"type":"item.completed","item":{"id":"item_0","type":"command_execution","command":"/bin/bash -lc 'echo hi; exit 3'","aggregated_output":"hi\n","exit_code":3,"status":"failed"}}
    "#);
    let patch = |status, error| {
        ItemDetails::FileChange(FileChange {
            changes: vec![PatchChange {
                path: PathBuf::from("/srv/app/new.txt"),
                kind: PatchChangeKind::Add,
                moved_to: None,
                diff: String::new(),
            }],
            status,
            error,
        })
    };
    assert_snapshot!(text(lines.event(&EventKind::ItemStarted(item(2, patch(ItemStatus::InProgress, None))))), @"");
    assert_snapshot!(done(&mut lines, 2, patch(ItemStatus::Completed, None)), @r#"{"type":"item.completed","item":{"id":"item_1","type":"file_change","changes":[{"path":"/srv/app/new.txt","kind":"add"}],"status":"completed"}}"#);
    assert_snapshot!(done(&mut lines, 3, patch(ItemStatus::Failed, Some("no such line".to_owned()))), @r#"{"type":"item.completed","item":{"id":"item_2","type":"file_change","changes":[{"path":"/srv/app/new.txt","kind":"add"}],"status":"failed","error":{"message":"no such line"}}}"#);
}

#[test]
fn plan_is_updated_under_one_name() {
    let mut lines = running();
    let plan = |done| ItemDetails::TodoList {
        items: vec![TodoItem {
            text: "A".to_owned(),
            completed: done,
        }],
    };
    assert_snapshot!(text(lines.event(&EventKind::ItemStarted(item(7, plan(false))))), @r#"{"type":"item.started","item":{"id":"item_0","type":"todo_list","items":[{"text":"A","completed":false}]}}"#);
    assert_snapshot!(text(lines.event(&EventKind::ItemUpdated(item(7, plan(true))))), @r#"{"type":"item.updated","item":{"id":"item_0","type":"todo_list","items":[{"text":"A","completed":true}]}}"#);
    let usage = TokenUsage::default();
    assert_snapshot!(text(lines.event(&EventKind::TurnCompleted { usage })), @r#"
    {"type":"item.completed","item":{"id":"item_0","type":"todo_list","items":[{"text":"A","completed":true}]}}
    {"type":"turn.completed","usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0}}
    "#);
}

#[test]
fn web_search_starts_empty() {
    let mut lines = running();
    let search = ItemDetails::WebSearch(WebSearch {
        query: "rust mcp".to_owned(),
        action: json!({"type": "search", "query": "rust mcp"}),
    });
    assert_snapshot!(done(&mut lines, 1, search), @r#"
    {"type":"item.started","item":{"id":"item_0","type":"web_search","query":"","action":{"type":"other"}}}
    {"type":"item.completed","item":{"id":"item_0","type":"web_search","query":"rust mcp","action":{"type":"search","query":"rust mcp"}}}
    "#);
}

#[test]
fn notices_share_the_numbering() {
    let mut lines = JsonLines::default();
    assert_snapshot!(text(lines.notice("first")), @r#"{"type":"item.completed","item":{"id":"item_0","type":"error","message":"first"}}"#);
    lines.event(&EventKind::TurnStarted);
    assert_snapshot!(done(&mut lines, 0, message("Hello")), @r#"{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Hello"}}"#);
}

#[test]
fn interrupt_completes_what_is_open() {
    let mut lines = running();
    let started = ItemDetails::McpToolCall(Box::new(call(ItemStatus::InProgress)));
    lines.event(&EventKind::ItemStarted(item(3, started)));
    assert_snapshot!(text(lines.event(&EventKind::TurnInterrupted)), @r#"
    {"type":"item.completed","item":{"id":"item_0","type":"mcp_tool_call","server":"test","tool":"echo","arguments":{"text":"x"},"result":null,"error":{"message":"interrupted"},"status":"failed"}}
    {"type":"turn.failed","error":{"message":"interrupted"}}
    "#);
}

#[test]
fn interrupt_before_the_turn_is_an_error_line() {
    assert_snapshot!(text(JsonLines::default().interrupted()), @r#"{"type":"error","message":"interrupted"}"#);
}

#[test]
fn nothing_follows_the_end_of_the_turn() {
    let mut lines = running();
    lines.event(&EventKind::TurnInterrupted);
    let late = [
        lines.event(&EventKind::ItemCompleted(item(1, message("late")))),
        lines.event(&EventKind::TurnInterrupted),
        lines.notice("late"),
        lines.fatal("late"),
    ];
    assert!(late.iter().all(Vec::is_empty));
}

#[test]
fn deltas_are_not_on_this_wire() {
    let mut lines = running();
    let delta = EventKind::AgentMessageDelta {
        item: ItemId(1),
        delta: "x".to_owned(),
    };
    assert!(lines.event(&delta).is_empty());
}

#[test]
fn long_output_loses_its_middle_and_nothing_else() {
    let mut lines = running();
    let output = format!("head{}tail", "\"\n\u{1}ü".repeat(40_000));
    let bytes = lines.event(&EventKind::ItemCompleted(item(
        1,
        command(&output, Some(0), ItemStatus::Completed),
    )));
    let whole = text(bytes);
    let last = whole.lines().last().unwrap();
    assert!(
        last.len() < cut::LINE_LIMIT && last.len() > cut::LINE_LIMIT - 200,
        "{}",
        last.len()
    );
    let value: serde_json::Value = serde_json::from_str(last).unwrap();
    let shown = value["item"]["aggregated_output"].as_str().unwrap();
    assert!(shown.starts_with("head\"") && shown.ends_with("ütail"));
    let (before, rest) = shown.split_once("\n… ").unwrap();
    let (n_omitted, after) = rest.split_once(" bytes omitted …\n").unwrap();
    let n_omitted: usize = n_omitted.parse().unwrap();
    assert_eq!(before.len() + n_omitted + after.len(), output.len());
}

#[test]
fn long_command_line_gives_way_too() {
    let mut lines = running();
    let details = ItemDetails::CommandExecution(CommandExecution {
        command: "x".repeat(100_000),
        cwd: PathBuf::from("/srv/app"),
        aggregated_output: "y".repeat(100_000),
        exit_code: Some(0),
        status: ItemStatus::Completed,
    });
    for one in done(&mut lines, 1, details).lines() {
        assert!(one.len() < cut::LINE_LIMIT, "{}", one.len());
    }
}
