//! Files outside of the folders that may be written, and the protected names inside of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::{Attempts, Outcome, TOKEN, c_path, check, in_arena, outside, victim, work, write};

pub(crate) const ATTEMPTS: Attempts = &[
    ("write a path", || write(&outside("secret"))),
    ("create a file", || write(&outside("new"))),
    ("write through ..", || write(&work("../../outside/secret"))),
    ("write through a relative ..", || {
        write(Path::new("../../outside/secret"))
    }),
    ("write through a link", || {
        symlink(outside("secret"), work("link"))?;
        write(&work("link"))
    }),
    ("write through a linked folder", || {
        symlink("../../outside", work("folder"))?;
        write(&work("folder/new"))
    }),
    ("write through /proc/self/root", || {
        let path = outside("secret");
        write(&Path::new("/proc/self/root").join(path.strip_prefix("/").unwrap_or(&path)))
    }),
    ("hard link into the workspace", || {
        fs::hard_link(outside("secret"), work("hard"))?;
        write(&work("hard"))
    }),
    ("rename out of the workspace", || {
        write(&work("file"))?;
        fs::rename(work("file"), outside("new"))
    }),
    ("rename into the workspace", || {
        fs::rename(outside("secret"), work("taken"))
    }),
    ("exchange a file", || {
        write(&work("file"))?;
        exchange(&work("file"), &outside("secret"))
    }),
    ("remove a file", || fs::remove_file(outside("secret"))),
    ("make a folder", || fs::create_dir(outside("dir/new"))),
    ("make a link", || symlink("secret", outside("new"))),
    ("make a named pipe", || {
        let path = c_path(&outside("new"));
        // SAFETY: the path is a C string.
        check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }.into())
    }),
    ("truncate a file", || {
        let path = c_path(&outside("secret"));
        // SAFETY: the path is a C string.
        check(unsafe { libc::truncate(path.as_ptr(), 0) }.into())
    }),
    ("truncate by opening to read", || {
        let path = c_path(&outside("secret"));
        let flags = libc::O_RDONLY | libc::O_TRUNC;
        // SAFETY: the path is a C string.
        check(unsafe { libc::open(path.as_ptr(), flags) }.into())
    }),
    ("change the mode", || {
        fs::set_permissions(outside("secret"), fs::Permissions::from_mode(0o666))
    }),
    ("change the owner", || {
        // To the same one: who owns a file may always say so.
        let facts = fs::metadata(outside("secret"))?;
        chown(outside("secret"), Some(facts.uid()), Some(facts.gid()))
    }),
    ("change the times", || {
        File::open(outside("secret"))?.set_modified(std::time::SystemTime::UNIX_EPOCH)
    }),
    ("change an attribute", attribute),
    ("change an attribute of a descriptor", || {
        let file = File::open(outside("secret"))?;
        let (name, value) = (c"user.attempt".as_ptr(), TOKEN.as_ptr().cast());
        // SAFETY: a C string, and as many bytes as are told.
        check(unsafe { libc::fsetxattr(file.as_raw_fd(), name, value, TOKEN.len(), 0) }.into())
    }),
    ("change the flags", flags),
    ("link an unnamed file outside", unnamed_file),
    ("reopen a descriptor", || {
        let file = File::open(outside("secret"))?;
        write(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
    }),
    ("reopen stdin", || write(Path::new("/proc/self/fd/0"))),
    ("write an inherited descriptor", || {
        // SAFETY: nobody else here owns number 9.
        let file = unsafe { File::from_raw_fd(9) };
        (&file).write_all(TOKEN)
    }),
    ("another process's view of the disk", other_roots),
    ("open a file by its handle", by_handle),
    ("write from a program in memory", from_memory),
    ("write .git", || write(&work(".git/config"))),
    ("rename .git", || fs::rename(work(".git"), work("git"))),
    ("exchange .git", || {
        fs::create_dir(work("git"))?;
        exchange(&work("git"), &work(".git"))
    }),
    ("unmount .git", || {
        let path = c_path(&work(".git"));
        // SAFETY: the path is a C string.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        write(&work(".git/config"))
    }),
    ("link into .git", || {
        fs::hard_link(work(".git/config"), work("config"))?;
        write(&work("config"))
    }),
    ("make .codex", || {
        let _ = fs::remove_dir(work(".codex"));
        let _ = fs::create_dir(work(".codex"));
        write(&work(".codex/config.toml"))
    }),
    ("replace .codex by a link", || {
        fs::rename(work(".codex"), work("codex")).or_else(|_| symlink("x", work(".codex")))
    }),
    ("exchange .codex", || {
        // There is none outside of the sandbox, so that there is nothing to exchange.
        let _ = fs::create_dir(work(".codex"));
        fs::create_dir(work("codex"))?;
        write(&work("codex/config.toml"))?;
        exchange(&work("codex"), &work(".codex"))
    }),
    ("move the workspace away", || {
        fs::rename(in_arena("nest"), in_arena("other"))
    }),
];

