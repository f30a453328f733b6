//! `codex exec`: signals in each phase; no process is left and the last line is whole.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use codex_test_support::{
    FakeStdio, Gate, Journal, MockResponses, RunningCodex, TestHome, codex_program, ev_completed,
    ev_namespaced_call, ev_response_created, sse, wait_until_gone,
};
use serde_json::{Value, json};

use crate::exec_support::{LIMIT, calls, json, last_line, mcp_calls, says, types};

/// What the contract gives a run that was told to end, with room for a busy machine.
const END_LIMIT: Duration = Duration::from_secs(4);
/// Signal numbers as the shell shows them.
const SIGHUP: i32 = 1;
const SIGTERM: i32 = 15;

struct Run {
    provider: MockResponses,
    home: TestHome,
    journal: Journal,
}

/// A home with a server that notes what happens to it.
fn with_server(server: FakeStdio, more: &str) -> Run {
    let provider = MockResponses::start();
    let home = TestHome::new();
    let journal = Journal::new(home.path().join("journal.jsonl"));
    let url = provider.base_url();
    let table = server.noting_in(&journal).toml("test");
    home.write_config(&format!("openai_base_url = \"{url}\"\n{table}{more}"));
    Run {
        provider,
        home,
        journal,
    }
}

impl Run {
    fn start(&self) -> RunningCodex {
        json(&self.home, &["hi"]).env("CODEX_API_KEY", "k").spawn()
    }

