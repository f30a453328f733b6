//! How a command is started, and where patches may write, under a sandbox policy.
//!
//! Where no sandbox can hold a command, the command is not run: a policy that promises limits is
//! never given up silently.

use std::path::{Path, PathBuf};

use codex_host::{Env, Fence};
use codex_process::{ChildSpec, SpawnError};
use codex_protocol::SandboxPolicy;
use codex_sandbox::{SandboxError, WritablePlaces};

use crate::environment;

/// The place and the limits of a thread's commands.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    /// The working directory of the thread.
    pub cwd: &'a Path,
    /// What commands inherit.
    pub env: &'a Env,
    /// What commands may touch.
    pub policy: &'a SandboxPolicy,
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Nothing here can enforce the policy.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// There is no such program.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl Workspace<'_> {
    /// Plans the start of a command in a directory, which need not be the working directory.
    pub fn command(&self, argv: &[String], dir: &Path) -> Result<ChildSpec, LaunchError> {
        let (program, args) = match argv.split_first() {
            Some((program, args)) => (program.as_str(), args),
            None => ("", &[][..]),
        };
        let spec = ChildSpec::new(program, environment::of_command(self.env), dir).args(args);
        // Made anew for each command: what is protected may have come or gone since the last.
        let plan = codex_sandbox::plan(self.policy, self.cwd, self.env)?;
        Ok(plan.wrap(spec)?)
    }

    /// Returns where patches may write: the very places where commands may.
    pub fn fence(&self) -> Result<Fence, SandboxError> {
        let places = codex_sandbox::writable_places(self.policy, self.cwd, self.env)?;
        let Some(WritablePlaces {
            mut roots,
            mut kept,
        }) = places
        else {
            // The working directory may be reached through a link; what is below it may not.
            return Ok(Fence::new([self.cwd.to_owned(), PathBuf::from("/")]));
        };
        // Models name files below the working directory as they were told it, links included.
        if let Ok(real) = self.cwd.canonicalize()
            && real != self.cwd
            && roots.contains(&real)
        {
            let below = kept.iter().filter_map(|path| path.strip_prefix(&real).ok());
            let as_told: Vec<PathBuf> = below.map(|path| self.cwd.join(path)).collect();
            kept.extend(as_told);
            roots.push(self.cwd.to_owned());
        }
        Ok(Fence::new(roots).keeping(kept))
    }
}
