//! The system calls that nobody inside may make.
//!
//! A list of what is denied, not of what is allowed: commands are arbitrary programs. On it stand
//! the ways around the other walls (mounts, namespaces, io_uring, which no filter sees), the ways
//! to things without a path (keys, sockets of other kinds, the keyboard of the terminal), and parts
//! of the kernel that are of no use to a command.
//!
//! Traps. `sendto` must stay: Python's asyncio wakes its loop with it and waits for ever when it
//! fails. `clone3` takes its flags through a pointer that a filter cannot follow; with "no such
//! call" every libc takes `clone` instead; so with `openat2` and its mode. Calls of the x32 kind have numbers of their own.

use nix::libc::{self, c_int, c_long};
use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::failure::Failure;

/// What stands beside the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Namespaces: a disk that is read-only, and nobody else's network, objects and processes.
    Namespaces,
    /// Landlock alone, so that more must be denied here.
    Nothing {
        /// Whether sockets can be made: IPv4, IPv6, and what lists the interfaces.
        network: bool,
    },
}

const DENIED: &[c_long] = &[
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    // Keys that belong to the user or the session.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Parts of the kernel that a command does not need.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_syslog,
];

/// Answered with "no such call", so that programs take their other way.
const UNKNOWN: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Things of the System V kind belong to the whole machine unless a namespace makes them ours.
const SHARED_OBJECTS: &[c_long] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Changes of what is known about a file, which Landlock does not see. Answered as by a file system
/// that has no such things: programs that copy files go on then.
const ATTRIBUTES: &[c_long] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SYS_SETXATTRAT,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
];

/// These have the same numbers on all architectures, and no names in libc yet.
const SYS_SETXATTRAT: c_long = 463;
const SYS_REMOVEXATTRAT: c_long = 466;
const SYS_FILE_SETATTR: c_long = 469;

/// Sets flags of a file (`chattr`), for which a descriptor that only reads is enough.
const FILE_FLAGS: &[u64] = &[
    libc::FS_IOC_SETFLAGS,
    libc::FS_IOC32_SETFLAGS,
    FS_IOC_FSSETXATTR,
];
const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;

const NEW_NAMESPACES: &[c_int] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Calls that can make a program run as its owner or group, and the argument that says so. Such a
/// program in a writable root would run as this user for everybody else on the machine. A filter
/// cannot tell a directory, so the group bit of directories cannot be set either.
const MODES: &[(c_long, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_fchmodat2, 2),
    (libc::SYS_openat, 3),
    (libc::SYS_mknodat, 2),
];

/// Puts words into the keyboard of a terminal, or moves its selection.
const TERMINAL_INPUT: &[u64] = &[libc::TIOCSTI, libc::TIOCLINUX];

