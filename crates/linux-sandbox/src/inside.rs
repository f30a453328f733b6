//! The inner half: process 1 of the new namespaces.
//!
//! It makes the view of the disk, closes the doors, starts the command as its child, and reports
//! how that went. When it ends, the kernel ends everybody in the namespace with it; and it ends when
//! the outer half does.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, fchdir};

use crate::Rules;
use crate::confine::{Keep, confine};
use crate::failure::{Failure, Step, not_as_planned};
use crate::filter::Beside;
use crate::mounts;
use crate::place::open_place;
use crate::supervise::{Ending, Signals};
use crate::sys::{kernel_version, point_to_null, raise_loopback};

/// How many processes and threads there can be inside: more than a build on a big machine needs,
/// few enough that a fork bomb does not take the machine down.
const MAX_TASKS: u64 = 4096;

/// First byte of the report: the sandbox stands.
pub(crate) const READY: u8 = b'R';
/// First byte of the report: the kernel does not grant it; the reason follows.
pub(crate) const NOT_GRANTED: u8 = b'N';
/// First byte of the report: it failed; the reason follows.
pub(crate) const FAILED: u8 = b'F';

/// What both halves know.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) rules: &'a Rules,
    /// The program and its arguments.
    pub(crate) command: &'a [OsString],
    pub(crate) cwd: &'a Path,
}

/// Lives as process 1. `orders` brings a go-ahead and then numbers of signals.
pub(crate) fn live(task: &Task<'_>, signals: &Signals, orders: PipeReader, report: PipeWriter) {
    let (mut orders, mut report) = (orders, report);
    if set_pdeathsig(Signal::SIGKILL).is_err() || orders.read_exact(&mut [0]).is_err() {
        return;
    }
    if let Err((kind, failure)) = prepare(task) {
        let _ = report.write_all(&[kind]);
        let _ = report.write_all(failure.to_string().as_bytes());
        return;
    }
    if report.write_all(&[READY]).is_err() {
        return;
    }
    let ending = match signals.released(|| start(task.command)) {
        Ok(child) => signals.wait_for(child, Some(&mut orders), |_| {}),
        Err(code) => Ending::Code(code),
    };
    let _ = report.write_all(&ending.to_number().to_ne_bytes());
}

fn prepare(task: &Task<'_>) -> Result<(), (u8, Failure)> {
    if let Err(failure) = build(task) {
        let kind = match failure.is_not_granted() {
            true => NOT_GRANTED,
            false => FAILED,
        };
        return Err((kind, failure));
    }
    let keep = Keep {
        writable: task.rules.writable.clone(),
        devices: vec!["/dev".into()],
        beside: Beside::Namespaces,
        // The mounts hold what it does not know of.
        least: landlock::ABI::V1,
    };
    confine(&keep).map_err(|failure| (FAILED, failure))
}

fn build(task: &Task<'_>) -> Result<(), Failure> {
    mounts::build(task.rules, MAX_TASKS)?;
    if !task.rules.network {
        // A network with nobody in it but this command: its tests may talk to its servers.
        raise_loopback().step("bring up the loopback interface")?;
    }
    // The old directory lies below the new mounts.
    open_place(task.cwd)
        .and_then(fchdir)
        .map_err(|errno| not_as_planned("enter the working directory", task.cwd, errno))?;
    // Before 5.14 it would count what the user runs outside too.
    if kernel_version().is_some_and(|version| version >= (5, 14)) {
        let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).step("read a limit")?;
        let limit = hard.min(MAX_TASKS);
        setrlimit(Resource::RLIMIT_NPROC, limit, limit).step("set a limit")?;
    }
    Ok(())
}

/// Starts the command with our three descriptors, and lets go of them.
fn start(command: &[OsString]) -> Result<Pid, i32> {
    let (program, args) = command.split_first().ok_or(NOT_STARTED)?;
    let child = Command::new(program).args(args).spawn();
    let child = child.map_err(|error| cannot_start(program, &error))?;
    for descriptor in 0..=2 {
        point_to_null(descriptor);
    }
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()))
}

/// What shells answer when a program cannot be started.
const NOT_STARTED: i32 = 126;
/// What they answer when it is not there.
const NOT_FOUND: i32 = 127;

/// Says why, and returns the exit code for it.
pub(crate) fn cannot_start(program: &OsString, error: &std::io::Error) -> i32 {
    let name = Path::new(program).display();
    let _ = writeln!(std::io::stderr(), "codex: cannot start `{name}`: {error}");
    match error.kind() {
        std::io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_STARTED,
    }
}
