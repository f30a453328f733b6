//! The law of the prefix, and what a killed run leaves behind.

use std::path::{Path, PathBuf};

use codex_api_types::FunctionCall;
use codex_host::{AbsPath, CodexHome};
use codex_model::CallStatus;
use codex_protocol::{AskForApproval, SandboxMode, ThreadId};
use codex_rollout::{RolloutReader, RolloutWriter, ThreadMeta, rollout_path};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::*;
use crate::events::EventSink;

struct Room {
    _folder: tempfile::TempDir,
    path: PathBuf,
    events: EventSink,
    heard: mpsc::Receiver<codex_protocol::Event>,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = CodexHome::at(AbsPath::new(folder.path()).unwrap());
        let id = ThreadId::generate();
        let (events, heard) = EventSink::new(id);
        Self {
            path: rollout_path(&home, id, noon()),
            _folder: folder,
            events,
            heard,
        }
    }

    fn new_conversation(&self) -> Conversation {
        Conversation::empty(Journal::planned(
            self.path.clone(),
            meta(),
            self.events.clone(),
        ))
    }

    fn resumed(&self) -> Conversation {
        let recalled = Recalled::new(RolloutReader::read(&self.path).unwrap());
        let writer = RolloutWriter::append_to(&self.path).unwrap();
        Conversation::recalled(recalled, Journal::open_on(writer, self.events.clone()))
    }
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn meta() -> ThreadMeta {
    ThreadMeta {
        version: 1,
        id: ThreadId::generate(),
        created_at: noon().to_string(),
        cwd: PathBuf::from("/srv"),
        originator: "test".to_owned(),
        codex_version: "0".to_owned(),
        source: None,
        model: "m".to_owned(),
        provider: "p".to_owned(),
        forked_from: None,
    }
}

fn settings() -> ThreadSettings {
    ThreadSettings::new("/srv".into(), "m")
}

async fn say(conversation: &mut Conversation, settings: &ThreadSettings, text: &str) {
    let input = vec![UserInput::Text(text.to_owned())];
    conversation
        .begin_turn(settings, || None, noon(), input)
        .await;
}

fn call(call_id: &str) -> ResponseItem {
    ResponseItem::FunctionCall(FunctionCall {
        call_id: call_id.to_owned(),
        name: "f".to_owned(),
        namespace: None,
        arguments: "{\"b\":1.50,\"a\":[]}".to_owned(),
    })
}

fn bytes(input: &[PromptItem]) -> Vec<String> {
    input
        .iter()
        .map(|item| serde_json::to_string(item).unwrap())
        .collect()
}

#[tokio::test]
async fn each_input_begins_with_the_whole_input_before_it_also_after_a_resume() {
    let room = Room::new();
    let mut conversation = room.new_conversation();
    let mut inputs: Vec<Vec<String>> = Vec::new();

    say(&mut conversation, &settings(), "one").await;
    inputs.push(bytes(&conversation.input()));
    conversation.push(PromptItem::model(call("call_1"))).await;
    let odd: serde_json::Value = serde_json::from_str(
        r#"{"type":"hologram","id":"h1","z":1,"a":{"n":1.0,"big":18446744073709551615}}"#,
    )
    .unwrap();
    conversation.push(PromptItem::model(odd.into())).await;
    let output = ResponseItem::function_output("call_1", "grün");
    conversation
        .push(PromptItem::call(output, CallStatus::Completed))
        .await;
    inputs.push(bytes(&conversation.input()));
    conversation.end_turn(TurnEnd::Completed, None).await;

    let mut freed = settings();
    freed.sandbox = SandboxMode::DangerFullAccess;
    freed.approval = AskForApproval::Never;
    say(&mut conversation, &freed, "two").await;
    inputs.push(bytes(&conversation.input()));
    conversation.end_turn(TurnEnd::Completed, None).await;

    let mut conversation = room.resumed();
    inputs.push(bytes(&conversation.input()));
    let mut moved = freed.clone();
    moved.cwd = "/elsewhere".into();
    say(&mut conversation, &moved, "three").await;
    inputs.push(bytes(&conversation.input()));

    for pair in inputs.windows(2) {
        assert_eq!(pair[1][..pair[0].len()], pair[0][..]);
    }
    let lengths: Vec<usize> = inputs.iter().map(Vec::len).collect();
    assert_eq!(lengths, [3, 6, 8, 8, 10]);
}

