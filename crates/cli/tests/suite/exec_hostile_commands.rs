//! Commands that would take the program or the machine down: too much of everything.

use std::time::{Duration, Instant};

use codex_test_support::{
    CommandOutput, MockResponses, Reply, TestHome, ev_completed, ev_function_call,
    ev_response_created, sse, wait_until_gone,
};
use serde_json::json;

use crate::exec_hands::{full_access, lives, runs};
use crate::exec_support::{LIMIT, completed_items, json, last_line, says};

/// Runs one command with full access, and returns what the model was told.
fn told(reply: Reply) -> (CommandOutput, String) {
    let provider = MockResponses::start();
    let (home, args) = full_access(&provider);
    provider.queue(reply).queue(says("done"));
    let output = json(&home, &args).run();
    assert_eq!(output.exit(), Some(0), "{output}");
    let told = provider.request(1).function_call_output_text("c1").unwrap();
    (output, told)
}

/// A call of the classic tool, which ends a command when its time is up.
fn ended_after(limit: Duration, script: &str) -> Reply {
    let arguments = json!({"command": ["bash", "-c", script], "timeout_ms": limit.as_millis()});
    sse(vec![
        ev_response_created("r"),
        ev_function_call("c1", "shell", &arguments.to_string()),
        ev_completed("r"),
    ])
}

#[test]
fn ten_gigabytes_of_output_are_held_in_little_memory_and_keep_head_and_tail() {
    // The parent of the shell is Codex: it reads how much memory that has used at most.
    let script =
        "echo first; head -c 10000000000 /dev/zero; echo; grep VmHWM /proc/$PPID/status; echo last";
    let (output, told) = told(ended_after(Duration::from_secs(100), script));
    assert!(output.stdout.len() < 500_000, "{}", output.stdout.len());
    assert!(told.len() < 60_000, "{}", told.len());
    assert!(told.contains("Output:\nfirst\n\0"), "the head is missing");
    assert!(told.ends_with("last\n"), "the tail is missing");
    assert!(told.contains("its beginning and its end, 1048576 bytes, are in "));
    let peak = told.split("VmHWM:").nth(1).unwrap();
    let peak = peak.split_whitespace().next().unwrap();
    let peak: u64 = peak.parse().unwrap();
    assert!(peak < 60_000, "codex has used {peak} KiB");
}

#[test]
fn bytes_that_are_no_text_become_one_line_of_json_and_reach_the_model_as_text() {
    let script = r"printf '\000\001\033[31m\377\376\303(\342\202\r\b\177 end\n'; head -c 100000 /dev/urandom | head -c 100000 > /dev/null";
    let (output, told) = told(runs("c1", script));
    let shown = "\0\u{1}\u{1b}[31m\u{fffd}\u{fffd}\u{fffd}(\u{fffd}\r\u{8}\u{7f} end\n";
    let items = completed_items(&output);
    assert_eq!(items[0]["aggregated_output"], shown, "{output}");
    assert!(told.ends_with(shown), "{told:?}");
}

#[test]
fn random_bytes_are_cut_and_kept_like_any_output() {
    let (output, told) = told(runs("c1", "head -c 3000000 /dev/urandom"));
    assert!(told.contains("Original token count: 750000"), "{told}");
    assert!(told.len() < 60_000, "{}", told.len());
    assert_eq!(last_line(&output)["type"], "turn.completed");
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_when_its_time_is_up() {
    let script = "trap '' TERM INT HUP; echo $$; while :; do sleep 0.02; done";
    let (output, told) = told(ended_after(Duration::from_millis(400), script));
    assert!(told.contains("Exit code: 124"), "{told}");
    assert!(told.contains("timed out after 400 milliseconds"), "{told}");
    let items = completed_items(&output);
    assert_eq!(items[0]["status"], "failed", "{output}");
    let pid = items[0]["aggregated_output"].as_str().unwrap().trim();
    assert!(
        wait_until_gone(pid.parse().unwrap(), LIMIT),
        "{pid} is left"
    );
}

/// It doubles eight times and no more, so that its end is certain whatever holds it.
fn fork_bomb(word: &str) -> String {
    format!(
        "b() {{ if [ $1 -gt 0 ]; then b $(($1 - 1)) & b $(($1 - 1)) & fi; exec sleep {word}; }}; \
         b 8 & wait; sleep {word}"
    )
}

#[test]
fn a_fork_bomb_ends_with_its_command_and_the_run_goes_on() {
    for mode in ["read-only", "danger-full-access"] {
        // An argument that no other process has.
        let word = format!("2000.{}{}", std::process::id(), mode.len());
        let provider = MockResponses::start();
        let home = TestHome::with_provider(&provider, "");
        provider
            .queue(ended_after(Duration::from_secs(2), &fork_bomb(&word)))
            .queue(says("done"));
        let output = json(&home, &["-s", mode, "hi"]).run();
        assert_eq!(output.exit(), Some(0), "{output}");
        let told = provider.request(1).function_call_output_text("c1").unwrap();
        assert!(told.contains("timed out after 2000"), "{mode}: {told}");
        assert_eq!(completed_items(&output)[0]["status"], "failed");
        assert_eq!(last_line(&output)["type"], "turn.completed");
        let deadline = Instant::now() + LIMIT;
        while lives(&word) {
            assert!(Instant::now() < deadline, "{mode}: a part of it is left");
            std::thread::yield_now();
        }
    }
}