/// Installs the filter for this process and its children.
pub(crate) fn install(beside: Beside) -> Result<(), Failure> {
    let failed = |error: String| Failure::new("seccomp", error);
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| failed(e.to_string()))?;
    let mut filters = vec![
        (denied(beside), libc::EPERM),
        (whole_calls(UNKNOWN), libc::ENOSYS),
    ];
    if beside != Beside::Namespaces {
        filters.push((attributes(), libc::EOPNOTSUPP));
    }
    for (rules, errno) in filters {
        let filter = rules.and_then(|rules| {
            let answer = SeccompAction::Errno(errno.cast_unsigned());
            SeccompFilter::new(
                rules.into_iter().collect(),
                SeccompAction::Allow,
                answer,
                arch,
            )
        });
        let filter = filter.and_then(TryInto::<Vec<sock_filter>>::try_into);
        let mut program = filter.map_err(|e| failed(e.to_string()))?;
        if cfg!(target_arch = "x86_64") {
            program.splice(0..0, no_x32());
        }
        seccompiler::apply_filter(&program).map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

type Rules = Vec<(i64, Vec<SeccompRule>)>;

fn whole_calls(calls: &[c_long]) -> Result<Rules, BackendError> {
    Ok(calls.iter().map(|call| (*call, Vec::new())).collect())
}

fn denied(beside: Beside) -> Result<Rules, BackendError> {
    let mut rules = whole_calls(DENIED)?;
    let namespaces = NEW_NAMESPACES.iter().map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        rule([is(0, SeccompCmpOp::MaskedEq(flag), flag)?])
    });
    for (call, mode) in MODES {
        let set = [libc::S_ISUID, libc::S_ISGID].map(|bit| {
            let bit = u64::from(bit);
            rule([is(*mode, SeccompCmpOp::MaskedEq(bit), bit)?])
        });
        rules.push((*call, set.into_iter().collect::<Result<_, _>>()?));
    }
    rules.push((libc::SYS_clone, namespaces.collect::<Result<_, _>>()?));
    let terminal = TERMINAL_INPUT
        .iter()
        .map(|request| rule([is(1, SeccompCmpOp::Eq, *request)?]));
    rules.push((libc::SYS_ioctl, terminal.collect::<Result<_, _>>()?));
    let other_process = rule([is(0, SeccompCmpOp::Ne, 0)?])?;
    rules.push((libc::SYS_prlimit64, vec![other_process]));
    rules.push((libc::SYS_socketpair, pair_rules()?));
    if beside != Beside::Namespaces {
        rules.extend(whole_calls(SHARED_OBJECTS)?);
        let somebody_else = rule([is(1, SeccompCmpOp::Ne, 0)?])?;
        let many = rule([is(0, SeccompCmpOp::Ne, u64::from(libc::PRIO_PROCESS))?])?;
        rules.push((libc::SYS_setpriority, vec![somebody_else, many]));
    }
    rules.push((libc::SYS_socket, socket_rules(beside)?));
    Ok(rules)
}

fn attributes() -> Result<Rules, BackendError> {
    let mut rules = whole_calls(ATTRIBUTES)?;
    let flags = FILE_FLAGS
        .iter()
        .map(|request| rule([is(1, SeccompCmpOp::Eq, *request)?]));
    rules.push((libc::SYS_ioctl, flags.collect::<Result<_, _>>()?));
    Ok(rules)
}

/// An end of a pair of datagram sockets reaches every daemon that listens for datagrams: `sendto`
/// and `connect` take it to another name. Only kinds that stay with their other end can be made.
/// (`SOCK_RAW` is a datagram socket too.)
fn pair_rules() -> Result<Vec<SeccompRule>, BackendError> {
    const KIND: u64 = 0xf;
    let staying = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET].map(number);
    let mut rules = vec![rule([is(0, SeccompCmpOp::Ne, number(libc::AF_UNIX))?])?];
    for kind in (0..=KIND).filter(|kind| !staying.contains(kind)) {
        rules.push(rule([is(1, SeccompCmpOp::MaskedEq(KIND), kind)?])?);
    }
    Ok(rules)
}

/// No rules at all deny the call whatever its arguments are.
fn socket_rules(beside: Beside) -> Result<Vec<SeccompRule>, BackendError> {
    if beside == (Beside::Nothing { network: false }) {
        return Ok(Vec::new());
    }
    let other_family = rule([
        is(0, SeccompCmpOp::Ne, number(libc::AF_INET))?,
        is(0, SeccompCmpOp::Ne, number(libc::AF_INET6))?,
        is(0, SeccompCmpOp::Ne, number(libc::AF_NETLINK))?,
    ])?;
    let other_netlink = rule([
        is(0, SeccompCmpOp::Eq, number(libc::AF_NETLINK))?,
        is(2, SeccompCmpOp::Ne, number(libc::NETLINK_ROUTE))?,
    ])?;
    Ok(vec![other_family, other_netlink])
}

fn number(of: c_int) -> u64 {
    u64::from(of.cast_unsigned())
}

fn is(argument: u8, how: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    // The kernel looks at the lower half only of what it takes as an `int`.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value)
}

fn rule<const N: usize>(all_of: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(all_of.into())
}

/// "If the number has the bit of x32, there is no such call", in front of a program.
fn no_x32() -> [sock_filter; 3] {
    const X32_BIT: u32 = 0x4000_0000;
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    [
        step(LOAD_NUMBER, 0, 0),
        step(JUMP_IF_AT_LEAST, 1, X32_BIT),
        step(
            RETURN,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
        ),
    ]
}
