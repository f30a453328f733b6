//! One running tree of processes.
//!
//! A supervising task owns the child: it waits for the leader, then ends what the leader left
//! behind, then lets stderr run dry, and only then says that the tree has ended. So whoever waits
//! for [`ProcessTree::exited`] knows that nobody is alive and that the tail is complete.

use std::future::Future;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::group::{Group, GroupGuard, Leads, Stop};
use crate::stderr::TailBuffer;
use crate::{ChildSpec, Exit, SpawnError, StderrTail};

/// How long stderr may stay open after the tree has ended: a daemon may have inherited it.
const STDERR_GRACE: Duration = Duration::from_millis(250);

/// How long a killed leader may take to go. The kernel ends it at once unless it hangs in a device.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// A running program with everything that it starts.
///
/// Dropping it kills the whole group at once.
#[derive(Debug)]
pub struct ProcessTree {
    /// The write end of its stdin. Take it to write; drop it to say that no more will come.
    pub stdin: Option<ChildStdin>,
    /// The read end of its stdout.
    pub stdout: Option<ChildStdout>,
    leader: u32,
    group: Group,
    exit: watch::Receiver<Option<Exit>>,
    stderr: TailBuffer,
    /// Only the supervisor; it ends with this value.
    tasks: JoinSet<()>,
}

/// Where the first three descriptors of a child go, and what it leads.
pub(crate) struct Wiring {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
    pub(crate) leads: Leads,
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

/// The step of the ladder at which the tree was gone.
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
    /// Starts a program as the leader of its own process group.
    ///
    /// Must be called inside a tokio runtime, and blocks for about a millisecond.
    pub fn spawn(spec: &ChildSpec) -> Result<Self, SpawnError> {
        Self::spawn_wired(
            spec,
            Wiring {
                stdin: Stdio::piped(),
                stdout: Stdio::piped(),
                stderr: Stdio::piped(),
                leads: Leads::Group,
            },
        )
    }

    /// Starts a program whose first three descriptors go where the caller says.
    pub(crate) fn spawn_wired(spec: &ChildSpec, wiring: Wiring) -> Result<Self, SpawnError> {
        let program = spec.find_program()?;
        let mut command = Command::new(&program);
        command
            .args(&spec.args)
            .env_clear()
            .envs(spec.env.iter_os())
            .current_dir(&spec.cwd)
            .stdin(wiring.stdin)
            .stdout(wiring.stdout)
            .stderr(wiring.stderr);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, &spec.program);
        wiring.leads.prepare(&mut command);

        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| SpawnError::from_os(program, error))?;
        let leader = child.id().unwrap_or_default();
        let guard = wiring.leads.watch(leader);
        let group = guard.group();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pipe = child.stderr.take();
        let stderr = TailBuffer::default();
        let (report, exit) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(supervise(child, guard, pipe, stderr.clone(), report));
        Ok(Self {
            stdin,
            stdout,
            leader,
            group,
            exit,
            stderr,
            tasks,
        })
    }

    /// Returns the process id of the leader, which is the id of the group too.
    pub fn id(&self) -> u32 {
        self.leader
    }

    /// Returns the end of stderr so far. After [`exited`](Self::exited) it is complete.
    pub fn stderr_tail(&self) -> StderrTail {
        self.stderr.tail()
    }

    /// Returns how the leader ended, when the tree has ended.
    pub fn try_exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Resolves when the whole tree has ended, with the exit of its leader. The future does not
    /// borrow the tree.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => exit.unwrap_or(Exit::Unknown),
                // The supervisor was dropped with the tree, which killed it.
                Err(_) => Exit::Unknown,
            }
        }
    }

    /// Ends the whole tree: close stdin, wait, SIGTERM to the group, wait, SIGKILL to the group.
    ///
    /// A `stdin` that was taken must be dropped by its taker first, or the first wait is in vain.
    /// Dropping the returned future kills the group at once.
    pub async fn stop(mut self, ladder: Ladder) -> StopReport {
        if let Some(exit) = self.try_exit() {
            let step = LastStep::AlreadyGone;
            return StopReport { exit, step };
        }
        drop(self.stdin.take());
        if let Ok(exit) = timeout(ladder.term_after, self.exited()).await {
            let step = LastStep::StdinClosed;
            return StopReport { exit, step };
        }
        if let Some(exit) = self.terminate(ladder.kill_after).await {
            let step = LastStep::Terminated;
            return StopReport { exit, step };
        }
        let exit = self.kill().await;
        let step = LastStep::Killed;
        StopReport { exit, step }
    }

    /// Sends SIGTERM to the group, and SIGKILL after a while; returns the exit when the first was
    /// enough.
    pub(crate) async fn terminate(&self, kill_after: Duration) -> Option<Exit> {
        self.group.signal(Stop::Term);
        if let Ok(exit) = timeout(kill_after, self.exited()).await {
            return Some(exit);
        }
        self.group.signal(Stop::Kill);
        None
    }

    /// Kills the group at once and waits until it is gone, at most 2 s.
    pub async fn kill(mut self) -> Exit {
        if self.try_exit().is_none() {
            self.group.signal(Stop::Kill);
            if cfg!(not(unix)) {
                // The child is killed when its supervisor drops it.
                self.tasks.abort_all();
            }
        }
        timeout(KILL_GRACE, self.exited())
            .await
            .unwrap_or(Exit::Unknown)
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        // Without an exit the leader was not reaped, or its group has members: the number is ours.
        if self.try_exit().is_none() {
            self.group.signal(Stop::Kill);
        }
    }
}

async fn supervise(
    mut child: Child,
    guard: GroupGuard,
    pipe: Option<ChildStderr>,
    stderr: TailBuffer,
    report: watch::Sender<Option<Exit>>,
) {
    let leave = async {
        let exit = child.wait().await.map_or(Exit::Unknown, Exit::from);
        guard.group().sweep().await;
        guard.ended();
        exit
    };
    let Some(pipe) = pipe else {
        report.send_replace(Some(leave.await));
        return;
    };
    let drain = stderr.drain(pipe);
    tokio::pin!(leave, drain);
    let exit = tokio::select! {
        exit = &mut leave => {
            let _ = timeout(STDERR_GRACE, drain).await;
            exit
        }
        () = &mut drain => leave.await,
    };
    report.send_replace(Some(exit));
}
