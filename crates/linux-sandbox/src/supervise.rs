//! Waiting for a command while signals are passed on and orphans are buried.

use std::io::Read;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::failure::{Failure, Step};

/// What may be meant for the command when only we were told.
const FORWARDED: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(i32),
    Signal(Signal),
}

impl Ending {
    /// One number for the pipe between the two halves.
    pub(crate) fn to_number(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => -(signal as i32),
        }
    }

    pub(crate) fn from_number(number: i32) -> Self {
        match Signal::try_from(-number) {
            Ok(signal) => Self::Signal(signal),
            Err(_) => Self::Code(number),
        }
    }
}

/// The signals of this process, from now on to be read and not to be died of.
#[derive(Debug)]
pub(crate) struct Signals {
    source: SignalFd,
    /// What was blocked when this process started, and shall be in the command.
    inherited: SigSet,
}

impl Signals {
    pub(crate) fn catch() -> Result<Self, Failure> {
        let inherited = SigSet::thread_get_mask().step("read the blocked signals")?;
        let set = caught();
        set.thread_block().step("block signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let source = SignalFd::with_flags(&set, flags).step("read signals")?;
        Ok(Self { source, inherited })
    }

    /// Starts something that inherits what is blocked: a command must not inherit our choice.
    pub(crate) fn released<T>(&self, start: impl FnOnce() -> T) -> T {
        let _ = self.inherited.thread_set_mask();
        let started = start();
        let _ = caught().thread_block();
        started
    }

    /// Waits until `child` has ended. Signals that were sent to this process go to `forward`, and
    /// numbers that arrive through `orders` go to the child.
    pub(crate) fn wait_for(
        &self,
        child: Pid,
        mut orders: Option<&mut (impl Read + AsFd)>,
        mut forward: impl FnMut(Signal),
    ) -> Ending {
        loop {
            if let Some(ending) = bury(child) {
                return ending;
            }
            self.sleep(orders.as_deref());
            while let Ok(Some(info)) = self.source.read_signal() {
                let signal = i32::try_from(info.ssi_signo).map(Signal::try_from);
                // What the terminal sends, it sends to the whole group: the command has it already.
                if info.ssi_code <= libc::SI_USER
                    && let Ok(Ok(signal)) = signal
                    && signal != Signal::SIGCHLD
                {
                    forward(signal);
                }
            }
            if let Some(pipe) = orders.as_deref_mut()
                && is_readable(pipe)
            {
                let mut number = [0_u8; 1];
                match pipe.read(&mut number) {
                    Ok(1) => {
                        if let Ok(signal) = Signal::try_from(i32::from(number[0])) {
                            let _ = kill(child, signal);
                        }
                    }
                    // The other half is gone; the kernel is about to end us too.
                    _ => orders = None,
                }
            }
        }
    }

    fn sleep(&self, orders: Option<&impl AsFd>) {
        let mut sources = vec![PollFd::new(self.source.as_fd(), PollFlags::POLLIN)];
        sources.extend(orders.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut sources, PollTimeout::NONE);
    }
}

fn caught() -> SigSet {
    let mut set: SigSet = FORWARDED.iter().copied().collect();
    set.add(Signal::SIGCHLD);
    set
}

fn is_readable(pipe: &impl AsFd) -> bool {
    let mut source = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut source, PollTimeout::ZERO), Ok(1))
}

/// Buries everybody who has ended, and says how `child` did when it is among them.
fn bury(child: Pid) -> Option<Ending> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(Ending::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(Ending::Signal(signal));
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            // Somebody else has buried it; that cannot be.
            Err(_) => return Some(Ending::Signal(Signal::SIGKILL)),
        }
    }
}

/// Ends whatever the command has left behind, when orphans come to this process.
pub(crate) fn end_orphans() {
    let thread = format!("/proc/self/task/{}/children", nix::unistd::gettid());
    while let Ok(children) = std::fs::read_to_string(&thread) {
        let children: Vec<Pid> = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok().map(Pid::from_raw))
            .collect();
        if children.is_empty() {
            return;
        }
        for child in children {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}
