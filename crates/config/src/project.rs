//! Where a run stands: its project, its folders with settings, and whether the user trusts it.
//!
//! The settings of a linked worktree are its own; its trust is that of its main repository. Trap: a
//! folder could claim to be a worktree of somebody's trusted repository, so the repository must know it.

use std::path::{Path, PathBuf};

use codex_host::{AbsPath, CodexHome, read_bounded};

use crate::layers::ConfigLayer;
use crate::{TrustLevel, de, report};

/// A `.git` file has one line.
const MAX_LINK_BYTES: u64 = 64 * 1024;

/// The project of a working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Nearest folder upwards with `.git` (for a linked worktree its main repository), else the
    /// working directory: the folder whose trust counts.
    pub root: AbsPath,
    /// Whether there is a `.git`.
    pub in_git: bool,
    /// What the user said about it.
    pub trust: Option<TrustLevel>,
    /// Where the project's own files are: the folder with `.git`, else the working directory.
    pub top: AbsPath,
}

impl Project {
    /// Tells how the user trusts it: the flag that does it, and the lines of the file.
    pub fn trust_hint(&self) -> String {
        let table = report::dotted(&["projects".to_owned(), self.root.to_string()]);
        let lines = format!("`[{table}]` and below it `trust_level = \"trusted\"`");
        match self.trust {
            Some(TrustLevel::Untrusted) => format!("it is marked as untrusted; to use it: {lines}"),
            Some(TrustLevel::Trusted) | None => {
                format!("`codex exec --trust` does that, or two lines in the file: {lines}")
            }
        }
    }

    /// Finds the project of a directory; nothing is known about its trust yet.
    pub(crate) fn find(cwd: &AbsPath) -> Self {
        let git = cwd.ancestors().find(|folder| folder.join(".git").exists());
        let in_git = git.is_some();
        let top = git
            .and_then(|folder| AbsPath::new(folder).ok())
            .unwrap_or_else(|| cwd.clone());
        let main = main_repository(&top.join(".git")).and_then(|main| AbsPath::new(main).ok());
        Self {
            root: main.unwrap_or_else(|| top.clone()),
            in_git,
            trust: None,
            top,
        }
    }

    /// Returns the project's own config file.
    pub fn config_file(&self) -> AbsPath {
        self.top.join(".codex").join("config.toml")
    }

    /// Returns the files of the project layers that can be, from the root down to `cwd`.
    pub(crate) fn config_files(&self, cwd: &AbsPath, home: &CodexHome) -> Vec<AbsPath> {
        let up = cwd
            .ancestors()
            .take_while(|dir| dir.starts_with(&*self.top));
        let folders: Vec<PathBuf> = up.map(|dir| dir.join(".codex")).collect();
        let is_project = |folder: &&PathBuf| folder.is_dir() && !same_file(folder, home.path());
        folders
            .iter()
            .rev()
            .filter(is_project)
            .filter_map(|folder| AbsPath::new(folder.join("config.toml")).ok())
            .collect()
    }

    /// Looks the root up in what the layers say about trust; the highest one that does wins.
    pub(crate) fn decide_trust<'l>(&mut self, layers: impl Iterator<Item = &'l ConfigLayer>) {
        let real = real(&self.root);
        for layer in layers.filter(|layer| layer.source.may_trust()) {
            let Some(entry) = layer.document.entry(&["projects"]) else {
                continue;
            };
            let mut said = None;
            for project in entry.node.as_table().into_iter().flat_map(|table| &table.0) {
                let path = Path::new(&project.key);
                if path != &*self.root && self::real(path) != real {
                    continue;
                }
                let level = project.node.entry(&["trust_level"]);
                let level = level.map(|level| de::read(&level.node, &[], &mut Vec::new()));
                // A word that is none is told when the whole is read; it trusts nobody.
                if let Some(Ok(level)) = level {
                    // One folder in two spellings: the doubt wins.
                    said = match said {
                        Some(TrustLevel::Untrusted) => said,
                        _ => Some(level),
                    };
                }
            }
            self.trust = said.or(self.trust);
        }
    }
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || real(a) == real(b)
}

/// A linked worktree has a file `.git` with `gitdir: <main>/.git/worktrees/<name>`, and there a file
/// `gitdir` leads back.
fn main_repository(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return None;
    }
    let line = one_line(dot_git)?;
    let linked = Path::new(line.strip_prefix("gitdir:")?.trim());
    let worktrees = linked.parent()?;
    let git = worktrees.parent()?;
    if !(worktrees.ends_with("worktrees") && git.ends_with(".git") && git.is_absolute()) {
        return None;
    }
    let back = one_line(&linked.join("gitdir"))?;
    let knows_us = same_file(Path::new(&back), dot_git);
    knows_us.then(|| git.parent().map(Path::to_owned))?
}

fn one_line(path: &Path) -> Option<String> {
    let bytes = read_bounded(path, MAX_LINK_BYTES).ok()??;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files directly")]
mod tests {
    use super::*;

    fn found(dir: &Path) -> (PathBuf, PathBuf) {
        let project = Project::find(&AbsPath::new(dir).unwrap());
        (project.root.into_path_buf(), project.top.into_path_buf())
    }

    /// Row 4.root.
    #[test]
    fn the_nearest_git_folder_is_the_root_and_without_one_the_directory_itself() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(found(&inner).0, inner);
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert_eq!(found(&inner).0, dir.path());
    }

    /// Row 4.worktree.
    #[test]
    fn a_linked_worktree_counts_as_its_main_repository_when_that_knows_it() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, main) = (dir.path().join("tree"), dir.path().join("main"));
        let entry = main.join(".git/worktrees/w");
        std::fs::create_dir_all(&entry).unwrap();
        std::fs::create_dir(&tree).unwrap();
        let text = format!("gitdir: {}\n", entry.display());
        std::fs::write(tree.join(".git"), text).unwrap();
        // Anybody could write that line.
        assert_eq!(found(&tree), (tree.clone(), tree.clone()));
        let back = format!("{}\n", tree.join(".git").display());
        std::fs::write(entry.join("gitdir"), back).unwrap();
        assert_eq!(found(&tree), (main, tree));
    }

    #[test]
    fn a_submodule_is_its_own_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".git"), "gitdir: ../.git/modules/m\n").unwrap();
        assert_eq!(found(dir.path()).0, dir.path());
    }

    /// Row 4.home.
    #[test]
    fn the_home_of_the_settings_is_no_project_layer() {
        let dir = tempfile::tempdir().unwrap();
        let cwd = AbsPath::new(dir.path().join("a")).unwrap();
        std::fs::create_dir_all(cwd.join(".codex")).unwrap();
        std::fs::create_dir(dir.path().join(".codex")).unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        let project = Project::find(&cwd);
        let home = CodexHome::at(AbsPath::new(dir.path().join(".codex")).unwrap());
        let files = project.config_files(&cwd, &home);
        assert_eq!(files, [cwd.join(".codex/config.toml")]);
    }
}
