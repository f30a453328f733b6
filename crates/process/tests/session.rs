//! Shell commands talk, are talked to, and end whole.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::Future;
use std::time::{Duration, Instant};

use codex_host::Env;
use codex_process::{ChildSpec, Exit, Session, Terminal, WriteError};

const LIMIT: Duration = Duration::from_secs(20);
const FAST: Duration = Duration::from_millis(100);

fn start(script: &str, terminal: Terminal) -> Session {
    let env = Env::from_pairs([("PATH", "/usr/bin:/bin"), ("PS1", "> ")]);
    let spec = ChildSpec::new("bash", env, "/").args(["--norc", "-c", script]);
    Session::spawn(&spec, terminal).unwrap()
}

async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap()
}

/// Collects unread output until a text is in it.
async fn wait_for(session: &Session, text: &str) -> String {
    limited(async {
        let mut seen = String::new();
        while !seen.contains(text) {
            seen.push_str(&session.take_unread().text());
            tokio::task::yield_now().await;
        }
        seen
    })
    .await
}

fn assert_gone(pid: &str) {
    let begun = Instant::now();
    let stat = format!("/proc/{pid}/stat");
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() {
        assert!(begun.elapsed() < Duration::from_secs(1), "{pid} lives");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn both_streams_are_one_in_the_order_of_writing() {
    let session = start("echo 1; echo 2 >&2; echo 3; exit 7", Terminal::Absent);
    assert_eq!(limited(session.ended()).await, Exit::Code(7));
    assert_eq!(session.output().text(), "1\n2\n3\n");
    assert_eq!(session.take_unread().text(), "1\n2\n3\n");
    assert_eq!(session.take_unread().text(), "");
}

#[tokio::test]
async fn a_command_without_a_terminal_reads_nothing_and_cannot_be_written_to() {
    let session = start("cat; test -t 0 || echo no terminal", Terminal::Absent);
    limited(session.ended()).await;
    assert_eq!(session.output().text(), "no terminal\n");
    let error = session.write(b"x").await.unwrap_err();
    assert!(matches!(error, WriteError::NoTerminal), "{error}");
}

#[tokio::test]
async fn a_program_on_a_terminal_asks_and_is_answered() {
    let script = "test -t 0 && test -t 1 && stty size; read -p 'name? ' n; echo \"hello $n\"";
    let session = start(script, Terminal::Own);
    assert!(wait_for(&session, "name? ").await.starts_with("24 80\r\n"));
    session.write(b"Ada\n").await.unwrap();
    assert_eq!(limited(session.ended()).await, Exit::Code(0));
    assert_eq!(session.take_unread().text(), "Ada\r\nhello Ada\r\n");
}

#[tokio::test]
async fn an_interrupt_that_is_typed_reaches_the_program() {
    let session = start("echo ready; sleep 1000", Terminal::Own);
    wait_for(&session, "ready").await;
    session.write(b"\x03").await.unwrap();
    assert_eq!(limited(session.ended()).await, Exit::Signal(2));
}

#[tokio::test]
async fn much_output_is_bounded_and_what_is_kept_is_head_and_tail() {
    let script = "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo last";
    let session = start(script, Terminal::Absent);
    assert_eq!(limited(session.ended()).await, Exit::Code(0));
    let kept = session.output();
    assert!(kept.head.starts_with(b"first\n") && kept.tail.ends_with(b"xlast\n"));
    assert_eq!(kept.n_bytes(), 20_000_011);
    assert!(kept.head.len() + kept.tail.len() <= 512 * 1024);
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_is_killed_with_its_children() {
    let script = "trap '' TERM; sleep 1000 & echo $!; wait; wait";
    let session = start(script, Terminal::Absent);
    let child = wait_for(&session, "\n").await;
    assert_eq!(limited(session.stop(FAST)).await, Exit::Signal(9));
    assert_gone(child.trim());
}

#[tokio::test]
async fn jobs_of_a_shell_on_a_terminal_end_with_it() {
    let session = start("set -m; sleep 1000 & echo \"job $!.\"; wait", Terminal::Own);
    let seen = wait_for(&session, ".").await;
    let job = seen.split(['.', ' ']).nth(1).unwrap().to_owned();
    limited(session.stop(FAST)).await;
    assert_gone(&job);
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_ends_with_it() {
    let session = start("sleep 1000 & echo $!", Terminal::Absent);
    assert_eq!(limited(session.ended()).await, Exit::Code(0));
    assert_gone(session.output().text().trim());
}

#[tokio::test]
async fn a_dropped_session_leaves_nothing() {
    let session = start("sleep 1000 & echo $!; wait", Terminal::Own);
    let child = wait_for(&session, "\n").await;
    drop(session);
    assert_gone(child.trim());
}

/// Codex on a user's terminal starts a program, which wants the terminal.
#[tokio::test]
async fn what_is_started_cannot_take_the_users_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let verdict = folder.path().join("verdict");
    let attempt = format!(
        "{{ if echo TAKEN > /dev/tty; then v=taken; else v=kept; fi; }} 2>/dev/null; \
         echo $v > '{0}.new'; mv '{0}.new' '{0}'",
        verdict.display()
    );
    let seen = || std::fs::read_to_string(&verdict).unwrap_or_default();
    // A program that the terminal was given to can.
    let session = start(&attempt, Terminal::Own);
    limited(session.ended()).await;
    assert_eq!(seen(), "taken\n");
    assert!(session.output().text().contains("TAKEN"));

    let codex = env!("CARGO_BIN_EXE_process-test-parent");
    let script = format!("exec {codex} \"$ATTEMPT\"");
    let env = Env::from_pairs([("PATH", "/usr/bin:/bin"), ("ATTEMPT", &attempt)]);
    let spec = ChildSpec::new("sh", env, "/").args(["-c", &script]);
    let session = Session::spawn(&spec, Terminal::Own).unwrap();
    limited(session.ended()).await;
    assert_eq!(seen(), "kept\n", "{}", session.output().text());
    assert!(!session.output().text().contains("TAKEN"));
}
