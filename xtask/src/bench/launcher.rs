//! Starts one program and asks the kernel what it used.
//!
//! The kernel counts the memory of the process that *starts* a program into the program's own peak
//! (until `exec` both share one image). So a small process starts it: this very binary, before it
//! has parsed an argument or made a thread. Its own size is the floor of the figures and printed.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const ASKED: &str = "__measure";

/// What one run used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of user and system time, waited-for children included.
    pub(crate) cpu: f64,
    /// Bytes; the largest of the program and its waited-for children.
    pub(crate) peak_memory: f64,
    /// Exit code, or -1 after a signal.
    pub(crate) exit: i64,
}

/// Acts as the launcher when the first argument says so: `__measure FILE PROGRAM ARGS…`.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != ASKED {
        return None;
    }
    let (file, program) = (args.next()?, args.next()?);
    Some(match measure(&program, args) {
        Ok(usage) => match std::fs::write(&file, usage.to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("cannot measure {}: {error}", program.display());
            ExitCode::FAILURE
        }
    })
}

/// Prepares the launcher for a program; its usage goes into `file`.
pub(crate) fn command(file: &Path, program: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ASKED).arg(file).arg(program);
    Ok(command)
}

/// Reads what the launcher wrote.
pub(crate) fn read(file: &Path) -> Result<Usage> {
    let text = std::fs::read_to_string(file).context("the launcher left no figures")?;
    let usage: Value = serde_json::from_str(&text)?;
    let figure = |key: &str| usage[key].as_f64().with_context(|| format!("no `{key}`"));
    Ok(Usage {
        wall: figure("wall")?,
        cpu: figure("cpu")?,
        peak_memory: figure("peak_memory")?,
        exit: usage["exit"].as_i64().context("no `exit`")?,
    })
}

/// Returns the peak memory that is measured for a program that does nothing.
pub(crate) fn floor() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("usage");
    let status = command(&file, Path::new("/bin/true"))?.status()?;
    ensure!(status.success(), "the launcher failed");
    Ok(read(&file)?.peak_memory)
}

fn measure(program: &OsString, args: impl Iterator<Item = OsString>) -> io::Result<Value> {
    let start = Instant::now();
    let child = Command::new(program).args(args).spawn()?;
    let (status, usage) = wait(child.id())?;
    let wall = start.elapsed().as_secs_f64();
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let exit = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        -1
    };
    Ok(json!({
        "wall": wall,
        "cpu": seconds(usage.ru_utime) + seconds(usage.ru_stime),
        "peak_memory": usage.ru_maxrss * 1024,
        "exit": exit,
    }))
}

/// Waits for a child with `wait4`, the only call that returns the figures of one child.
fn wait(pid: u32) -> io::Result<(libc::c_int, libc::rusage)> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "no safe wrapper returns the usage of one child")]
    // SAFETY: both pointers are valid for writes for the whole call, and all-zero bytes are a
    // valid `rusage`, so it may be read whether or not the kernel filled it.
    unsafe {
        if libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) != pid {
            return Err(io::Error::last_os_error());
        }
        Ok((status, usage.assume_init()))
    }
}
