//! One attempt to get out of the sandbox: `sandbox-attempt NAME`, for tests/escapes.rs.
//!
//! It exits with 0 when the attempt succeeded, and says on stderr why it did not. The arena is named
//! by `ARENA`: `outside/secret` and `outside/dir` are what must not be touched, `nest/desk` may be
//! written, and the files `*.port` and `*.sock` lead to listeners outside. `VICTIM` is a process outside.
#![expect(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "an attacker uses raw system calls; their results are all that matters"
)]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::libc::{self, c_long};

type Outcome = io::Result<()>;

const TOKEN: &[u8] = b"escaped";

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match attempt(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn attempt(name: &str) -> Outcome {
    match name {
        // Not an attempt: the process outside that others aim at.
        "victim" => loop {
            std::thread::park();
        },
        "write a path" => write(&outside("secret")),
        "create a file" => write(&outside("new")),
        "write through .." => write(&work("../../outside/secret")),
        "write through a relative .." => write(Path::new("../../outside/secret")),
        "write through a link" => {
            symlink(outside("secret"), work("link"))?;
            write(&work("link"))
        }
        "write through a linked folder" => {
            symlink("../../outside", work("folder"))?;
            write(&work("folder/new"))
        }
        "hard link into the workspace" => {
            fs::hard_link(outside("secret"), work("hard"))?;
            write(&work("hard"))
        }
        "rename out of the workspace" => {
            write(&work("file"))?;
            fs::rename(work("file"), outside("new"))
        }
        "rename into the workspace" => fs::rename(outside("secret"), work("taken")),
        "remove a file" => fs::remove_file(outside("secret")),
        "make a folder" => fs::create_dir(outside("dir/new")),
        "truncate a file" => {
            let path = c_path(&outside("secret"));
            // SAFETY: the path is a C string.
            check(unsafe { libc::truncate(path.as_ptr(), 0) }.into())
        }
        "change the mode" => {
            fs::set_permissions(outside("secret"), fs::Permissions::from_mode(0o666))
        }
        "change the times" => {
            File::open(outside("secret"))?.set_modified(std::time::SystemTime::UNIX_EPOCH)
        }
        "link an unnamed file outside" => unnamed_file(),
        "reopen a descriptor" => {
            let file = File::open(outside("secret"))?;
            write(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
        }
        "reopen stdin" => write(Path::new("/proc/self/fd/0")),
        "write an inherited descriptor" => {
            // SAFETY: nobody else here owns number 9.
            let file = unsafe { File::from_raw_fd(9) };
            (&file).write_all(TOKEN)
        }
        "another process's view of the disk" => other_roots(),
        "open a file by its handle" => by_handle(),
        "open a disk" => open_disk(),
        "make a device" => make_device(),
        "open a switch in /proc/sys" => open_for_writing("/proc/sys/kernel/core_pattern"),
        "open a switch in /sys" => open_for_writing("/sys/kernel/mm/transparent_hugepage/enabled"),
        "mount a file system" => mount(Some("tmpfs"), &outside("dir"), "tmpfs", 0),
        "bind mount" => {
            fs::create_dir(work("bound"))?;
            let source = outside("");
            mount(source.to_str(), &work("bound"), "", libc::MS_BIND)?;
            write(&work("bound/new"))
        }
        "remount writable" => remount(),
        "own namespaces" => {
            // SAFETY: numbers only.
            check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) }.into())?;
            remount().or(Ok(()))
        }
        "own namespaces by clone3" => clone3(),
        "enter another namespace" => {
            let namespace = File::open(format!("/proc/{}/ns/mnt", victim()))?;
            // SAFETY: the descriptor is open.
            check(unsafe { libc::setns(namespace.as_raw_fd(), 0) }.into())
        }
        "write .git" => write(&work(".git/config")),
        "rename .git" => fs::rename(work(".git"), work("git")),
        "unmount .git" => {
            let path = c_path(&work(".git"));
            // SAFETY: the path is a C string.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
            write(&work(".git/config"))
        }
        "link into .git" => {
            fs::hard_link(work(".git/config"), work("config"))?;
            write(&work("config"))
        }
        "make .codex" => {
            let _ = fs::remove_dir(work(".codex"));
            let _ = fs::create_dir(work(".codex"));
            write(&work(".codex/config.toml"))
        }
        "replace .codex by a link" => {
            fs::rename(work(".codex"), work("codex")).or_else(|_| symlink("x", work(".codex")))
        }
        "move the workspace away" => fs::rename(in_arena("nest"), in_arena("other")),
        "trace a process" => {
            // SAFETY: no memory is read or written by this request.
            check(unsafe { libc::ptrace(libc::PTRACE_ATTACH, victim(), 0, 0) })
        }
        "write into a process" => write_into_process(),
        "signal a process" => {
            // SAFETY: numbers only; signal 0 asks for the permission alone.
            check(unsafe { libc::kill(victim(), 0) }.into())
        }
        "limit a process" => limit_process(),
        "TCP" => {
            let mut stream = TcpStream::connect(("127.0.0.1", port("tcp")?))?;
            stream.write_all(TOKEN)
        }
        "UDP" => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.send_to(TOKEN, ("127.0.0.1", port("udp")?))?;
            // The listener says whether it arrived.
            Err(io::Error::other("sent"))
        }
        "unix socket with a path" => UnixStream::connect(in_arena("stream.sock"))?.write_all(TOKEN),
        "unix datagram with a path" => UnixDatagram::unbound()?
            .send_to(TOKEN, in_arena("datagram.sock"))
            .map(drop),
        "abstract unix socket" => abstract_socket(),
        "raw socket" => socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        "packet socket" => socket(libc::AF_PACKET, libc::SOCK_RAW, 0),
        "netlink to the kernel" => socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW,
            libc::NETLINK_KOBJECT_UEVENT,
        ),
        "vsock" => socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        "crypto socket" => socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        "io_uring" => {
            let mut parameters = [0_u8; 120];
            // SAFETY: the kernel fills the 120 bytes of `struct io_uring_params`.
            let made =
                unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
            check(made)
        }
        "run a set-user program" => {
            let status = Command::new(outside("suid")).arg("am I root").status()?;
            if status.success() {
                Ok(())
            } else {
                Err(io::Error::other("not root"))
            }
        }
        "am I root" => am_i_root(),
        "make a set-user program" => {
            write(&work("program"))?;
            fs::set_permissions(work("program"), fs::Permissions::from_mode(0o4755))
        }
        "make a set-group program" => {
            write(&work("program"))?;
            fs::set_permissions(work("program"), fs::Permissions::from_mode(0o2755))
        }
        "add a key" => key(),
        "type into the terminal" => type_into_terminal(),
        "outlive the command" | "outlive the killed helper" => outlive(name),
        "fork bomb" => fork_bomb(),
        unknown => Err(io::Error::other(format!("no such attempt: {unknown}"))),
    }
}

