//! The way without namespaces: Landlock and seccomp alone.
//!
//! Landlock grants a directory with all that is in it, or not at all. So where something inside of
//! a writable root is protected, each entry of the root is granted but that; the root itself is
//! not, and nothing can be created or removed directly in it. Beside cannot be made at all unless
//! the network is allowed.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, getppid};

use crate::confine::{Keep, confine};
use crate::failure::{Failure, Step};
use crate::filter::Beside;
use crate::inside::{Task, cannot_start};
use crate::supervise::{Ending, Signals, end_orphans};
use crate::{REFUSED, Rules, WITHOUT_NAMESPACES};

const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// The first Landlock that keeps files from being emptied, which needs no right to write before it.
pub(crate) const LEAST: landlock::ABI = landlock::ABI::V3;

/// Runs the command to its end.
pub(crate) fn run(task: &Task<'_>, signals: &Signals, why: &str) -> Result<Ending, Failure> {
    if task.rules.tell_ground || !task.rules.writable.is_empty() {
        let _ = writeln!(
            std::io::stderr(),
            "codex: {WITHOUT_NAMESPACES} ({why}): nothing can be created directly in a folder that \
             may be written, only in the folders inside of it"
        );
    }
    let keep = Keep {
        writable: writable(task.rules).step("list the writable roots")?,
        devices: DEVICES.iter().map(PathBuf::from).collect(),
        beside: Beside::Nothing {
            network: task.rules.network,
        },
        least: LEAST,
    };
    set_child_subreaper(true).step("take over orphans")?;
    let parent = nix::unistd::getpid();
    match crate::sys::fork_into(0).step("fork")? {
        ForkResult::Child => {
            let gone = set_pdeathsig(Signal::SIGKILL).is_err() || getppid() != parent;
            Ok(Ending::Code(match gone {
                true => i32::from(REFUSED),
                false => signals.released(|| become_command(task.command, &keep)),
            }))
        }
        ForkResult::Parent { child } => {
            crate::sys::point_to_null(0);
            crate::sys::point_to_null(1);
            let ending = signals.wait_for(child, None::<&mut std::io::PipeReader>, |signal| {
                let _ = kill(child, signal);
            });
            end_orphans();
            Ok(ending)
        }
    }
}

/// Returns only when the command could not be started.
fn become_command(command: &[OsString], keep: &Keep) -> i32 {
    if let Err(failure) = confine(keep) {
        crate::run::refuse(&failure);
        return i32::from(REFUSED);
    }
    let Some((program, args)) = command.split_first() else {
        return i32::from(REFUSED);
    };
    let error = Command::new(program).args(args).exec();
    cannot_start(program, &error)
}

/// Returns what is to be granted so that nothing protected is.
fn writable(rules: &Rules) -> std::io::Result<Vec<PathBuf>> {
    let protected: Vec<&Path> = rules
        .read_only
        .iter()
        .chain(&rules.absent)
        .map(PathBuf::as_path)
        .collect();
    let mut granted = Vec::new();
    let mut open = rules.writable.clone();
    while let Some(path) = open.pop() {
        if protected.iter().any(|name| path.starts_with(name)) {
            continue;
        }
        if !protected.iter().any(|name| name.starts_with(&path)) {
            granted.push(path);
            continue;
        }
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            // A link is no place of its own, and what it leads to may be anything.
            if !entry.file_type()?.is_symlink() {
                open.push(entry.path());
            }
        }
    }
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_granted_one_by_one_around_what_is_protected() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a/b/.git", "a/c", "d", ".git"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        let rules = Rules {
            writable: vec![root.into()],
            read_only: vec![root.join(".git"), root.join("a/b/.git")],
            absent: vec![root.join(".codex")],
            ..Rules::default()
        };
        let mut granted = writable(&rules).unwrap();
        granted.sort();
        assert_eq!(granted, [root.join("a/c"), root.join("d")]);
    }

    #[test]
    fn a_root_without_secrets_is_granted_whole() {
        let rules = Rules {
            writable: vec!["/tmp".into()],
            ..Rules::default()
        };
        assert_eq!(writable(&rules).unwrap(), [PathBuf::from("/tmp")]);
    }
}
