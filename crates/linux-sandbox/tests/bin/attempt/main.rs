//! One attempt to get out of the sandbox: `sandbox-attempt NAME ARENA`, for tests/escapes.rs.
//!
//! It exits with 0 when the attempt succeeded, and says on stderr why it did not; `list` prints all
//! names. The arena, by which its processes are found, is in the variable `ARENA` too: `outside/secret` and `outside/dir` are what must not be
//! touched, `nest/desk` may be written, the files `*.port` and `*.sock` lead to listeners outside.
//! `VICTIM` is a process outside (`victim.rs`).
#![cfg(target_os = "linux")]
#![expect(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an attacker uses raw system calls; their results are all that matters"
)]

mod disk;
mod files;
mod kernel;
mod prelude;
mod processes;
mod sockets;
mod stay;
mod victim;

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::libc::c_long;

type Outcome = io::Result<()>;
type Attempts = &'static [(&'static str, fn() -> Outcome)];

const TOKEN: &[u8] = b"escaped";

/// Every attempt, in the order of the table.
const ALL: &[Attempts] = &[
    files::ATTEMPTS,
    disk::ATTEMPTS,
    processes::ATTEMPTS,
    victim::ATTEMPTS,
    sockets::ATTEMPTS,
    kernel::ATTEMPTS,
    stay::ATTEMPTS,
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "list" => {
            for (name, _) in ALL.iter().copied().flatten() {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        // Not attempts.
        "victim" => told("victim", victim::live()),
        "without namespaces" => told("prelude", prelude::without_namespaces()),
        "am I root" => told("root", processes::am_i_root()),
        "am I in another group" => told("group", processes::am_i_in_another_group()),
        _ => {
            let found = ALL
                .iter()
                .copied()
                .flatten()
                .find(|(known, _)| *known == name);
            told(
                &name,
                match found {
                    Some((_, attempt)) => attempt(),
                    None => Err(io::Error::other("no such attempt")),
                },
            )
        }
    }
}

fn told(name: &str, outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn in_arena(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("ARENA").unwrap_or_default()).join(name)
}

fn outside(name: &str) -> PathBuf {
    in_arena("outside").join(name)
}

fn work(name: &str) -> PathBuf {
    in_arena("nest/desk").join(name)
}

fn victim() -> i32 {
    let pid = std::env::var("VICTIM").unwrap_or_default();
    pid.parse().unwrap_or(-1)
}

fn write(path: &Path) -> Outcome {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(TOKEN)
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn check(result: c_long) -> Outcome {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
