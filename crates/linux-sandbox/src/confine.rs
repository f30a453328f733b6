//! The doors that a process closes behind itself: capabilities, privileges, Landlock, seccomp.
//!
//! Landlock is required beside the mounts too: a descriptor that was opened outside can be opened
//! again for writing through `/proc/self/fd`, on the mount of outside where nothing is read-only.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope,
};
use nix::errno::Errno;
use nix::libc::{S_IFDIR, S_IFMT};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::stat::fstat;

use crate::failure::{Failure, Step, not_as_planned};
use crate::filter::{self, Beside};
use crate::place::open_place;
use crate::sys::drop_capabilities;

/// What is known and tested; older kernels enforce what they know of it.
const KNOWN: ABI = ABI::V7;

/// What the process keeps.
#[derive(Debug)]
pub(crate) struct Keep {
    /// Files, and directories with all below, that it may write.
    pub(crate) writable: Vec<PathBuf>,
    /// Devices, and directories with all below, that it may use in every way.
    pub(crate) devices: Vec<PathBuf>,
    pub(crate) beside: Beside,
    /// The oldest Landlock that holds what nothing else does.
    pub(crate) least: ABI,
}

/// Closes everything else, for ever and for all children.
pub(crate) fn confine(keep: &Keep) -> Result<(), Failure> {
    drop_capabilities().step("give up capabilities")?;
    set_no_new_privs().step("give up new privileges")?;
    let status = restrict_files(keep)?;
    suffices(status.landlock.into(), keep.least)?;
    filter::install(keep.beside)
}

/// Whether what the kernel knows of Landlock is enough.
fn suffices(found: ABI, least: ABI) -> Result<(), Failure> {
    if found == ABI::Unsupported {
        let why = "the kernel has no Landlock (Linux 5.13 with `landlock` in its list of LSMs)";
        return Err(Failure::new("Landlock", why));
    }
    if found < least {
        let why = "without user namespaces files can be emptied from inside before Linux 6.2";
        return Err(Failure::new("Landlock", why));
    }
    Ok(())
}

fn restrict_files(keep: &Keep) -> Result<RestrictionStatus, Failure> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .map_err(landlock)?;
    ruleset = allow(ruleset, Path::new("/"), AccessFs::from_read(KNOWN))?;
    for path in keep.writable.iter().chain(&keep.devices) {
        ruleset = allow(ruleset, path, AccessFs::from_all(KNOWN))?;
    }
    ruleset.restrict_self().map_err(landlock)
}

fn allow<R: RulesetCreatedAttr>(
    ruleset: R,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<R, Failure> {
    let place = match open_place(path) {
        // What is gone by now cannot be written either.
        Err(Errno::ENOENT) => return Ok(ruleset),
        place => place.map_err(|errno| not_as_planned("allow a path", path, errno))?,
    };
    let kind = fstat(&place).step("allow a path")?.st_mode & S_IFMT;
    let access = match kind == S_IFDIR {
        true => access,
        false => access & AccessFs::from_file(KNOWN),
    };
    let rule = PathBeneath::new(place, access);
    ruleset.add_rule(rule).map_err(landlock)
}

fn landlock(error: RulesetError) -> Failure {
    Failure::new("Landlock", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fallback;

    #[test]
    fn alone_landlock_must_know_of_truncation() {
        let why = |found, least| suffices(found, least).map_err(|failure| failure.to_string());
        for old in [ABI::V1, ABI::V2] {
            assert!(why(old, fallback::LEAST).unwrap_err().contains("Linux 6.2"));
            assert_eq!(why(old, ABI::V1), Ok(()));
        }
        assert_eq!(why(ABI::V3, fallback::LEAST), Ok(()));
        let none = why(ABI::Unsupported, ABI::V1).unwrap_err();
        assert!(none.contains("no Landlock"), "{none}");
    }
}