    /// Starts a run whose stdout nobody reads yet.
    fn unread(&self) -> Child {
        Command::new(codex_program())
            .args(["exec", "--json", "--skip-git-repo-check", "hi"])
            .env_clear()
            .envs(self.home.env_pairs())
            .env("CODEX_API_KEY", "k")
            .current_dir(self.home.cwd())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn nothing_is_left(&self) {
        for pid in self.journal.pids() {
            assert!(
                wait_until_gone(pid, Duration::from_secs(10)),
                "process {pid} is left"
            );
        }
    }
}

/// Sends `-INT` or another signal.
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let kill = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn an_interrupt_in_mid_call_completes_the_item_and_cancels_the_call() {
    let run = with_server(FakeStdio::new().tools(["slow"]), "");
    run.provider.queue(calls("test", "slow", "{}"));
    let running = run.start();
    run.journal.wait_for_method("tools/call", LIMIT);
    let begun = std::time::Instant::now();
    running.interrupt();
    let output = running.wait();
    assert!(begun.elapsed() < END_LIMIT, "{:?}", begun.elapsed());
    assert_eq!(output.exit(), Some(130), "{output}");
    assert_eq!(mcp_calls(&output)[0]["status"], "failed");
    assert_eq!(
        last_line(&output),
        json!({"type": "turn.failed", "error": {"message": "interrupted"}})
    );
    run.journal
        .wait_for_method("notifications/cancelled", LIMIT);
    run.nothing_is_left();
}

#[test]
fn a_termination_while_the_model_thinks_ends_by_the_signal() {
    let run = with_server(FakeStdio::new(), "");
    let gate = Gate::new();
    run.provider.queue(says("never told").hold_until(&gate));
    let running = run.start();
    run.provider.wait_for_requests(1, LIMIT);
    running.terminate();
    let output = running.wait();
    assert_eq!(output.signal(), Some(SIGTERM), "{output}");
    assert_eq!(last_line(&output)["type"], "turn.failed");
    run.nothing_is_left();
    gate.open();
}

#[test]
fn a_hang_up_while_servers_start_ends_by_the_signal() {
    let server = FakeStdio::new().hang_in_initialize().grandchildren(1);
    let run = with_server(server, "");
    let running = run.start();
    run.journal.wait_for_method("initialize", LIMIT);
    running.hang_up();
    let output = running.wait();
    assert_eq!(output.signal(), Some(SIGHUP), "{output}");
    assert!(["error", "turn.failed"].contains(&types(&output).last().map_or("", |last| last)));
    assert!(run.provider.requests().is_empty());
    run.nothing_is_left();
}

#[test]
fn an_interrupt_while_a_required_server_starts_is_an_error_line() {
    let server = FakeStdio::new().hang_in_initialize();
    let run = with_server(server, "required = true\n");
    let running = run.start();
    run.journal.wait_for_method("initialize", LIMIT);
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    assert_eq!(
        output.json_lines(),
        [json!({"type": "error", "message": "interrupted"})]
    );
    run.nothing_is_left();
}

#[test]
fn a_server_that_ignores_everything_does_not_hold_the_run_up() {
    let server = FakeStdio::new()
        .tools(["never"])
        .ignore_sigterm()
        .ignore_stdin_end()
        .grandchildren(2);
    let run = with_server(server, "default_tools_approval_mode = \"approve\"\n");
    run.provider.queue(calls("test", "never", "{}"));
    let running = run.start();
    run.journal.wait_for_method("tools/call", LIMIT);
    let begun = std::time::Instant::now();
    running.terminate();
    let output = running.wait();
    assert!(begun.elapsed() < END_LIMIT, "{:?}", begun.elapsed());
    assert_eq!(output.signal(), Some(SIGTERM), "{output}");
    assert_eq!(last_line(&output)["type"], "turn.failed");
    run.nothing_is_left();
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_nothing() {
    let server = FakeStdio::new()
        .tools(["never"])
        .ignore_sigterm()
        .ignore_stdin_end();
    let run = with_server(server, "default_tools_approval_mode = \"approve\"\n");
    run.provider.queue(calls("test", "never", "{}"));
    let running = run.start();
    run.journal.wait_for_method("tools/call", LIMIT);
    running.interrupt();
    running.wait_for_stdout("turn.failed");
    running.interrupt();
    assert_eq!(running.wait().exit(), Some(130));
    run.nothing_is_left();
}

#[test]
fn an_interrupt_while_a_file_of_the_command_line_blocks_is_an_error_line() {
    let run = with_server(FakeStdio::new(), "");
    let pipe = run.home.cwd().join("schema.json");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let args = ["--output-schema", "schema.json", "hi"];
    let running = json(&run.home, &args).spawn();
    // Opening a pipe to write waits until somebody opens it to read.
    let writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    assert_eq!(
        output.json_lines(),
        [json!({"type": "error", "message": "interrupted"})]
    );
    drop(writer);
}

#[test]
fn an_interrupt_loses_no_line_of_a_reader_who_is_behind() {
    const N_CALLS: usize = 40;
    let at_once = "supports_parallel_tool_calls = true\n";
    let run = with_server(FakeStdio::new().tools(["slow"]), at_once);
    // The first line fills the pipe, the others wait behind it.
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(200_000));
    let call = |n: usize| {
        let arguments = if n == 0 { &long } else { "{}" };
        ev_namespaced_call(&format!("c{n}"), "mcp__test", "slow", arguments)
    };
    let mut events = vec![ev_response_created("r")];
    events.extend((0..N_CALLS).map(call));
    events.push(ev_completed("r"));
    run.provider.queue(sse(events));
    let child = run.unread();
    // Three messages come before the calls: the handshake's two, and the list of tools.
    run.journal.wait_for("message", 3 + N_CALLS, LIMIT);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let items = |event: &str| -> Vec<String> {
        let lines = lines.iter().filter(|line| line["type"] == event);
        let mut ids: Vec<String> = lines.map(|line| line["item"]["id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(items("item.started").len(), N_CALLS);
    assert_eq!(items("item.started"), items("item.completed"));
    assert_eq!(lines[lines.len() - 1]["type"], "turn.failed");
    run.nothing_is_left();
}

#[test]
fn a_reader_that_has_stalled_cannot_keep_a_run_from_ending() {
    let run = with_server(
        FakeStdio::new().tools(["big"]),
        "default_tools_approval_mode = \"approve\"\n",
    );
    run.provider
        .queue(calls("test", "big", r#"{"bytes":4000000}"#))
        .queue(says("done"));
    let mut child = run.unread();
    // The second request means that the result is on its way into the pipe, which nobody reads.
    run.provider.wait_for_requests(2, LIMIT);
    let begun = std::time::Instant::now();
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
    assert!(begun.elapsed() < END_LIMIT, "{:?}", begun.elapsed());
    run.nothing_is_left();
}

#[test]
fn after_a_kill_no_child_is_alive() {
    let run = with_server(FakeStdio::new().tools(["slow"]).grandchildren(1), "");
    run.provider.queue(calls("test", "slow", "{}"));
    let running = run.start();
    run.journal.wait_for_method("tools/call", LIMIT);
    running.kill();
    drop(running.wait());
    run.nothing_is_left();
}

#[test]
fn a_run_that_ends_well_leaves_no_child() {
    let run = with_server(FakeStdio::new().grandchildren(1), "");
    run.provider.queue(says("done"));
    assert_eq!(run.start().wait().exit(), Some(0));
    run.nothing_is_left();
}
