//! `codex exec`: where the prompt comes from.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use codex_test_support::{TestHome, codex_program};
use insta::assert_snapshot;

use crate::exec_support::{json, last_user_texts, one_answer};

#[test]
fn piped_text_is_added_to_the_argument() {
    let (provider, home) = one_answer("ok");
    let output = json(&home, &["do"]).stdin("data\n").run().success();
    assert_eq!(output.stderr, "Reading additional input from stdin...\n");
    assert_eq!(
        last_user_texts(&provider, 0),
        ["do\n\n<stdin>\ndata\n</stdin>"]
    );
}

#[test]
fn null_device_is_not_read_and_not_mentioned() {
    let (provider, home) = one_answer("ok");
    let output = json(&home, &["do"]).run().success();
    assert_eq!(output.stderr, "");
    assert_eq!(last_user_texts(&provider, 0), ["do"]);
}

#[test]
fn stdin_alone_is_the_prompt() {
    for args in [&[][..], &["-"]] {
        let (provider, home) = one_answer("ok");
        let output = json(&home, args).stdin(" x y \n\n").run().success();
        assert_eq!(output.stderr, "Reading prompt from stdin...\n");
        assert_eq!(last_user_texts(&provider, 0), [" x y \n\n"]);
    }
}

#[test]
fn utf_16_with_a_mark_is_decoded() {
    let (provider, home) = one_answer("ok");
    json(&home, &[])
        .stdin(b"\xFF\xFEh\0\xE9\0".as_slice())
        .run()
        .success();
    assert_eq!(last_user_texts(&provider, 0), ["hé"]);
}

#[test]
fn no_prompt_at_all_is_an_error() {
    let (provider, home) = one_answer("ok");
    assert_snapshot!(json(&home, &[]).stdin(" \n").run(), @r#"
    {"type":"error","message":"No prompt provided via stdin."}
    [stderr]
    Reading prompt from stdin...
    No prompt provided via stdin.
    [exit 1]
    "#);
    assert!(provider.requests().is_empty());
}

#[test]
fn a_pipe_that_stays_open_is_explained() {
    let (_provider, home) = one_answer("ok");
    let running = json(&home, &["do"]).stdin_stays_open().spawn();
    let told = running.wait_for_stderr("< /dev/null");
    assert!(
        told.starts_with("Reading additional input from stdin...\n"),
        "{told}"
    );
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130));
    assert_snapshot!(output.stdout, @r#"{"type":"error","message":"interrupted"}"#);
}

/// The public SDKs raise the error of their pipe, and not ours, when it closes under them.
#[test]
fn a_caller_may_still_write_its_prompt_when_the_run_has_failed_already() {
    let home = TestHome::new();
    let mut child = Command::new(codex_program())
        .args(["exec", "--json", "--cd", "/no/such/dir"])
        .env_clear()
        .envs(home.env_pairs())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.contains("/no/such/dir"), "{line}");
    // More than a pipe holds: somebody has to take it.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![b'x'; 300_000]).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
