//! Where a `.git` file leads: worktrees and submodules keep their repository elsewhere.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Such files hold one short line.
const MAX_BYTES: u64 = 8192;

/// Returns the folders that a `.git` file names: its own, and the one that all worktrees share.
pub(crate) fn folders(file: &Path) -> Vec<PathBuf> {
    let Some(own) = line(file).and_then(|line| {
        let target = line.strip_prefix("gitdir:")?.trim();
        file.parent()?.join(target).canonicalize().ok()
    }) else {
        return Vec::new();
    };
    let shared = line(&own.join("commondir"));
    let shared = shared.and_then(|shared| own.join(shared.trim()).canonicalize().ok());
    std::iter::once(own).chain(shared).collect()
}

fn line(file: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(file).ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text.lines().next()?.to_owned())
}
