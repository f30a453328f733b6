//! The deed of `apply_patch`.

use std::path::Path;

use codex_apply_patch::{ChangeKind, FileTree, ParseError, Patch, Plan, PlanError};
use codex_host::{ChangeError, Fence, FenceError, FileChange, change_files};

/// The largest file that is changed.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is no patch.
    #[error("the patch cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// It does not fit the files.
    #[error("the patch was not applied, no file was changed: {0}")]
    Plan(#[from] PlanError<FenceError>),
    /// The files cannot be written.
    #[error("the patch was not applied, no file was changed: {0}")]
    Write(#[source] ChangeError),
    /// Files cannot be put back.
    #[error("the patch was not applied: {0}")]
    Left(#[source] ChangeError),
}

impl From<ChangeError> for PatchError {
    fn from(error: ChangeError) -> Self {
        match error.leaves_changes() {
            true => Self::Left(error),
            false => Self::Write(error),
        }
    }
}

/// The files behind a fence.
struct Behind<'a>(&'a Fence);

impl FileTree for Behind<'_> {
    type Error = FenceError;

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FenceError> {
        self.0.read(path, FILE_LIMIT)
    }
}

/// Works out what a patch does. Blocks.
pub fn plan(patch: &Patch, cwd: &Path, fence: &Fence) -> Result<Plan, PatchError> {
    Ok(codex_apply_patch::plan(patch, cwd, &Behind(fence))?)
}

/// Does it. Blocks. `folder` holds the journal.
pub fn apply(plan: &Plan, fence: &Fence, folder: &Path) -> Result<(), PatchError> {
    let changes = plan.edits.iter().map(|edit| FileChange {
        path: &edit.path,
        before: edit.before.as_deref(),
        after: edit.after.as_deref(),
        like: edit.moved_from.as_deref(),
    });
    let changes: Vec<FileChange<'_>> = changes.collect();
    Ok(change_files(fence, folder, &changes)?)
}

/// Says what was done, paths as seen from the working directory.
pub fn summary(plan: &Plan, cwd: &Path) -> String {
    let mut text = "Success. Updated the following files:\n".to_owned();
    for change in &plan.changes {
        let sign = match change.kind {
            ChangeKind::Add => 'A',
            ChangeKind::Delete => 'D',
            ChangeKind::Update => 'M',
        };
        let path = change.moved_to.as_ref().unwrap_or(&change.path);
        let path = path.strip_prefix(cwd).unwrap_or(path);
        text.push_str(&format!("{sign} {}\n", path.display()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, body: &str) -> Result<String, String> {
        let work = dir.join("tree");
        let fence = Fence::new([work.clone()]).keeping([work.join(".git")]);
        let text = format!("*** Begin Patch\n{body}\n*** End Patch");
        let patch = codex_apply_patch::parse(&text).unwrap();
        let done = plan(&patch, &work, &fence).and_then(|plan| {
            apply(&plan, &fence, &dir.join("journals"))?;
            Ok(summary(&plan, &work))
        });
        let dir = dir.to_string_lossy();
        done.map_err(|error| error.to_string().replace(&*dir, ""))
    }

    #[test]
    fn a_patch_changes_files_below_the_roots_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("tree");
        codex_host::PrivateFile::replace(&work.join("f"), b"a\n").unwrap();
        let told = run(
            dir.path(),
            "*** Add File: sub/n\n+x\n*** Update File: f\n*** Move to: g\n-a\n+b",
        );
        assert_eq!(
            told.as_deref(),
            Ok("Success. Updated the following files:\nA sub/n\nM g\n")
        );
        assert_eq!(std::fs::read(work.join("g")).unwrap(), b"b\n");
        assert!(!work.join("f").exists());
        for (body, why) in [
            (
                "*** Add File: ../out\n+x",
                "`/out` is outside of what may be written: `/tree`",
            ),
            (
                "*** Add File: .git/hooks/x\n+x",
                "`/tree/.git/hooks/x` is kept read-only",
            ),
        ] {
            let expected = format!("the patch was not applied, no file was changed: {why}");
            assert_eq!(run(dir.path(), body), Err(expected));
        }
        assert!(!dir.path().join("out").exists());
    }
}
