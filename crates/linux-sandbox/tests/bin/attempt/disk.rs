//! Mounts, namespaces, devices, and programs with rights of their own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use crate::{Attempts, Outcome, c_path, check, outside, victim, work, write};

pub(crate) const ATTEMPTS: Attempts = &[
    ("open a disk", open_disk),
    ("make a device", make_device),
    ("open a switch in /proc/sys", || {
        open_for_writing("/proc/sys/kernel/core_pattern")
    }),
    ("open a switch in /sys", || {
        open_for_writing("/sys/kernel/mm/transparent_hugepage/enabled")
    }),
    ("mount a file system", || {
        mount(Some("tmpfs"), &outside("dir"), "tmpfs", 0)
    }),
    ("mount by the new calls", || {
        let kind = c"tmpfs".as_ptr();
        // SAFETY: a C string and a number.
        check(unsafe { libc::syscall(libc::SYS_fsopen, kind, 0) })
    }),
    ("bind mount", || {
        fs::create_dir(work("bound"))?;
        let source = outside("");
        mount(source.to_str(), &work("bound"), "", libc::MS_BIND)?;
        write(&work("bound/new"))
    }),
    ("copy a tree of mounts", || {
        let (path, flags) = (c_path(&outside("")), libc::OPEN_TREE_CLONE);
        // SAFETY: the path is a C string.
        check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
    }),
    ("remount writable", remount),
    ("change the root", || {
        let path = c_path(&work(""));
        // SAFETY: the path is a C string.
        check(unsafe { libc::chroot(path.as_ptr()) }.into())
    }),
    ("own namespaces", || {
        // SAFETY: numbers only.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) }.into())?;
        remount().or(Ok(()))
    }),
    ("own namespaces by clone3", clone3),
    ("enter another namespace", || {
        let namespace = File::open(format!("/proc/{}/ns/mnt", victim()))?;
        // SAFETY: the descriptor is open.
        check(unsafe { libc::setns(namespace.as_raw_fd(), 0) }.into())
    }),
    ("run a set-user program", || {
        succeeds(Command::new(program("suid")).arg("am I root"))
    }),
    ("run a set-group program", || {
        succeeds(Command::new(program("sgid")).arg("am I in another group"))
    }),
    ("make a set-user program", || {
        write(&work("program"))?;
        fs::set_permissions(work("program"), fs::Permissions::from_mode(0o4755))
    }),
    ("make a set-group program", || {
        write(&work("program"))?;
        fs::set_permissions(work("program"), fs::Permissions::from_mode(0o2755))
    }),
];

fn program(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("PROGRAMS").unwrap_or_default()).join(name)
}

fn succeeds(command: &mut Command) -> Outcome {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("it has no more rights")),
    }
}

fn open_for_writing(path: &str) -> Outcome {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn mount(source: Option<&str>, target: &Path, kind: &str, flags: u64) -> Outcome {
    let flags = nix::mount::MsFlags::from_bits_retain(flags);
    nix::mount::mount(source, target, Some(kind), flags, None::<&str>).map_err(Into::into)
}

fn remount() -> Outcome {
    let flags = libc::MS_REMOUNT | libc::MS_BIND;
    mount(None, Path::new("/"), "", flags)?;
    write(&outside("new"))
}

/// The first disk of the machine: its name and numbers.
fn disk() -> io::Result<(String, u64)> {
    let table = fs::read_to_string("/proc/partitions")?;
    let words: Vec<&str> = table
        .lines()
        .nth(2)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let [major, minor, _, name] = words[..] else {
        return Err(io::Error::other("no disk"));
    };
    let number = |text: &str| text.parse::<u32>().map_err(io::Error::other);
    Ok((
        name.to_owned(),
        libc::makedev(number(major)?, number(minor)?),
    ))
}

fn open_disk() -> Outcome {
    File::open(format!("/dev/{}", disk()?.0)).map(drop)
}

fn make_device() -> Outcome {
    let (path, numbers) = (work("disk"), disk()?.1);
    let name = c_path(&path);
    // SAFETY: the path is a C string.
    check(unsafe { libc::mknod(name.as_ptr(), libc::S_IFBLK | 0o600, numbers) }.into())?;
    File::open(path).map(drop)
}

fn clone3() -> Outcome {
    let mut arguments = [0_u64; 11];
    arguments[0] = libc::CLONE_NEWUSER.cast_unsigned().into();
    arguments[4] = libc::SIGCHLD.cast_unsigned().into();
    // SAFETY: without CLONE_VM this is a fork; the structure has the size that is told.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            arguments.as_ptr(),
            size_of_val(&arguments),
        )
    };
    if child == 0 {
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(0) };
    }
    check(child)
}
