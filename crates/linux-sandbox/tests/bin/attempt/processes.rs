//! A process outside of the sandbox: its memory, its descriptors, its life.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;

use nix::libc::{self, c_long};

use crate::victim::{DESCRIPTOR, SECRET};
use crate::{Attempts, Outcome, TOKEN, check, victim};

pub(crate) const ATTEMPTS: Attempts = &[
    ("trace a process", || {
        // SAFETY: no memory is read or written by this request.
        check(unsafe { libc::ptrace(libc::PTRACE_ATTACH, victim(), 0, 0) })
    }),
    ("write into a process", write_into),
    ("write into a process by its file", || {
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{}/mem", victim()))?;
        let address = u64::try_from(writable_memory()?).unwrap_or_default();
        let mut byte = [0];
        memory.read_exact_at(&mut byte, address)?;
        memory.write_all_at(&byte, address)
    }),
    ("read a process's variables", || {
        let variables = fs::read(format!("/proc/{}/environ", victim()))?;
        let secret = SECRET.as_bytes();
        match variables.windows(secret.len()).any(|part| part == secret) {
            true => Ok(()),
            false => Err(io::Error::other("they are not shown")),
        }
    }),
    ("take a process's descriptor", || {
        let process = pidfd()?;
        // SAFETY: numbers only.
        let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, DESCRIPTOR, 0) };
        check(taken)?;
        // SAFETY: the kernel has just given us this descriptor.
        let mut file = unsafe { File::from_raw_fd(i32::try_from(taken).unwrap_or(-1)) };
        file.write_all(TOKEN)
    }),
    ("signal a process", || {
        // SAFETY: numbers only; signal 0 asks for the permission alone.
        check(unsafe { libc::kill(victim(), 0) }.into())
    }),
    ("signal a process by its descriptor", || {
        let (process, none) = (pidfd()?, std::ptr::null::<libc::siginfo_t>());
        // SAFETY: numbers and a null pointer, which asks for the usual facts.
        check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, 0, none, 0) })
    }),
    ("limit a process", || {
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let (limit, old) = (&raw const limit, std::ptr::null_mut());
        // SAFETY: the structure lives through the call.
        check(unsafe { libc::prlimit(victim(), libc::RLIMIT_CORE, limit, old) }.into())
    }),
    ("slow a process down", || {
        let who = victim().cast_unsigned();
        // SAFETY: numbers only.
        check(unsafe { libc::setpriority(libc::PRIO_PROCESS, who, 19) }.into())
    }),
];

fn pidfd() -> io::Result<c_long> {
    // SAFETY: numbers only.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, victim(), 0) };
    check(process).map(|()| process)
}

/// An address at which the victim can be written.
fn writable_memory() -> io::Result<usize> {
    let memory = fs::read_to_string(format!("/proc/{}/maps", victim()))?;
    let writable = memory.lines().find(|line| line.contains(" rw-p "));
    let start = writable.and_then(|line| line.split('-').next());
    let start = start.and_then(|hex| usize::from_str_radix(hex, 16).ok());
    start.ok_or_else(|| io::Error::other("its memory is not shown"))
}

fn write_into() -> Outcome {
    let start = writable_memory()?;
    let mut byte = [0_u8];
    let here = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let there = libc::iovec {
        iov_base: start as *mut libc::c_void,
        iov_len: 1,
    };
    // SAFETY: one byte of ours is read; what is written belongs to the victim.
    let read =
        unsafe { libc::process_vm_readv(victim(), &raw const here, 1, &raw const there, 1, 0) };
    check(c_long::try_from(read).unwrap_or(-1))?;
    // SAFETY: as above.
    let put =
        unsafe { libc::process_vm_writev(victim(), &raw const here, 1, &raw const there, 1, 0) };
    check(c_long::try_from(put).unwrap_or(-1))
}

/// Root is who has capabilities, whatever its number is.
pub(crate) fn am_i_root() -> Outcome {
    let status = fs::read_to_string("/proc/self/status")?;
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    match capabilities.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) {
        Some(1..) => Ok(()),
        _ => Err(io::Error::other("no capabilities")),
    }
}

pub(crate) fn am_i_in_another_group() -> Outcome {
    match nix::unistd::getegid() == nix::unistd::getgid() {
        true => Err(io::Error::other("the same group")),
        false => Ok(()),
    }
}
