//! From a command line to an exit code.

use codex_runtime::Invocation;

use crate::ExecArgs;

/// How the process shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecExit {
    /// With this exit code.
    Code(u8),
    /// By this signal, as if nobody had caught it: the caller restores the default and raises it.
    Signal(i32),
}

/// Runs `codex exec`. Makes its own tokio runtime, prints everything itself, never panics on a
/// closed stdout. `invocation.overrides` holds the flags left of `exec`.
pub fn run(args: ExecArgs, invocation: Invocation) -> ExecExit {
    let _ = (args, invocation);
    todo!()
}
