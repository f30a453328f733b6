//! Tables: events in, the text of stderr out.

use std::path::PathBuf;

use codex_protocol::{
    AskForApproval, McpOutcome, PatchChange, SandboxPolicy, TurnErrorKind, WorkspaceWrite,
};
use insta::assert_snapshot;
use serde_json::json;

use super::*;

fn human() -> Human {
    Human::new(Paint::Plain)
}

fn item(id: u64, details: ItemDetails) -> ThreadItem {
    ThreadItem {
        id: ItemId(id),
        details,
    }
}

fn completed(human: &mut Human, details: ItemDetails) -> String {
    human.event(&EventKind::ItemCompleted(item(1, details)))
}

fn message(text: &str) -> ItemDetails {
    ItemDetails::AgentMessage {
        text: text.to_owned(),
    }
}

fn call(status: ItemStatus, error: Option<&str>) -> ItemDetails {
    ItemDetails::McpToolCall(Box::new(McpToolCall {
        server: "test".to_owned(),
        tool: "echo".to_owned(),
        arguments: json!({}),
        result: None,
        error: error.map(str::to_owned),
        status,
    }))
}

#[test]
fn the_banner_tells_what_the_run_may_do() {
    let summary = Summary {
        cwd: PathBuf::from("/w"),
        model: "gpt-5.5".to_owned(),
        provider: "openai".to_owned(),
        approval: AskForApproval::Never,
        sandbox: SandboxPolicy::WorkspaceWrite(WorkspaceWrite::default()),
        reasoning_effort: None,
        reasoning_summary: Some("auto".to_owned()),
    };
    let thread = "01a1fabd-271c-7641-9288-7a6c1251e488".parse().unwrap();
    let banner = human().banner(&summary, thread, "say hi");
    assert_snapshot!(banner.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r"
    Codex vVERSION
    --------
    workdir: /w
    model: gpt-5.5
    provider: openai
    approval: never
    sandbox: workspace-write [workdir, /tmp, $TMPDIR]
    reasoning effort: none
    reasoning summaries: auto
    session id: 01a1fabd-271c-7641-9288-7a6c1251e488
    --------
    user
    say hi
    ");
}

#[test]
fn a_message_is_told_when_something_follows_it() {
    let mut human = human();
    assert_snapshot!(completed(&mut human, message("first")), @"");
    assert_snapshot!(completed(&mut human, message("second")), @r"
    codex
    first
    ");
    let usage = TokenUsage {
        input_tokens: 12_000,
        cached_input_tokens: 2_000,
        output_tokens: 45,
        ..TokenUsage::default()
    };
    assert_snapshot!(human.finish(usage, FinalMessage::Everywhere), @r"
    codex
    second
    tokens used
    10,045
    ");
}

#[test]
fn on_one_terminal_the_final_message_is_left_to_stdout() {
    let mut human = human();
    completed(&mut human, message("answer"));
    assert_snapshot!(human.finish(TokenUsage::default(), FinalMessage::StdoutOnly), @r"
    tokens used
    0
    ");
}

#[test]
fn mcp_calls_have_a_line_for_start_and_end() {
    let mut human = human();
    let started = EventKind::ItemStarted(item(1, call(ItemStatus::InProgress, None)));
    assert_snapshot!(human.event(&started), @"mcp: test/echo started");
    assert_snapshot!(completed(&mut human, call(ItemStatus::Completed, None)), @"mcp: test/echo (completed)");
    assert_snapshot!(completed(&mut human, call(ItemStatus::Failed, Some("timed out after 300s"))), @r"
    mcp: test/echo started
    mcp: test/echo (failed): timed out after 300s
    ");
}

#[test]
fn a_tool_that_failed_is_told_in_its_own_words() {
    let outcome = McpOutcome {
        content: vec![json!({"type": "text", "text": "no such \u{1b}[31mfile"})],
        is_error: true,
        ..McpOutcome::default()
    };
    let mut details = call(ItemStatus::Failed, None);
    if let ItemDetails::McpToolCall(call) = &mut details {
        call.result = Some(outcome);
    }
    assert_snapshot!(completed(&mut human(), details), @r"
    mcp: test/echo started
    mcp: test/echo (failed): no such \x1b[31mfile
    ");
}

#[test]
fn long_output_of_a_command_is_cut() {
    let mut human = human();
    human.cwd = "/w".to_owned();
    let output: String = (1..=23).map(|n| format!("{n}\n")).collect();
    let run = ItemDetails::CommandExecution(CommandExecution {
        command: "seq 23".to_owned(),
        cwd: PathBuf::from("/w"),
        aggregated_output: output,
        exit_code: Some(3),
        status: ItemStatus::Failed,
    });
    let text = completed(&mut human, run);
    assert!(
        text.starts_with("exec\nseq 23 in /w\n exited 3 in 0ms:\n1\n2\n"),
        "{text}"
    );
    assert!(text.ends_with("\n19\n20\n... 3 more lines\n"), "{text}");
}

#[test]
fn a_patch_names_its_files() {
    let change = |path: &str, kind| PatchChange {
        path: PathBuf::from(path),
        kind,
        moved_to: None,
        diff: String::new(),
    };
    let mut moved = change("/w/d", PatchChangeKind::Update);
    moved.moved_to = Some(PathBuf::from("/w/e"));
    let patch = FileChange {
        changes: vec![
            change("/w/a", PatchChangeKind::Add),
            change("/w/b", PatchChangeKind::Update),
            change("/w/c", PatchChangeKind::Delete),
            moved,
        ],
        status: ItemStatus::Completed,
        error: None,
    };
    assert_snapshot!(completed(&mut human(), ItemDetails::FileChange(patch)), @r"
    apply_patch: completed
    A /w/a
    M /w/b
    D /w/c
    M /w/d -> /w/e
    ");
}

#[test]
fn notices_are_warnings_unless_they_bring_their_own_word() {
    assert_snapshot!(human().notice("MCP server `x` failed to start: no"), @"warning: MCP server `x` failed to start: no");
    assert_snapshot!(human().notice("deprecated: a\nb"), @r"
    deprecated: a
    b
    ");
}

#[test]
fn a_failed_turn_ends_with_its_hints() {
    let error = TurnError {
        message: "no API key for provider `openai`".to_owned(),
        kind: TurnErrorKind::Unauthorized,
        hints: vec!["set OPENAI_API_KEY or CODEX_API_KEY to a key of the provider".to_owned()],
    };
    assert_snapshot!(human().event(&EventKind::TurnFailed(error)), @r"
    Error: no API key for provider `openai`
    hint: set OPENAI_API_KEY or CODEX_API_KEY to a key of the provider
    ");
}

#[test]
fn causes_are_indented_and_numbered_when_there_are_two() {
    let one = human().fatal("a", &["b\nc".to_owned()], &[]);
    assert_snapshot!(one, @r"
    Error: a

    Caused by:
        b
        c
    ");
    let two = human().fatal("a", &["b".to_owned(), "c".to_owned()], &[]);
    assert_snapshot!(two, @r"
    Error: a

    Caused by:
        0: b
        1: c
    ");
}

#[test]
fn colours_are_codes_around_the_same_words() {
    let mut human = Human::new(Paint::Colours);
    assert_eq!(human.notice("x"), "\u{1b}[33mwarning: x\u{1b}[0m\n");
}

#[test]
fn thousands_are_separated() {
    let rows = [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (1_234_567, "1,234,567"),
    ];
    for (number, expected) in rows {
        assert_eq!(thousands(number), expected);
    }
}
