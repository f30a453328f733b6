//! The steps of a change, and the way back.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
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
    let places = changes
        .iter()
        .map(|change| Ok((fence.place(change.path)?, change.before.is_some())));
    let places = places.collect::<Result<Vec<_>, FenceError>>()?;
    let _lock = lock(folder)?;
    match undo_found(folder) {
        // What another change left half done elsewhere is told at every start and is in nobody's way.
        Err(ChangeError::NotUndone { files, .. })
            if !changes
                .iter()
                .any(|change| files.iter().any(|file| file == change.path)) => {}
        found => drop(found?),
    }
    step();
    let mut journal = Journal::begin(folder, places)?;
    step();
    let changed = prepare(&mut journal, fence, changes, step)
        .and_then(|()| replace(&mut journal, changes, step));
    if let Err(error) = changed {
        let undone = undo(&journal.record);
        if !undone.can_go_on {
            journal.remove();
        }
        return Err(match undone.into_result() {
            Ok(_) => error,
            Err(left) => ChangeError::HalfDone {
                cause: Box::new(error),
                left: Box::new(left),
            },
        });
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
    let mut all = Undone::default();
    for path in journal::found(folder).map_err(failed(folder))? {
        let record = journal::read(&path).map_err(failed(&path))?;
        match record.stage {
            Stage::Done => tidy(&record, &mut || {}),
            Stage::Preparing | Stage::Replacing => {
                let undone = undo(&record);
                let can_go_on = undone.can_go_on;
                all.add(undone);
                if can_go_on {
                    continue;
                }
            }
        }
        std::fs::remove_file(&path).map_err(failed(&path))?;
    }
    all.into_result()
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

/// What became of an attempt to put old contents back.
#[derive(Default)]
struct Undone {
    put_back: Vec<PathBuf>,
    /// What has its new content still, and why.
    left: Vec<(PathBuf, FenceError)>,
    /// Old contents are there and may be put back later.
    can_go_on: bool,
}

impl Undone {
    fn add(&mut self, other: Self) {
        self.put_back.extend(other.put_back);
        self.left.extend(other.left);
        self.can_go_on |= other.can_go_on;
    }

    fn into_result(self) -> Result<Vec<PathBuf>, ChangeError> {
        let mut files = Vec::with_capacity(self.left.len());
        let mut first = None;
        for (path, error) in self.left {
            files.push(path);
            first.get_or_insert(error);
        }
        match first {
            None => Ok(self.put_back),
            Some(source) => Err(ChangeError::NotUndone { files, source }),
        }
    }
}

/// Puts old contents back, as far as nobody touched the new ones.
fn undo(record: &Record) -> Undone {
    let mut undone = Undone::default();
    for entry in record.entries.iter().rev() {
        let dir = match entry.place.open_parent(Walk::Existing) {
            Ok(Some(dir)) => dir,
            // A directory that is gone or was replaced by a link holds nothing of ours any more.
            Ok(None) | Err(FenceError::Link(_) | FenceError::NotADirectory(_)) => continue,
            Err(FenceError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                undone.left.push((entry.place.path(), error));
                undone.can_go_on = true;
                continue;
            }
        };
        if record.stage == Stage::Replacing {
            match undo_entry(entry, &dir) {
                Ok(Fate::PutBack) => undone.put_back.push(entry.place.path()),
                Ok(Fate::NotOurs) => {}
                Err(error) => {
                    // Without the old content there is nothing to try again.
                    let is_lost = matches!(
                        &error, FenceError::Io { source, .. } if source.kind() == ErrorKind::NotFound
                    );
                    undone.can_go_on |= !is_lost;
                    undone.left.push((entry.place.path(), error));
                    // What stands beside it may be the only copy.
                    continue;
                }
            }
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
    undone
}

/// What became of one file.
enum Fate {
    /// It is what it was.
    PutBack,
    /// It was not reached, or somebody changed it since.
    NotOurs,
}

fn undo_entry(entry: &Entry, dir: &File) -> Result<Fate, FenceError> {
    let target = entry.place.named(dir);
    let now = target.stat()?;
    let new_is_gone = match rustix::fs::statat(dir, &entry.new_name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => false,
        Err(Errno::NOENT) => true,
        Err(errno) => return Err(target.failed("read", errno.into())),
    };
    let was_replaced = match (&entry.staged, &now) {
        (Some(staged), Some(now)) => new_is_gone && *staged == mark(now),
        (None, None) => entry.had_before,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !was_replaced {
        return Ok(Fate::NotOurs);
    }
    let undone = match entry.had_before {
        true => rustix::fs::renameat(dir, &entry.old_name, dir, target.name),
        false => rustix::fs::unlinkat(dir, target.name, AtFlags::empty()),
    };
    match undone {
        Ok(()) => Ok(Fate::PutBack),
        Err(errno) => Err(target.failed("restore", errno.into())),
    }
}

fn unlink(dir: &File, name: &OsStr) {
    // Mostly it is not there.
    let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
}
