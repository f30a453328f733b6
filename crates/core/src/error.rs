//! Why a thread could not start.

use codex_protocol::ThreadId;

/// Why a thread could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An MCP server with `required = true` did not start.
    #[error(transparent)]
    Mcp(#[from] codex_mcp::StartError),
    /// The thread to resume is not on this disk.
    #[error("no rollout found for thread id {0}")]
    NoRollout(ThreadId),
    /// The recorded thread cannot be read or continued.
    #[error(transparent)]
    Rollout(#[from] codex_rollout::RolloutError),
}

impl StartError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Mcp(error) => error.hints(),
            Self::NoRollout(_) => Vec::new(),
            Self::Rollout(error) => error.hints(),
        }
    }
}
