//! A parent for the tests: starts trees of `sh -c ARGV[1]`, prints the id of each, and waits to be
//! killed.
//!
//! More words change how: `thread` does it on another thread than the main one; `twice` starts a
//! second tree after it has killed the guardian of the first.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a program of the tests"
)]

use std::process::Command;

use codex_host::Env;
use codex_process::{ChildSpec, ProcessTree};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let (script, is_twice) = (words[1].clone(), has("twice"));
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let first = spawn(&script);
            if is_twice {
                kill_guardian();
                let _second = spawn(&script);
                first.exited().await;
            }
            first.exited().await;
        });
    };
    if has("thread") {
        std::thread::spawn(work).join().unwrap();
    } else {
        work();
    }
}

fn spawn(script: &str) -> ProcessTree {
    let spec = ChildSpec::new("sh", Env::from_process(), ".").args(["-c", script]);
    let tree = ProcessTree::spawn(&spec).unwrap();
    println!("{}", tree.id());
    tree
}

/// Kills the child of this process that calls itself the guardian, and waits until it has gone.
fn kill_guardian() {
    let me = format!(" {} ", std::process::id());
    let guardian = std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let command = std::fs::read_to_string(path.join("cmdline")).ok()?;
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let is_ours = stat.split_once(") ")?.1[1..].starts_with(&me);
        (is_ours && command.contains("codex-guardian")).then_some(path)
    });
    let guardian = guardian.expect("a guardian");
    let pid = guardian.file_name().unwrap().to_str().unwrap();
    let kill = format!("kill -9 {pid}");
    let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(killed.success());
    let stat = guardian.join("stat");
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
}
