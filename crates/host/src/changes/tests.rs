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

/// The second name of the file that had this content.
fn second_name_of(room: &Room, content: &str) -> PathBuf {
    let files = room.files().into_iter();
    let mut named = files.filter(|(name, text)| name.ends_with(".old") && text == content);
    room.work().join(named.next().unwrap().0)
}

/// Stops a change dead once `a` has its new content.
fn killed_after_a() -> Room {
    let n = (0..).find(|n| {
        let room = Room::new();
        room.killed_at(*n) && room.files()["a"] == "new a"
    });
    let room = Room::new();
    assert!(room.killed_at(n.unwrap()));
    room
}

#[test]
fn a_file_whose_old_content_is_lost_is_not_taken_for_a_new_one() {
    let room = killed_after_a();
    std::fs::remove_file(second_name_of(&room, "old a")).unwrap();
    let error = undo_unfinished_changes(&room.journals()).unwrap_err();
    let a = room.work().join("a");
    assert!(
        matches!(&error, ChangeError::NotUndone { files, .. } if *files == [a]),
        "{error}"
    );
    let mut expected = contents(BEFORE);
    expected.insert("a".to_owned(), "new a".to_owned());
    assert_eq!(room.files(), expected);
    // It is told once: nothing is left to put back.
    assert_eq!(room.n_journals(), 0);
}

#[test]
fn what_cannot_be_put_back_is_named_and_put_back_later() {
    let room = Room::new();
    let aside = room.dir.path().join("aside");
    let mut second = None;
    let error = room.change(&mut || {
        if second.is_none() && room.files()["a"] == "new a" {
            // Where the old content was, stands something that is no file; and `sub/b` cannot be
            // replaced any more.
            let old = second_name_of(&room, "old a");
            rustix::fs::rename(&old, &aside).unwrap();
            std::fs::create_dir(&old).unwrap();
            let files = room.files().into_iter();
            let mut new = files.filter(|(name, text)| name.ends_with(".new") && text == "new b");
            std::fs::remove_file(room.work().join(new.next().unwrap().0)).unwrap();
            second = Some(old);
        }
    });
    let error = error.unwrap_err();
    let told = error.to_string();
    assert!(error.leaves_changes(), "{told}");
    let a = room.work().join("a");
    assert!(
        told.contains(&format!("`{}` cannot be undone", a.display())),
        "{told}"
    );
    assert!(told.starts_with("cannot write `"), "{told}");
    assert_eq!(
        (room.files()["a"].as_str(), room.n_journals()),
        ("new a", 1)
    );
    // It is nobody's concern who changes something else, and it is when it is the same file.
    let change = |name: &str, before: Option<&[u8]>| {
        let path = room.work().join(name);
        let changes = [FileChange {
            path: &path,
            before,
            after: Some(b"x"),
            like: None,
        }];
        change_files(&Fence::new([room.work()]), &room.journals(), &changes)
    };
    change("other", None).unwrap();
    assert!(change("a", Some(b"new a")).unwrap_err().leaves_changes());

    let second = second.unwrap();
    std::fs::remove_dir(&second).unwrap();
    rustix::fs::rename(&aside, &second).unwrap();
    assert_eq!(undo_unfinished_changes(&room.journals()).unwrap(), [a]);
    let mut expected = contents(BEFORE);
    expected.insert("other".to_owned(), "x".to_owned());
    assert_eq!((room.files(), room.n_journals()), (expected, 0));
}
