//! The sandbox on Windows: a command with a token that may write only where it was granted.
//!
//! 1. Each folder that may be written has a SID of its own, made from its path (`capability.rs`).
//!    Nobody has it; the folder's access list grants it, and denies it what is protected in it (`acl.rs`).
//! 2. The command runs with a *write-restricted* token without privileges (`token.rs`): whatever it
//!    writes must be granted to the user **and** to one of these SIDs.
//! 3. All it starts is in one job, which ends with it, and with this process (`process.rs`).
//! 4. Without network access its variables name no way out (`environment.rs`). That is advice:
//!    Windows lets nobody but an administrator shut the network to a program.
//!
//! The grants stay on the folders. They open nothing to anybody: no other token has such a SID.
//!
//! **It was type-checked only; it has never run.** docs/sandbox.md says so, and it works only where the
//! feature `experimental_windows_sandbox` asks for it.
//!
//! **Absent on purpose:** configuration, policies, terminals of its own.

mod capability;
mod environment;
mod words;

#[cfg(windows)]
mod windows;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What a command may touch. Everything may be read; what is not listed may not be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Directories that may be written.
    pub writable: Vec<PathBuf>,
    /// Files and directories inside of them that may not.
    pub read_only: Vec<PathBuf>,
    /// Names inside of them that do not exist and may not be created.
    pub absent: Vec<PathBuf>,
    /// Whether the network can be used.
    pub network: bool,
}

/// A command to be run under rules.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What it may touch.
    pub rules: Rules,
    /// The full path of the program, and its arguments.
    pub command: Vec<OsString>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// All its variables.
    pub env: Vec<(OsString, OsString)>,
    /// When it is ended; never without.
    pub time_limit: Option<Duration>,
}

/// What a command has said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Its exit code.
    pub exit_code: u32,
    /// The beginning of its output, at most [`MAX_CAPTURED`] bytes.
    pub stdout: Vec<u8>,
    /// The same of its errors.
    pub stderr: Vec<u8>,
    /// Whether it was ended because its time was up.
    pub timed_out: bool,
}

/// So much of each stream is captured; the rest is read and dropped.
pub const MAX_CAPTURED: usize = 1024 * 1024;

/// Why no command was run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowsSandboxError {
    /// This is another system.
    #[error("the Windows sandbox works on Windows only")]
    NotWindows,
    /// The command cannot be told to Windows.
    #[error("the command cannot be started: {0}")]
    Command(&'static str),
    /// A variable cannot be told to Windows.
    #[error("a variable has a name or a value that Windows cannot take")]
    Variable,
    /// The system refused a step.
    #[error("the sandbox cannot be made, so the command was not started: {step}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// Runs a command in the sandbox, with no input, and returns what it said.
pub fn run_windows_sandbox_capture(request: &Request) -> Result<Capture, WindowsSandboxError> {
    let prepared = Prepared::of(request)?;
    #[cfg(windows)]
    return windows::capture(request, &prepared);
    #[cfg(not(windows))]
    {
        drop(prepared);
        Err(WindowsSandboxError::NotWindows)
    }
}

/// Runs a command in the sandbox with the input and outputs of this process, and returns its exit
/// code.
pub fn run_windows_sandbox(request: &Request) -> Result<u32, WindowsSandboxError> {
    let prepared = Prepared::of(request)?;
    #[cfg(windows)]
    return windows::run(request, &prepared);
    #[cfg(not(windows))]
    {
        drop(prepared);
        Err(WindowsSandboxError::NotWindows)
    }
}

/// What can be made ready on any system.
#[derive(Debug)]
#[cfg_attr(not(windows), expect(dead_code, reason = "read on Windows only"))]
struct Prepared {
    /// As one string, the way programs there take it apart again.
    command_line: String,
    /// What the command gets as its variables.
    environment: Vec<(OsString, OsString)>,
    /// The folders that may be written, each with its SID.
    capabilities: Vec<(PathBuf, String)>,
}

impl Prepared {
    fn of(request: &Request) -> Result<Self, WindowsSandboxError> {
        let folders = request.rules.writable.iter();
        Ok(Self {
            command_line: words::command_line(&request.command)?,
            environment: environment::of_command(&request.env, request.rules.network)?,
            capabilities: folders
                .map(|folder| (folder.clone(), capability::of_folder(folder)))
                .collect(),
        })
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_nothing_is_started() {
        let request = Request {
            command: vec!["x.exe".into()],
            ..Request::default()
        };
        let refused = run_windows_sandbox_capture(&request).unwrap_err();
        assert!(matches!(refused, WindowsSandboxError::NotWindows));
        let refused = run_windows_sandbox(&Request::default()).unwrap_err();
        assert!(
            matches!(refused, WindowsSandboxError::Command(_)),
            "{refused}"
        );
    }
}
