//! A process group: how a child gets one, and how the whole of it ends.
//!
//! Its leader leads a session too. A mere group keeps the terminal that Codex was started on: any
//! program in it could write there by `/dev/tty`, and read what the user types.

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

/// What a child is the leader of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// A process group, in a session without terminal.
    Group,
    /// A session with its stdin as terminal. A shell on a terminal gives each of its jobs a group
    /// of its own, so here everybody in the session counts as a member.
    #[cfg(unix)]
    Session,
}

/// The id of a group whose leader we started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    #[cfg_attr(not(unix), expect(dead_code, reason = "no groups there"))]
    id: i32,
    #[cfg_attr(not(unix), expect(dead_code, reason = "no sessions there"))]
    leads: Leads,
}

impl Leads {
    /// Makes `command` start as the leader of a new group that ends with us.
    #[cfg(unix)]
    pub(crate) fn prepare(self, command: &mut Command) {
        lead_session(command);
        if self == Self::Session {
            take_terminal(command);
        }
        if can_die_with_parent(crate::guardian::ready()) {
            die_with_parent(command);
        }
    }

    /// There are no groups here: only the child itself is ended.
    #[cfg(not(unix))]
    pub(crate) fn prepare(self, _command: &mut Command) {}

    /// Takes charge of the group of a child that was just started.
    pub(crate) fn watch(self, leader: u32) -> GroupGuard {
        let group = Group {
            id: i32::try_from(leader).unwrap_or(i32::MAX),
            leads: self,
        };
        #[cfg(unix)]
        crate::guardian::watch(group.id);
        GroupGuard {
            group,
            ended: false,
        }
    }
}

impl Group {
    /// Sends a signal to every member; returns whether there was one.
    #[cfg(unix)]
    pub(crate) fn signal(self, stop: Stop) -> bool {
        use nix::sys::signal::{Signal, kill, killpg};
        use nix::unistd::Pid;

        let signal = match stop {
            Stop::Term => Signal::SIGTERM,
            Stop::Kill => Signal::SIGKILL,
        };
        // 0 would be our own group, 1 everybody.
        if self.id <= 1 {
            return false;
        }
        let mut reached = killpg(Pid::from_raw(self.id), signal).is_ok();
        if self.leads == Leads::Session {
            for member in living(self) {
                reached |= kill(Pid::from_raw(member), signal).is_ok();
            }
        }
        reached
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

        match self.leads {
            Leads::Group => killpg(Pid::from_raw(self.id), None).is_ok() && has_living(self),
            Leads::Session => has_living(self),
        }
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
        crate::guardian::forget(self.group.id);
    }
}

/// Whether a member is more than a zombie that only waits to be reaped.
///
/// Orphans are reaped by process 1, which in a container may be slow or may never do it; signals
/// reach such zombies, so that asking by signal 0 would count them as alive.
#[cfg(target_os = "linux")]
fn has_living(group: Group) -> bool {
    !living(group).is_empty()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn has_living(group: Group) -> bool {
    group.leads == Leads::Group
}

/// Returns the members of a group or session that are no zombies.
#[cfg(target_os = "linux")]
fn living(group: Group) -> Vec<i32> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let members = processes.filter_map(|entry| {
        let entry = entry.ok()?;
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // "123 (any name) S ppid pgrp session …": the name may hold anything, a parenthesis too.
        let mut words = stat.rsplit_once(") ")?.1.split(' ');
        let (state, of_group, of_session) = (words.next()?, words.nth(1)?, words.next()?);
        let member_of = match group.leads {
            Leads::Group => of_group,
            Leads::Session => of_session,
        };
        let is_member = member_of.parse() == Ok(group.id) && state != "Z" && state != "X";
        is_member.then_some(id)
    });
    members.collect()
}

/// Elsewhere the terminal's hang-up reaches the other groups of a session.
#[cfg(all(unix, not(target_os = "linux")))]
fn living(_group: Group) -> Vec<i32> {
    Vec::new()
}

/// Makes the child lead a new session, and with it a new group, without a terminal.
#[cfg(unix)]
fn lead_session(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let hook = || Ok(nix::unistd::setsid().map(drop)?);
    #[expect(
        unsafe_code,
        reason = "the hook runs between fork and exec: one system call, no allocation"
    )]
    // SAFETY: setsid is async-signal-safe, and the closure owns nothing.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Makes the stdin of a child that leads a session the terminal of it.
#[cfg(unix)]
fn take_terminal(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let hook = || {
        #[expect(unsafe_code, reason = "nix has no call for this request")]
        // SAFETY: the request takes a number and no pointer; descriptor 0 is the terminal.
        let taken = unsafe { nix::libc::ioctl(0, nix::libc::TIOCSCTTY as _, 0) };
        match taken {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    #[expect(
        unsafe_code,
        reason = "the hook runs between fork and exec: one system call, no allocation"
    )]
    // SAFETY: ioctl is async-signal-safe on Linux and macOS, and the closure owns nothing.
    unsafe {
        command.pre_exec(hook);
    }
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
