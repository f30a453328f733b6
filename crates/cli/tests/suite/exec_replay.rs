//! `codex exec --record` and `--replay`.

use std::os::unix::fs::PermissionsExt;

use codex_test_support::{CommandOutput, FakeStdio, MockResponses, TestHome};

use crate::exec_support::{calls, human, json, last_line, mcp_calls, notices, says, types};

const PROMPT: &str = "call it";

/// Records one run that calls `tool`; returns the home, whose provider is gone.
fn recorded(tool: &str) -> (TestHome, CommandOutput) {
    let provider = MockResponses::start();
    provider
        .queue(calls("test", tool, r#"{"text":"x"}"#))
        .queue(says("done"));
    let home = TestHome::with_provider(&provider, &FakeStdio::new().tools([tool]).toml("test"));
    let output = json(&home, &["--record", "run.jsonl", PROMPT])
        .run()
        .success();
    (home, output)
}

fn replay(home: &TestHome, more: &[&str]) -> CommandOutput {
    json(home, &[&["--replay", "run.jsonl"], more].concat())
        .env_remove("CODEX_API_KEY")
        .run()
}

#[test]
fn a_recorded_run_is_replayed_with_real_tools_and_no_provider() {
    let (home, recorded) = recorded("echo");
    let replayed = replay(&home, &[PROMPT]).success();
    assert_eq!(types(&replayed), types(&recorded));
    assert_eq!(mcp_calls(&replayed), mcp_calls(&recorded));
    let file = home.cwd().join("run.jsonl");
    assert_eq!(
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn without_a_prompt_the_recorded_one_is_used_and_stdin_is_not_read() {
    let (home, _) = recorded("echo");
    replay(&home, &[]).success();
    let output = human(&home, &["--replay", "run.jsonl"])
        .stdin_stays_open()
        .run()
        .success();
    assert!(
        output.stderr.contains("provider: replay (run.jsonl)"),
        "{output}"
    );
    assert!(
        output.stderr.contains(&format!("user\n{PROMPT}\n")),
        "{output}"
    );
}

#[test]
fn another_prompt_is_a_mismatch() {
    let (home, _) = recorded("echo");
    let output = replay(&home, &["something else"]);
    assert_eq!(output.exit(), Some(1));
    let last = last_line(&output);
    assert_eq!(last["type"], "turn.failed");
    let message = last["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("replay mismatch at request 1"),
        "{message}"
    );
}

#[test]
fn a_call_that_ends_otherwise_is_a_mismatch() {
    let (home, _) = recorded("echo");
    let prompts = "mcp_servers.test.tools.echo.approval_mode=\"prompt\"";
    let output = replay(&home, &["-c", prompts, PROMPT]);
    assert_eq!(output.exit(), Some(1));
    assert_eq!(
        last_line(&output)["error"]["message"],
        "replay mismatch at request 2: call_1 failed now, completed when recorded"
    );
}

#[test]
fn a_recording_is_never_overwritten() {
    let (home, _) = recorded("echo");
    let output = json(&home, &["--record", "run.jsonl", PROMPT]).run();
    assert_eq!(output.exit(), Some(1));
    assert_eq!(types(&output), ["error"]);
}

#[test]
fn a_recording_without_its_end_is_refused() {
    let (home, _) = recorded("echo");
    let file = home.cwd().join("run.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let (whole, _) = text.trim_end().rsplit_once('\n').unwrap();
    home.write_file("run.jsonl", whole);
    let output = replay(&home, &[]);
    assert_eq!(output.exit(), Some(1));
    assert_eq!(types(&output), ["error"]);
}

#[test]
fn secrets_are_not_recorded() {
    let (home, _) = recorded("echo");
    let text = std::fs::read_to_string(home.cwd().join("run.jsonl")).unwrap();
    assert!(!text.contains("test-key-of-the-mock"));
    assert!(!text.contains(&*home.cwd().to_string_lossy()));
}

#[test]
fn answers_that_nobody_asked_for_fail_the_run() {
    let home = TestHome::new();
    let answer = |seq: u32| {
        format!(
            r#"{{"type":"response","seq":{seq},"items":[{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"Hi"}}]}}],"end":{{"completed":{{"usage":{{"input_tokens":1,"cached_input_tokens":0,"output_tokens":1,"reasoning_output_tokens":0}}}}}}}}"#
        )
    };
    let lines = [
        r#"{"type":"recording","version":1,"codex":"0.1.0","created_at":"2026-11-20T20:55:08Z","model":"m","provider":"p","redacted":0}"#.to_owned(),
        r#"{"type":"request","seq":1,"new":[{"user":"hi"}],"calls":[]}"#.to_owned(),
        answer(1),
        r#"{"type":"request","seq":2,"new":[{"user":"hi"}],"calls":[]}"#.to_owned(),
        answer(2),
        r#"{"type":"end","requests":2}"#.to_owned(),
    ];
    home.write_file("run.jsonl", lines.join("\n") + "\n");
    let output = replay(&home, &[]);
    assert_eq!(output.exit(), Some(1), "{output}");
    let last = last_line(&output);
    assert_eq!(last["type"], "turn.failed", "{output}");
    assert_eq!(
        last["error"]["message"],
        "replay ended with 1 unused response"
    );
}

#[test]
fn arguments_that_were_redacted_are_a_notice() {
    let provider = MockResponses::start();
    let secret = r#"{"text":"s3cret-value-of-mine"}"#;
    provider
        .queue(calls("test", "echo", secret))
        .queue(says("done"));
    let home = TestHome::with_provider(&provider, &FakeStdio::new().toml("test"))
        .env("MY_TOKEN", "s3cret-value-of-mine");
    let output = json(&home, &["--record", "run.jsonl", PROMPT])
        .run()
        .success();
    let told = notices(&output);
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].ends_with("a replay runs call call_1 with the redacted text"),
        "{told:?}"
    );
    let text = std::fs::read_to_string(home.cwd().join("run.jsonl")).unwrap();
    assert!(!text.contains("s3cret-value-of-mine"));
}
