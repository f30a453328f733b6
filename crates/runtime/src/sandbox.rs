//! From the configured sandbox to a policy.

use std::path::PathBuf;

use codex_protocol::{SandboxMode, SandboxPolicy, WorkspaceWrite};

use crate::load::Loaded;
use crate::start::allowed;

impl Loaded {
    /// Returns the policy of the run: a typed mode wins over the configured one, and without either
    /// it is `read-only`. `add_dirs` are writable besides the configured roots. A mode that the
    /// requirements do not allow is not taken, and a notice says so.
    pub fn sandbox_policy(
        &self,
        typed: Option<SandboxMode>,
        add_dirs: impl IntoIterator<Item = PathBuf>,
        notices: &mut Vec<String>,
    ) -> SandboxPolicy {
        let mode = allowed(&self.config.sandbox_mode, typed, notices);
        SandboxPolicy::of_mode(mode, self.workspace(add_dirs))
    }

    /// Returns what `workspace-write` opens besides the working directory.
    pub(crate) fn workspace(&self, add_dirs: impl IntoIterator<Item = PathBuf>) -> WorkspaceWrite {
        let configured = &self.config.sandbox_workspace_write;
        let mut workspace = WorkspaceWrite {
            writable_roots: configured.writable_roots.clone(),
            network_access: configured.network_access,
            exclude_tmpdir_env_var: configured.exclude_tmpdir_env_var,
            exclude_slash_tmp: configured.exclude_slash_tmp,
        };
        workspace.writable_roots.extend(add_dirs);
        workspace
    }
}
