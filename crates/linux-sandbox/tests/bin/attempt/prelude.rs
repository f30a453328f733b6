//! A machine without user namespaces, as containers are: a filter that refuses them.
//!
//! `sandbox-attempt "without namespaces" USER PROGRAM ARG…`. As root the filter is installed before
//! the user is changed, so that it does not take the rights of set-user programs away by itself.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::{Outcome, check};

/// Becomes the program; returns only when it cannot.
pub(crate) fn without_namespaces() -> Outcome {
    let mut words = std::env::args_os().skip(2);
    let user = words.next().unwrap_or_default();
    let user: u32 = user.to_string_lossy().parse().map_err(io::Error::other)?;
    let program = words.next().unwrap_or_default();
    let refusals = [
        (
            vec![
                (libc::SYS_clone, vec![asks_for_a_user_namespace()?]),
                (libc::SYS_unshare, vec![asks_for_a_user_namespace()?]),
            ],
            Errno::EPERM,
        ),
        (vec![(libc::SYS_clone3, Vec::new())], Errno::ENOSYS),
    ];
    for (rules, answer) in refusals {
        install(rules, answer)?;
    }
    if geteuid().is_root() && user != 0 {
        setgroups(&[])?;
        setgid(Gid::from_raw(user))?;
        setuid(Uid::from_raw(user))?;
    }
    Err(Command::new(program).args(words).exec())
}

fn asks_for_a_user_namespace() -> io::Result<SeccompRule> {
    let flag = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let has_it = SeccompCmpOp::MaskedEq(flag);
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, has_it, flag)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(io::Error::other)
}

fn install(rules: Vec<(i64, Vec<SeccompRule>)>, answer: Errno) -> Outcome {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let answer = SeccompAction::Errno((answer as i32).cast_unsigned());
    let filter = SeccompFilter::new(
        rules.into_iter().collect(),
        SeccompAction::Allow,
        answer,
        arch,
    );
    let filter = filter.and_then(TryInto::<Vec<sock_filter>>::try_into);
    let mut filter = filter.map_err(io::Error::other)?;
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or_default(),
        filter: filter.as_mut_ptr().cast(),
    };
    if !geteuid().is_root() {
        nix::sys::prctl::set_no_new_privs()?;
    }
    let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
    // SAFETY: the program lives through the call, and has the length that is told.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, program) }.into())
}
