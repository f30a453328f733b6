//! The escape suite: every attempt of tests/bin/attempt, by root and by an ordinary user.
//!
//! Each attempt runs without a sandbox (it must succeed for one of the users, or it would prove
//! nothing), in the namespaces, and in the way without namespaces; there both with the network off
//! and on. Inside it must fail: by its own word, by what the listeners outside received, by what is
//! left on the disk, and by who still lives. The table of all results is printed,
//! `cargo nextest run -p codex-linux-sandbox --no-capture escapes`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests prepare files and processes directly, and the table is their result"
)]

mod arena;
mod table;

use std::sync::Mutex;
use std::thread;

use arena::{Arena, Ground, Programs, User, Way};
use table::Table;

/// What the network lets through when it is on: the two rows that show that it is.
const ALLOWED_WITH_NETWORK: &[&str] = &["TCP", "UDP"];

/// What the way without namespaces does not promise (docs/sandbox.md).
const NOT_HELD_WITHOUT_NAMESPACES: &[&str] = &[
    "change the mode",
    "change the owner",
    "change the times",
    "open a disk",
    "outlive the killed helper",
    "fork bomb",
];

/// What this machine may not offer even without a sandbox.
const MAY_BE_MISSING_OUTSIDE: &[&str] = &[
    "change an attribute",
    "change an attribute of a descriptor",
    "change the flags",
    "open a disk",
    "make a device",
    "own namespaces",
    "own namespaces by clone3",
    "POSIX messages",
    "vsock",
    "crypto socket",
    "another kind of socket",
    "io_uring",
    "load into the kernel",
    "measure the machine",
    "handle page faults",
    "watch all files",
    "read the kernel's log",
    "add a key",
    "look at the session's keys",
    "type into the terminal",
];

#[test]
fn nothing_escapes() {
    let programs = Programs::new();
    let attempts = programs.attempts();
    for list in [
        ALLOWED_WITH_NETWORK,
        NOT_HELD_WITHOUT_NAMESPACES,
        MAY_BE_MISSING_OUTSIDE,
    ] {
        for name in list {
            assert!(attempts.iter().any(|known| known == name), "{name}");
        }
    }
    let ways = Way::that_can_be_tried();
    let names: Vec<String> = ways.iter().map(Way::name).collect();
    let (mut escapes, mut shut, mut proofless) = (Vec::new(), Vec::new(), Vec::new());
    let results = run_all(&programs, &attempts, &ways);
    let mut table = Table::new(&names);
    for (attempt, results) in attempts.iter().zip(results) {
        let name = attempt.as_str();
        let mut cells = Vec::new();
        for (way, succeeded) in ways.iter().zip(results) {
            let is_sandbox = way.ground != Ground::Outside;
            let is_allowed = way.has_network && ALLOWED_WITH_NETWORK.contains(&name);
            let is_weak =
                way.ground == Ground::Landlock && NOT_HELD_WITHOUT_NAMESPACES.contains(&name);
            cells.push(match succeeded {
                true if !is_sandbox => "succeeds",
                true if is_allowed => "allowed",
                true if is_weak => "not held",
                true => "ESCAPED",
                false if !is_sandbox => "-",
                false if is_allowed => "SHUT",
                false => "stopped",
            });
        }
        table.row(name, &cells);
        let of_interest = cells.iter().zip(&names);
        for (cell, way) in of_interest {
            match *cell {
                "ESCAPED" => escapes.push(format!("{name} ({way})")),
                "SHUT" => shut.push(format!("{name} ({way})")),
                _ => {}
            }
        }
        if !cells.contains(&"succeeds") && !MAY_BE_MISSING_OUTSIDE.contains(&name) {
            proofless.push(name);
        }
    }
    let n_ways = ways
        .iter()
        .filter(|way| way.ground != Ground::Outside)
        .count();
    let (n_attempts, n_escapes) = (attempts.len(), escapes.len());
    table.finish(
        "attempts",
        &format!("{n_attempts} attempts x {n_ways} ways: {n_escapes} escapes"),
    );
    assert_eq!(escapes, [] as [String; 0]);
    assert_eq!(shut, [] as [String; 0], "the network is not on");
    if ways.iter().any(|way| way.user == User::Root) {
        let why = "these succeed nowhere, so they prove nothing";
        assert_eq!(proofless, [] as [&str; 0], "{why}");
    }
}

/// Runs all attempts in all ways, and says of each whether it succeeded.
fn run_all(programs: &Programs, attempts: &[String], ways: &[Way]) -> Vec<Vec<bool>> {
    let next = Mutex::new(0..attempts.len());
    let results = Mutex::new(vec![Vec::new(); attempts.len()]);
    let n_workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..n_workers {
            scope.spawn(|| {
                while let Some(row) = { next.lock().unwrap().next() } {
                    let run = |way: &Way| Arena::new(programs, *way).run(&attempts[row]);
                    let cells = ways.iter().map(run).collect();
                    results.lock().unwrap()[row] = cells;
                }
            });
        }
    });
    results.into_inner().unwrap()
}
