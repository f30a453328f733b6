//! The lines of the file, to the byte, and what counts as new.

use codex_protocol::ThreadId;
use insta::assert_snapshot;
use serde_json::json;

use super::*;

fn user(parts: Vec<ContentItem>) -> PromptItem {
    PromptItem::user(ResponseItem::input_message("user", parts))
}

fn text(text: &str) -> ContentItem {
    ContentItem::input_text(text)
}

fn output(call: &str, status: CallStatus) -> PromptItem {
    PromptItem::call(ResponseItem::function_output(call, "out"), status)
}

fn model_message() -> PromptItem {
    PromptItem::model(ResponseItem::from(
        json!({"type": "message", "role": "assistant", "content": []}),
    ))
}

fn new_entries(seen: usize, input: Vec<PromptItem>) -> String {
    let prompt = Prompt::new(ThreadId::generate(), "m", input);
    let entries = Seen(seen).new_entries(&prompt);
    serde_json::to_string(&entries).unwrap()
}

#[test]
fn the_lines_of_the_contract_are_read_and_written_to_the_byte() {
    let file = r#"{"type":"recording","version":1,"codex":"0.1.0","created_at":"2026-11-20T20:55:08Z","model":"gpt-5.5","provider":"openai","redacted":0}
{"type":"request","seq":1,"new":[{"user":"How many TOML files are here?"}],"calls":["exec_command"]}
{"type":"response","seq":1,"items":[{"type":"function_call","call_id":"call_1","name":"exec_command","arguments":"{\"cmd\":\"ls *.toml | wc -l\"}"}],"end":{"completed":{"usage":{"input_tokens":100,"cached_input_tokens":0,"output_tokens":7,"reasoning_output_tokens":0}}}}
{"type":"request","seq":2,"new":[{"call":"call_1","status":"completed","output":"3\n"}],"calls":[]}
{"type":"response","seq":2,"items":[],"end":{"failed":{"message":"boom","code":"server_error"}}}
{"type":"end","requests":2}
"#;
    for line in file.split_inclusive('\n') {
        let parsed: Line = serde_json::from_str(line).unwrap();
        assert_eq!(parsed.to_text().unwrap(), line);
    }
}

#[test]
fn context_and_items_of_the_model_are_not_new_entries() {
    let input = vec![
        PromptItem::context(ResponseItem::input_message(
            "developer",
            vec![text("rules")],
        )),
        user(vec![text("do it")]),
        model_message(),
        output("call_1", CallStatus::Completed),
        output("call_2", CallStatus::Failed),
    ];
    assert_snapshot!(new_entries(0, input.clone()),
        @r#"[{"user":"do it"},{"call":"call_1","status":"completed","output":"out"},{"call":"call_2","status":"failed","output":"out"}]"#);
    assert_snapshot!(new_entries(2, input),
        @r#"[{"call":"call_1","status":"completed","output":"out"},{"call":"call_2","status":"failed","output":"out"}]"#);
}

#[test]
fn after_a_compaction_only_the_end_is_new() {
    let input = vec![
        user(vec![text("old")]),
        model_message(),
        user(vec![text("next")]),
    ];
    assert_snapshot!(new_entries(9, input), @r#"[{"user":"next"}]"#);
}

#[test]
fn pictures_are_hashed_by_their_bytes_and_their_labels_are_left_out() {
    let input = vec![user(vec![
        text(r#"<image name=[Image #1] path="a.png">"#),
        ContentItem::input_image("data:image/png;base64,aGVsbG8="),
        text("</image>"),
        text("what is it?"),
    ])];
    // The hash is the one of `hello`.
    assert_snapshot!(new_entries(0, input),
        @r#"[{"user":"what is it?","images":["2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]}]"#);
}

#[test]
fn a_prompt_that_speaks_of_image_tags_keeps_its_words() {
    let input = vec![user(vec![
        text("<image name=x> is a tag"),
        text("</image>"),
    ])];
    assert_snapshot!(new_entries(0, input), @r#"[{"user":"<image name=x> is a tag\n</image>"}]"#);
}

#[test]
fn a_call_has_one_exposed_name_in_every_spelling() {
    let name = |wire: Value| called(&ResponseItem::from(wire));
    let expected = Some("mcp__s__t".to_owned());
    for wire in [
        json!({"type": "function_call", "call_id": "c", "namespace": "mcp__s", "name": "t"}),
        json!({"type": "function_call", "call_id": "c", "name": "mcp__s__t"}),
        json!({"type": "function_call", "call_id": "c", "namespace": "mcp__s", "name": "mcp__s__t"}),
    ] {
        assert_eq!(name(wire), expected);
    }
}

#[test]
fn every_kind_of_failure_survives_the_file_but_for_its_status() {
    for failure in [
        TurnErrorKind::BadRequest,
        TurnErrorKind::ModelNotFound,
        TurnErrorKind::Unauthorized,
        TurnErrorKind::RateLimitExceeded,
        TurnErrorKind::UsageLimitExceeded,
        TurnErrorKind::ServerOverloaded,
        TurnErrorKind::InternalServerError,
        TurnErrorKind::ContextWindowExceeded,
        TurnErrorKind::HttpConnectionFailed { status: None },
        TurnErrorKind::ResponseStreamDisconnected { status: None },
        TurnErrorKind::TooManyFailedAttempts { status: None },
        TurnErrorKind::Other,
    ] {
        assert_eq!(kind(Some(code(failure))), failure);
    }
    assert_eq!(kind(None), TurnErrorKind::Other);
}
