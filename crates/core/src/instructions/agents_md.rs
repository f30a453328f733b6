//! Finds and reads AGENTS.md: the user's own, then those of the project from its root down.
//!
//! The root is the nearest folder upwards that holds `.git`; without one only the working directory
//! counts. Reading is bounded, and nothing but a regular file is opened: a pipe would wait for ever.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "AGENTS.md";
const SEPARATOR: &str = "\n\n--- project-doc ---\n\n";
/// The user's own file is trusted to be sensible, but not without a bound.
const GLOBAL_LIMIT: usize = 256 * 1024;

/// The text of all AGENTS.md files that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentsMd(String);

impl AgentsMd {
    /// Reads the files; `None` when there is none, or only empty ones. Blocks.
    pub(crate) fn read(home: &Path, cwd: &Path, project_limit: usize) -> Option<Self> {
        if project_limit == 0 {
            return None;
        }
        let global = read_text(&home.join(FILE_NAME), GLOBAL_LIMIT);
        let mut project = Vec::new();
        let mut left = project_limit;
        for folder in project_folders(cwd) {
            if let Some(text) = read_text(&folder.join(FILE_NAME), left) {
                left -= text.len().min(left);
                project.push(text);
            }
        }
        let project = (!project.is_empty()).then(|| project.join("\n\n"));
        match (global, project) {
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => Some(Self(one)),
            (Some(global), Some(project)) => Some(Self(format!("{global}{SEPARATOR}{project}"))),
        }
    }

    /// Returns the part of the user message.
    pub(crate) fn part(&self, cwd: &Path) -> String {
        format!(
            "# AGENTS.md instructions for {}\n\n<INSTRUCTIONS>\n{}\n</INSTRUCTIONS>",
            cwd.display(),
            self.0
        )
    }
}

/// Returns the folders from the project's root down to the working directory.
fn project_folders(cwd: &Path) -> Vec<PathBuf> {
    let upwards: Vec<&Path> = cwd.ancestors().collect();
    let n_folders = upwards
        .iter()
        .position(|folder| folder.join(".git").exists())
        .map_or(1, |position| position + 1);
    upwards[..n_folders]
        .iter()
        .rev()
        .map(|folder| folder.to_path_buf())
        .collect()
}

/// Reads a regular file's text up to a limit; `None` when it is missing or blank.
fn read_text(path: &Path, limit: usize) -> Option<String> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(limit as u64)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end();
    (!text.trim_start().is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files directly")]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(root)
        }

        fn read(&self, cwd: &str, limit: usize) -> Option<String> {
            let root = self.0.path();
            AgentsMd::read(&root.join("home"), &root.join(cwd), limit).map(|found| found.0)
        }
    }

    #[test]
    fn global_comes_first_then_the_project_from_its_root_down() {
        let tree = Tree::new(&[
            ("home/AGENTS.md", "mine\n"),
            ("AGENTS.md", "above the project"),
            ("project/.git/HEAD", ""),
            ("project/AGENTS.md", "root"),
            ("project/a/b/AGENTS.md", "deep"),
        ]);
        assert_eq!(
            tree.read("project/a/b", 1000).unwrap(),
            "mine\n\n--- project-doc ---\n\nroot\n\ndeep"
        );
    }

    #[test]
    fn without_git_only_the_working_directory_counts() {
        let tree = Tree::new(&[("p/AGENTS.md", "upper"), ("p/q/AGENTS.md", "here")]);
        assert_eq!(tree.read("p/q", 1000).unwrap(), "here");
    }

    #[test]
    fn the_limit_bounds_the_project_text_and_zero_turns_it_off() {
        let tree = Tree::new(&[
            ("home/AGENTS.md", "mine"),
            ("p/.git/HEAD", ""),
            ("p/AGENTS.md", "12345"),
            ("p/q/AGENTS.md", "67890"),
        ]);
        assert_eq!(
            tree.read("p/q", 7).unwrap(),
            "mine\n\n--- project-doc ---\n\n12345\n\n67"
        );
        assert_eq!(tree.read("p/q", 0), None);
    }

    #[test]
    fn a_blank_file_and_a_folder_of_that_name_are_no_instructions() {
        let tree = Tree::new(&[("p/AGENTS.md/x", ""), ("home/AGENTS.md", " \n")]);
        assert_eq!(tree.read("p", 1000), None);
    }
}
