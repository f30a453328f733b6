//! How much the agent may do without asking.

use serde::{Deserialize, Serialize};

/// When a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskForApproval {
    /// Before everything that is not known to be safe.
    Untrusted,
    /// After something failed in the sandbox.
    OnFailure,
    /// When the model asks for it.
    #[default]
    OnRequest,
    /// Never; what would need approval is refused.
    Never,
}

/// What commands may touch.
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
