//! What stands in the file after a run.

use std::collections::VecDeque;

use codex_api_types::ToolSpec;
use codex_host::Secret;
use codex_protocol::ThreadId;
use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::{CallStatus, PromptItem, Retrying};

/// Gives prepared answers in order.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<Vec<Result<ModelEvent, ModelError>>>>);

impl ModelBackend for Scripted {
    fn stream(&self, _: Prompt, _: RetryBudget, _: CancellationToken) -> ModelStream {
        ModelStream::ready(self.0.lock().unwrap().pop_front().unwrap())
    }
}

struct Run {
    folder: tempfile::TempDir,
    recorder: Recorder,
}

impl Run {
    fn new(answers: Vec<Vec<Result<ModelEvent, ModelError>>>, secrets: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inner = Arc::new(Scripted(Mutex::new(answers.into())));
        let settings = RecordSettings {
            codex: "0.1.0".to_owned(),
            created_at: "2026-11-20T20:55:08Z".parse().unwrap(),
            model: "gpt-5.5".to_owned(),
            provider: "openai".to_owned(),
            redaction: RedactionRules::new(secrets.iter().map(|secret| Secret::new(*secret))),
            cwd: PathBuf::from("/srv/app"),
            home: Some(PathBuf::from("/home/u")),
        };
        let recorder = Recorder::create(&folder.path().join("r.jsonl"), inner, settings).unwrap();
        Self { folder, recorder }
    }

    async fn ask(&self, input: Vec<PromptItem>) -> Vec<Result<ModelEvent, ModelError>> {
        let mut prompt = Prompt::new(ThreadId::generate(), "gpt-5.5", input);
        prompt.tools = Arc::new(vec![ToolSpec::function("run", "", json!({}))]);
        let cancel = CancellationToken::new();
        let mut stream = self.recorder.stream(prompt, RetryBudget::default(), cancel);
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        events
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("r.jsonl")).unwrap()
    }
}

fn user(text: &str) -> PromptItem {
    let part = codex_api_types::ContentItem::input_text(text);
    PromptItem::user(ResponseItem::input_message("user", vec![part]))
}

fn done(item: Value) -> Result<ModelEvent, ModelError> {
    Ok(ModelEvent::ItemDone(ResponseItem::from(item)))
}

fn end() -> Result<ModelEvent, ModelError> {
    Ok(ModelEvent::Completed {
        usage: TokenUsage::default(),
    })
}

