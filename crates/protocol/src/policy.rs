//! How much the agent may do without asking.

mod presets;
mod summary;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use presets::ApprovalPreset;

/// When a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskForApproval {
    /// Before everything that is not known to be safe.
    Untrusted,
    /// As [`OnRequest`](Self::OnRequest): what failed in the sandbox asks to run outside of it.
    OnFailure,
    /// When the model asks for it.
    #[default]
    OnRequest,
    /// Never; what would need approval is refused.
    Never,
}

/// What commands may touch, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// Read anything, write nothing, no network.
    #[default]
    ReadOnly,
    /// Write below the working directory.
    WorkspaceWrite,
    /// No sandbox.
    DangerFullAccess,
}

impl SandboxMode {
    /// Returns the word that users type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::WorkspaceWrite => "workspace-write",
            Self::DangerFullAccess => "danger-full-access",
        }
    }
}

/// What commands may touch, in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SandboxPolicy {
    /// Read anything, write nothing.
    ReadOnly {
        /// Commands may use the network.
        network_access: bool,
    },
    /// Write below some directories.
    WorkspaceWrite(WorkspaceWrite),
    /// No sandbox.
    DangerFullAccess,
}

/// What may be written besides the working directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct WorkspaceWrite {
    /// Further directories; relative ones count from the working directory.
    pub writable_roots: Vec<PathBuf>,
    /// Commands may use the network.
    pub network_access: bool,
    /// `$TMPDIR` may not be written.
    pub exclude_tmpdir_env_var: bool,
    /// `/tmp` may not be written.
    pub exclude_slash_tmp: bool,
}

impl SandboxPolicy {
    /// Makes the policy of a mode; `workspace` counts only in `workspace-write`.
    pub fn of_mode(mode: SandboxMode, workspace: WorkspaceWrite) -> Self {
        match mode {
            SandboxMode::ReadOnly => Self::ReadOnly {
                network_access: false,
            },
            SandboxMode::WorkspaceWrite => Self::WorkspaceWrite(workspace),
            SandboxMode::DangerFullAccess => Self::DangerFullAccess,
        }
    }

    /// Returns the policy with the network open.
    #[must_use]
    pub fn with_network(mut self) -> Self {
        match &mut self {
            Self::ReadOnly { network_access } => *network_access = true,
            Self::WorkspaceWrite(workspace) => workspace.network_access = true,
            Self::DangerFullAccess => {}
        }
        self
    }

    /// Returns its mode.
    pub fn mode(&self) -> SandboxMode {
        match self {
            Self::ReadOnly { .. } => SandboxMode::ReadOnly,
            Self::WorkspaceWrite(_) => SandboxMode::WorkspaceWrite,
            Self::DangerFullAccess => SandboxMode::DangerFullAccess,
        }
    }

    /// Whether commands may use the network.
    pub fn network_access(&self) -> bool {
        match self {
            Self::ReadOnly { network_access } => *network_access,
            Self::WorkspaceWrite(workspace) => workspace.network_access,
            Self::DangerFullAccess => true,
        }
    }
}

impl AskForApproval {
    /// Returns the word that users type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::OnFailure => "on-failure",
            Self::OnRequest => "on-request",
            Self::Never => "never",
        }
    }
}
