//! The escape suite: every attempt of tests/bin/attempt.rs, by root and by an ordinary user.
//!
//! Each attempt runs three ways: without a sandbox (it must succeed for one of the users, or it
//! would prove nothing), in the namespaces, and in the way without namespaces. Inside it must fail:
//! by its own word, by what the listeners outside received, and by what is left on the disk. The
//! table of all results is printed, `cargo nextest run -p codex-linux-sandbox --no-capture escapes`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare files and processes directly, and the table is their result"
)]

mod arena;

use arena::{Arena, Ground, User};

/// Every attempt, in the order of the table.
const ATTEMPTS: &[&str] = &[
    "write a path",
    "create a file",
    "write through ..",
    "write through a relative ..",
    "write through a link",
    "write through a linked folder",
    "hard link into the workspace",
    "rename out of the workspace",
    "rename into the workspace",
    "remove a file",
    "make a folder",
    "truncate a file",
    "change the mode",
    "change the times",
    "link an unnamed file outside",
    "reopen a descriptor",
    "reopen stdin",
    "write an inherited descriptor",
    "another process's view of the disk",
    "open a file by its handle",
    "open a disk",
    "make a device",
    "open a switch in /proc/sys",
    "open a switch in /sys",
    "mount a file system",
    "bind mount",
    "remount writable",
    "own namespaces",
    "own namespaces by clone3",
    "enter another namespace",
    "write .git",
    "rename .git",
    "unmount .git",
    "link into .git",
    "make .codex",
    "replace .codex by a link",
    "move the workspace away",
    "trace a process",
    "write into a process",
    "signal a process",
    "limit a process",
    "TCP",
    "UDP",
    "unix socket with a path",
    "unix datagram with a path",
    "abstract unix socket",
    "raw socket",
    "packet socket",
    "netlink to the kernel",
    "vsock",
    "crypto socket",
    "io_uring",
    "run a set-user program",
    "make a set-user program",
    "make a set-group program",
    "add a key",
    "type into the terminal",
    "outlive the command",
    "outlive the killed helper",
    "fork bomb",
];

/// What the way without namespaces does not promise (docs/sandbox.md).
const NOT_HELD_WITHOUT_NAMESPACES: &[&str] = &[
    "change the mode",
    "change the times",
    "open a disk",
    "outlive the killed helper",
    "fork bomb",
];

/// What this machine may not offer even without a sandbox.
const MAY_BE_MISSING_OUTSIDE: &[&str] = &[
    "own namespaces",
    "own namespaces by clone3",
    "open a disk",
    "make a device",
    "vsock",
    "crypto socket",
    "io_uring",
    "type into the terminal",
];

#[test]
fn nothing_escapes() {
    let users = User::that_can_be_tried();
    let mut escapes = Vec::new();
    let mut proofless = Vec::new();
    let columns: Vec<(Ground, User)> = [Ground::Outside, Ground::Namespaces, Ground::Landlock]
        .into_iter()
        .flat_map(|ground| users.iter().map(move |user| (ground, *user)))
        .collect();
    let names: Vec<_> = columns
        .iter()
        .map(|(ground, user)| format!("{ground:?}/{user:?}"))
        .collect();
    println!("{:36} {}", "attempt", names.join("  "));
    for attempt in ATTEMPTS {
        let mut cells = Vec::new();
        let mut proven = false;
        for (&(ground, user), name) in columns.iter().zip(&names) {
            let succeeded = Arena::new(user).run(attempt, ground);
            proven |= succeeded && ground == Ground::Outside;
            let expected =
                ground == Ground::Landlock && NOT_HELD_WITHOUT_NAMESPACES.contains(attempt);
            let cell = match (ground, succeeded) {
                (Ground::Outside, true) => "succeeds",
                (Ground::Outside, false) => "-",
                (_, false) => "stopped",
                (_, true) if expected => "not held",
                (_, true) => "ESCAPED",
            };
            if cell == "ESCAPED" {
                escapes.push(format!("{attempt} ({name})"));
            }
            cells.push(format!("{cell:width$}", width = name.len()));
        }
        println!("{attempt:36} {}", cells.join("  "));
        if !proven && !MAY_BE_MISSING_OUTSIDE.contains(attempt) {
            proofless.push(*attempt);
        }
    }
    println!("{} attempts, {} escapes", ATTEMPTS.len(), escapes.len());
    assert_eq!(escapes, [] as [String; 0]);
    if users.contains(&User::Root) {
        assert_eq!(
            proofless,
            [] as [&str; 0],
            "these succeed nowhere, so they prove nothing"
        );
    }
}
