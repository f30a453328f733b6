//! Conversations that become too long for the model.

use std::sync::Arc;

use codex_core::Begin;
use codex_model::{
    ErrorOrigin, ModelBackend, ModelError, ModelEvent, RecordSettings, Recorder, RedactionRules,
    Replay, ReplayContext,
};
use codex_protocol::{EventKind, Op, TurnErrorKind};
use insta::assert_snapshot;

use crate::support::{Answer, Room, answer, called, said};

fn too_long() -> Answer {
    Answer::Events(vec![Err(ModelError::new(
        ErrorOrigin::Refused(400),
        TurnErrorKind::ContextWindowExceeded,
        "too long (HTTP 400, code context_length_exceeded)",
    ))])
}

#[tokio::test]
async fn a_refused_conversation_goes_on_from_a_summary_also_after_a_resume() {
    let room = Room::new(vec![
        answer(vec![called("call_1", "nothing", "{}")]),
        too_long(),
        answer(vec![said("the summary")]),
        answer(vec![said("done")]),
        answer(vec![said("later")]),
    ]);
    let mut thread = room.start().await;
    let id = thread.handle.id;
    assert_snapshot!(thread.turn("hi").await, @r#"
    turn started
    item_0 started: codex/nothing {} runs
    item_0 completed: codex/nothing {} failed error=unsupported call: nothing
    notice: the conversation became too long for the model and was replaced by a summary
    item_1 completed: message "done"
    turn completed: 30 in, 6 out
    "#);
    thread.shutdown().await;

    let asked = room.model.asked();
    let (first, summary, next) = (&asked[0].input, &asked[2].input, &asked[3].input);
    assert_eq!(next[..3], first[..], "it begins as a thread does");
    assert_eq!(next.len(), 4);
    assert!(next[3].contains("the summary"), "{}", next[3]);
    assert!(
        summary.last().unwrap().contains("Write a summary"),
        "{summary:?}"
    );
    assert!(
        summary.len() < asked[1].input.len(),
        "the older half is left out"
    );

    let mut resumed = room.begin(Begin::Resume(id)).await.unwrap();
    resumed.turn("more").await;
    let input = &room.model.asked()[4].input;
    assert_eq!(input[..4], next[..]);
    assert!(input[4].contains("done"));
    assert_eq!(input.len(), 6);
}

#[tokio::test]
async fn a_conversation_near_its_limit_is_summarised_before_the_next_request() {
    let mut room = Room::new(vec![
        answer(vec![said("one")]),
        answer(vec![said("the summary")]),
        answer(vec![said("two")]),
    ]);
    room.settings.auto_compact_token_limit = Some(11);
    let mut thread = room.start().await;
    assert!(!thread.turn("first").await.contains("notice"));
    assert_snapshot!(thread.turn("second").await, @r#"
    turn started
    notice: the conversation became too long for the model and was replaced by a summary
    item_1 completed: message "two"
    turn completed: 20 in, 4 out
    "#);
    let asked = room.model.asked();
    let before = asked[0].input.len();
    assert_eq!(asked[1].input[..before], asked[0].input[..]);
    assert_eq!(asked[1].input.len(), before + 3, "answer, prompt, request");
    assert_eq!(asked[1].tools, asked[0].tools);
    assert!(asked[2].input[2].contains("second"), "the prompt stays");
    assert!(asked[2].input[3].contains("the summary"));
    assert!(!asked[2].input.iter().any(|item| item.contains("first")));
}

#[tokio::test]
async fn a_summary_that_does_not_fit_is_asked_of_the_newer_half() {
    let mut room = Room::new(vec![
        answer(vec![said("one")]),
        too_long(),
        answer(vec![said("the summary")]),
        answer(vec![said("two")]),
    ]);
    room.settings.auto_compact_token_limit = Some(11);
    let mut thread = room.start().await;
    thread.turn("first").await;
    let events = thread.turn("second").await;
    assert!(events.contains("message \"two\""), "{events}");
    let asked = room.model.asked();
    assert!(asked[2].input.len() < asked[1].input.len());
}

#[tokio::test]
async fn a_summary_is_recorded_and_replayed_like_every_answer() {
    let mut room = Room::new(vec![
        answer(vec![called("call_1", "nothing", "{}")]),
        answer(vec![said("the summary")]),
        answer(vec![said("done")]),
    ]);
    room.settings.auto_compact_token_limit = Some(11);
    let (file, cwd) = (room.path("recording.jsonl"), room.settings.cwd.clone());
    let settings = RecordSettings {
        codex: "0".to_owned(),
        created_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        model: "gpt-5.5".to_owned(),
        provider: "openai".to_owned(),
        redaction: RedactionRules::default(),
        cwd: cwd.clone(),
        home: None,
    };
    let recorder = Recorder::create(&file, room.model.clone(), settings).unwrap();
    let recorder: Arc<dyn ModelBackend> = Arc::new(recorder);
    room.backend = Some(recorder.clone());
    let recorded = room.start().await.turn("hi").await;
    recorder.finish().unwrap();
    assert!(recorded.contains("was replaced by a summary"), "{recorded}");

    let context = ReplayContext { cwd, home: None };
    let replay: Arc<dyn ModelBackend> = Arc::new(Replay::open(&file, context).unwrap());
    room.backend = Some(replay.clone());
    assert_eq!(room.start().await.turn("hi").await, recorded);
    replay.finish().unwrap();
}

#[tokio::test]
async fn a_limit_that_is_not_passed_changes_nothing() {
    let mut room = Room::new(vec![answer(vec![said("one")]), answer(vec![said("two")])]);
    room.settings.auto_compact_token_limit = Some(12);
    let mut thread = room.start().await;
    thread.turn("first").await;
    assert!(!thread.turn("second").await.contains("notice"));
}

#[tokio::test]
async fn what_does_not_fit_after_one_summary_fails_the_turn() {
    let room = Room::new(vec![
        too_long(),
        answer(vec![said("the summary")]),
        too_long(),
    ]);
    let mut thread = room.start().await;
    thread.say("hi").await;
    let error = loop {
        if let EventKind::TurnFailed(error) = thread.next().await {
            break error;
        }
    };
    assert_eq!(error.kind, TurnErrorKind::ContextWindowExceeded);
    assert_eq!(
        error.hints,
        ["start a new thread, or choose a model with a larger context window"]
    );
    assert_eq!(room.model.n_requests(), 3);
}

#[tokio::test]
async fn a_summary_without_words_fails_the_turn_and_keeps_the_history() {
    let room = Room::new(vec![
        too_long(),
        answer(vec![called("call_1", "nothing", "{}")]),
        answer(vec![said("fine")]),
    ]);
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("hi").await, @"
    turn started
    turn failed: the conversation is too long, and the model gave no summary
    ");
    thread.turn("again").await;
    let asked = room.model.asked();
    assert_eq!(asked[2].input[..3], asked[0].input[..]);
}

#[tokio::test]
async fn an_interrupt_ends_the_wait_for_a_summary() {
    let room = Room::new(vec![
        too_long(),
        Answer::ThenHang(vec![ModelEvent::Created]),
        answer(vec![said("fine")]),
    ]);
    let mut thread = room.start().await;
    thread.say("hi").await;
    while room.model.n_requests() < 2 {
        tokio::task::yield_now().await;
    }
    thread.handle.submit(Op::Interrupt).await.unwrap();
    assert!(thread.until_end().await.ends_with("turn interrupted"));
    thread.turn("again").await;
    let asked = room.model.asked();
    assert_eq!(asked[2].input[..3], asked[0].input[..]);
}