fn in_arena(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("ARENA").unwrap_or_default()).join(name)
}

fn outside(name: &str) -> PathBuf {
    in_arena("outside").join(name)
}

fn work(name: &str) -> PathBuf {
    in_arena("nest/desk").join(name)
}

fn victim() -> i32 {
    let pid = std::env::var("VICTIM").unwrap_or_default();
    pid.parse().unwrap_or(-1)
}

fn port(name: &str) -> io::Result<u16> {
    let text = fs::read_to_string(in_arena(&format!("{name}.port")))?;
    text.parse().map_err(io::Error::other)
}

fn write(path: &Path) -> Outcome {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(TOKEN)
}

fn open_for_writing(path: &str) -> Outcome {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn check(result: c_long) -> Outcome {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> Outcome {
    // SAFETY: numbers only.
    check(unsafe { libc::socket(family, kind, protocol) }.into())
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
    let arena = in_arena("outside/new");
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

fn write_into_process() -> Outcome {
    let memory = fs::read_to_string(format!("/proc/{}/maps", victim()))?;
    let writable = memory.lines().find(|line| line.contains(" rw-p "));
    let start = writable.and_then(|line| line.split('-').next());
    let start = start.and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let start = start.ok_or_else(|| io::Error::other("its memory is not shown"))?;
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

fn limit_process() -> Outcome {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let (limit, old) = (&raw const limit, std::ptr::null_mut());
    // SAFETY: the structure lives through the call.
    check(unsafe { libc::prlimit(victim(), libc::RLIMIT_CORE, limit, old) }.into())
}

fn abstract_socket() -> Outcome {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = fs::read(in_arena("abstract.name"))?;
    let address = SocketAddr::from_abstract_name(name)?;
    UnixStream::connect_addr(&address)?.write_all(TOKEN)
}

/// Root is who has capabilities, whatever its number is.
fn am_i_root() -> Outcome {
    let status = fs::read_to_string("/proc/self/status")?;
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    match capabilities.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) {
        Some(1..) => Ok(()),
        _ => Err(io::Error::other("no capabilities")),
    }
}

fn key() -> Outcome {
    const USER_SESSION_KEYRING: i32 = -5;
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
    const KEYCTL_UNLINK: i32 = 9;
    // SAFETY: numbers only; takes the key away again.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_UNLINK, added, USER_SESSION_KEYRING) };
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

/// Leaves a process behind that says so on stdout later; the reader judges.
fn outlive(name: &str) -> Outcome {
    // SAFETY: this program has one thread.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: no arguments.
            unsafe { libc::setsid() };
            // SAFETY: as above.
            if unsafe { libc::fork() } == 0 {
                std::thread::sleep(Duration::from_millis(600));
                println!("outlived");
            }
        }
        -1 => return Err(io::Error::last_os_error()),
        _ if name == "outlive the killed helper" => {
            println!("ready");
            std::thread::sleep(Duration::from_secs(20));
        }
        _ => {}
    }
    Err(io::Error::other("see stdout"))
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
