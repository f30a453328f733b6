//! Processes that try to stay when the command has ended, and a fork bomb.
//!
//! Who stays waits for ever and says nothing: the arena looks for it in `/proc`.

use std::io;
use std::time::Duration;

use nix::libc;

use crate::{Attempts, Outcome};

pub(crate) const ATTEMPTS: Attempts = &[
    ("outlive the command", || {
        leave(|| {
            // SAFETY: no arguments; this program has one thread.
            unsafe {
                libc::setsid();
                if libc::fork() != 0 {
                    libc::_exit(0);
                }
            }
        })
    }),
    ("outlive it in a group of its own", || {
        leave(|| {
            // SAFETY: numbers only.
            unsafe { libc::setpgid(0, 0) };
        })
    }),
    ("outlive it without heeding signals", || {
        leave(|| {
            for signal in 1..32 {
                // SAFETY: no code of ours is called.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
        })
    }),
    ("outlive it while stopped", || {
        leave(|| {
            // SAFETY: numbers only. Of its own session, because the kernel wakes whom a shell left.
            unsafe {
                libc::setsid();
                libc::raise(libc::SIGSTOP);
            }
        })
    }),
    ("outlive it as a child of its parent", || {
        let flags = libc::CLONE_PARENT | libc::SIGCHLD;
        // SAFETY: without CLONE_VM this is a fork; this program has one thread.
        match unsafe { libc::syscall(libc::SYS_clone, i64::from(flags), 0, 0, 0, 0) } {
            0 => stay(),
            -1 => Err(io::Error::last_os_error()),
            _ => Err(io::Error::other("left")),
        }
    }),
    ("outlive the killed helper", || {
        let left = leave(|| {
            // SAFETY: no arguments.
            unsafe { libc::setsid() };
        });
        println!("ready");
        // The helper is killed meanwhile, and this process with it.
        std::thread::sleep(Duration::from_secs(20));
        left
    }),
    ("kill the helper and stay", || {
        let left = leave(|| {
            // SAFETY: no arguments.
            unsafe { libc::setsid() };
        });
        // SAFETY: numbers only.
        unsafe { libc::kill(libc::getppid(), libc::SIGKILL) };
        left
    }),
    ("fork bomb", fork_bomb),
];

/// Starts a child that prepares itself and stays. Returns once it has, with nothing achieved yet.
fn leave(prepare: fn()) -> Outcome {
    let (reader, writer) = io::pipe()?;
    // SAFETY: this program has one thread.
    match unsafe { libc::fork() } {
        0 => {
            drop(reader);
            silence();
            // Said before: a stopped process says nothing any more.
            drop(writer);
            prepare();
            stay()
        }
        -1 => Err(io::Error::last_os_error()),
        _ => {
            drop(writer);
            let _ = io::read_to_string(reader);
            Err(io::Error::other("left"))
        }
    }
}

fn stay() -> ! {
    silence();
    loop {
        // SAFETY: no arguments.
        unsafe { libc::pause() };
    }
}

/// Lets go of what others read to its end.
fn silence() {
    // SAFETY: the path is a C string, and 0 to 2 are nobody's here.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for descriptor in 0..3 {
            libc::dup2(null, descriptor);
        }
    }
}

/// Succeeds when there is no bound below 4500.
fn fork_bomb() -> Outcome {
    let mut children = Vec::new();
    let mut outcome = Ok(());
    while children.len() < 4500 {
        // SAFETY: this program has one thread.
        match unsafe { libc::fork() } {
            -1 => {
                outcome = Err(io::Error::last_os_error());
                break;
            }
            0 => loop {
                // SAFETY: no arguments.
                unsafe { libc::pause() };
            },
            child => children.push(child),
        }
    }
    for child in &children {
        // SAFETY: our own children.
        unsafe { libc::kill(*child, libc::SIGKILL) };
    }
    for child in &children {
        // SAFETY: as above; the status is not wanted.
        unsafe { libc::waitpid(*child, std::ptr::null_mut(), 0) };
    }
    outcome
}