#[tokio::test]
async fn appending_copies_nothing_once_the_prompt_is_gone() {
    let room = Room::new();
    let mut conversation = room.new_conversation();
    say(&mut conversation, &settings(), "one").await;
    let before = Arc::as_ptr(&conversation.input());
    conversation.push(PromptItem::model(call("call_1"))).await;
    assert_eq!(Arc::as_ptr(&conversation.input()), before);
}

#[tokio::test]
async fn calls_that_a_kill_cut_short_are_answered_once_and_on_disk_too() {
    let room = Room::new();
    let mut conversation = room.new_conversation();
    say(&mut conversation, &settings(), "one").await;
    conversation.push(PromptItem::model(call("call_1"))).await;
    conversation.push(PromptItem::model(call("call_2"))).await;
    let output = ResponseItem::function_output("call_1", "done");
    conversation
        .push(PromptItem::call(output, CallStatus::Completed))
        .await;
    conversation.journal.flush().await;
    drop(conversation);

    let mut resumed = room.resumed();
    let first = bytes(&resumed.input());
    assert_eq!(
        first.last().unwrap(),
        r#"{"type":"function_call_output","call_id":"call_2","output":"aborted"}"#
    );
    say(&mut resumed, &settings(), "two").await;
    let second = bytes(&resumed.input());
    resumed.end_turn(TurnEnd::Completed, None).await;

    assert_eq!(bytes(&room.resumed().input()), second);
    let n_aborted = second
        .iter()
        .filter(|line| line.contains("aborted"))
        .count();
    assert_eq!(n_aborted, 1);
}

#[tokio::test]
async fn a_thread_without_a_turn_leaves_no_file() {
    let room = Room::new();
    drop(room.new_conversation());
    assert!(!room.path.exists());
}

#[tokio::test]
async fn a_disk_that_fails_is_told_once_and_the_conversation_goes_on() {
    let mut room = Room::new();
    let mut journal = Journal::planned(
        Path::new("/dev/null/no/thread.jsonl").to_owned(),
        meta(),
        room.events.clone(),
    );
    journal.open(&[], 0).await;
    let mut conversation = Conversation::empty(journal);
    say(&mut conversation, &settings(), "one").await;
    conversation.end_turn(TurnEnd::Completed, None).await;
    assert_eq!(conversation.input().len(), 3);

    room.heard.close();
    let mut notices = Vec::new();
    while let Some(event) = room.heard.recv().await {
        notices.push(event.kind);
    }
    let [codex_protocol::EventKind::Notice(text)] = &notices[..] else {
        panic!("one notice is expected: {notices:?}");
    };
    assert!(
        text.starts_with("cannot create the thread file `/dev/null/no/thread.jsonl`: "),
        "{text}"
    );
}

#[test]
fn each_picture_has_a_label_and_the_text_comes_last() {
    let item = user_message(vec![
        UserInput::Image {
            path: "/a.png".into(),
            data_url: "data:image/png;base64,AA".to_owned(),
        },
        UserInput::Text("what is it?".to_owned()),
    ]);
    insta::assert_snapshot!(serde_json::to_string(&item).unwrap(), @r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"<image name=[Image #1] path=\"/a.png\">"},{"type":"input_image","image_url":"data:image/png;base64,AA"},{"type":"input_text","text":"</image>"},{"type":"input_text","text":"what is it?"}]}"#);
}
