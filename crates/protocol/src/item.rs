//! The things a turn is made of, as every frontend shows them.

use std::path::PathBuf;

use serde_json::Value;

use crate::{ItemId, McpOutcome};

/// One visible thing of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadItem {
    /// Its name within this process.
    pub id: ItemId,
    /// What it is.
    pub details: ItemDetails,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemDetails {
    /// A message of the model.
    AgentMessage {
        /// The whole text.
        text: String,
    },
    /// The model's summary of its reasoning.
    Reasoning {
        /// Parts joined by an empty line.
        text: String,
    },
    /// A command that ran or was refused.
    CommandExecution(CommandExecution),
    /// A patch.
    FileChange(FileChange),
    /// A call of an MCP tool, or of a built-in one under the server name `codex`.
    McpToolCall(Box<McpToolCall>),
    /// The turn's plan.
    TodoList {
        /// The steps in order.
        items: Vec<TodoItem>,
    },
    /// A search that the provider ran.
    WebSearch(WebSearch),
    /// A notice that belongs to a turn.
    Error {
        /// A sentence for people.
        message: String,
    },
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemStatus {
    /// It runs.
    InProgress,
    /// It ended well.
    Completed,
    /// It ended badly, was refused, or was cut short.
    Failed,
    /// A person said no.
    Declined,
}

/// A shell command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandExecution {
    /// The command line as run.
    pub command: String,
    /// Where it runs, absolute.
    pub cwd: PathBuf,
    /// stdout and stderr in the order of arrival.
    pub aggregated_output: String,
    /// `None` while it runs, and when it never ran.
    pub exit_code: Option<i32>,
    /// How far it is.
    pub status: ItemStatus,
}

/// A patch and what it touched.
#[derive(Debug, Clone, PartialEq)]
pub struct FileChange {
    /// Files in order of their path.
    pub changes: Vec<PatchChange>,
    /// How it ended.
    pub status: ItemStatus,
    /// Why it failed.
    pub error: Option<String>,
}

/// One file of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchChange {
    /// Absolute path.
    pub path: PathBuf,
    /// What happens to it.
    pub kind: PatchChangeKind,
    /// Where an updated file goes; absolute.
    pub moved_to: Option<PathBuf>,
    /// The content that comes or goes, of an update the hunks of a unified diff and, when it is
    /// moved, a last line that says where to.
    pub diff: String,
}

/// What a patch does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchChangeKind {
    /// Makes it.
    Add,
    /// Removes it.
    Delete,
    /// Changes or moves it.
    Update,
}

/// A call of an MCP tool.
#[derive(Debug, Clone, PartialEq)]
pub struct McpToolCall {
    /// Server as configured, or `codex`.
    pub server: String,
    /// Tool as the server spells it.
    pub tool: String,
    /// Arguments; the raw text as a string when they are no JSON.
    pub arguments: Value,
    /// What the tool answered, also when it says that it failed.
    pub result: Option<McpOutcome>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// How far it is.
    pub status: ItemStatus,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoItem {
    /// The step.
    pub text: String,
    /// Whether it is done.
    pub completed: bool,
}

/// A search on the web.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSearch {
    /// What was searched; empty while unknown.
    pub query: String,
    /// The provider's action object, verbatim.
    pub action: Value,
}
