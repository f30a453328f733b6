//! The helper that runs *inside* the child: it shuts the doors, then starts the command.
//!
//! It is the `codex` binary itself, started as `/proc/self/exe` with [`MARK`] as its first word:
//! that names the very same file even after an update has replaced it on disk, and needs neither a
//! link nor a second program to ship. `main` asks [`run_if_asked`] before it does anything else.
//!
//! What it does, in this order (`run.rs` is the outer half, `inside.rs` the inner one):
//! 1. every descriptor but 0, 1 and 2 is closed;
//! 2. own user, mount, process, IPC and (without network access) network namespaces, in which all
//!    is read-only but the writable roots, and what is protected inside of them is read-only again;
//! 3. no capabilities, no new privileges, Landlock, seccomp;
//! 4. the command runs as the child of a tiny init, and the whole process namespace ends with it.
//!
//! Where the kernel grants no user namespace, Landlock and seccomp alone do the work with stricter
//! rules (`fallback.rs`). Where they cannot either, nothing is started: [`REFUSED`].
//!
//! **Absent on purpose:** tokio, configuration, policies. It enforces a list of paths ([`Rules`])
//! that `codex-sandbox` made.

#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
mod fallback;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod placeholder;
mod rules;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod supervise;
#[cfg(target_os = "linux")]
mod sys;

use std::ffi::OsString;

#[cfg(target_os = "linux")]
pub use placeholder::is_placeholder;
pub use rules::{Rules, TELL_GROUND};

/// The first word of the command line that asks for the helper.
pub const MARK: &str = "codex-linux-sandbox";

/// The exit code when the sandbox cannot be made; nothing was started then.
pub const REFUSED: u8 = 125;

/// What the helper says on its stderr where Landlock and seccomp are all that holds the command.
pub const WITHOUT_NAMESPACES: &str = "no namespaces here";

/// Runs as the helper when the command line asks for it, and returns the exit code then.
///
/// `args` are the words of the process without its name. Must be called before any thread is
/// started: the helper forks.
pub fn run_if_asked(args: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut args = args.into_iter();
    if args.next()? != MARK {
        return None;
    }
    Some(run(args.collect()))
}

#[cfg(target_os = "linux")]
fn run(args: Vec<OsString>) -> u8 {
    run::run(args)
}

#[cfg(not(target_os = "linux"))]
fn run(_args: Vec<OsString>) -> u8 {
    REFUSED
}
