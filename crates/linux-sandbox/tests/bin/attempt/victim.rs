//! The process outside at which others aim, and what it shares without a path.
//!
//! What would outlive it in the kernel it takes away when it gets a SIGTERM.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::PathBuf;

use nix::libc::{self, c_int, c_long};
use nix::sys::signal::{SigSet, Signal};

use crate::{Attempts, Outcome, TOKEN, check, in_arena, outside, victim};

/// In its environment.
pub(crate) const SECRET: &str = "VICTIMS_SECRET=untouched";
/// Opened by it to writing.
pub(crate) const DESCRIPTOR: c_int = 21;

pub(crate) const ATTEMPTS: Attempts = &[
    ("System V shared memory", || {
        let id = shared("shm")?;
        // SAFETY: the kernel chooses the address.
        let memory = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        match memory.addr() {
            usize::MAX => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }),
    ("System V semaphores", || {
        let mut step = libc::sembuf {
            sem_num: 0,
            sem_op: 1,
            sem_flg: 0,
        };
        // SAFETY: one structure, as told.
        check(unsafe { libc::semop(shared("sem")?, &raw mut step, 1) }.into())
    }),
    ("System V messages", || {
        let message = [1_i64, 0];
        // SAFETY: a type and eight bytes of text.
        check(
            unsafe { libc::msgsnd(shared("msg")?, message.as_ptr().cast(), 8, libc::IPC_NOWAIT) }
                .into(),
        )
    }),
    ("POSIX messages", || {
        let name = queue_name(victim());
        // SAFETY: the name is a C string.
        let queue = unsafe { libc::mq_open(name.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK) };
        check(queue.into())?;
        // SAFETY: as many bytes as are told.
        check(unsafe { libc::mq_send(queue, TOKEN.as_ptr().cast(), TOKEN.len(), 0) }.into())
    }),
    ("POSIX shared memory", || {
        OpenOptions::new()
            .write(true)
            .open(memory_path(victim()))
            .map(drop)
    }),
];

/// A number that the victim has told.
fn shared(kind: &str) -> io::Result<c_int> {
    let text = fs::read_to_string(in_arena(&format!("{kind}.id")))?;
    text.parse().map_err(io::Error::other)
}

fn memory_path(process: i32) -> PathBuf {
    format!("/dev/shm/codex-attempt-{process}").into()
}

fn queue_name(process: i32) -> std::ffi::CString {
    std::ffi::CString::new(format!("/codex-attempt-{process}")).unwrap_or_default()
}

/// Offers all that, says so, and waits for its end.
pub(crate) fn live() -> Outcome {
    let mut end = SigSet::empty();
    end.add(Signal::SIGTERM);
    end.thread_block()?;
    let me = std::process::id().cast_signed();
    let file = OpenOptions::new().append(true).open(outside("secret"))?;
    let file = file.into_raw_fd();
    // SAFETY: nobody here owns the second number.
    check(unsafe { libc::dup2(file.as_raw_fd(), DESCRIPTOR) }.into())?;
    fs::write(memory_path(me), "")?;
    let everybody = libc::IPC_CREAT | 0o600;
    // SAFETY: numbers only.
    let ids = unsafe {
        [
            ("shm", libc::shmget(libc::IPC_PRIVATE, 4096, everybody)),
            ("sem", libc::semget(libc::IPC_PRIVATE, 1, everybody)),
            ("msg", libc::msgget(libc::IPC_PRIVATE, everybody)),
        ]
    };
    let name = queue_name(me);
    let flags = libc::O_RDWR | libc::O_CREAT;
    let usual = std::ptr::null::<libc::mq_attr>();
    // SAFETY: a C string, numbers, and a null pointer that stands for the usual attributes.
    unsafe { libc::mq_open(name.as_ptr(), flags, 0o600 as c_long, usual) };
    for (kind, id) in ids {
        fs::write(in_arena(&format!("{kind}.id")), id.to_string())?;
    }
    fs::write(in_arena("victim.ready"), "")?;
    let _ = end.wait();
    // SAFETY: numbers, a null pointer and a C string.
    unsafe {
        libc::shmctl(ids[0].1, libc::IPC_RMID, std::ptr::null_mut());
        libc::semctl(ids[1].1, 0, libc::IPC_RMID);
        libc::msgctl(ids[2].1, libc::IPC_RMID, std::ptr::null_mut());
        libc::mq_unlink(name.as_ptr());
    }
    fs::remove_file(memory_path(me))
}
