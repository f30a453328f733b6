//! What a sandbox policy means on this operating system: how to start a program under it.
//!
//! ```text
//! SandboxPolicy + cwd + Env  --plan-->  SpawnPlan  --wrap(ChildSpec)-->  ChildSpec for codex-process
//! ```
//!
//! A [`SpawnPlan`] is made once and wraps any number of commands; but what is protected (`.git`,
//! `.codex`) is looked up when it is made, so make one per command where that may change.
//!
//! | system | how | in |
//! |---|---|---|
//! | Linux | this binary as the helper `codex-linux-sandbox` | that crate |
//! | macOS | `/usr/bin/sandbox-exec` with a profile | `seatbelt.rs` |
//! | Windows | for `codex sandbox` alone, when it is asked for: codex-windows-sandbox | `windows.rs` |
//! | others | none: [`SandboxError::NotAvailable`], never a program without its sandbox | |
//!
//! **Absent on purpose:** configuration, approvals, and starting processes.

mod access;
mod git;
mod plan;
mod route;
#[cfg(any(target_os = "macos", test))]
mod seatbelt;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

pub use access::{WritablePlaces, writable_places};
pub use plan::{SandboxType, SpawnPlan, plan};
#[cfg(windows)]
pub use windows::windows_rules;

/// Why no program can be started under a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The operating system has none that we know.
    #[error("there is no sandbox for commands on {system} yet")]
    NotAvailable {
        /// Its name.
        system: &'static str,
    },
    /// The working directory cannot be found.
    #[error("cannot find the working directory `{}`", cwd.display())]
    NoCwd {
        /// The directory.
        cwd: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A root would be everything, or the kernel's switches.
    #[error("`{}` cannot be a writable root of the sandbox", root.display())]
    BadRoot {
        /// The root.
        root: PathBuf,
    },
    /// What a root is could be changed by the commands that may write it.
    #[error(
        "`{}` cannot be a writable root of the sandbox: commands in it can change the link `{}`",
        root.display(),
        link.display()
    )]
    LinkInRoot {
        /// The root as it was named.
        root: PathBuf,
        /// The link on the way to it.
        link: PathBuf,
    },
}

impl SandboxError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NotAvailable { .. } if cfg!(windows) => vec![
                "`codex sandbox --enable experimental_windows_sandbox` is the only command with one"
                    .to_owned(),
                "use `danger-full-access` only on a machine that is a sandbox itself".to_owned(),
            ],
            Self::NotAvailable { .. } => vec![
                "use `danger-full-access` only on a machine that is a sandbox itself".to_owned(),
            ],
            Self::NoCwd { .. } => Vec::new(),
            Self::BadRoot { .. } => {
                vec!["work in a directory of your own, or list smaller `writable_roots`".to_owned()]
            }
            Self::LinkInRoot { link, .. } => vec![format!(
                "look where `{}` leads: if you made it, name that directory instead; if not, remove it",
                link.display()
            )],
        }
    }
}
