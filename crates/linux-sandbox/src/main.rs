//! The helper as a program of its own, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1);
    ExitCode::from(codex_linux_sandbox::run_if_asked(args).unwrap_or(codex_linux_sandbox::REFUSED))
}
