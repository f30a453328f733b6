//! `codex exec`: the files it reads and writes: `-o`, `--output-schema`, images, a read-only home.

use codex_test_support::{
    MockResponses, Reply, TestHome, codex_program, ev_completed, ev_response_created, sse,
};
use insta::assert_snapshot;
use serde_json::json;

use crate::exec_support::{json, notices, one_answer, says};

/// One pixel.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

const SCHEMA: &str = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}"#;

#[test]
fn the_last_message_is_written_byte_for_byte() {
    let (_provider, home) = one_answer("Hello\n  ü");
    let file = home.write_file("last.txt", "old");
    json(&home, &["-o", "last.txt", "hi"]).run().success();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "Hello\n  ü");
}

#[test]
fn the_last_message_stays_empty_when_the_turn_fails() {
    let provider = MockResponses::start();
    provider.queue(Reply::error(400, "invalid_value", "bad thing"));
    let home = TestHome::with_provider(&provider, "");
    let file = home.write_file("last.txt", "old");
    assert_eq!(json(&home, &["-o", "last.txt", "hi"]).run().exit(), Some(1));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "");
}

#[test]
fn a_turn_without_a_message_says_that_the_file_is_empty() {
    let provider = MockResponses::start();
    provider.queue(sse(vec![ev_response_created("r"), ev_completed("r")]));
    let home = TestHome::with_provider(&provider, "");
    let output = json(&home, &["-o", "last.txt", "hi"]).run().success();
    assert_eq!(notices(&output), ["no last message; `last.txt` is empty"]);
}

#[test]
fn a_last_message_file_that_cannot_be_opened_stops_before_any_request() {
    let (provider, home) = one_answer("Hello");
    assert_snapshot!(json(&home, &["-o", "/no/such/x", "hi"]).run(), @r#"
    {"type":"error","message":"Failed to open last message file \"/no/such/x\": No such file or directory (os error 2)"}
    [stderr]
    Error: Failed to open last message file "/no/such/x": No such file or directory (os error 2)
    [exit 1]
    "#);
    assert!(provider.requests().is_empty());
}

#[test]
fn a_last_message_that_cannot_be_written_is_a_notice() {
    let (_provider, home) = one_answer("Hello");
    let output = json(&home, &["-o", "/dev/full", "hi"]).run().success();
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].starts_with("cannot write the last message to `/dev/full`: "),
        "{told:?}"
    );
}

#[test]
fn a_full_disk_below_stdout_is_a_failure_and_not_a_reader_who_left() {
    let (_provider, home) = one_answer("Hello");
    let codex = codex_program();
    let script = format!(
        "'{}' exec --skip-git-repo-check hi > /dev/full",
        codex.display()
    );
    let output = home.program("/bin/sh", ["-c", &script]).run();
    assert_eq!(output.exit(), Some(1), "{output}");
    assert!(
        output
            .stderr
            .contains("Error: cannot write to stdout: No space left"),
        "{output}"
    );
}

#[test]
fn the_schema_is_sent_and_the_answer_checked() {
    let (provider, home) = one_answer(r#"{"n": 1}"#);
    provider.queue(says(r#"{"n": "one"}"#));
    home.write_file("schema.json", SCHEMA);
    let output = json(&home, &["--output-schema", "schema.json", "hi"])
        .run()
        .success();
    assert!(notices(&output).is_empty(), "{output}");
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(
        provider.request(0).json()["text"]["format"],
        json!({"type": "json_schema", "strict": true, "name": "codex_output_schema", "schema": schema})
    );
    let output = json(&home, &["--output-schema", "schema.json", "hi"])
        .run()
        .success();
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].starts_with("final message does not match the output schema: /n: "),
        "{told:?}"
    );
}

#[test]
fn a_bad_schema_file_stops_before_anything_else() {
    let (provider, home) = one_answer("Hello");
    home.write_file("bad.json", "{");
    assert_snapshot!(json(&home, &["--output-schema", "no.json", "hi"]).run(), @r#"
    {"type":"error","message":"Failed to read output schema file no.json: No such file or directory (os error 2)"}
    [stderr]
    Failed to read output schema file no.json: No such file or directory (os error 2)
    [exit 1]
    "#);
    assert_snapshot!(json(&home, &["--output-schema", "bad.json", "hi"]).run(), @r#"
    {"type":"error","message":"Output schema file bad.json is not valid JSON: EOF while parsing an object at line 1 column 1"}
    [stderr]
    Output schema file bad.json is not valid JSON: EOF while parsing an object at line 1 column 1
    [exit 1]
    "#);
    assert!(provider.requests().is_empty());
}

#[test]
fn images_are_parts_before_the_prompt() {
    let (provider, home) = one_answer("ok");
    let path = home.write_file("a.png", PNG);
    json(&home, &["-i", "a.png", "look"]).run().success();
    let input = provider.request(0).input();
    let content = &input[input.len() - 1]["content"];
    let label = format!("<image name=[Image #1] path=\"{}\">", path.display());
    assert_eq!(content[0], json!({"type": "input_text", "text": label}));
    assert_eq!(content[1]["type"], "input_image");
    let url = content[1]["image_url"].as_str().unwrap_or_default();
    assert!(
        url.starts_with("data:image/png;base64,iVBORw0KGgo"),
        "{url}"
    );
    assert_eq!(
        content[2],
        json!({"type": "input_text", "text": "</image>"})
    );
    assert_eq!(content[3], json!({"type": "input_text", "text": "look"}));
}

#[test]
fn an_unreadable_image_stops_before_any_request() {
    let (provider, home) = one_answer("ok");
    assert_snapshot!(json(&home, &["-i", "x.png", "look"]).run(), @r#"
    {"type":"error","message":"cannot read image `x.png`: No such file or directory (os error 2)"}
    [stderr]
    Error: cannot read image `x.png`: No such file or directory (os error 2)
    [exit 1]
    "#);
    assert!(provider.requests().is_empty());
}

#[test]
fn a_thread_that_cannot_be_kept_is_a_notice_and_the_run_goes_on() {
    let (_provider, home) = one_answer("ok");
    // Permissions do not stop root, so the place is taken by a file instead.
    std::fs::write(home.codex_home().join("sessions"), "in the way").unwrap();
    let output = json(&home, &["hi"]).run().success();
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].starts_with("cannot create the thread file `"),
        "{told:?}"
    );
}

#[test]
fn an_ephemeral_thread_leaves_no_file() {
    let (_provider, home) = one_answer("ok");
    json(&home, &["--ephemeral", "hi"]).run().success();
    assert!(!home.codex_home().join("sessions").exists());
}
