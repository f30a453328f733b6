//! Where a run stands: its project, and whether the user trusts it.

use std::path::{Path, PathBuf};

use codex_config::{ConfigFile, TrustLevel};
use codex_host::AbsPath;

use crate::Loaded;

/// The project of a working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Nearest folder upwards with `.git` (for a linked worktree its main repository), else the
    /// working directory.
    pub root: AbsPath,
    /// Whether there is a `.git`.
    pub in_git: bool,
    /// What the user said about it.
    pub trust: Option<TrustLevel>,
}

/// Why trust was not saved.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The user said otherwise.
    #[error("`{}` is marked as untrusted in config.toml", .0.display())]
    Untrusted(PathBuf),
    /// The file cannot be changed.
    #[error("cannot save trust for `{}`", root.display())]
    Save {
        /// The project.
        root: PathBuf,
        /// Why.
        #[source]
        source: codex_config::EditError,
    },
}

impl Loaded {
    /// Returns the project of this run.
    pub fn project(&self) -> Project {
        let folder = git_folder(&self.cwd);
        let in_git = folder.is_some();
        let root = folder.unwrap_or_else(|| self.cwd.clone());
        let real = std::fs::canonicalize(&root).unwrap_or_else(|_| root.to_path_buf());
        let trust = self.config.projects.iter().find_map(|(path, level)| {
            let same = path == root.as_path()
                || std::fs::canonicalize(path).is_ok_and(|path| path == real);
            same.then_some(*level)
        });
        Project {
            root,
            in_git,
            trust,
        }
    }

    /// Saves that the user trusts the project of this run.
    pub fn trust_project(&self) -> Result<(), TrustError> {
        let Project { root, trust, .. } = self.project();
        match trust {
            Some(TrustLevel::Trusted) => return Ok(()),
            Some(TrustLevel::Untrusted) => return Err(TrustError::Untrusted(root.into_path_buf())),
            None => {}
        }
        let save = || {
            let mut file = ConfigFile::open(&self.home)?;
            file.set_trust(&root, TrustLevel::Trusted)?;
            file.save()
        };
        save().map(|_| ()).map_err(|source| TrustError::Save {
            root: root.to_path_buf(),
            source,
        })
    }
}

/// Returns the folder whose trust counts for `cwd`, when it is in a git work tree.
fn git_folder(cwd: &AbsPath) -> Option<AbsPath> {
    let root = cwd
        .ancestors()
        .find(|folder| folder.join(".git").exists())?;
    let root = main_repository(&root.join(".git")).unwrap_or_else(|| root.to_owned());
    AbsPath::new(root).ok()
}

/// A linked worktree has a file `.git` with `gitdir: <main>/.git/worktrees/<name>`.
fn main_repository(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return None;
    }
    let text = std::fs::read_to_string(dot_git).ok()?;
    let linked = Path::new(text.trim().strip_prefix("gitdir:")?.trim());
    let worktrees = linked.parent()?;
    let git = worktrees.parent()?;
    let is_linked = worktrees.ends_with("worktrees") && git.ends_with(".git") && git.is_absolute();
    is_linked.then(|| git.parent().map(Path::to_owned))?
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files directly")]
mod tests {
    use super::*;

    fn found(dir: &Path) -> Option<PathBuf> {
        git_folder(&AbsPath::new(dir).unwrap()).map(AbsPath::into_path_buf)
    }

    #[test]
    fn the_nearest_git_folder_is_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(found(&inner), None);
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(found(&inner).as_deref(), Some(dir.path()));
    }

    #[test]
    fn a_linked_worktree_counts_as_its_main_repository() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("gitdir: {}/main/.git/worktrees/w\n", dir.path().display());
        std::fs::write(dir.path().join(".git"), text).unwrap();
        assert_eq!(found(dir.path()), Some(dir.path().join("main")));
    }

    #[test]
    fn a_submodule_is_its_own_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".git"), "gitdir: ../.git/modules/m\n").unwrap();
        assert_eq!(found(dir.path()).as_deref(), Some(dir.path()));
    }
}
