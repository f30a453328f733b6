//! The view of the disk from inside: all of it, and read-only but for the writable roots.
//!
//! Each writable root is copied (`open_tree`) before everything is made read-only by one call, and
//! put back on its place after it; so a root keeps what was mounted in it, with the flags it had.
//! What is protected inside of a root is mounted on itself once more, read-only. A mount point can
//! be neither removed nor renamed, so a protected name stays what it is.

use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use nix::libc::{MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};
use nix::mount::{MsFlags, mount};

use crate::Rules;
use crate::failure::{Failure, Step, not_as_planned};
use crate::place::open_place;
use crate::sys::{Tree, attach_tree, clone_tree, kernel_version, set_attributes};

/// Devices that cannot do harm; `/dev` inside holds no others.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// Links that programs expect in `/dev`.
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the view; must run in a mount and a process namespace of its own.
pub(crate) fn build(rules: &Rules, max_tasks: u64) -> Result<(), Failure> {
    let root = Path::new("/");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, root, None::<&str>, private, None::<&str>).step("detach the mounts")?;
    let roots = copies(rules.writable.clone())?;
    let devices = copies(DEVICES.iter().map(|name| device(name)).collect())?;
    set_attributes(Tree::At(root), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID)
        .step("make the disk read-only")?;
    for (path, tree) in roots {
        set_attributes(Tree::Detached(&tree), MOUNT_ATTR_NOSUID).step("set up a writable root")?;
        attach(&tree, &path, "mount a writable root")?;
    }
    for path in rules.read_only.iter().chain(&rules.absent) {
        protect(path)?;
    }
    mount_devices(devices)?;
    mount_proc(max_tasks)
}

/// Copies the trees at these paths, outer ones first.
fn copies(mut paths: Vec<PathBuf>) -> Result<Vec<(PathBuf, OwnedFd)>, Failure> {
    paths.sort_by_key(|path| path.components().count());
    let copy = |path: PathBuf| match open_place(&path).and_then(|place| clone_tree(&place)) {
        Ok(tree) => Ok((path, tree)),
        Err(errno) => Err(not_as_planned("copy a mount", &path, errno)),
    };
    paths.into_iter().map(copy).collect()
}

fn attach(tree: &OwnedFd, path: &Path, step: &'static str) -> Result<(), Failure> {
    open_place(path)
        .and_then(|place| attach_tree(tree, &place))
        .map_err(|errno| not_as_planned(step, path, errno))
}

fn protect(path: &Path) -> Result<(), Failure> {
    let tree = match open_place(path).and_then(|place| clone_tree(&place)) {
        // A name whose directory we could not write, and so nobody inside can either.
        Err(nix::errno::Errno::ENOENT) => return Ok(()),
        tree => tree.map_err(|errno| not_as_planned("copy a protected path", path, errno))?,
    };
    set_attributes(Tree::Detached(&tree), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID)
        .step("make a protected path read-only")?;
    attach(&tree, path, "mount a protected path")
}

fn device(name: &str) -> PathBuf {
    Path::new("/dev").join(name)
}

/// A `/dev` of our own: the host's would show its disks to root, and its terminals to everybody.
fn mount_devices(devices: Vec<(PathBuf, OwnedFd)>) -> Result<(), Failure> {
    let tmpfs = Some("mode=0755,size=50%");
    mount(
        Some("tmpfs"),
        "/dev",
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        tmpfs,
    )
    .step("mount /dev")?;
    for (path, tree) in devices {
        #[expect(
            clippy::disallowed_methods,
            reason = "an empty file in our own memory to mount on"
        )]
        let created = File::create(&path);
        created.step("make a device")?;
        attach(&tree, &path, "mount a device")?;
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, device(name)).step("make a link in /dev")?;
    }
    let mut shared = DirBuilder::new();
    shared
        .mode(0o1777)
        .create(device("shm"))
        .step("make /dev/shm")?;
    // The process may have a umask.
    let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(device("shm"), open_to_all).step("open /dev/shm")?;
    std::fs::create_dir(device("pts")).step("make /dev/pts")?;
    let own_terminals = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(
        Some("devpts"),
        "/dev/pts",
        Some("devpts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        own_terminals,
    )
    .step("mount /dev/pts")
}

/// A `/proc` that shows the processes inside only.
///
/// Where parts of `/proc` are hidden (in a container), the kernel does not grant a fresh one. Then
/// the old one stays, read-only like the rest: it names the processes outside, and the user
/// namespace keeps everything of theirs closed.
fn mount_proc(max_tasks: u64) -> Result<(), Failure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).is_err() {
        return Ok(());
    }
    // Before 6.14 the file is the whole machine's.
    if kernel_version().is_some_and(|version| version >= (6, 14)) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a switch of the kernel, not a file"
        )]
        let bounded = std::fs::write("/proc/sys/kernel/pid_max", max_tasks.to_string());
        bounded.step("bound the number of processes")?;
    }
    set_attributes(Tree::At(Path::new("/proc")), MOUNT_ATTR_RDONLY).step("make /proc read-only")
}
