//! Trees end, in every way, and say how. Each test waits on pipes and processes, never on a clock.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare files directly"
)]

use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use codex_host::Env;
use codex_process::{ChildSpec, Exit, Ladder, LastStep, ProcessTree, SpawnError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(20);

const FAST: Ladder = Ladder {
    term_after: Duration::from_millis(50),
    kill_after: Duration::from_millis(50),
};

fn spec(program: &str) -> ChildSpec {
    let env = Env::from_pairs([("PATH", "/usr/bin:/bin")]);
    ChildSpec::new(program, env, "/")
}

fn sh(script: &str) -> ProcessTree {
    ProcessTree::spawn(&spec("sh").args(["-c", script])).unwrap()
}

async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap()
}

/// Reads the line in which a script tells a process id, or that it is ready.
async fn first_line(tree: &mut ProcessTree) -> String {
    let stdout = tree.stdout.as_mut().unwrap();
    let mut line = String::new();
    limited(tokio::io::BufReader::new(stdout).read_line(&mut line))
        .await
        .unwrap();
    line.trim().to_owned()
}

/// Whether a process runs: a zombie that nobody has reaped yet does not.
fn is_alive(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat.rsplit(") ").next().unwrap();
    !state.starts_with(['Z', 'X'])
}

/// Waits until the process has gone, and fails after one second: the promise of the product.
fn assert_ends(pid: &str) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(1), "{pid} is alive");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn stdin_and_stdout_are_connected() {
    let mut tree = ProcessTree::spawn(&spec("cat")).unwrap();
    let mut stdin = tree.stdin.take().unwrap();
    stdin.write_all(b"hello").await.unwrap();
    drop(stdin);
    let mut text = String::new();
    let stdout = tree.stdout.as_mut().unwrap();
    limited(stdout.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "hello");
    assert_eq!(limited(tree.exited()).await, Exit::Code(0));
    let report = limited(tree.stop(Ladder::default())).await;
    assert_eq!(report.step, LastStep::AlreadyGone);
}

#[tokio::test]
async fn the_environment_is_complete() {
    let env = Env::from_pairs([("PATH", "/usr/bin:/bin"), ("ONLY", "this")]);
    let mut tree = ProcessTree::spawn(&ChildSpec::new("env", env, "/")).unwrap();
    let mut text = String::new();
    let stdout = tree.stdout.as_mut().unwrap();
    limited(stdout.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "ONLY=this\nPATH=/usr/bin:/bin\n");
}

#[tokio::test]
async fn an_exit_says_its_code_or_its_signal() {
    let tree = sh("exit 3");
    assert_eq!(limited(tree.exited()).await.to_string(), "exit status 3");
    let tree = sh("kill -9 $$");
    let exit = limited(tree.exited()).await;
    assert_eq!(exit.to_string(), "killed by signal 9 (SIGKILL)");
}

#[tokio::test]
async fn a_polite_program_ends_with_its_stdin() {
    let tree = ProcessTree::spawn(&spec("cat")).unwrap();
    let patient = Ladder {
        term_after: LIMIT,
        kill_after: LIMIT,
    };
    let report = limited(tree.stop(patient)).await;
    assert_eq!(report.step, LastStep::StdinClosed);
    assert_eq!(report.exit, Exit::Code(0));
}

