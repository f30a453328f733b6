//! One running tree of processes.

use std::future::Future;
use std::time::Duration;

use tokio::process::{ChildStdin, ChildStdout};

use crate::{ChildSpec, Exit, SpawnError, StderrTail};

/// A running program with everything that it starts.
#[derive(Debug)]
pub struct ProcessTree {
    /// The write end of its stdin. Take it to write; drop it to say that no more will come.
    pub stdin: Option<ChildStdin>,
    /// The read end of its stdout.
    pub stdout: Option<ChildStdout>,
}

/// How long each step of [`ProcessTree::stop`] may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// From the closed stdin to SIGTERM.
    pub term_after: Duration,
    /// From SIGTERM to SIGKILL.
    pub kill_after: Duration,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            term_after: Duration::from_millis(500),
            kill_after: Duration::from_millis(500),
        }
    }
}

/// The step of the ladder at which the leader was gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastStep {
    /// It had ended before.
    AlreadyGone,
    /// It ended because its stdin was closed.
    StdinClosed,
    /// It ended after SIGTERM.
    Terminated,
    /// It had to be killed.
    Killed,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// How the leader ended.
    pub exit: Exit,
    /// What it took.
    pub step: LastStep,
}

impl ProcessTree {
    /// Starts a program in its own process group. Must be called inside a tokio runtime.
    pub fn spawn(spec: &ChildSpec) -> Result<Self, SpawnError> {
        let _ = spec;
        todo!()
    }

    /// Returns the process id of the leader, which is the id of the group too.
    pub fn id(&self) -> u32 {
        todo!()
    }

    /// Returns the end of stderr so far. After [`exited`](Self::exited) it is complete.
    pub fn stderr_tail(&self) -> StderrTail {
        todo!()
    }

    /// Returns how the leader ended, when it has.
    pub fn try_exit(&self) -> Option<Exit> {
        todo!()
    }

    /// Resolves when the leader has ended. The future does not borrow the tree.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        async { todo!() }
    }

    /// Ends the whole tree: close stdin, wait, SIGTERM to the group, wait, SIGKILL to the group.
    ///
    /// A `stdin` that was taken must be dropped by its taker first, or the first wait is in vain.
    /// Dropping the returned future kills the group at once.
    pub async fn stop(self, ladder: Ladder) -> StopReport {
        let _ = ladder;
        todo!()
    }

    /// Kills the group at once and waits until the leader is gone.
    pub async fn kill(self) -> Exit {
        todo!()
    }
}
