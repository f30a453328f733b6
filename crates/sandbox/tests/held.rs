//! Commands that were wrapped by a plan, run by codex-process: how they live and how they end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use codex_host::Env;
use codex_process::{ChildSpec, Exit, Session, SpawnError, Terminal};
use codex_protocol::SandboxPolicy;
use codex_sandbox::SpawnPlan;

const LIMIT: Duration = Duration::from_secs(20);
const FAST: Duration = Duration::from_millis(100);

fn read_only() -> SpawnPlan {
    let policy = SandboxPolicy::ReadOnly {
        network_access: false,
    };
    let plan = codex_sandbox::plan(&policy, Path::new("/"), &Env::default()).unwrap();
    plan.with_helper(&codex_test_support::sandbox_helper())
}

fn shell(script: &str) -> ChildSpec {
    let env = Env::from_pairs([("PATH", "/usr/bin:/bin")]);
    ChildSpec::new("sh", env, "/").args(["-c", script])
}

fn start(script: &str, terminal: Terminal) -> Session {
    let spec = read_only().wrap(shell(script)).unwrap();
    Session::spawn(&spec, terminal).unwrap()
}

async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap()
}

/// Waits until the command has said something.
async fn wait_for(session: &Session, text: &str) {
    limited(async {
        while !session.output().text().contains(text) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Whether a process with this word in its command line lives.
fn lives(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|byte| *byte == 0)
                .any(|part| part == word.as_bytes())
        })
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_ends_with_its_daemon() {
    let daemon = format!("4{}", std::process::id());
    let script =
        format!("trap '' TERM; setsid sleep {daemon} & echo ready; while :; do sleep 1; done");
    let session = start(&script, Terminal::Absent);
    wait_for(&session, "ready").await;
    limited(async {
        while !lives(&daemon) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(limited(session.stop(FAST)).await, Exit::Signal(9));
    let begun = Instant::now();
    while lives(&daemon) {
        assert!(begun.elapsed() < LIMIT, "the daemon lives");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_command_that_handles_sigterm_chooses_its_exit() {
    let session = start(
        "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.01; done",
        Terminal::Absent,
    );
    wait_for(&session, "ready").await;
    assert_eq!(limited(session.stop(LIMIT)).await, Exit::Code(9));
}

#[tokio::test]
async fn a_terminal_is_a_terminal_inside() {
    let session = start(
        "[ -t 0 ] && stty size; read answer; echo got $answer",
        Terminal::Own,
    );
    wait_for(&session, "24 80").await;
    session.write(b"yes\n").await.unwrap();
    assert_eq!(limited(session.ended()).await, Exit::Code(0));
    assert!(session.output().text().contains("got yes"));
}

#[tokio::test]
async fn signals_and_exit_codes_come_through() {
    for (script, expected) in [
        ("exit 3", Exit::Code(3)),
        ("kill -SEGV $$", Exit::Signal(11)),
        ("kill -KILL $$", Exit::Signal(9)),
    ] {
        let session = start(script, Terminal::Absent);
        assert_eq!(limited(session.ended()).await, expected, "{script}");
    }
}

#[test]
fn a_program_that_is_not_there_is_told_before_the_sandbox_starts() {
    let spec = ChildSpec::new("no-such-program", Env::default(), "/");
    let refused = read_only().wrap(spec);
    assert!(matches!(refused, Err(SpawnError::NotOnPath { .. })));
}

#[test]
fn only_a_command_without_network_is_told_so() {
    let told = |network_access| {
        let policy = SandboxPolicy::ReadOnly { network_access };
        let plan = codex_sandbox::plan(&policy, Path::new("/"), &Env::default()).unwrap();
        let spec = plan.wrap(shell("true")).unwrap();
        spec.env.get("CODEX_SANDBOX_NETWORK_DISABLED").is_some()
    };
    assert_eq!((told(false), told(true)), (true, false));
}
