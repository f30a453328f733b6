//! The room itself is tested with `sh`, so that no `codex` needs to be built.

use std::time::Duration;

use super::filters;
use crate::TestHome;

#[test]
fn a_snapshot_shows_both_streams_and_the_exit_code() {
    let home = TestHome::new();
    let output = home
        .program("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"])
        .run();
    assert_eq!(output.to_string(), "out\n[stderr]\nerr\n[exit 3]");
}

#[test]
fn the_environment_holds_nothing_of_the_machine() {
    let home = TestHome::new();
    let output = home.program("/usr/bin/env", [""; 0]).run();
    let mut names: Vec<_> = output
        .stdout
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["CODEX_HOME", "HOME", "LANG", "PATH", "TMPDIR", "TZ"]
    );
}

#[test]
fn a_command_reads_its_stdin_and_then_the_end() {
    let home = TestHome::new();
    assert_eq!(
        home.program("/bin/cat", [""; 0])
            .stdin("hello")
            .run()
            .stdout,
        "hello"
    );
    assert_eq!(home.program("/bin/cat", [""; 0]).run().stdout, "");
}

#[test]
#[should_panic(expected = "did not end within")]
fn a_command_that_hangs_is_killed_at_its_limit() {
    let home = TestHome::new();
    home.program("/bin/sh", ["-c", "sleep 1000"])
        .limit(Duration::from_millis(50))
        .run();
}

#[test]
fn dropping_a_run_kills_grandchildren_too() {
    let home = TestHome::new();
    let running = home
        .program("/bin/sh", ["-c", "sleep 1000 & echo $!; wait"])
        .spawn();
    let pid: u32 = running
        .wait_for_stdout("\n")
        .trim()
        .parse()
        .expect("a process id");
    drop(running);
    assert!(
        crate::wait_until_gone(pid, Duration::from_secs(5)),
        "{pid} is still there"
    );
}

#[test]
fn a_signal_is_told_from_an_exit_code() {
    let home = TestHome::new();
    let running = home
        .program("/bin/sh", ["-c", "echo ready; exec sleep 1000"])
        .spawn();
    running.wait_for_stdout("ready");
    running.terminate();
    assert_eq!(running.wait().to_string(), "ready\n[signal 15]");
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let places = [
        ("/tmp/x/codex-home".to_owned(), "[CODEX_HOME]"),
        ("/tmp/x".to_owned(), "[TEMP]"),
    ];
    let text = "/tmp/x/codex-home/a /tmp/x/b http://127.0.0.1:4711/v1 \
                01a1fabd-271c-7641-9288-7a6c1251e488 at 2026-11-21T10:00:00.123Z, \
                rollout-2026-11-21T10-00-00-01a1fabd-271c-7641-9288-7a6c1251e488.jsonl \
                Wall time: 0.0030 seconds für immer";
    assert_eq!(
        filters::apply(text, &places),
        "[CODEX_HOME]/a [TEMP]/b http://127.0.0.1:[PORT]/v1 [UUID] at [TIME], \
         rollout-[TIME]-[UUID].jsonl Wall time: [DURATION] seconds für immer"
    );
}

#[test]
fn json_lines_are_parsed() {
    let home = TestHome::new();
    let output = home
        .program("/bin/sh", ["-c", r#"echo '{"a":1}'; echo '{"b":2}'"#])
        .run();
    assert_eq!(output.json_lines()[1]["b"], 2);
}

const LOGIN: &str = r#"{"a|1":{"access_token":"a-token-of-a-real-server"}}"#;

#[test]
#[should_panic(expected = "shows a secret: it is [SECRET]")]
fn an_output_with_a_stored_secret_fails_the_test() {
    let home = TestHome::new();
    std::fs::write(home.codex_home().join(".credentials.json"), LOGIN).unwrap();
    let script = "echo it is $LEAK >&2; rm $CODEX_HOME/.credentials.json";
    let command = home.program("/bin/sh", ["-c", script]);
    // Not in the arguments, which the failure shows.
    let command = command.env("LEAK", "a-token-of-a-real-server");
    command.without_secrets().run();
}

#[test]
#[should_panic(expected = "log.txt: code=code[SECRET]-7")]
fn a_file_with_a_marked_secret_fails_the_test() {
    let home = TestHome::new();
    let script = "mkdir $CODEX_HOME/logs; echo code=$LEAK > $CODEX_HOME/logs/log.txt";
    let command = home.program("/bin/sh", ["-c", script]);
    command.env("LEAK", "code-canary-7").without_secrets().run();
}

#[test]
fn stores_and_what_the_test_wrote_before_may_hold_secrets() {
    let home = TestHome::new();
    home.write_config("client_secret = 'secret-canary-1'");
    let store = home.codex_home().join(".credentials.json");
    let script = format!("echo '{LOGIN}' > {}; echo fine", store.display());
    let command = home.program("/bin/sh", ["-c", &script]);
    assert_eq!(command.without_secrets().run().stdout, "fine\n");
}