fn message(text: &str) -> Value {
    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn call(arguments: &str) -> Value {
    json!({"type": "function_call", "call_id": "call_1", "name": "run", "arguments": arguments})
}

#[tokio::test]
async fn a_run_is_written_with_marks_and_closed_with_a_hash() {
    let run = Run::new(
        vec![
            vec![
                Ok(ModelEvent::Created),
                done(json!({"type": "reasoning", "summary": [], "encrypted_content": "AAAA"})),
                done(call(r#"{"cmd":"ls\n/srv/app/x"}"#)),
                end(),
            ],
            vec![done(message("in /home/u")), end()],
        ],
        &[],
    );
    let mut input = vec![user("look into /srv/app")];
    run.ask(input.clone()).await;
    let output = ResponseItem::function_output("call_1", "/srv/app/x");
    input.push(PromptItem::call(output, CallStatus::Failed));
    run.ask(input).await;
    assert_eq!(run.recorder.finish(), Ok(Vec::new()));
    let file = run.file();
    let (body, last) = file.trim_end().rsplit_once('\n').unwrap();
    assert_snapshot!(body, @r#"
    {"type":"recording","version":1,"codex":"0.1.0","created_at":"2026-11-20T20:55:08Z","model":"gpt-5.5","provider":"openai","redacted":0}
    {"type":"request","seq":1,"new":[{"user":"look into <<cwd>>"}],"calls":["run"]}
    {"type":"response","seq":1,"items":[{"type":"reasoning","summary":[]},{"type":"function_call","call_id":"call_1","name":"run","arguments":"{\"cmd\":\"ls\\n<<cwd>>/x\"}"}],"end":{"completed":{"usage":{"input_tokens":0,"cached_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0}}}}
    {"type":"request","seq":2,"new":[{"call":"call_1","status":"failed","output":"<<cwd>>/x"}],"calls":[]}
    {"type":"response","seq":2,"items":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"in <<home>>"}]}],"end":{"completed":{"usage":{"input_tokens":0,"cached_input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0}}}}
    "#);
    let hash = sha256(format!("{body}\n").as_bytes());
    assert_eq!(
        last,
        format!(r#"{{"type":"end","requests":2,"sha256":"{hash}"}}"#)
    );
}

#[tokio::test]
async fn what_was_recorded_is_replayed_in_another_folder() {
    let run = Run::new(
        vec![
            vec![done(call(r#"{"in":"/srv/app"}"#)), end()],
            vec![done(message("done in /srv/app")), end()],
        ],
        &[],
    );
    let output = ResponseItem::function_output("call_1", "x");
    let output = PromptItem::call(output, CallStatus::Completed);
    run.ask(vec![user("go to /srv/app")]).await;
    run.ask(vec![user("go to /srv/app"), output.clone()]).await;
    run.recorder.finish().unwrap();

    let context = crate::ReplayContext {
        cwd: PathBuf::from("/other"),
        home: None,
    };
    let replay = crate::Replay::open(&run.folder.path().join("r.jsonl"), context).unwrap();
    assert_eq!(replay.prompt(), Some("go to /other"));
    let mut answers = Vec::new();
    for input in [
        vec![user("go to /other")],
        vec![user("go to /other"), output],
    ] {
        let mut prompt = Prompt::new(ThreadId::generate(), "gpt-5.5", input);
        prompt.tools = Arc::new(vec![ToolSpec::function("run", "", json!({}))]);
        let cancel = CancellationToken::new();
        let mut stream = replay.stream(prompt, RetryBudget::default(), cancel);
        while let Some(event) = stream.next().await {
            if let ModelEvent::ItemDone(item) = event.unwrap() {
                answers.push(serde_json::to_value(item).unwrap());
            }
        }
    }
    assert_eq!(
        answers,
        [call(r#"{"in":"/other"}"#), message("done in /other")]
    );
    assert_eq!(replay.finish(), Ok(Vec::new()));
}

#[tokio::test]
async fn secrets_never_reach_the_file_and_a_changed_call_is_told() {
    let secret = r#"hunter2"hunter2"#;
    let arguments = json!({"password": secret}).to_string();
    let run = Run::new(vec![vec![done(call(&arguments)), end()]], &[secret]);
    run.ask(vec![user(&format!(
        "use {secret} and sk-abcdefghijklmnopqrstuvwx"
    ))])
    .await;
    let before = run.file();
    assert!(
        !before.contains("hunter2"),
        "not even before the end: {before}"
    );
    assert_eq!(
        run.recorder.finish(),
        Ok(vec![
            "3 values were redacted in the recording; a replay runs call call_1 with the redacted text"
                .to_owned()
        ])
    );
    let file = run.file();
    assert!(file.contains(r#""redacted":3}"#), "{file}");
    assert!(file.contains(r#"{"user":"use ***** and *****"}"#), "{file}");
    assert!(
        file.contains(r#""arguments":"{\"password\":\"*****\"}""#),
        "{file}"
    );
}

#[tokio::test]
async fn an_answer_that_broke_without_a_call_is_one_with_the_next() {
    let broke = Ok(ModelEvent::Interrupted(RetryBudget::default()));
    let run = Run::new(
        vec![
            vec![done(message("a")), broke],
            vec![done(message("b")), end()],
        ],
        &[],
    );
    run.ask(vec![user("go")]).await;
    run.ask(vec![
        user("go"),
        PromptItem::model(ResponseItem::from(message("a"))),
    ])
    .await;
    run.recorder.finish().unwrap();
    let file = run.file();
    assert_eq!(file.matches(r#""type":"request""#).count(), 1, "{file}");
    assert!(file.contains(r#""new":[{"user":"go"}]"#), "{file}");
    assert!(
        file.find(r#""text":"a""#) < file.find(r#""text":"b""#),
        "{file}"
    );
}

#[tokio::test]
async fn an_answer_that_broke_after_a_call_is_complete_in_the_file() {
    let broke = Ok(ModelEvent::Interrupted(RetryBudget::default()));
    let run = Run::new(
        vec![
            vec![done(call("{}")), broke],
            vec![done(message("b")), end()],
        ],
        &[],
    );
    run.ask(vec![user("go")]).await;
    let output = ResponseItem::function_output("call_1", "ok");
    run.ask(vec![
        user("go"),
        PromptItem::call(output, CallStatus::Completed),
    ])
    .await;
    run.recorder.finish().unwrap();
    assert_eq!(run.file().matches(r#""end":{"completed""#).count(), 2);
}

#[tokio::test]
async fn failures_are_recorded_and_retries_are_not() {
    let retrying = Ok(ModelEvent::Retrying(Retrying {
        attempt: 1,
        max: Some(4),
        why: "boom".to_owned(),
        after: std::time::Duration::ZERO,
    }));
    let error = ModelError::new(
        ErrorOrigin::Refused(500),
        TurnErrorKind::TooManyFailedAttempts { status: Some(500) },
        "boom (HTTP 500)",
    );
    let run = Run::new(vec![vec![retrying, Err(error.clone())]], &[]);
    let events = run.ask(vec![user("go")]).await;
    assert_eq!(events.last(), Some(&Err(error)));
    run.recorder.finish().unwrap();
    let file = run.file();
    assert!(
        file.contains(r#""items":[],"end":{"failed":{"message":"boom (HTTP 500)","code":"too_many_failed_attempts"}}}"#),
        "{file}"
    );
    assert!(!file.contains("Reconnecting"), "{file}");
}

#[tokio::test]
async fn a_cancelled_answer_leaves_no_line() {
    let run = Run::new(
        vec![vec![done(message("a")), Err(ModelError::cancelled())]],
        &[],
    );
    run.ask(vec![user("go")]).await;
    run.recorder.finish().unwrap();
    assert!(
        run.file().contains(r#"{"type":"end","requests":0,"#),
        "{}",
        run.file()
    );
}

#[test]
fn a_file_that_exists_is_never_overwritten() {
    let run = Run::new(Vec::new(), &[]);
    let path = run.folder.path().join("r.jsonl");
    let settings = RecordSettings {
        codex: String::new(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        model: String::new(),
        provider: String::new(),
        redaction: RedactionRules::default(),
        cwd: PathBuf::new(),
        home: None,
    };
    let inner = Arc::new(Scripted(Mutex::default()));
    let error = Recorder::create(&path, inner, settings).unwrap_err();
    assert_eq!(
        error.why,
        "the file exists, and a recording never overwrites one: remove it, or name another file"
    );
    assert!(run.file().contains("gpt-5.5"));
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_a_recording() {
    use std::os::unix::fs::PermissionsExt as _;
    let run = Run::new(Vec::new(), &[]);
    let mode = std::fs::metadata(run.folder.path().join("r.jsonl"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
