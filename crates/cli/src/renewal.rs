//! This program as its own deputy: `codex --renew-login` renews one login for the codex that started
//! it, and survives that one (`codex_oauth::Deputy` says why). No person types it, so the command tree
//! does not know it.
//!
//! Trap: stdout is the lock file here. Nothing may be printed.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use codex_host::Env;
use codex_mcp::{Deputy, serve_renewal};

const FLAG: &str = "--renew-login";

/// Returns this program as a deputy.
pub(crate) fn deputy() -> Option<Deputy> {
    // On Linux this program is started again even when an update has replaced its file.
    let program = match cfg!(target_os = "linux") {
        true => PathBuf::from("/proc/self/exe"),
        false => std::env::current_exe().ok()?,
    };
    Some(Deputy {
        program,
        args: vec![FLAG.into()],
    })
}

/// Says whether we are the deputy.
pub(crate) fn is_ordered() -> bool {
    let mut args = std::env::args_os().skip(1);
    args.next().as_deref() == Some(OsStr::new(FLAG)) && args.next().is_none()
}

/// Renews, and says nothing: the codex that ordered it has the answer, or is gone.
pub(crate) fn run() -> ExitCode {
    match renew() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Only a person sees it, who typed what is none of his business.
            let _ = writeln!(
                std::io::stderr(),
                "Error: {FLAG} is for codex itself: {error}"
            );
            ExitCode::FAILURE
        }
    }
}

fn renew() -> std::io::Result<()> {
    // Out of the terminal's session first: Ctrl-C and a hang-up are for the one who ordered.
    rustix::process::setsid()?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let lock = std::io::stdout().as_fd().try_clone_to_owned()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = serve_renewal(socket, lock, Env::from_process(), env!("CARGO_PKG_VERSION"));
    runtime.block_on(work)
}
