//! The sandbox of a stdio server.
//!
//! Its workspace is the directory that the server runs in, and the temporary folders as for every
//! command; a server that needs more has `writable_roots`.

use std::path::Path;

use codex_config::ServerSandbox;
use codex_protocol::{SandboxMode, SandboxPolicy, WorkspaceWrite};
use codex_sandbox::SpawnPlan;

use super::{EndpointError, Lookup};

/// Makes the plan, when the entry wants one.
pub(super) fn plan(
    lookup: &Lookup<'_>,
    sandbox: Option<&ServerSandbox>,
    cwd: &Path,
) -> Result<Option<SpawnPlan>, EndpointError> {
    let Some(sandbox) = sandbox else {
        return Ok(None);
    };
    let roots = sandbox.writable_roots.iter();
    let roots = roots.map(|root| Ok(lookup.text(&root.to_string_lossy())?.into()));
    let policy = match sandbox.mode {
        SandboxMode::WorkspaceWrite => SandboxPolicy::WorkspaceWrite(WorkspaceWrite {
            writable_roots: roots.collect::<Result<_, _>>()?,
            network_access: sandbox.network_access,
            ..WorkspaceWrite::default()
        }),
        // The config takes no other word; what it did not take must not open anything.
        SandboxMode::ReadOnly | SandboxMode::DangerFullAccess => SandboxPolicy::ReadOnly {
            network_access: sandbox.network_access,
        },
    };
    let plan = codex_sandbox::plan(&policy, cwd, lookup.env);
    let plan = plan.map_err(|source| EndpointError::Sandbox {
        server: lookup.server.clone(),
        source,
    });
    plan.map(Some)
}
