//! What a frontend asks of a thread.

use std::path::PathBuf;

use serde_json::Value;

use crate::{ApprovalDecision, ApprovalId, AskForApproval, SandboxPolicy};

/// One request to a thread.
#[derive(Debug, Clone)]
pub enum Op {
    /// Starts a turn.
    UserTurn {
        /// Images first, the prompt text last.
        input: Vec<UserInput>,
        /// JSON schema of the final message.
        output_schema: Option<Value>,
    },
    /// Changes how the thread goes on; holds from the next turn.
    Configure(Box<ThreadChanges>),
    /// Answers a question; one that nobody asked, or that was answered, is let pass.
    Decide {
        /// Which.
        id: ApprovalId,
        /// The answer.
        decision: ApprovalDecision,
    },
    /// Ends the running turn; open items are completed before the turn event.
    Interrupt,
    /// Ends the thread: the turn, its children and the MCP servers.
    Shutdown,
}

/// What changes from a turn on; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadChanges {
    /// The working directory, absolute.
    pub cwd: Option<PathBuf>,
    /// The model.
    pub model: Option<String>,
    /// The reasoning effort.
    pub reasoning_effort: Option<String>,
    /// The kind of reasoning summary.
    pub reasoning_summary: Option<String>,
    /// The service tier.
    pub service_tier: Option<String>,
    /// When a person is asked.
    pub approval: Option<AskForApproval>,
    /// What commands may touch.
    pub sandbox: Option<SandboxPolicy>,
}

/// One part of what the user sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserInput {
    /// Text.
    Text(String),
    /// A picture that the frontend has read and checked.
    Image {
        /// Where it was read, for the model's label.
        path: PathBuf,
        /// The picture as a `data:` URL.
        data_url: String,
    },
}
