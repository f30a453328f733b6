//! Changes that are stopped dead at every step.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::PrivateFile;

/// A folder to work in and one for journals.
struct Room {
    dir: tempfile::TempDir,
}

type Contents = BTreeMap<String, String>;

const BEFORE: &[(&str, &str)] = &[("a", "old a"), ("gone", "old gone"), ("sub/b", "old b")];
const AFTER: &[(&str, &str)] = &[
    ("a", "new a"),
    ("new/deep/c", "new c"),
    ("sub/b", "new b"),
    ("sub/d", "new d"),
];

fn contents(files: &[(&str, &str)]) -> Contents {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    files.collect()
}

impl Room {
    fn new() -> Self {
        let room = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for (path, text) in BEFORE {
            PrivateFile::replace(&room.work().join(path), text.as_bytes()).unwrap();
        }
        room
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn journals(&self) -> PathBuf {
        self.dir.path().join("journals")
    }

    /// Makes [`AFTER`] of [`BEFORE`].
    fn change(&self, step: &mut dyn FnMut()) -> Result<(), ChangeError> {
        let (before, after) = (contents(BEFORE), contents(AFTER));
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        let paths: Vec<PathBuf> = names.iter().map(|name| self.work().join(name)).collect();
        let changes: Vec<FileChange<'_>> = names
            .iter()
            .zip(&paths)
            .map(|(name, path)| FileChange {
                path,
                before: before.get(*name).map(String::as_bytes),
                after: after.get(*name).map(String::as_bytes),
                like: None,
            })
            .collect();
        unix::change(&Fence::new([self.work()]), &self.journals(), &changes, step)
    }

    /// Returns every file of the work folder, those left beside others too.
    fn files(&self) -> Contents {
        let mut files = Contents::new();
        let mut folders = vec![self.work()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(self.work()).unwrap().to_string_lossy();
                let text = std::fs::read_to_string(&path).unwrap();
                files.insert(name.into_owned(), text);
            }
        }
        files
    }

    fn n_journals(&self) -> usize {
        journal::found(&self.journals()).unwrap().len()
    }

    /// Runs the change and stops it dead at a step; `false` when it ended before.
    fn killed_at(&self, n: usize) -> bool {
        let mut n_steps = 0;
        let mut step = || {
            if n_steps == n {
                std::panic::resume_unwind(Box::new("killed"));
            }
            n_steps += 1;
        };
        catch_unwind(AssertUnwindSafe(|| self.change(&mut step).unwrap())).is_err()
    }
}

#[test]
fn every_file_changes_and_nothing_is_left_beside_them() {
    let room = Room::new();
    room.change(&mut || {}).unwrap();
    assert_eq!(room.files(), contents(AFTER));
    assert_eq!(room.n_journals(), 0);
}

#[test]
fn a_kill_at_any_step_leaves_all_or_nothing_once_the_folder_is_opened_again() {
    let (mut n_old, mut n_new) = (0, 0);
    for n in 0.. {
        let room = Room::new();
        let was_killed = room.killed_at(n);
        undo_unfinished_changes(&room.journals()).unwrap();
        match room.files() {
            files if files == contents(BEFORE) => {
                assert!(
                    !room.work().join("new").exists(),
                    "a folder is left at step {n}"
                );
                n_old += 1;
            }
            files if files == contents(AFTER) => n_new += 1,
            files => panic!("half a change after step {n}: {files:?}"),
        }
        assert_eq!(room.n_journals(), 0, "step {n}");
        if !was_killed {
            break;
        }
    }
    // Both halves were really seen.
    assert!(n_old > 15 && n_new > 4, "{n_old} {n_new}");
}

#[test]
fn the_next_change_undoes_what_a_killed_one_left() {
    let room = Room::new();
    // In the middle of the renames.
    let n = (0..).find(|n| {
        let room = Room::new();
        room.killed_at(*n) && std::fs::read(room.work().join("a")).unwrap() == b"new a"
    });
    assert!(room.killed_at(n.unwrap()));
    room.change(&mut || {}).unwrap();
    assert_eq!(room.files(), contents(AFTER));
}

#[test]
fn a_file_that_was_changed_after_the_kill_stays_as_it_is() {
    let room = Room::new();
    let n = (0..).find(|n| {
        let room = Room::new();
        room.killed_at(*n) && std::fs::read(room.work().join("sub/b")).unwrap() == b"new b"
    });
    assert!(room.killed_at(n.unwrap()));
    PrivateFile::replace(&room.work().join("sub/b"), b"the user's own").unwrap();
    let put_back = undo_unfinished_changes(&room.journals()).unwrap();
    let mut expected = contents(BEFORE);
    expected.insert("sub/b".to_owned(), "the user's own".to_owned());
    assert_eq!(room.files(), expected);
    assert!(put_back.contains(&room.work().join("gone")), "{put_back:?}");
}

#[test]
fn half_a_sentence_at_the_end_of_a_journal_counts_for_nothing() {
    let room = Room::new();
    assert!(room.killed_at(2));
    let path = &journal::found(&room.journals()).unwrap()[0];
    let whole = std::fs::read(path).unwrap();
    for end in 0..whole.len() {
        PrivateFile::replace(path, &whole[..end]).unwrap();
        let n_entries = journal::read(path).unwrap().entries.len();
        assert!(n_entries <= 5);
    }
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let room = Room::new();
    // A directory stands where the last file of the change goes.
    std::fs::create_dir(room.work().join("sub/d")).unwrap();
    let error = room.change(&mut || {}).unwrap_err().to_string();
    assert!(error.ends_with("sub/d` is not a regular file"), "{error}");
    assert_eq!(room.files(), contents(BEFORE));
    assert!(!room.work().join("new").exists());
    assert_eq!(room.n_journals(), 0);
}

#[test]
fn a_file_that_somebody_else_changed_stops_everything() {
    let room = Room::new();
    PrivateFile::replace(&room.work().join("sub/b"), b"other").unwrap();
    let error = room.change(&mut || {}).unwrap_err();
    assert!(matches!(error, ChangeError::Changed(_)), "{error}");
    assert_eq!(room.files()["a"], "old a");
}

#[test]
fn a_link_that_appears_in_the_middle_leads_nobody_away() {
    let room = Room::new();
    let outside = room.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let mut n_swaps = 0;
    let sub = room.work().join("sub");
    let error = room.change(&mut || {
        if n_swaps == 0 {
            std::fs::remove_dir_all(&sub).unwrap();
            symlink(&outside, &sub).unwrap();
            n_swaps += 1;
        }
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with("sub` is a symbolic link, and links are not followed"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(std::fs::read(room.work().join("a")).unwrap(), b"old a");
}

#[test]
fn permissions_stay_and_move_along() {
    let room = Room::new();
    let a = room.work().join("a");
    std::fs::set_permissions(&a, std::fs::Permissions::from_mode(0o755)).unwrap();
    let moved = room.work().join("moved");
    let changes = [
        FileChange {
            path: &a,
            before: Some(b"old a"),
            after: None,
            like: None,
        },
        FileChange {
            path: &moved,
            before: None,
            after: Some(b"x"),
            like: Some(&a),
        },
    ];
    change_files(&Fence::new([room.work()]), &room.journals(), &changes).unwrap();
    let mode = std::fs::metadata(&moved).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(!a.exists());
}