fn exchange(one: &Path, other: &Path) -> Outcome {
    let (one, other) = (c_path(one), c_path(other));
    let here = libc::AT_FDCWD;
    // SAFETY: both paths are C strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            here,
            one.as_ptr(),
            here,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    })
}

fn attribute() -> Outcome {
    let path = c_path(&outside("secret"));
    let (name, value) = (c"user.attempt".as_ptr(), TOKEN.as_ptr().cast());
    // SAFETY: two C strings, and as many bytes as are told.
    check(unsafe { libc::setxattr(path.as_ptr(), name, value, TOKEN.len(), 0) }.into())
}

/// `chattr +d`: the owner may, with a descriptor that only reads.
fn flags() -> Outcome {
    const NO_DUMP: libc::c_long = 0x40;
    let file = File::open(outside("secret"))?;
    let mut flags: libc::c_long = 0;
    // SAFETY: the kernel writes and reads at most one `long`.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) }.into())?;
    flags |= NO_DUMP;
    // SAFETY: as above.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) }.into())
}

fn unnamed_file() -> Outcome {
    let folder = c_path(&work(""));
    // SAFETY: the path is a C string.
    let file = unsafe { libc::open(folder.as_ptr(), libc::O_TMPFILE | libc::O_RDWR, 0o600) };
    check(file.into())?;
    let source = c_path(Path::new(&format!("/proc/self/fd/{file}")));
    let target = c_path(&outside("new"));
    // SAFETY: both paths are C strings.
    let linked = unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            source.as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    check(linked.into())
}

fn other_roots() -> Outcome {
    let arena = outside("new");
    let arena = arena.strip_prefix("/").unwrap_or(&arena).to_owned();
    // SAFETY: no arguments.
    let parent = unsafe { libc::getppid() };
    let mut last = Err(io::Error::other("nobody there"));
    for process in [victim(), parent, 1] {
        // Without a sandbox this is the plain path once more.
        last = write(&Path::new(&format!("/proc/{process}/root")).join(&arena));
        if last.is_ok() {
            return last;
        }
    }
    last
}

fn by_handle() -> Outcome {
    const HANDLE_BYTES: usize = 128;
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; HANDLE_BYTES],
    }
    let mut handle = Handle {
        bytes: 128,
        kind: 0,
        data: [0; HANDLE_BYTES],
    };
    let (path, mut mount_id) = (c_path(&outside("secret")), 0_i32);
    // SAFETY: the structure has room for as many bytes as it says.
    check(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw mut handle,
            &raw mut mount_id,
            0,
        )
    })?;
    let place = File::open(work(""))?;
    // SAFETY: the handle was filled by the call before.
    let file = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            place.as_raw_fd(),
            &raw mut handle,
            libc::O_WRONLY | libc::O_APPEND,
        )
    };
    check(file)?;
    // SAFETY: the kernel has just given us this descriptor.
    let mut file = unsafe { File::from_raw_fd(i32::try_from(file).unwrap_or(-1)) };
    file.write_all(TOKEN)
}

/// A program without a path is held like any other.
fn from_memory() -> Outcome {
    // SAFETY: the name is a C string.
    let memory = unsafe { libc::memfd_create(c"attempt".as_ptr(), 0) };
    check(memory.into())?;
    // SAFETY: the kernel has just given us this descriptor.
    let mut memory = unsafe { File::from_raw_fd(memory) };
    io::copy(&mut File::open("/proc/self/exe")?, &mut memory)?;
    let program = format!("/proc/self/fd/{}", memory.as_raw_fd());
    // The file that is open to writing cannot be run.
    let readable = File::open(&program)?;
    drop(memory);
    let program = format!("/proc/self/fd/{}", readable.as_raw_fd());
    nix::fcntl::fcntl(
        &readable,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )?;
    Err(Command::new(program).arg("write a path").exec())
}
