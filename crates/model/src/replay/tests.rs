//! A recording answers, and every difference has its sentence.

use std::sync::Arc;

use codex_api_types::{ContentItem, ToolSpec};
use codex_protocol::ThreadId;
use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::{CallStatus, PromptItem};

const FIRST: &str = r#"{"type":"recording","version":1,"codex":"0.1.0","created_at":"2026-11-20T20:55:08Z","model":"gpt-5.5","provider":"openai","redacted":0}"#;
const TURN: &str = r#"{"type":"request","seq":1,"new":[{"user":"count in <<cwd>>"}],"calls":["run"]}
{"type":"response","seq":1,"items":[{"type":"function_call","call_id":"call_1","name":"run","arguments":"{\"in\":\"<<cwd>>\"}"}],"end":{"completed":{"usage":{"input_tokens":5}}}}
{"type":"request","seq":2,"new":[{"call":"call_1","status":"completed","output":"3"}],"calls":[]}
{"type":"response","seq":2,"items":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Three."}]}],"end":{"completed":{"usage":{"output_tokens":2}}}}"#;

fn open(content: &str) -> Result<Replay, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    codex_host::PrivateFile::replace(&path, content.as_bytes()).unwrap();
    let context = ReplayContext {
        cwd: PathBuf::from("/here"),
        home: None,
    };
    Replay::open(&path, context).map_err(|error| error.why)
}

fn turn() -> Replay {
    open(&format!(
        "{FIRST}\n{TURN}\n{{\"type\":\"end\",\"requests\":2}}\n"
    ))
    .unwrap()
}

fn user(text: &str) -> PromptItem {
    PromptItem::user(ResponseItem::input_message(
        "user",
        vec![ContentItem::input_text(text)],
    ))
}

fn output(call: &str, status: CallStatus) -> PromptItem {
    PromptItem::call(ResponseItem::function_output(call, "anything"), status)
}

fn prompt(input: Vec<PromptItem>) -> Prompt {
    let mut prompt = Prompt::new(ThreadId::generate(), "m", input);
    prompt.tools = Arc::new(vec![ToolSpec::function("run", "", json!({}))]);
    prompt
}

async fn ask(replay: &Replay, prompt: Prompt) -> String {
    let mut stream = replay.stream(prompt, RetryBudget::default(), CancellationToken::new());
    let mut last = String::new();
    while let Some(event) = stream.next().await {
        last = match event {
            Ok(ModelEvent::ItemDone(item)) => last + &serde_json::to_string(&item).unwrap(),
            Ok(ModelEvent::Completed { usage }) => {
                format!("{last} {}+{}", usage.input_tokens, usage.output_tokens)
            }
            Ok(ModelEvent::Created) => last,
            Ok(other) => panic!("{other:?}"),
            Err(error) => format!("{} ({:?})", error.message, error.kind),
        };
    }
    last
}

