//! The steps of a change, and the way back.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::journal::{self, Entry, Journal, Record, Stage};
use super::{ChangeError, FileChange, LOCK_LIMIT};
use crate::fence::{NamedIn, Place, Walk};
use crate::{Fence, FenceError, FileLock};

/// Changes files; `step` is called between any two deeds, so that a test can stop there.
pub(super) fn change(
    fence: &Fence,
    folder: &Path,
    changes: &[FileChange<'_>],
    step: &mut dyn FnMut(),
) -> Result<(), ChangeError> {
    let places = changes.iter().map(|change| fence.place(change.path));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    let _lock = lock(folder)?;
    undo_found(folder)?;
    step();
    let mut journal = Journal::begin(folder, places)?;
    step();
    let changed = prepare(&mut journal, fence, changes, step)
        .and_then(|()| replace(&mut journal, changes, step));
    if let Err(error) = changed {
        undo(&journal.record);
        journal.remove();
        return Err(error);
    }
    step();
    tidy(&journal.record, step);
    journal.remove();
    Ok(())
}

pub(super) fn undo_all(folder: &Path) -> Result<Vec<PathBuf>, ChangeError> {
    let _lock = lock(folder)?;
    undo_found(folder)
}

fn lock(folder: &Path) -> Result<FileLock, ChangeError> {
    Ok(FileLock::acquire(&folder.join("lock"), LOCK_LIMIT)?)
}

/// Undoes every journal of dead runs; the lock is held.
fn undo_found(folder: &Path) -> Result<Vec<PathBuf>, ChangeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ChangeError::Journal { path, source }
    };
    let mut put_back = Vec::new();
    for path in journal::found(folder).map_err(failed(folder))? {
        let record = journal::read(&path).map_err(failed(&path))?;
        match record.stage {
            Stage::Done => tidy(&record, &mut || {}),
            Stage::Preparing | Stage::Replacing => put_back.extend(undo(&record)),
        }
        std::fs::remove_file(&path).map_err(failed(&path))?;
    }
    Ok(put_back)
}

/// Writes every new content and gives every old one a second name; no target changes.
fn prepare(
    journal: &mut Journal,
    fence: &Fence,
    changes: &[FileChange<'_>],
    step: &mut dyn FnMut(),
) -> Result<(), ChangeError> {
    let mut marks = Vec::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        let entry = journal.record.entries[index].clone();
        let mut made_error = None;
        let mut tell = |dir: Place| {
            step();
            journal.making(dir).map_err(|error| {
                made_error = Some(error);
                FenceError::Unsupported
            })
        };
        let walk = match change.after {
            Some(_) => Walk::Making(&mut tell),
            None => Walk::Existing,
        };
        let opened = entry.place.open_parent(walk);
        if let Some(error) = made_error {
            return Err(error);
        }
        let changed = || ChangeError::Changed(change.path.to_owned());
        let dir = opened?.ok_or_else(changed)?;
        let target = entry.place.named(&dir);
        let limit = change.before.map_or(0, |before| before.len() as u64);
        match target.read(limit) {
            Ok(found) if found.as_deref() == change.before => {}
            Ok(_) | Err(FenceError::TooLarge { .. }) => return Err(changed()),
            Err(error) => return Err(error.into()),
        }
        step();
        let old = target.stat()?;
        if let (Some(before), Some(found)) = (change.before, &old) {
            second_name(&target, &entry, before, found)?;
        }
        step();
        let like = match (old, change.like) {
            (None, Some(like)) => stat_of(fence, like)?,
            (old, _) => old,
        };
        marks.push(match change.after {
            Some(content) => Some(write_new(&target, &entry, content, like)?),
            None => None,
        });
        step();
    }
    journal.replacing(marks)
}

fn stat_of(fence: &Fence, path: &Path) -> Result<Option<Stat>, FenceError> {
    let place = fence.place(path)?;
    match place.open_parent(Walk::Existing)? {
        Some(dir) => place.named(&dir).stat(),
        None => Ok(None),
    }
}

/// Keeps the old content under a second name, as a copy where the file system knows no links.
fn second_name(
    target: &NamedIn<'_>,
    entry: &Entry,
    before: &[u8],
    found: &Stat,
) -> Result<(), FenceError> {
    let old_name = entry.old_name.as_str();
    let linked = rustix::fs::linkat(
        target.dir,
        target.name,
        target.dir,
        old_name,
        AtFlags::empty(),
    );
    match linked {
        Ok(()) => Ok(()),
        Err(_) => write_beside(target, old_name, before, Some(*found)).map(|_| ()),
    }
}

