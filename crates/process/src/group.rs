//! A process group: how a child gets one, and how the whole of it ends.

use std::process::Command;
use std::time::Duration;

/// How long members that outlive their leader have between SIGTERM and SIGKILL.
#[cfg(unix)]
const STRAGGLER_GRACE: Duration = Duration::from_millis(250);

/// A signal of the stop ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Term,
    Kill,
}

/// The id of a group whose leader we started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group(#[cfg_attr(not(unix), expect(dead_code, reason = "no groups there"))] i32);

impl Group {
    /// Makes `command` start as the leader of a new group that ends with us.
    #[cfg(unix)]
    pub(crate) fn prepare(command: &mut Command) {
        use std::os::unix::process::CommandExt;

        command.process_group(0);
        if can_die_with_parent(crate::guardian::ready()) {
            die_with_parent(command);
        }
    }

    /// There are no groups here: only the child itself is ended.
    #[cfg(not(unix))]
    pub(crate) fn prepare(_command: &mut Command) {}

    /// Takes charge of the group of a child that was just started.
    pub(crate) fn watch(leader: u32) -> GroupGuard {
        let group = Self(i32::try_from(leader).unwrap_or(i32::MAX));
        #[cfg(unix)]
        crate::guardian::watch(group.0);
        GroupGuard {
            group,
            ended: false,
        }
    }

    /// Sends a signal to every member; returns whether there was one.
    #[cfg(unix)]
    pub(crate) fn signal(self, stop: Stop) -> bool {
        use nix::sys::signal::{Signal, killpg};
        use nix::unistd::Pid;

        let signal = match stop {
            Stop::Term => Signal::SIGTERM,
            Stop::Kill => Signal::SIGKILL,
        };
        // 0 would be our own group, 1 everybody.
        self.0 > 1 && killpg(Pid::from_raw(self.0), signal).is_ok()
    }

    #[cfg(not(unix))]
    pub(crate) fn signal(self, _stop: Stop) -> bool {
        false
    }

    /// Ends what outlived the leader, which must have been reaped just now: the number of a group
    /// cannot be given away while a member is there.
    #[cfg(unix)]
    pub(crate) async fn sweep(self) {
        if !self.signal(Stop::Term) {
            return;
        }
        let mut pause = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while waited < STRAGGLER_GRACE {
            tokio::time::sleep(pause).await;
            waited += pause;
            pause *= 2;
            if !self.has_living_member() {
                return;
            }
        }
        self.signal(Stop::Kill);
    }

    #[cfg(unix)]
    fn has_living_member(self) -> bool {
        use nix::sys::signal::killpg;
        use nix::unistd::Pid;

        killpg(Pid::from_raw(self.0), None).is_ok() && !only_zombies(self.0)
    }

    #[cfg(not(unix))]
    pub(crate) async fn sweep(self) {}
}

/// Kills the group when dropped, unless it was seen to end.
#[derive(Debug)]
pub(crate) struct GroupGuard {
    group: Group,
    ended: bool,
}

impl GroupGuard {
    pub(crate) fn group(&self) -> Group {
        self.group
    }

    /// Says that nobody is left.
    pub(crate) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.group.signal(Stop::Kill);
        }
        #[cfg(unix)]
        crate::guardian::forget(self.group.0);
    }
}

/// Whether all members of a group are dead and only wait to be reaped.
///
/// Orphans are reaped by process 1, which in a container may be slow or may never do it; signals
/// reach such zombies, so that asking by signal 0 would count them as alive.
#[cfg(target_os = "linux")]
fn only_zombies(group: i32) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let mut members = processes.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        // "123 (any name) S ppid pgrp …": the name may hold anything, a parenthesis too.
        let mut words = stat.rsplit_once(") ")?.1.split(' ');
        let (state, member_of) = (words.next()?, words.nth(1)?);
        (member_of.parse() == Ok(group)).then(|| state.to_owned())
    });
    members.all(|state| state == "Z" || state == "X")
}

#[cfg(all(unix, not(target_os = "linux")))]
fn only_zombies(_group: i32) -> bool {
    false
}

/// Whether the kernel may be asked to kill the child together with this very thread.
///
/// The kernel means the parent *thread*, not the process. With the product's current-thread
/// runtime that is the main thread, which lives as long as the process. On any other thread the
/// child would die with a mere worker, so there it is asked only when no guardian could be started.
#[cfg(target_os = "linux")]
fn can_die_with_parent(guarded: bool) -> bool {
    use nix::unistd::{getpid, gettid};

    !guarded || gettid() == getpid()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn can_die_with_parent(_guarded: bool) -> bool {
    false
}

/// Makes the kernel kill the child when the thread that starts it ends.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;
    use nix::unistd::{getpid, getppid};

    let parent = getpid();
    let hook = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above.
        if getppid() == parent {
            Ok(())
        } else {
            Err(std::io::Error::from_raw_os_error(nix::libc::ESRCH))
        }
    };
    #[expect(
        unsafe_code,
        reason = "the hook runs between fork and exec: two system calls, no allocation"
    )]
    // SAFETY: prctl and getppid are async-signal-safe, and the closure owns only a number.
    unsafe {
        command.pre_exec(hook);
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn die_with_parent(_command: &mut Command) {}
