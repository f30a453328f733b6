//! From a command line to the end of the process: the signals, and who may still write.
//!
//! The first signal interrupts the run and gives it time to complete its items; the second one, and
//! the end of that time, drop it where it stands. Dropping ends servers and children by their groups.

use std::io::Write;
use std::time::Duration;

use codex_process::{Ending, Output, Signals};
use codex_runtime::Invocation;
use tokio_util::sync::CancellationToken;

use crate::ExecArgs;
use crate::args::{Request, UsageError};
use crate::prompt::discard_prompt;
use crate::session::{self, End};

/// From a signal to the end of the process at the latest, a little under what the contract gives.
const SIGNAL_LIMIT: Duration = Duration::from_millis(1800);

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
    let request = match args.resolve() {
        Ok(request) => request,
        Err(error) => return usage(error),
    };
    // One thread: a turn waits for peers, it does not compute.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    let exit = runtime.block_on(supervise(request, invocation));
    // A blocked helper thread must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn supervise(request: Request, invocation: Invocation) -> ExecExit {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("cannot catch signals: {error}")),
    };
    let out = Output::start();
    let interrupt = CancellationToken::new();
    let work = session::run(request, invocation, &out, &interrupt);
    let mut work = std::pin::pin!(work);
    let ending = tokio::select! {
        end = &mut work => return lost_stdout(&out).unwrap_or(ExecExit::of(end)),
        ending = signals.next() => Some(ending),
        () = out.lost() => None,
    };
    interrupt.cancel();
    tokio::select! {
        _ = &mut work => {}
        () = tokio::time::sleep(SIGNAL_LIMIT) => {}
        _ = signals.next() => {}
    }
    match ending {
        // Whoever reads us has what it wanted.
        None => lost_stdout(&out).unwrap_or(ExecExit::Code(0)),
        Some(Ending::Interrupt) => ExecExit::Code(130),
        Some(ending @ (Ending::Terminate | Ending::HangUp)) => ExecExit::Signal(ending.number()),
    }
}

impl ExecExit {
    fn of(end: End) -> Self {
        match end {
            End::Completed => Self::Code(0),
            End::Failed => Self::Code(1),
            // Only a signal or a lost reader interrupts, and both are handled above; a turn that
            // says so on its own has failed.
            End::Interrupted => Self::Code(1),
        }
    }
}

/// Reports a stdout that cannot be written, such as a file on a full disk.
fn lost_stdout(out: &Output) -> Option<ExecExit> {
    out.fault()
        .map(|error| failed(&format!("cannot write to stdout: {error}")))
}

fn usage(error: UsageError) -> ExecExit {
    say(&format!(
        "error: {error}\n\nFor more information, try '--help'."
    ));
    discard_prompt();
    ExecExit::Code(2)
}

fn failed(message: &str) -> ExecExit {
    say(&format!("Error: {message}"));
    ExecExit::Code(1)
}

fn say(text: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}