fn write_new(
    target: &NamedIn<'_>,
    entry: &Entry,
    content: &[u8],
    like: Option<Stat>,
) -> Result<String, FenceError> {
    let file = write_beside(target, &entry.new_name, content, like)?;
    let found = rustix::fs::fstat(&file).map_err(|errno| target.failed("write", errno.into()))?;
    Ok(mark(&found))
}

fn write_beside(
    target: &NamedIn<'_>,
    name: &str,
    content: &[u8],
    like: Option<Stat>,
) -> Result<File, FenceError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A new file is the user's own and not a secret: the umask decides.
    let file = rustix::fs::openat(target.dir, name, flags, Mode::from_raw_mode(0o666));
    let mut file = File::from(file.map_err(|errno| target.failed("write", errno.into()))?);
    if let Some(like) = like {
        // Only root may give files away; for everybody else the owner is the same already.
        let (uid, gid) = (
            rustix::fs::Uid::from_raw(like.st_uid),
            rustix::fs::Gid::from_raw(like.st_gid),
        );
        let _ = rustix::fs::fchown(&file, Some(uid), Some(gid));
        let mode = Mode::from_raw_mode(like.st_mode) & Mode::from_raw_mode(0o777);
        rustix::fs::fchmod(&file, mode).map_err(|errno| target.failed("write", errno.into()))?;
    }
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|error| target.failed("write", error))?;
    Ok(file)
}

/// What a file is recognised by later: its number, size and time of its last change.
fn mark(found: &Stat) -> String {
    let Stat {
        st_ino,
        st_size,
        st_mtime,
        st_mtime_nsec,
        ..
    } = found;
    format!("{st_ino} {st_size} {st_mtime} {st_mtime_nsec}")
}

/// Puts everything in place.
fn replace(
    journal: &mut Journal,
    changes: &[FileChange<'_>],
    step: &mut dyn FnMut(),
) -> Result<(), ChangeError> {
    step();
    for (entry, change) in journal.record.entries.iter().zip(changes) {
        let dir = entry.place.open_parent(Walk::Existing)?;
        let dir = dir.ok_or_else(|| ChangeError::Changed(change.path.to_owned()))?;
        let target = entry.place.named(&dir);
        let replaced = match change.after {
            Some(_) => rustix::fs::renameat(&dir, &entry.new_name, &dir, target.name),
            None => rustix::fs::unlinkat(&dir, target.name, AtFlags::empty()),
        };
        replaced.map_err(|errno| target.failed("write", errno.into()))?;
        step();
    }
    journal.done()
}

/// Removes what stands beside the files after a change.
fn tidy(record: &Record, step: &mut dyn FnMut()) {
    for entry in &record.entries {
        if let Ok(Some(dir)) = entry.place.open_parent(Walk::Existing) {
            unlink(&dir, entry.new_name.as_ref());
            unlink(&dir, entry.old_name.as_ref());
        }
        step();
    }
}

/// Puts old contents back, as far as nobody touched the new ones; returns what was put back.
fn undo(record: &Record) -> Vec<PathBuf> {
    let mut put_back = Vec::new();
    for entry in record.entries.iter().rev() {
        // A directory that is gone or was replaced by a link holds nothing of ours any more.
        let Ok(Some(dir)) = entry.place.open_parent(Walk::Existing) else {
            continue;
        };
        if record.stage == Stage::Replacing && undo_entry(entry, &dir) {
            put_back.push(entry.place.path());
        }
        unlink(&dir, entry.new_name.as_ref());
        unlink(&dir, entry.old_name.as_ref());
    }
    for made in record.made.iter().rev() {
        if let Ok(Some(dir)) = made.open_parent(Walk::Existing) {
            // One that somebody uses is not empty and stays.
            let _ = rustix::fs::unlinkat(&dir, made.named(&dir).name, AtFlags::REMOVEDIR);
        }
    }
    put_back
}

fn undo_entry(entry: &Entry, dir: &File) -> bool {
    let target = entry.place.named(dir);
    let look = |name: &str| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    let Ok(now) = target.stat() else {
        return false;
    };
    let was_replaced = match (&entry.staged, &now) {
        (Some(staged), Some(now)) => look(&entry.new_name).is_err() && *staged == mark(now),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !was_replaced {
        return false;
    }
    let undone = match look(&entry.old_name) {
        Ok(_) => rustix::fs::renameat(dir, &entry.old_name, dir, target.name),
        Err(Errno::NOENT) if now.is_some() => {
            rustix::fs::unlinkat(dir, target.name, AtFlags::empty())
        }
        Err(errno) => Err(errno),
    };
    undone.is_ok()
}

fn unlink(dir: &File, name: &OsStr) {
    // Mostly it is not there.
    let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
}
