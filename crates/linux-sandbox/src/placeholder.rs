//! Names that do not exist and may not be created: an empty directory holds the place meanwhile.
//!
//! Only something that exists can be a mount point. So a missing `.git` becomes an empty directory
//! for as long as commands run, and is mounted on itself read-only inside. It bears the sticky bit,
//! by which it is told from a directory of the user's own, also after a crash.
//!
//! Commands may run side by side in one directory, and removing a mount point takes the mount away
//! from everybody. So each of them holds a shared lock on the directory; who can have it alone is
//! the last one and removes it. A lock that was gained on a removed directory counts for nothing.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstat, fstatat, mkdirat};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::failure::{Failure, Step, not_as_planned};
use crate::place::open_place;

const STICKY: u32 = 0o1000;
const STEP: &str = "hold the place of a protected name";

/// How often another command may take the directory away between our making and locking it.
const MAX_TRIES: u32 = 100;

/// The places that this command holds.
#[derive(Debug)]
pub(crate) struct Placeholders(Vec<Held>);

#[derive(Debug)]
struct Held {
    /// Of the name; a path could lead elsewhere by now.
    parent: OwnedFd,
    name: OsString,
    /// With a lock on it.
    directory: File,
}

impl Placeholders {
    pub(crate) fn hold(paths: &[impl AsRef<Path>]) -> Result<Self, Failure> {
        let mut held = Self(Vec::new());
        for path in paths {
            match hold(path.as_ref()) {
                Ok(place) => held.0.extend(place),
                Err(failure) => {
                    held.release();
                    return Err(failure);
                }
            }
        }
        Ok(held)
    }

    /// Removes what nobody else holds.
    pub(crate) fn release(self) {
        for place in self.0 {
            if place.directory.try_lock().is_ok() {
                // It stays when somebody outside has filled it.
                let _ = unlinkat(&place.parent, &*place.name, UnlinkatFlags::RemoveDir);
            }
        }
    }
}

/// Returns `None` when there is nothing to hold: something of the user's own is there by now, or
/// nobody may create anything here.
fn hold(path: &Path) -> Result<Option<Held>, Failure> {
    let failed = |errno| not_as_planned(STEP, path, errno);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(Errno::EINVAL));
    };
    let parent = open_place(parent).map_err(failed)?;
    for _ in 0..MAX_TRIES {
        match mkdirat(&parent, name, Mode::from_bits_retain(STICKY | 0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) if is_denial(errno) && unwritable(&parent) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = match openat(&parent, name, flags, Mode::empty()) {
            Ok(directory) => File::from(directory),
            Err(Errno::ENOENT) => continue,
            Err(Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        if !is_marked(&directory).map_err(failed)? {
            return Ok(None);
        }
        directory.lock_shared().step(STEP)?;
        if is_same(&directory, &parent, name) {
            return Ok(Some(Held {
                parent,
                name: name.to_owned(),
                directory,
            }));
        }
    }
    Err(Failure::new(STEP, "it comes and goes"))
}

/// Whether it says that nobody may create anything; a full disk, say, is empty again later.
fn is_denial(errno: Errno) -> bool {
    matches!(errno, Errno::EACCES | Errno::EPERM | Errno::EROFS)
}

/// Whether a directory is somebody else's or is read-only altogether, so that nobody inside can
/// open it to writing.
fn unwritable(directory: &OwnedFd) -> bool {
    let is_read_only =
        fstatvfs(directory).is_ok_and(|facts| facts.flags().contains(FsFlags::ST_RDONLY));
    is_read_only || fstat(directory).is_ok_and(|facts| facts.st_uid != geteuid().as_raw())
}

/// Whether an open directory is an empty one of ours.
fn is_marked(directory: &File) -> nix::Result<bool> {
    if fstat(directory)?.st_mode & STICKY == 0 {
        return Ok(false);
    }
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(directory, ".", flags, Mode::empty())?;
    let mut names = entries.iter().flatten();
    Ok(names.all(|entry| [c".", c".."].contains(&entry.file_name())))
}

/// Whether an empty directory of ours is there, so that the name counts as missing.
pub fn is_placeholder(path: &Path) -> bool {
    let marked = path
        .symlink_metadata()
        .is_ok_and(|facts| facts.is_dir() && facts.mode() & STICKY != 0);
    marked && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_same(directory: &File, parent: &OwnedFd, name: &OsStr) -> bool {
    let there = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    let (Ok(ours), Ok(there)) = (fstat(directory), there) else {
        return false;
    };
    (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
}

#[cfg(test)]
mod tests;
