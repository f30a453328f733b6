//! Two commands side by side, and what a crash leaves.

use std::path::PathBuf;

use super::*;

fn place() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".git");
    (folder, vec![path])
}

#[test]
fn the_last_of_two_holders_removes_the_place() {
    let (_folder, paths) = place();
    let first = Placeholders::hold(&paths).unwrap();
    let second = Placeholders::hold(&paths).unwrap();
    first.release();
    assert!(paths[0].is_dir());
    second.release();
    assert!(!paths[0].exists());
}

#[test]
fn what_a_crash_left_behind_is_removed_by_the_next() {
    let (_folder, paths) = place();
    drop(Placeholders::hold(&paths).unwrap());
    assert!(paths[0].is_dir());
    Placeholders::hold(&paths).unwrap().release();
    assert!(!paths[0].exists());
}

#[test]
fn a_directory_of_the_users_own_stays() {
    let (_folder, paths) = place();
    std::fs::create_dir(&paths[0]).unwrap();
    Placeholders::hold(&paths).unwrap().release();
    assert!(paths[0].is_dir());
}

#[test]
fn a_place_that_was_filled_from_outside_stays() {
    let (_folder, paths) = place();
    let held = Placeholders::hold(&paths).unwrap();
    std::fs::create_dir(paths[0].join("objects")).unwrap();
    held.release();
    assert!(paths[0].join("objects").is_dir());
}

#[test]
fn a_place_that_cannot_be_held_for_another_reason_is_an_error() {
    let (folder, _paths) = place();
    // Somebody else's directory, and a name that no file system takes.
    let directory = match geteuid().is_root() {
        true => {
            std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
            folder.path().to_owned()
        }
        false => PathBuf::from("/"),
    };
    assert!(Placeholders::hold(&[directory.join("x".repeat(300))]).is_err());
}
