//! System calls for which no safe wrapper exists; all unsafe code of this crate.

#![expect(
    unsafe_code,
    reason = "raw system calls; each function says why its call is sound"
)]

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc::{self, c_int, c_ulong};
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid};

/// Forks into new namespaces; `flags` are those of `clone`, 0 for none.
///
/// This process has one thread, so that the child may go on as after `fork`.
pub(crate) fn fork_into(flags: c_int) -> nix::Result<ForkResult> {
    let flags = c_ulong::from(flags.cast_unsigned()) | libc::SIGCHLD as c_ulong;
    // SAFETY: without CLONE_VM and without a stack of its own, the child gets a copy of all memory
    // and returns from the same call. Zeros at the end are null pointers on every architecture.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_u64, 0_u64, 0_u64, 0_u64) };
    Ok(match Errno::result(pid)? {
        0 => ForkResult::Child,
        pid => ForkResult::Parent {
            child: Pid::from_raw(i32::try_from(pid).unwrap_or_default()),
        },
    })
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: u32) -> nix::Result<()> {
    // SAFETY: called once, before this process owns a descriptor above 2.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0_u32) };
    Errno::result(done).map(drop)
}

/// Makes a detached copy of what is mounted at a place, with everything below.
pub(crate) fn clone_tree(place: &OwnedFd) -> nix::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | (libc::AT_RECURSIVE | libc::AT_EMPTY_PATH).cast_unsigned();
    let (place, here) = (place.as_raw_fd(), c"".as_ptr());
    // SAFETY: the path is a C string that lives through the call.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, place, here, flags) };
    let tree = Errno::result(tree)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(c_int::try_from(tree).unwrap_or(-1)) })
}

/// Mounts such a copy on a place.
pub(crate) fn attach_tree(tree: &OwnedFd, place: &OwnedFd) -> nix::Result<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    // SAFETY: both paths are C strings that live through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            place.as_raw_fd(),
            c"".as_ptr(),
            FROM_EMPTY_PATH | TO_EMPTY_PATH,
        )
    };
    Errno::result(done).map(drop)
}

/// Sets attributes (`MOUNT_ATTR_…`) of a mounted or detached tree and of everything below.
pub(crate) fn set_attributes(tree: Tree<'_>, attributes: u64) -> nix::Result<()> {
    let (dir, path) = match tree {
        Tree::At(path) => (libc::AT_FDCWD, c_path(path)?),
        Tree::Detached(tree) => (tree.as_raw_fd(), CString::default()),
    };
    let wanted = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the structure is of the size that is told, and path and structure live on.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir,
            path.as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(done).map(drop)
}

/// A tree of mounts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tree<'a> {
    At(&'a Path),
    Detached(&'a OwnedFd),
}

/// Gives up all capabilities, also those that a program could bring back.
pub(crate) fn drop_capabilities() -> nix::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    const SECURE_NOROOT_LOCKED: c_ulong = 0b11;
    for capability in 0..64_u64 {
        // SAFETY: numbers only. A number that the kernel does not know is refused; without
        // CAP_SETPCAP all are, and then there is nothing to give up.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: numbers only; fails without CAP_SETPCAP, and then the user is not root.
    unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECURE_NOROOT_LOCKED, 0, 0, 0) };
    // SAFETY: numbers only. Kernels without ambient capabilities have none to clear.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    let header: [u32; 2] = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: version 3 reads two words of header and three words twice of sets.
    let done = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    Errno::result(done).map(drop)
}

/// Brings up the loopback interface of this network namespace.
pub(crate) fn raise_loopback() -> nix::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: all-zero bytes are a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, which lives through the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(done).map(drop)
}

/// Ends this process by a signal without leaving a core. Returns only when that failed.
pub(crate) fn end_by_signal(signal: Signal) {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::signal::{SigSet, raise};

    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // SAFETY: the default action runs no code of ours.
    let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
    let mut only = SigSet::empty();
    only.add(signal);
    let _ = raise(signal);
    let _ = only.thread_unblock();
}

/// Makes this descriptor mean `/dev/null` from now on.
pub(crate) fn point_to_null(descriptor: c_int) {
    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;

    let Ok(null) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) else {
        return;
    };
    // SAFETY: 0, 1 and 2 are owned by nobody in Rust's sense; both descriptors are open.
    unsafe { libc::dup2(null.as_raw_fd(), descriptor) };
}

/// Returns the version of the running kernel, e.g. (6, 18).
pub(crate) fn kernel_version() -> Option<(u32, u32)> {
    let facts = nix::sys::utsname::uname().ok()?;
    let mut numbers = facts
        .release()
        .to_str()?
        .split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn c_path(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