#[tokio::test]
async fn a_busy_program_ends_by_sigterm() {
    let tree = ProcessTree::spawn(&spec("sleep").args(["1000"])).unwrap();
    let ladder = Ladder {
        kill_after: LIMIT,
        ..FAST
    };
    let report = limited(tree.stop(ladder)).await;
    assert_eq!(report.step, LastStep::Terminated);
    assert_eq!(report.exit.to_string(), "killed by signal 15 (SIGTERM)");
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed() {
    let mut tree = sh("trap '' TERM; echo ready; while :; do sleep 1000; done");
    first_line(&mut tree).await;
    let pid = tree.id().to_string();
    let report = limited(tree.stop(FAST)).await;
    assert_eq!(report.step, LastStep::Killed);
    assert_eq!(report.exit, Exit::Signal(9));
    assert_ends(&pid);
}

#[tokio::test]
async fn grandchildren_end_with_a_stop() {
    let mut tree = sh("sleep 1000 & echo $!; exec cat");
    let grandchild = first_line(&mut tree).await;
    assert!(is_alive(&grandchild));
    limited(tree.stop(FAST)).await;
    assert_ends(&grandchild);
}

#[tokio::test]
async fn grandchildren_end_when_the_leader_leaves() {
    let mut tree = sh("(trap '' TERM; sleep 1000) & echo $!; exit 4");
    let grandchild = first_line(&mut tree).await;
    assert_eq!(limited(tree.exited()).await, Exit::Code(4));
    assert_ends(&grandchild);
}

#[tokio::test]
async fn dropping_the_tree_kills_all_of_it() {
    let mut tree = sh("trap '' TERM; sleep 1000 & echo $!; cat; sleep 1000");
    let grandchild = first_line(&mut tree).await;
    let leader = tree.id().to_string();
    let exited = tree.exited();
    drop(tree);
    assert_ends(&grandchild);
    assert_ends(&leader);
    assert_eq!(limited(exited).await, Exit::Unknown);
}

#[tokio::test]
async fn noise_on_stderr_neither_blocks_nor_grows() {
    let tree = sh("i=0; while [ $i -lt 20000 ]; do \
                     echo \"line $i of a rather chatty program\" >&2; i=$((i+1)); done; exit 7");
    assert_eq!(limited(tree.exited()).await, Exit::Code(7));
    let tail = tree.stderr_tail();
    assert!(tail.text.len() <= 64 * 1024);
    assert_eq!(tail.text.lines().count(), 200);
    assert!(tail.text.ends_with("line 19999 of a rather chatty program"));
    assert!(tail.n_dropped > 500_000, "{}", tail.n_dropped);
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let error = ProcessTree::spawn(&spec("no-such-program-here")).unwrap_err();
    let text = error.to_string();
    assert_eq!(text, "program not found on PATH: `no-such-program-here`");
    assert!(error.hints()[0].contains("/usr/bin:/bin"));
    let error = ProcessTree::spawn(&spec("/no/such")).unwrap_err();
    assert_eq!(error.to_string(), "program not found: `/no/such`");
}

#[tokio::test]
async fn the_lookup_uses_the_path_and_directory_of_the_child() {
    let home = tempfile::tempdir().unwrap();
    script(&home.path().join("bin/greet"), "#!/bin/sh\necho greeted\n");
    let env = Env::from_pairs([("PATH", home.path().join("bin"))]);
    for program in ["greet", "./bin/greet", "bin/greet"] {
        let spec = ChildSpec::new(program, env.clone(), home.path());
        let mut tree = ProcessTree::spawn(&spec).unwrap();
        assert_eq!(first_line(&mut tree).await, "greeted", "{program}");
    }
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let home = tempfile::tempdir().unwrap();
    let plain = home.path().join("plain");
    std::fs::write(&plain, "text").unwrap();
    let error = ProcessTree::spawn(&spec(plain.to_str().unwrap())).unwrap_err();
    assert!(matches!(error, SpawnError::NotExecutable { .. }), "{error}");

    let lost = home.path().join("bin/lost");
    script(&lost, "#!/no/such/interpreter\n");
    let error = ProcessTree::spawn(&spec(lost.to_str().unwrap())).unwrap_err();
    assert!(matches!(error, SpawnError::NoInterpreter { .. }), "{error}");

    let mut nowhere = spec("cat");
    nowhere.cwd = home.path().join("gone");
    let error = ProcessTree::spawn(&nowhere).unwrap_err();
    assert!(matches!(error, SpawnError::NoCwd { .. }), "{error}");
}

#[test]
fn nobody_survives_a_parent_that_is_killed() {
    assert_parent_takes_all_along(&[]);
}

#[test]
fn nobody_survives_a_parent_that_spawned_on_another_thread() {
    assert_parent_takes_all_along(&["thread"]);
}

#[test]
fn a_guardian_that_is_killed_is_replaced_and_the_new_one_knows_everybody() {
    // On another thread: there the guardian is the only one who ends the leaders.
    assert_parent_takes_all_along(&["thread", "twice"]);
}

/// Starts a parent whose trees ignore everything, kills the parent with SIGKILL, looks around.
fn assert_parent_takes_all_along(words: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pids");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let script = format!(
        "trap '' TERM HUP INT; sleep 1000 & echo $! > '{}'; sleep 1000; sleep 1000",
        pipe.display()
    );
    let mut parent = Command::new(env!("CARGO_BIN_EXE_process-test-parent"))
        .arg(script)
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(parent.stdout.take().unwrap());
    let n_trees = if words.contains(&"twice") { 2 } else { 1 };
    // Open for writing too, so that the pipe never ends between two writers.
    let pids = std::fs::File::options().read(true).write(true).open(&pipe);
    let mut pids = BufReader::new(pids.unwrap());
    let mut living = Vec::new();
    for _ in 0..n_trees {
        living.push(line(&mut stdout));
        living.push(line(&mut pids));
    }
    assert!(living.iter().all(|pid| is_alive(pid)), "{living:?}");

    parent.kill().unwrap();
    parent.wait().unwrap();
    living.iter().for_each(|pid| assert_ends(pid));
    // The guardian does not keep our stdout open either.
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
}
