//! The parts that talk to Windows.

#![expect(unsafe_code, reason = "calls of the system; each says why it is sound")]

mod acl;
mod place;
mod process;
mod sid;
mod token;

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};

use crate::{Capture, MAX_CAPTURED, Prepared, Request, WindowsSandboxError};
use place::Placeholders;
use process::{Job, Streams};
use sid::Sid;

/// Names the step in which something failed.
fn step<T>(step: &'static str, result: io::Result<T>) -> Result<T, WindowsSandboxError> {
    result.map_err(|source| WindowsSandboxError::Step { step, source })
}

/// What most calls return: 0 when they failed.
fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes a handle that the system has just given.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller has it from the system, and nobody else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Runs a command with our own streams.
pub(crate) fn run(request: &Request, prepared: &Prepared) -> Result<u32, WindowsSandboxError> {
    // SAFETY: numbers only; the handles stay ours.
    let streams = unsafe {
        Streams {
            stdin: GetStdHandle(STD_INPUT_HANDLE),
            stdout: GetStdHandle(STD_OUTPUT_HANDLE),
            stderr: GetStdHandle(STD_ERROR_HANDLE),
        }
    };
    let (places, job) = start(request, prepared, &streams)?;
    let ended = job.wait(request.time_limit);
    drop(job);
    places.release();
    Ok(step("wait for the command", ended)?.exit_code)
}

/// Runs a command whose streams are read to their end.
pub(crate) fn capture(
    request: &Request,
    prepared: &Prepared,
) -> Result<Capture, WindowsSandboxError> {
    let null = step("open NUL", std::fs::File::open("NUL"))?;
    let (stdout, stdout_end) = step("make a pipe", io::pipe())?;
    let (stderr, stderr_end) = step("make a pipe", io::pipe())?;
    let streams = Streams {
        stdin: null.as_raw_handle(),
        stdout: stdout_end.as_raw_handle(),
        stderr: stderr_end.as_raw_handle(),
    };
    let (places, job) = start(request, prepared, &streams)?;
    drop((stdout_end, stderr_end));
    let stdout = std::thread::spawn(move || read_bounded(stdout));
    let stderr = std::thread::spawn(move || read_bounded(stderr));
    let ended = job.wait(request.time_limit);
    // Whoever is left ends with it, and with them the streams.
    drop(job);
    places.release();
    let ended = step("wait for the command", ended)?;
    Ok(Capture {
        exit_code: ended.exit_code,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        timed_out: ended.timed_out,
    })
}

/// Prepares the disk, makes the token, and starts the command with it.
fn start(
    request: &Request,
    prepared: &Prepared,
    streams: &Streams,
) -> Result<(Placeholders, Job), WindowsSandboxError> {
    let mut capabilities = Vec::new();
    for (folder, sid) in &prepared.capabilities {
        let sid = step("make a SID", Sid::parse(sid))?;
        step(
            "open a folder to the command",
            acl::open_folder(folder, &sid),
        )?;
        capabilities.push(sid);
    }
    let places = step(
        "hold the place of a protected name",
        Placeholders::hold(&request.rules.absent),
    )?;
    let kept = request.rules.read_only.iter().chain(&request.rules.absent);
    for path in kept {
        for sid in &capabilities {
            step("protect a path", acl::protect(path, sid))?;
        }
    }
    let token = step("make a restricted token", token::restricted(&capabilities))?;
    let job = step("make a job", Job::new())?;
    let started = job.start(&token, request, prepared, streams);
    step("start the command", started).map(|()| (places, job))
}

/// Reads to the end, and keeps the beginning.
fn read_bounded(mut stream: io::PipeReader) -> Vec<u8> {
    use std::io::Read;

    let (mut kept, mut piece) = (Vec::new(), [0_u8; 16 * 1024]);
    while let Ok(n_read @ 1..) = stream.read(&mut piece) {
        let room = MAX_CAPTURED.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..n_read.min(room)]);
    }
    kept
}
