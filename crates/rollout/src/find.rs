//! Finds threads without reading more than needed.
//!
//! Ids are UUIDs of version 7, whose first 48 bits are the time of creation: the folder of a thread
//! follows from its id, and only when it is not there is the whole tree walked. Names sort by time,
//! so the newest thread is found by walking backwards.

use std::fs;
use std::path::{Path, PathBuf};

use codex_host::CodexHome;
use codex_protocol::ThreadId;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::RolloutReader;

/// No search looks at more thread files than this.
const SEARCH_LIMIT: usize = 100_000;

/// Returns where a thread of this id and time is kept.
pub fn rollout_path(home: &CodexHome, id: ThreadId, created_at: Timestamp) -> PathBuf {
    let time = created_at.to_zoned(TimeZone::UTC);
    day_folder(&sessions(home), created_at).join(format!(
        "rollout-{}-{id}.jsonl",
        time.strftime("%Y-%m-%dT%H-%M-%S")
    ))
}

/// Returns the file of a thread; `None` when it is not on this disk.
pub fn find_thread(home: &CodexHome, id: ThreadId) -> Option<PathBuf> {
    let ending = format!("-{id}.jsonl");
    let root = sessions(home);
    let is_it = |path: &PathBuf| file_name(path).ends_with(&ending);
    // A clock that was wrong, or a local day of another program: one day more on both sides.
    let near = creation_time(id).and_then(|time| {
        [0, -1, 1].into_iter().find_map(|n_days| {
            let day = time.checked_add((24 * n_days).hours()).ok()?;
            newest_first(&day_folder(&root, day), Kind::File)
                .into_iter()
                .find(is_it)
        })
    });
    near.or_else(|| every_file(&root).find(is_it))
}

/// Returns the newest thread, of a working directory or of any.
pub fn latest_thread(home: &CodexHome, cwd: Option<&Path>) -> Option<PathBuf> {
    every_file(&sessions(home)).find(|path| match RolloutReader::read_meta(path) {
        Ok(meta) => cwd.is_none_or(|cwd| meta.cwd == cwd),
        Err(_) => false,
    })
}

fn sessions(home: &CodexHome) -> PathBuf {
    home.join("sessions").into_path_buf()
}

fn day_folder(root: &Path, time: Timestamp) -> PathBuf {
    root.join(
        time.to_zoned(TimeZone::UTC)
            .strftime("%Y/%m/%d")
            .to_string(),
    )
}

/// Reads the time out of a UUID of version 7.
fn creation_time(id: ThreadId) -> Option<Timestamp> {
    let hex: String = id
        .to_string()
        .chars()
        .filter(|c| *c != '-')
        .take(12)
        .collect();
    let milliseconds = i64::from_str_radix(&hex, 16).ok()?;
    Timestamp::from_millisecond(milliseconds).ok()
}

/// Walks year, month, day and file, each newest first, opening a folder only when it is reached.
fn every_file(root: &Path) -> impl Iterator<Item = PathBuf> {
    newest_first(root, Kind::Folder)
        .into_iter()
        .flat_map(|year| newest_first(&year, Kind::Folder))
        .flat_map(|month| newest_first(&month, Kind::Folder))
        .flat_map(|day| newest_first(&day, Kind::File))
        .take(SEARCH_LIMIT)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Folder,
    File,
}

/// Lists a folder backwards; one that is not there is empty.
fn newest_first(folder: &Path, kind: Kind) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| match kind {
            Kind::Folder => file_name(path).bytes().all(|b| b.is_ascii_digit()),
            Kind::File => {
                let name = file_name(path);
                name.starts_with("rollout-") && name.ends_with(".jsonl")
            }
        })
        .collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("")
}
