//! Threads that go on in another process.

use codex_core::{Begin, Storage};
use codex_protocol::ThreadId;
use insta::assert_snapshot;

use crate::support::{Room, answer, called, said};

#[tokio::test]
async fn a_resumed_thread_has_its_id_and_sends_its_history() {
    let room = Room::new(vec![
        answer(vec![called("call_1", "nothing", "{}")]),
        answer(vec![said("one")]),
        answer(vec![said("two")]),
    ]);
    let mut first = room.start().await;
    let id = first.handle.id;
    first.turn("first").await;
    first.shutdown().await;

    let mut second = room.begin(Begin::Resume(id)).await.unwrap();
    assert_eq!(second.handle.id, id);
    assert_snapshot!(second.turn("second").await, @r#"
    turn started
    item_0 completed: message "two"
    turn completed: 10 in, 2 out
    "#);
    let asked = room.model.asked();
    assert_eq!(asked[2].input[..asked[1].input.len()], asked[1].input[..]);
    assert_eq!(asked[2].input.len(), asked[1].input.len() + 2);
}

#[tokio::test]
async fn another_model_than_recorded_is_one_notice() {
    let mut room = Room::new(vec![answer(vec![said("one")]), answer(vec![said("two")])]);
    let mut first = room.start().await;
    let id = first.handle.id;
    first.turn("first").await;
    first.shutdown().await;

    room.settings.model = "gpt-6".to_owned();
    let mut second = room.begin(Begin::Resume(id)).await.unwrap();
    assert_snapshot!(second.turn("second").await, @r#"
    notice: this thread was recorded with the model `gpt-5.5`; it goes on with `gpt-6`
    turn started
    item_0 completed: message "two"
    turn completed: 10 in, 2 out
    "#);
    second.shutdown().await;
    room.script(vec![answer(vec![said("three")])]);
    let mut third = room.begin(Begin::Resume(id)).await.unwrap();
    assert!(third.turn("third").await.starts_with("turn started"));
}

#[tokio::test]
async fn a_damaged_line_of_the_record_is_told_and_the_rest_goes_on() {
    let room = Room::new(vec![answer(vec![said("one")]), answer(vec![said("two")])]);
    let mut first = room.start().await;
    let id = first.handle.id;
    first.turn("first").await;
    first.shutdown().await;
    let path = codex_rollout::find_thread(&room.home(), id).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(br#"{"type":"item","item":{"type":"mess"#);
    std::fs::write(&path, bytes).unwrap();

    let mut second = room.begin(Begin::Resume(id)).await.unwrap();
    assert_snapshot!(second.turn("second").await, @r#"
    notice: 1 line of the recorded thread is damaged and was left out
    turn started
    item_0 completed: message "two"
    turn completed: 10 in, 2 out
    "#);
    let asked = room.model.asked();
    assert_eq!(asked[1].input[..3], asked[0].input[..]);
}

#[tokio::test]
async fn a_fork_copies_the_history_under_a_new_id() {
    let room = Room::new(vec![
        answer(vec![said("one")]),
        answer(vec![said("forked")]),
        answer(vec![said("of the fork")]),
        answer(vec![said("two")]),
    ]);
    let mut first = room.start().await;
    let id = first.handle.id;
    first.turn("first").await;
    first.shutdown().await;

    let mut fork = room.begin(Begin::Fork(id)).await.unwrap();
    let fork_id = fork.handle.id;
    assert_ne!(fork_id, id);
    fork.turn("other way").await;
    fork.shutdown().await;
    let mut again = room.begin(Begin::Resume(fork_id)).await.unwrap();
    again.turn("on").await;
    again.shutdown().await;
    let mut original = room.begin(Begin::Resume(id)).await.unwrap();
    original.turn("as before").await;

    let lengths: Vec<usize> = room
        .model
        .asked()
        .iter()
        .map(|asked| asked.input.len())
        .collect();
    assert_eq!(lengths, [3, 5, 7, 5]);
}

#[tokio::test]
async fn an_unknown_thread_cannot_be_resumed() {
    let room = Room::new(Vec::new());
    let id = ThreadId::generate();
    let Err(error) = room.begin(Begin::Resume(id)).await else {
        panic!("there is no such thread")
    };
    assert_eq!(
        error.to_string(),
        format!("no rollout found for thread id {id}")
    );
}

#[tokio::test]
async fn an_ephemeral_thread_leaves_no_file() {
    let mut room = Room::new(vec![answer(vec![said("one")])]);
    room.settings.storage = Storage::Ephemeral;
    let mut thread = room.start().await;
    thread.turn("hi").await;
    thread.shutdown().await;
    assert!(!room.path("home").exists());
}
