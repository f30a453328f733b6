//! The outer half: stays outside of the namespaces, starts the inner half, and ends as it ended.
//!
//! It stays because it must write the table of users from outside, because it alone can remove the
//! placeholders (`placeholder.rs`), and because process 1 of a namespace cannot die of a signal: this
//! process can, so that whoever waits sees the very signal that ended the command.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, getegid, geteuid};

use crate::failure::{Failure, Step};
use crate::inside::{self, Task};
use crate::placeholder::Placeholders;
use crate::supervise::{Ending, Signals};
use crate::{REFUSED, Rules, fallback, sys};

/// A message of the inner half fits in here.
const MAX_REASON: u64 = 4096;

/// Runs a command as its words say, and returns the exit code for this process.
pub(crate) fn run(args: Vec<OsString>) -> u8 {
    match sandboxed(args) {
        Ok(Ending::Code(code)) => u8::try_from(code).unwrap_or(REFUSED),
        Ok(Ending::Signal(signal)) => {
            sys::end_by_signal(signal);
            // Only when the signal could not be raised.
            u8::try_from(128 + signal as i32).unwrap_or(REFUSED)
        }
        Err(failure) => {
            refuse(&failure);
            REFUSED
        }
    }
}

/// Says that nothing was started, and why.
pub(crate) fn refuse(failure: &Failure) {
    let _ = writeln!(
        io::stderr(),
        "codex: the sandbox cannot be made, so the command was not started: {failure}"
    );
}

fn sandboxed(args: Vec<OsString>) -> Result<Ending, Failure> {
    sys::close_from(3).step("close inherited descriptors")?;
    let (rules, command) = Rules::parse(args).map_err(|why| Failure::new("command line", why))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the helper is a process of its own, and its directory is the command's"
    )]
    let cwd = std::env::current_dir().step("find the working directory")?;
    let task = Task {
        rules: &rules,
        command: &command,
        cwd: &cwd,
    };
    let signals = Signals::catch()?;
    match in_namespaces(&task, &signals)? {
        Outcome::Ended(ending) => Ok(ending),
        Outcome::NotGranted(why) => fallback::run(&task, &signals, &why),
    }
}

/// How the attempt with namespaces went.
enum Outcome {
    Ended(Ending),
    NotGranted(String),
}

fn in_namespaces(task: &Task<'_>, signals: &Signals) -> Result<Outcome, Failure> {
    let places = Placeholders::hold(&task.rules.absent)?;
    let (orders_in, orders) = io::pipe().step("make a pipe")?;
    let (report, report_in) = io::pipe().step("make a pipe")?;
    let own_network = match task.rules.network {
        true => 0,
        false => libc::CLONE_NEWNET,
    };
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | own_network;
    let outcome = match sys::fork_into(flags).step("make namespaces") {
        Ok(ForkResult::Child) => {
            drop((orders, report));
            inside::live(task, signals, orders_in, report_in);
            return Ok(Outcome::Ended(Ending::Code(0)));
        }
        Ok(ForkResult::Parent { child }) => {
            drop((orders_in, report_in));
            let half = InnerHalf {
                child,
                orders,
                report,
            };
            half.accompany(signals)
        }
        Err(failure) if failure.is_not_granted() => Ok(Outcome::NotGranted(failure.to_string())),
        Err(failure) => Err(failure),
    };
    places.release();
    outcome
}

/// The inner half as seen from here.
struct InnerHalf {
    child: Pid,
    orders: PipeWriter,
    report: PipeReader,
}

impl InnerHalf {
    fn accompany(mut self, signals: &Signals) -> Result<Outcome, Failure> {
        if let Err(failure) = map_users(self.child) {
            let _ = kill(self.child, Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(self.child, None);
            return match failure.is_not_granted() {
                true => Ok(Outcome::NotGranted(failure.to_string())),
                false => Err(failure),
            };
        }
        let _ = self.orders.write_all(&[0]);
        let mut kind = [0_u8];
        let is_ready = self.report.read_exact(&mut kind).is_ok() && kind[0] == inside::READY;
        if is_ready {
            // The command alone shall hold the other ends.
            sys::point_to_null(0);
            sys::point_to_null(1);
        }
        let orders = &mut self.orders;
        let ending = signals.wait_for(self.child, None::<&mut PipeReader>, |signal| {
            let number = u8::try_from(signal as i32).unwrap_or_default();
            let _ = orders.write_all(&[number]);
        });
        if is_ready {
            let mut number = [0_u8; 4];
            let reported = self.report.read_exact(&mut number).is_ok();
            return Ok(Outcome::Ended(match reported {
                true => Ending::from_number(i32::from_ne_bytes(number)),
                // The inner half was killed, and everybody inside with it.
                false => ending,
            }));
        }
        let mut why = String::new();
        let _ = self.report.take(MAX_REASON).read_to_string(&mut why);
        match kind[0] {
            inside::NOT_GRANTED => Ok(Outcome::NotGranted(why)),
            inside::FAILED => Err(Failure::new("inside of the namespaces", why)),
            _ => Err(Failure::new("inside of the namespaces", "no answer")),
        }
    }
}

/// Lets everybody keep their numbers: root all of them, others their own.
fn map_users(child: Pid) -> Result<(), Failure> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if user == 0 {
        let all = copy_of_own_map("uid_map").unwrap_or_else(|| "0 0 1\n".to_owned());
        if write_map(child, "uid_map", &all).is_ok() {
            let all = copy_of_own_map("gid_map").unwrap_or_else(|| "0 0 1\n".to_owned());
            return write_map(child, "gid_map", &all);
        }
    }
    write_map(child, "uid_map", &format!("{user} {user} 1\n"))?;
    // Without privileges a group may be mapped only by who can never leave one.
    let _ = write_map(child, "setgroups", "deny");
    write_map(child, "gid_map", &format!("{group} {group} 1\n"))
}

/// Returns the map that gives every number of this namespace to the same number inside.
fn copy_of_own_map(name: &str) -> Option<String> {
    let own = std::fs::read_to_string(format!("/proc/self/{name}")).ok()?;
    let lines = own.lines().map(|line| {
        let mut numbers = line.split_whitespace();
        let (first, _, n_ids) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some(format!("{first} {first} {n_ids}\n"))
    });
    lines.collect()
}

fn write_map(child: Pid, name: &str, text: &str) -> Result<(), Failure> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the kernel, not a file"
    )]
    let written = std::fs::write(format!("/proc/{child}/{name}"), text);
    written.step("map users")
}
