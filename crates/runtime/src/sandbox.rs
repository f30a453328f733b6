//! From the configured sandbox to a policy.

use std::path::PathBuf;

use codex_config::{ConstraintError, PolicyProblem};
use codex_protocol::{SandboxMode, SandboxPolicy, WorkspaceWrite};

use crate::load::Loaded;

/// Why a command gets no sandbox policy, so that it must not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxRefusal {
    /// The machine's requirements cannot be used.
    #[error("{0}")]
    Requirements(PolicyProblem),
    /// The typed mode is not allowed.
    #[error(transparent)]
    Mode(#[from] ConstraintError),
}

impl Loaded {
    /// Returns the policy of one command: a typed mode wins over the configured one, and without
    /// either it is `read-only`. `add_dirs` are writable besides the configured roots.
    ///
    /// A typed mode that the requirements do not allow is an error: the one that they allow may be
    /// wider, and nobody asked for that. Requirements that cannot be used allow none.
    pub fn sandbox_policy(
        &self,
        typed: Option<SandboxMode>,
        add_dirs: impl IntoIterator<Item = PathBuf>,
    ) -> Result<SandboxPolicy, SandboxRefusal> {
        if let Some(problem) = self.config.requirements.refusal() {
            return Err(SandboxRefusal::Requirements(problem.clone()));
        }
        let mut mode = self.config.sandbox_mode.clone();
        if typed.is_some() {
            mode.set(typed)?;
        }
        Ok(SandboxPolicy::of_mode(
            mode.unwrap_or_default(),
            self.workspace(add_dirs),
        ))
    }

    /// Says which of the typed directories will not be writable all the same, in one sentence.
    pub fn not_writable(&self, mode: SandboxMode, add_dirs: &[PathBuf]) -> Option<String> {
        let named = |dirs: Vec<&PathBuf>| {
            let quoted = dirs.iter().map(|dir| format!("`{}`", dir.display()));
            quoted.collect::<Vec<_>>().join(", ")
        };
        match mode {
            SandboxMode::DangerFullAccess => None,
            SandboxMode::ReadOnly if add_dirs.is_empty() => None,
            SandboxMode::ReadOnly => Some(format!(
                "{} cannot be written: the sandbox is `read-only`; `-s workspace-write` opens it",
                named(add_dirs.iter().collect())
            )),
            SandboxMode::WorkspaceWrite => {
                let is_missing = |dir: &&PathBuf| !self.cwd.join(dir).exists();
                let missing: Vec<&PathBuf> = add_dirs.iter().filter(is_missing).collect();
                (!missing.is_empty()).then(|| {
                    let missing = named(missing);
                    format!("{missing} does not exist, so it cannot be opened for writing")
                })
            }
        }
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

#[cfg(test)]
mod tests {
    use codex_config::SystemPaths;
    use codex_host::{AbsPath, Env, PrivateFile};
    use codex_utils_cli::CliConfigOverrides;

    use super::*;
    use crate::{Frontend, Invocation};

    #[test]
    fn a_typed_mode_that_the_requirements_forbid_is_no_wider_one() {
        let folder = tempfile::tempdir().unwrap();
        let system = SystemPaths::below(folder.path());
        let requirements = system.requirements.clone();
        PrivateFile::replace(
            &requirements,
            b"allowed_sandbox_modes = [\"workspace-write\"]\n",
        )
        .unwrap();
        let env = Env::from_pairs([("CODEX_HOME", folder.path())]);
        let cwd = AbsPath::new("/").unwrap();
        let mut invocation =
            Invocation::new(env, cwd, CliConfigOverrides::default(), Frontend::Cli);
        invocation.system = system;
        let loaded = invocation.load().unwrap();
        let error = loaded
            .sandbox_policy(Some(SandboxMode::ReadOnly), [])
            .unwrap_err();
        assert!(error.to_string().contains("read-only"), "{error}");
        assert!(
            loaded
                .sandbox_policy(Some(SandboxMode::WorkspaceWrite), [])
                .is_ok()
        );
    }
}
