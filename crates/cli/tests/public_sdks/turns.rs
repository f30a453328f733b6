//! Runs, threads, pictures, schemas: what goes in and what comes out.

use std::time::Duration;

use codex_test_support::{Gate, Reply, ev_assistant_message, ev_reasoning};
use serde_json::{Value, json};

use crate::room::{Room, answers, error_of, item_of, runs, says, types};

pub(crate) fn a_run_returns_the_answer_the_usage_and_the_items(room: &Room) {
    room.provider.queue(answers(vec![
        ev_reasoning("rs", &["**Think**"]),
        ev_assistant_message("m", "Hello"),
    ]));
    let played = room.thread(json!({}), json!([{"input": "hi"}]));
    let turn = &played["turns"][0];
    assert_eq!(turn["final_response"], "Hello", "{played}");
    assert_eq!(turn["items"].as_array().unwrap().len(), 2, "{turn}");
    assert_eq!(
        turn["usage"],
        json!({
            "input_tokens": 10, "cached_input_tokens": 4, "cache_write_input_tokens": 0,
            "output_tokens": 3, "reasoning_output_tokens": 1,
        })
    );
    assert_eq!(played["id"].as_str().unwrap().len(), 36);
    assert_eq!(room.provider.request(0).texts("user").last().unwrap(), "hi");
}

