//! Doors of the kernel that no file system guards, and terminals.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::libc::{self, c_int};

use crate::{Attempts, Outcome, TOKEN, check};

const SESSION_KEYRING: c_int = -3;
const USER_SESSION_KEYRING: c_int = -5;

pub(crate) const ATTEMPTS: Attempts = &[
    ("io_uring", || {
        let mut parameters = [0_u8; 120];
        // SAFETY: the kernel fills the 120 bytes of `struct io_uring_params`.
        check(unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) })
    }),
    ("load into the kernel", || {
        const MAP_CREATE: c_int = 0;
        // An array of one value of four bytes.
        let attributes: [u32; 18] = {
            let mut attributes = [0; 18];
            (attributes[0], attributes[1], attributes[2], attributes[3]) = (2, 4, 4, 1);
            attributes
        };
        let size = size_of_val(&attributes);
        // SAFETY: the structure has the size that is told.
        check(unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_ptr(), size) })
    }),
    ("measure the machine", || {
        // A counter of the software kind: the CPU clock of this process, without the kernel's part.
        const EXCLUDE_KERNEL: u64 = 1 << 5;
        let mut attributes = [0_u64; 16];
        attributes[0] = 1 | (128 << 32);
        attributes[5] = EXCLUDE_KERNEL;
        // SAFETY: the structure has the size that it tells.
        check(unsafe {
            libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0)
        })
    }),
    ("handle page faults", || {
        const USER_MODE_ONLY: c_int = 1;
        // SAFETY: numbers only.
        check(unsafe { libc::syscall(libc::SYS_userfaultfd, USER_MODE_ONLY) })
    }),
    ("watch all files", || {
        // SAFETY: numbers only.
        check(unsafe { libc::syscall(libc::SYS_fanotify_init, 0, libc::O_RDONLY) })
    }),
    ("read the kernel's log", || {
        const SIZE: c_int = 10;
        let mut line = [0_u8; 64];
        // SAFETY: as many bytes as are told; this action writes none.
        check(unsafe { libc::klogctl(SIZE, line.as_mut_ptr().cast(), 64) }.into())?;
        const READ_ALL: c_int = 3;
        // SAFETY: as above.
        check(unsafe { libc::klogctl(READ_ALL, line.as_mut_ptr().cast(), 64) }.into())
    }),
    ("change the name of the machine", || {
        // To what it is.
        let facts = nix::sys::utsname::uname()?;
        let name = facts.nodename();
        // SAFETY: as many bytes as are told.
        check(unsafe { libc::sethostname(name.as_bytes().as_ptr().cast(), name.len()) }.into())
    }),
    ("add a key", add_key),
    ("look at the session's keys", || {
        const GET_KEYRING_ID: c_int = 0;
        // SAFETY: numbers only.
        check(unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 1) })
    }),
    ("type into the terminal", type_into_terminal),
    ("open another terminal", || {
        let terminal = std::env::var("TERMINAL").unwrap_or_default();
        OpenOptions::new().write(true).open(terminal).map(drop)
    }),
];

fn add_key() -> Outcome {
    const UNLINK: c_int = 9;
    let (kind, name) = (c"user", c"codex-sandbox-attempt");
    // SAFETY: C strings and five bytes of payload.
    let added = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            name.as_ptr(),
            TOKEN.as_ptr(),
            TOKEN.len(),
            USER_SESSION_KEYRING,
        )
    };
    check(added)?;
    // SAFETY: numbers only; takes the key away again.
    unsafe { libc::syscall(libc::SYS_keyctl, UNLINK, added, USER_SESSION_KEYRING) };
    Ok(())
}

fn type_into_terminal() -> Outcome {
    let pair = nix::pty::openpty(None, None).map_err(io::Error::from)?;
    let slave: OwnedFd = pair.slave;
    // SAFETY: a new session, so that the terminal can become ours; no code of ours is called.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::setsid();
        libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0);
    }
    let letter = b'x';
    // SAFETY: reads one byte.
    check(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSTI, &raw const letter) }.into())
}