#[tokio::test]
async fn a_recorded_turn_is_answered_with_the_folders_of_this_run() {
    let replay = turn();
    assert_eq!(replay.prompt(), Some("count in /here"));
    assert_eq!((replay.model(), replay.provider()), ("gpt-5.5", "openai"));
    let mut input = vec![user("count in /here")];
    assert_snapshot!(ask(&replay, prompt(input.clone())).await,
        @r#"{"type":"function_call","call_id":"call_1","name":"run","arguments":"{\"in\":\"/here\"}"} 5+0"#);
    input.push(output("call_1", CallStatus::Completed));
    assert_snapshot!(ask(&replay, prompt(input)).await,
        @r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Three."}]} 0+2"#);
    assert_eq!(replay.finish(), Ok(Vec::new()));
}

#[tokio::test]
async fn every_difference_is_named() {
    let first = |replay: &Replay| {
        let prompt = prompt(vec![user("count in /here")]);
        assert!(replay.answer(&prompt).is_ok());
    };
    let second = |items: Vec<PromptItem>| async move {
        let replay = turn();
        first(&replay);
        let mut input = vec![user("count in /here")];
        input.extend(items);
        ask(&replay, prompt(input)).await
    };
    assert_snapshot!(second(vec![output("call_1", CallStatus::Failed)]).await,
        @"replay mismatch at request 2: call_1 failed now, completed when recorded (ReplayMismatch)");
    assert_snapshot!(second(vec![output("call_2", CallStatus::Completed)]).await,
        @"replay mismatch at request 2: output of call_2 now, output of call_1 when recorded (ReplayMismatch)");
    assert_snapshot!(second(vec![]).await,
        @"replay mismatch at request 2: output of call_1 is missing (ReplayMismatch)");
    assert_snapshot!(second(vec![output("call_1", CallStatus::Completed), user("more")]).await,
        @"replay mismatch at request 2: prompt `more` came in addition (ReplayMismatch)");
    assert_snapshot!(ask(&turn(), prompt(vec![user("count in /there")])).await,
        @"replay mismatch at request 1: the prompt is `count in /there` now, `count in /here` when recorded (ReplayMismatch)");
    let without_tools = Prompt::new(ThreadId::generate(), "m", vec![user("count in /here")]);
    assert_snapshot!(ask(&turn(), without_tools).await,
        @"replay mismatch at request 1: tool `run` is not offered now; it may be turned off in `features` (ReplayMismatch)");
}

#[test]
fn a_tool_that_is_missing_is_named_with_its_server() {
    assert_snapshot!(not_offered("mcp__time__get_time"), @"tool `get_time` of MCP server `time` is not offered now; the server must be configured and running as it was when recorded (`codex mcp tools time` shows its tools)");
    assert_snapshot!(not_offered("view_image"), @"tool `view_image` is not offered now; it may be turned off in `features`");
}

#[tokio::test]
async fn a_request_too_many_and_a_response_too_many_are_told() {
    let replay = turn();
    let mut input = vec![user("count in /here")];
    ask(&replay, prompt(input.clone())).await;
    assert_eq!(
        replay.finish().unwrap_err().message,
        "replay ended with 1 unused response"
    );
    input.push(output("call_1", CallStatus::Completed));
    ask(&replay, prompt(input.clone())).await;
    input.push(user("again"));
    assert_snapshot!(ask(&replay, prompt(input)).await,
        @"replay mismatch at request 3: the recording ends after 2 requests (ReplayMismatch)");
    assert_eq!(
        replay.finish(),
        Ok(Vec::new()),
        "the mismatch was told already"
    );
}

#[tokio::test]
async fn a_recorded_failure_fails_again() {
    let replay = open(&format!(
        "{FIRST}\n{}\n{}\n{}\n",
        r#"{"type":"request","seq":1,"new":[{"user":"x"}],"calls":[]}"#,
        r#"{"type":"response","seq":1,"items":[],"end":{"failed":{"message":"too long","code":"context_length_exceeded"}}}"#,
        r#"{"type":"end","requests":1}"#
    ))
    .unwrap();
    assert_eq!(
        ask(&replay, prompt(vec![user("x")])).await,
        "too long (ContextWindowExceeded)"
    );
}

#[test]
fn a_masked_secret_matches_what_stood_there() {
    assert!(matches_masked("use hunter2 now", "use ***** now"));
    assert!(matches_masked("use ***** now", "use ***** now"));
    assert!(matches_masked("a1b2c", "a*****b*****c"));
    assert!(!matches_masked("use hunter2 later", "use ***** now"));
    assert!(!matches_masked("plain", "other"));
    assert!(!matches_masked("plain and more", "plain"));
}

#[test]
fn a_file_that_is_not_whole_is_refused_before_the_run() {
    let why = |content: &str| open(content).unwrap_err();
    let end = r#"{"type":"end","requests":2}"#;
    assert_snapshot!(why(&format!("{FIRST}\n{TURN}\n")),
        @"it has no `end` line: the recording is cut off");
    assert_snapshot!(why(""), @"it has no `end` line: the recording is cut off");
    assert_snapshot!(why(&format!("{TURN}\n{end}")), @"line 1: a `recording` line is expected");
    assert_snapshot!(why(&format!("{FIRST}\nnonsense\n{end}")),
        @"line 2: expected ident at line 1 column 2");
    assert_snapshot!(why(&format!("{}\n{end}", FIRST.replace("\"version\":1", "\"version\":2"))),
        @"line 1: version 2 is not supported, only version 1");
    assert_snapshot!(why(&format!("{FIRST}\n{end}")),
        @"its `end` line speaks of 2 requests, there are 0");
    assert_snapshot!(why(&format!("{FIRST}\n{}\n{end}", TURN.replace("\"seq\":2", "\"seq\":3"))),
        @"line 4: seq 2 is expected");
    assert_snapshot!(why(&format!("{FIRST}\n{TURN}\n{}", r#"{"type":"end","requests":2,"sha256":"00"}"#)),
        @"it was changed after it was recorded (the hash of its `end` line differs); remove `sha256` there to use it as it is");
}

#[test]
fn a_right_hash_is_accepted() {
    let body = format!("{FIRST}\n{TURN}\n");
    let hash = sha256(body.as_bytes());
    let content = format!("{body}{{\"type\":\"end\",\"requests\":2,\"sha256\":\"{hash}\"}}\n");
    assert!(open(&content).is_ok());
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let whole = format!("{FIRST}\n{TURN}\n{{\"type\":\"end\",\"requests\":2}}");
    for length in 0..whole.len() {
        assert!(open(&whole[..length]).is_err(), "cut after {length} bytes");
    }
    assert!(open(&whole).is_ok());
}