pub(crate) fn a_streamed_run_tells_every_event_in_order(room: &Room) {
    room.provider
        .queue(answers(vec![
            ev_reasoning("rs", &["a"]),
            ev_assistant_message("m", "first"),
            codex_test_support::ev_function_call("c1", "exec_command", r#"{"cmd":"true"}"#),
        ]))
        .queue(says("Hello"));
    let events = room.events(json!({}));
    assert_eq!(
        types(&events),
        [
            "thread.started",
            "turn.started",
            "item.completed reasoning",
            "item.completed agent_message",
            "item.started command_execution",
            "item.completed command_execution",
            "item.completed agent_message",
            "turn.completed"
        ],
        "{events:?}"
    );
    let ids: Vec<&Value> = events.iter().map(|event| &event["item"]["id"]).collect();
    assert_eq!(
        ids[2..7],
        ["item_0", "item_1", "item_2", "item_2", "item_3"],
        "{events:?}"
    );
}

pub(crate) fn turns_of_one_thread_know_what_was_said(room: &Room) {
    room.provider.queue(says("one")).queue(says("two"));
    let played = room.thread(json!({}), json!([{"input": "a"}, {"input": "b"}]));
    assert_eq!(played["turns"][1]["final_response"], "two", "{played}");
    let request = room.provider.request(1);
    let users = request.texts("user");
    for text in ["a", "b"] {
        assert!(users.iter().any(|user| user == text), "{users:?}");
    }
    assert_eq!(request.texts("assistant"), ["one"]);
}

pub(crate) fn a_resumed_thread_knows_what_was_said(room: &Room) {
    room.provider.queue(says("one")).queue(says("two"));
    let first = room.thread(json!({}), json!([{"input": "a"}]));
    let resumed = room.resume(&first["id"], json!({}), json!({"input": "b"}));
    assert_eq!(
        (&resumed["id"], &resumed["turns"][0]["final_response"]),
        (&first["id"], &json!("two")),
        "{resumed}"
    );
    let request = room.provider.request(1);
    assert!(request.texts("user").iter().any(|user| user == "a"));
    assert_eq!(request.texts("assistant"), ["one"]);
}

pub(crate) fn the_last_thread_can_be_resumed(room: &Room) {
    room.provider
        .queue(says("one"))
        .queue(says("two"))
        .queue(says("three"));
    room.thread(json!({}), json!([{"input": "a"}]));
    let last = room.thread(json!({}), json!([{"input": "b"}]));
    // The id is an argument of ours as it stands.
    let resumed = room.resume(&json!("--last"), json!({}), json!({"input": "c"}));
    assert_eq!(resumed["turns"][0]["final_response"], "three", "{resumed}");
    assert_eq!(resumed["id"], last["id"]);
    assert_eq!(room.provider.request(2).texts("assistant"), ["two"]);
}

pub(crate) fn a_thread_that_is_not_there_cannot_be_resumed(room: &Room) {
    let id = "01a1fabd-271c-7641-9288-7a6c1251e488";
    let resumed = room.resume(&json!(id), json!({}), json!({"input": "x"}));
    let error = error_of(&resumed["turns"][0]);
    assert!(
        error.contains(&format!("no rollout found for thread id {id}")),
        "{error}"
    );
    assert!(room.provider.requests().is_empty());
}

pub(crate) fn a_resumed_thread_takes_new_options(room: &Room) {
    room.provider.queue(says("one")).queue(says("two"));
    let options = |model: &str, mode: &str| json!({"model": model, "sandbox_mode": mode});
    let first = room.thread(options("gpt-5.1", "read-only"), json!([{"input": "a"}]));
    let new = options("gpt-5.2", "workspace-write");
    let resumed = room.resume(&first["id"], new, json!({"input": "b"}));
    assert_eq!(resumed["turns"][0]["final_response"], "two", "{resumed}");
    let request = room.provider.request(1);
    assert_eq!(request.json()["model"], "gpt-5.2");
    let permissions = request.texts("developer");
    assert!(
        permissions[0].contains("`read-only`"),
        "what was said stays: {permissions:?}"
    );
    assert!(
        permissions.last().unwrap().contains("`workspace-write`"),
        "{permissions:?}"
    );
}

pub(crate) fn two_threads_run_at_once(room: &Room) {
    let gate = Gate::new();
    for text in ["one", "two"] {
        room.provider.queue(says(text).hold_until(&gate));
    }
    let thread = |input: &str| json!({"thread": {}, "turns": [{"input": input}]});
    let played = std::thread::scope(|scope| {
        // Neither is answered before both have asked.
        scope.spawn(|| {
            room.provider.wait_for_requests(2, Duration::from_secs(60));
            gate.open();
        });
        room.play(json!({}), vec![thread("a"), thread("b")])
    });
    assert_ne!(played[0]["id"], played[1]["id"], "{played:?}");
    let mut said: Vec<_> = played
        .iter()
        .map(|thread| thread["turns"][0]["final_response"].as_str().unwrap())
        .collect();
    said.sort_unstable();
    assert_eq!(said, ["one", "two"]);
}

pub(crate) fn texts_of_one_input_are_joined(room: &Room) {
    room.provider.queue(says("x"));
    let input = json!([{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]);
    let turn = room.turn(json!({}), json!({"input": input}));
    assert_eq!(turn["final_response"], "x", "{turn}");
    let users = room.provider.request(0).texts("user");
    assert_eq!(users.last().unwrap(), "first\n\nsecond");
}

pub(crate) fn a_large_prompt_arrives_whole(room: &Room) {
    room.provider.queue(says("Grüße 🦀"));
    let prompt = format!(
        "{}\n\"quoted\" – ü 🦀\t$HOME `x`",
        "line of words\n".repeat(50_000)
    );
    let turn = room.turn(json!({}), json!({"input": prompt}));
    assert_eq!(turn["final_response"], "Grüße 🦀", "{turn}");
    let users = room.provider.request(0).texts("user");
    assert!(*users.last().unwrap() == prompt, "{}", users.len());
}

pub(crate) fn an_answer_of_half_a_megabyte_arrives_whole(room: &Room) {
    let text = "words and more words, ".repeat(25_000);
    room.provider.queue(says(&text));
    let turn = room.run(json!({}));
    assert!(turn["final_response"] == text, "{}", turn["error"]);
}

pub(crate) fn usage_sums_the_requests_of_one_turn(room: &Room) {
    room.provider
        .queue(runs("true"))
        .queue(says("one"))
        .queue(says("two"));
    let played = room.thread(json!({}), json!([{"input": "a"}, {"input": "b"}]));
    let counts = |turn: usize| {
        let usage = &played["turns"][turn]["usage"];
        ["input_tokens", "cached_input_tokens", "output_tokens"].map(|key| usage[key].clone())
    };
    assert_eq!(counts(0), [20, 8, 6], "{played}");
    // The second turn is another process; it does not count the first one again.
    assert_eq!(counts(1), [10, 4, 3], "{played}");
}

/// Writes a picture and returns its path.
fn picture(room: &Room, name: &str) -> std::path::PathBuf {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
    room.home.write_file(name, png)
}

fn looks_at(text: &str, pictures: &[&std::path::Path]) -> Value {
    let mut input = vec![json!({"type": "text", "text": text})];
    let picture = |path| json!({"type": "local_image", "path": path});
    input.extend(pictures.iter().map(picture));
    json!({"input": input})
}

/// The kinds of the parts of the last user message, `name` of a picture's label included.
fn parts(room: &Room, request: usize) -> Vec<String> {
    let input = room.provider.request(request).input();
    let mut users = input.iter().filter(|item| item["role"] == "user");
    let parts = users.next_back().unwrap()["content"].as_array().unwrap();
    let told = |part: &Value| match part["image_url"].as_str() {
        Some(url) => url.split(',').next().unwrap().to_owned(),
        None => part["text"].as_str().unwrap().to_owned(),
    };
    parts.iter().map(told).collect()
}

pub(crate) fn one_picture_goes_along(room: &Room) {
    let file = picture(room, "p.png");
    room.provider.queue(says("one"));
    let turn = room.turn(json!({}), looks_at("look", &[&file]));
    assert_eq!(turn["final_response"], "one", "{turn}");
    assert_eq!(
        parts(room, 0),
        [
            format!("<image name=[Image #1] path=\"{}\">", file.display()),
            "data:image/png;base64".to_owned(),
            "</image>".to_owned(),
            "look".to_owned()
        ]
    );
}

pub(crate) fn pictures_go_along_in_order_and_with_a_resumed_thread(room: &Room) {
    // A comma in a name does not part it.
    let (first, second) = (picture(room, "a,b.png"), picture(room, "c d.png"));
    room.provider.queue(says("one")).queue(says("two"));
    let step = looks_at("look", &[&first, &second]);
    let played = room.thread(json!({}), json!([step, step]));
    assert_eq!(played["turns"][1]["final_response"], "two", "{played}");
    for request in [0, 1] {
        let labels: Vec<_> = parts(room, request)
            .into_iter()
            .filter(|part| part.starts_with("<image"))
            .collect();
        assert_eq!(labels.len(), 2, "{labels:?}");
        assert!(labels[0].contains("a,b.png"), "{labels:?}");
        assert!(labels[1].contains("c d.png"), "{labels:?}");
    }
}

pub(crate) fn a_picture_that_is_not_there_is_an_error(room: &Room) {
    let file = room.home.cwd().join("none.png");
    let turn = room.turn(json!({}), looks_at("look", &[&file]));
    let error = error_of(&turn);
    assert!(
        error.contains("cannot read image") && error.contains("none.png"),
        "{error}"
    );
    assert!(room.provider.requests().is_empty());
}

fn wants(schema: &Value) -> Value {
    json!({"input": "x", "options": {"output_schema": schema}})
}

fn schema() -> Value {
    json!({
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
        "additionalProperties": false,
    })
}

pub(crate) fn an_output_schema_reaches_the_provider(room: &Room) {
    room.provider.queue(says(r#"{"ok":true}"#));
    let turn = room.turn(json!({}), wants(&schema()));
    assert_eq!(turn["final_response"], r#"{"ok":true}"#, "{turn}");
    assert_eq!(
        room.provider.request(0).json()["text"]["format"],
        json!({
            "type": "json_schema", "strict": true, "name": "codex_output_schema",
            "schema": schema(),
        })
    );
}

pub(crate) fn an_answer_that_breaks_the_schema_is_told(room: &Room) {
    room.provider.queue(says(r#"{"ok":"yes"}"#));
    let turn = room.turn(json!({}), wants(&schema()));
    assert_eq!(turn["final_response"], r#"{"ok":"yes"}"#, "{turn}");
    let told = item_of(&turn, "error")["message"].as_str().unwrap();
    assert!(
        told.starts_with("final message does not match the output schema: /ok"),
        "{told}"
    );
}

pub(crate) fn a_schema_that_the_provider_refuses_is_an_error(room: &Room) {
    room.provider.queue(Reply::error(
        400,
        "invalid_json_schema",
        "Invalid schema for response_format",
    ));
    let turn = room.turn(json!({}), wants(&schema()));
    let error = error_of(&turn);
    assert!(
        error.contains("Invalid schema for response_format"),
        "{error}"
    );
    assert_eq!(room.provider.requests().len(), 1);
}
