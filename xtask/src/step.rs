//! One child with a time limit, ended by its process group.
//!
//! Each child leads a group of its own, so that a limit or Ctrl-C ends what it started too, and
//! nothing else. A group of its own also means that the terminal's Ctrl-C reaches only us:
//! [`end_children_on_signals`] passes it on.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

static LIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Runs a command that talks to our terminal; fails when it fails or takes longer.
pub(crate) fn run(what: &str, command: &mut Command, limit: Duration) -> Result<()> {
    let status = wait(
        what,
        Group::start(command.stdin(Stdio::null()), what)?,
        limit,
    )?;
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

/// Runs a command and returns its status and everything it printed, stderr after stdout.
pub(crate) fn capture(
    what: &str,
    command: &mut Command,
    limit: Duration,
) -> Result<(ExitStatus, String)> {
    // A file, not a pipe: a grandchild that holds a pipe would hold us.
    let file = tempfile::tempfile()?;
    let both = || file.try_clone().map(Stdio::from);
    command.stdin(Stdio::null()).stdout(both()?).stderr(both()?);
    let status = wait(what, Group::start(command, what)?, limit);
    let mut text = String::new();
    let mut file = file;
    std::io::Seek::rewind(&mut file)?;
    std::io::Read::read_to_string(&mut file, &mut text).ok();
    match status {
        Ok(status) => Ok((status, text)),
        Err(error) => Err(error.context(text)),
    }
}

fn wait(what: &str, mut group: Group, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = group.child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            bail!(
                "{what} did not end within {} s and was stopped",
                limit.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A child and what it started; dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) child: Child,
}

impl Group {
    pub(crate) fn start(command: &mut Command, what: &str) -> Result<Self> {
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("{what}: cannot start {}", command.get_program().display()))?;
        live().push(child.id());
        Ok(Self { child })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(self.child.id());
        let _ = self.child.wait();
        live().retain(|pid| *pid != self.child.id());
    }
}

/// Passes Ctrl-C and SIGTERM on to the children, then ends as usual for a signal.
pub(crate) fn end_children_on_signals() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
            ) else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            for pid in live().iter() {
                kill_group(*pid);
            }
            std::process::exit(130);
        });
    });
}

fn kill_group(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn live() -> std::sync::MutexGuard<'static, Vec<u32>> {
    LIVE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
