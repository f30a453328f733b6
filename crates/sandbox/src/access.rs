//! From a policy to lists of real paths: what may be written, and what inside of it may not.
//!
//! The agent's own files (`.codex`) and git's (`.git`: hooks and config are programs that run
//! outside of the sandbox later) stay read-only in every root. A name that is missing may not be
//! created either. Where a working directory or something protected lies deeper inside of a root, say
//! below `/tmp`, the directories between are roots too: none of them can be moved away and replaced.
//! A root that is reached over a link inside of a root is refused (`route.rs`).

use std::io;
use std::path::{Path, PathBuf};

use codex_host::{CodexHome, Env};
use codex_protocol::{SandboxPolicy, WorkspaceWrite};

use crate::route::Route;
use crate::{SandboxError, git};

const GIT: &str = ".git";
const CODEX: &str = ".codex";

/// What a command may touch; everything may be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Access {
    /// Directories that may be written.
    pub(crate) writable: Vec<PathBuf>,
    /// What exists inside of them and may not.
    pub(crate) read_only: Vec<PathBuf>,
    /// What does not exist inside of them and may not be created.
    pub(crate) absent: Vec<PathBuf>,
    pub(crate) network: bool,
}

/// Looks at the disk. `None` means no sandbox at all.
pub(crate) fn of_policy(
    policy: &SandboxPolicy,
    cwd: &Path,
    env: &Env,
) -> Result<Option<Access>, SandboxError> {
    let mut access = Access {
        network: policy.network_access(),
        ..Access::default()
    };
    match policy {
        SandboxPolicy::DangerFullAccess => return Ok(None),
        SandboxPolicy::ReadOnly { .. } => {}
        SandboxPolicy::WorkspaceWrite(workspace) => access.open(workspace, cwd, env)?,
    }
    Ok(Some(access))
}

/// Where files may be written, for code of ours that writes in a command's stead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WritablePlaces {
    /// Directories, as real paths.
    pub roots: Vec<PathBuf>,
    /// What inside of them stays as it is, or stays missing.
    pub kept: Vec<PathBuf>,
}

/// Returns where files may be written under a policy; `None` = everywhere.
pub fn writable_places(
    policy: &SandboxPolicy,
    cwd: &Path,
    env: &Env,
) -> Result<Option<WritablePlaces>, SandboxError> {
    let access = of_policy(policy, cwd, env)?;
    Ok(access.map(|access| WritablePlaces {
        roots: access.writable,
        kept: [access.read_only, access.absent].concat(),
    }))
}

impl Access {
    fn open(
        &mut self,
        workspace: &WorkspaceWrite,
        cwd: &Path,
        env: &Env,
    ) -> Result<(), SandboxError> {
        let no_cwd = |source| SandboxError::NoCwd {
            cwd: cwd.to_owned(),
            source,
        };
        let mut routes = vec![Route::of(cwd.to_owned()).map_err(no_cwd)?];
        let configured = workspace.writable_roots.iter();
        // One list serves many machines: a root that is not here is no root.
        routes.extend(configured.filter_map(|root| Route::of(cwd.join(root)).ok()));
        let workspaces: Vec<_> = routes.iter().map(|route| route.real.clone()).collect();
        routes.extend(temporary(workspace, env));
        for route in &routes {
            self.add_root(&route.real)?;
        }
        // An earlier command may have made such a link, or may turn it round.
        if let Some((root, link)) = routes.iter().find_map(|way| way.link_in(&self.writable)) {
            return Err(SandboxError::LinkInRoot {
                root: root.to_owned(),
                link: link.to_owned(),
            });
        }
        for workspace in &workspaces {
            self.pin_between(workspace);
        }
        for root in self.writable.clone() {
            let is_workspace = workspaces.contains(&root);
            let has_repository = root.ancestors().any(|above| above.join(GIT).exists());
            // An empty `.git` below a repository would hide its root from search tools.
            self.protect(&root.join(GIT), is_workspace && !has_repository);
            self.protect(&root.join(CODEX), is_workspace);
        }
        if let Ok(home) = CodexHome::find(env) {
            self.protect_home(home.path());
        }
        // A protected name is as safe as the directories that lead to it.
        for kept in [&*self.read_only, &*self.absent].concat() {
            self.pin_between(&kept);
        }
        Ok(())
    }

    fn add_root(&mut self, root: &Path) -> Result<(), SandboxError> {
        let is_switches = ["/proc", "/sys"].iter().any(|dir| root.starts_with(dir));
        if root.parent().is_none() || is_switches {
            let root = root.to_owned();
            return Err(SandboxError::BadRoot { root });
        }
        // Inside there is a `/dev` of its own, with a `shm` that may be written.
        let is_device = cfg!(target_os = "linux") && root.starts_with("/dev");
        if !is_device && !self.writable.iter().any(|known| known == root) {
            self.writable.push(root.to_owned());
        }
        Ok(())
    }

    /// Makes the directories between a path and an outer root roots as well.
    fn pin_between(&mut self, path: &Path) {
        for above in path.ancestors().skip(1) {
            let is_inside = self
                .writable
                .iter()
                .any(|root| above.starts_with(root) && above != root);
            if is_inside && !self.writable.iter().any(|known| known == above) {
                self.writable.push(above.to_owned());
            }
        }
    }

    /// Keeps the home of the agent, wherever it is; of one that is missing, what must be made first.
    fn protect_home(&mut self, home: &Path) {
        let is_missing = |path: &&Path| path.symlink_metadata().is_err();
        let first = home.ancestors().take_while(is_missing).last();
        let first = first.unwrap_or(home);
        if let (Some(parent), Some(name)) = (first.parent(), first.file_name())
            && let Ok(parent) = parent.canonicalize()
        {
            self.protect(&parent.join(name), true);
        }
    }

    /// Keeps a path as it is. What is missing is kept missing when `hold` says so.
    fn protect(&mut self, path: &Path, hold: bool) {
        let facts = match path.symlink_metadata() {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if hold && self.is_in_root(path) && !self.absent.iter().any(|held| held == path) {
                    self.absent.push(path.to_owned());
                }
                return;
            }
            // It is there, and cannot be looked at.
            Err(_) => return self.keep(path.to_owned()),
        };
        // Another command holds the place, and takes it away when it is the last to know of it.
        #[cfg(target_os = "linux")]
        if codex_linux_sandbox::is_placeholder(path) {
            self.absent.push(path.to_owned());
            return;
        }
        self.keep(path.to_owned());
        if facts.is_symlink()
            && let Ok(target) = path.canonicalize()
        {
            self.keep(target);
        }
        if path.is_file() {
            for folder in git::folders(path) {
                self.keep(folder);
            }
        }
    }

    fn keep(&mut self, path: PathBuf) {
        if self.is_in_root(&path) && !self.read_only.contains(&path) {
            self.read_only.push(path);
        }
    }

    fn is_in_root(&self, path: &Path) -> bool {
        self.writable.iter().any(|root| path.starts_with(root))
    }
}

fn temporary(workspace: &WorkspaceWrite, env: &Env) -> Vec<Route> {
    let mut folders = Vec::new();
    if !workspace.exclude_tmpdir_env_var
        && let Some(folder) = env.non_empty("TMPDIR")
    {
        folders.push(PathBuf::from(folder));
    }
    if !workspace.exclude_slash_tmp && cfg!(unix) {
        folders.push("/tmp".into());
    }
    folders.retain(|folder| folder.is_absolute());
    let routes = folders.into_iter().map(Route::of);
    routes.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests;
