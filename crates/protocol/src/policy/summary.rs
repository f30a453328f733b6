//! A sandbox policy in one line, for headers and pages; readers of the reference know its form.

use std::fmt;

use super::SandboxPolicy;

/// `workspace-write [workdir, /tmp, $TMPDIR, /srv/more] (network access enabled)`.
impl fmt::Display for SandboxPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mode().as_str())?;
        match self {
            // That nothing is closed is what the mode says.
            Self::DangerFullAccess => return Ok(()),
            Self::ReadOnly { .. } => {}
            Self::WorkspaceWrite(workspace) => {
                f.write_str(" [workdir")?;
                for (root, is_excluded) in [
                    ("/tmp", workspace.exclude_slash_tmp),
                    ("$TMPDIR", workspace.exclude_tmpdir_env_var),
                ] {
                    if !is_excluded {
                        write!(f, ", {root}")?;
                    }
                }
                for root in &workspace.writable_roots {
                    write!(f, ", {}", root.display())?;
                }
                f.write_str("]")?;
            }
        }
        match self.network_access() {
            true => f.write_str(" (network access enabled)"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SandboxMode, WorkspaceWrite};

    fn line(mode: SandboxMode, workspace: WorkspaceWrite) -> String {
        SandboxPolicy::of_mode(mode, workspace).to_string()
    }

    #[test]
    fn every_mode_in_a_line() {
        let closed = WorkspaceWrite {
            exclude_slash_tmp: true,
            exclude_tmpdir_env_var: true,
            ..WorkspaceWrite::default()
        };
        let open = WorkspaceWrite {
            writable_roots: vec!["/srv/more".into(), "rel".into()],
            network_access: true,
            ..WorkspaceWrite::default()
        };
        for (mode, workspace, expected) in [
            (SandboxMode::ReadOnly, open.clone(), "read-only"),
            (
                SandboxMode::WorkspaceWrite,
                WorkspaceWrite::default(),
                "workspace-write [workdir, /tmp, $TMPDIR]",
            ),
            (
                SandboxMode::WorkspaceWrite,
                closed,
                "workspace-write [workdir]",
            ),
            (
                SandboxMode::WorkspaceWrite,
                open.clone(),
                "workspace-write [workdir, /tmp, $TMPDIR, /srv/more, rel] (network access enabled)",
            ),
            (SandboxMode::DangerFullAccess, open, "danger-full-access"),
        ] {
            assert_eq!(line(mode, workspace), expected);
        }
        let read_only = SandboxPolicy::of_mode(SandboxMode::ReadOnly, WorkspaceWrite::default());
        assert_eq!(
            read_only.with_network().to_string(),
            "read-only (network access enabled)"
        );
    }
}
