//! What a policy means to the sandbox of Windows, which is for who asks for it.

use std::path::Path;

use codex_host::Env;
use codex_protocol::SandboxPolicy;
use codex_windows_sandbox::Rules;

use crate::{SandboxError, access};

/// Returns the rules of a policy; `None` means no sandbox at all.
pub fn windows_rules(
    policy: &SandboxPolicy,
    cwd: &Path,
    env: &Env,
) -> Result<Option<Rules>, SandboxError> {
    let access = access::of_policy(policy, cwd, env)?;
    Ok(access.map(|access| Rules {
        writable: access.writable,
        read_only: access.read_only,
        absent: access.absent,
        network: access.network,
    }))
}
