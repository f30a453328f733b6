//! Items: the things that a turn is made of.

use codex_protocol as domain;
use codex_protocol::{ItemDetails, PatchChangeKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::turn::UserInput;

/// One item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThreadItem {
    /// What it is.
    #[serde(flatten)]
    pub details: ThreadItemDetails,
    /// Its id within the thread.
    pub id: String,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[expect(missing_docs, reason = "the keys are those of the documentation")]
pub enum ThreadItemDetails {
    UserMessage {
        content: Vec<UserInput>,
    },
    AgentMessage {
        text: String,
        phase: Option<String>,
    },
    Reasoning {
        summary: Vec<String>,
        content: Vec<String>,
    },
    CommandExecution {
        command: String,
        cwd: String,
        command_actions: Vec<Value>,
        status: ItemStatus,
        aggregated_output: Option<String>,
        exit_code: Option<i32>,
        duration_ms: Option<i64>,
        process_id: Option<String>,
        source: &'static str,
    },
    FileChange {
        changes: Vec<FileUpdateChange>,
        status: ItemStatus,
    },
    McpToolCall {
        server: String,
        tool: String,
        arguments: Value,
        status: ItemStatus,
        result: Option<McpToolCallResult>,
        error: Option<McpToolCallError>,
        duration_ms: Option<i64>,
        read_only_hint: Option<bool>,
    },
    WebSearch {
        query: String,
        action: Value,
    },
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum ItemStatus {
    InProgress,
    Completed,
    Failed,
    Declined,
}

impl From<domain::ItemStatus> for ItemStatus {
    fn from(status: domain::ItemStatus) -> Self {
        match status {
            domain::ItemStatus::InProgress => Self::InProgress,
            domain::ItemStatus::Completed => Self::Completed,
            domain::ItemStatus::Failed => Self::Failed,
            domain::ItemStatus::Declined => Self::Declined,
        }
    }
}

/// One file of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileUpdateChange {
    /// Absolute path.
    pub path: String,
    /// What happens to it.
    pub kind: PatchKind,
    /// The content that comes or goes, of an update the hunks of a unified diff.
    pub diff: String,
}

/// What a patch does to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum PatchKind {
    Add,
    Delete,
    Update {
        /// Where the file goes; the one key of this wire with an underscore.
        move_path: Option<String>,
    },
}

/// What an MCP tool answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpToolCallResult {
    /// Content blocks, verbatim.
    pub content: Vec<Value>,
    /// Structured content.
    pub structured_content: Option<Value>,
    /// Further words of the server.
    #[serde(rename = "_meta")]
    pub meta: Option<Value>,
}

/// Why an MCP tool did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct McpToolCallError {
    /// One sentence.
    pub message: String,
}

impl ThreadItem {
    /// Spells an item; `None` for what is no item on this wire.
    pub fn new(id: &str, details: &ItemDetails, duration_ms: Option<i64>) -> Option<Self> {
        let details = match details {
            ItemDetails::AgentMessage { text } => ThreadItemDetails::AgentMessage {
                text: text.clone(),
                phase: None,
            },
            ItemDetails::Reasoning { text } => ThreadItemDetails::Reasoning {
                summary: match text.is_empty() {
                    true => Vec::new(),
                    false => vec![text.clone()],
                },
                content: Vec::new(),
            },
            ItemDetails::CommandExecution(run) => command(run, duration_ms),
            ItemDetails::FileChange(patch) => ThreadItemDetails::FileChange {
                changes: patch.changes.iter().map(FileUpdateChange::from).collect(),
                status: patch.status.into(),
            },
            ItemDetails::McpToolCall(call) => mcp_call(call, duration_ms),
            ItemDetails::WebSearch(search) => ThreadItemDetails::WebSearch {
                query: search.query.clone(),
                action: search.action.clone(),
            },
            ItemDetails::TodoList { .. } | ItemDetails::Error { .. } => return None,
        };
        Some(Self {
            details,
            id: id.to_owned(),
        })
    }
}

fn command(run: &domain::CommandExecution, duration_ms: Option<i64>) -> ThreadItemDetails {
    let is_over = run.status != domain::ItemStatus::InProgress;
    ThreadItemDetails::CommandExecution {
        command: run.command.clone(),
        cwd: run.cwd.display().to_string(),
        command_actions: command_actions(&run.command),
        status: run.status.into(),
        aggregated_output: is_over.then(|| run.aggregated_output.clone()),
        exit_code: run.exit_code,
        duration_ms,
        process_id: None,
        source: "agent",
    }
}

/// What a command does is not told apart.
pub(crate) fn command_actions(command: &str) -> Vec<Value> {
    vec![json!({"type": "unknown", "command": command})]
}

fn mcp_call(call: &domain::McpToolCall, duration_ms: Option<i64>) -> ThreadItemDetails {
    let result = call.result.as_ref().map(|outcome| McpToolCallResult {
        content: outcome.content.clone(),
        structured_content: outcome.structured.clone(),
        meta: outcome.meta.clone(),
    });
    ThreadItemDetails::McpToolCall {
        server: call.server.clone(),
        tool: call.tool.clone(),
        arguments: call.arguments.clone(),
        status: match call.status {
            // This kind has no word of its own for it.
            domain::ItemStatus::Declined => ItemStatus::Failed,
            status => status.into(),
        },
        result,
        error: call
            .error
            .clone()
            .map(|message| McpToolCallError { message }),
        duration_ms,
        read_only_hint: None,
    }
}

impl From<&domain::PatchChange> for FileUpdateChange {
    fn from(change: &domain::PatchChange) -> Self {
        Self {
            path: change.path.display().to_string(),
            kind: match change.kind {
                PatchChangeKind::Add => PatchKind::Add,
                PatchChangeKind::Delete => PatchKind::Delete,
                PatchChangeKind::Update => PatchKind::Update {
                    move_path: change
                        .moved_to
                        .as_ref()
                        .map(|target| target.display().to_string()),
                },
            },
            diff: change.diff.clone(),
        }
    }
}

/// Params of `item/started`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemStarted {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
    /// The item.
    pub item: ThreadItem,
    /// When, in milliseconds since 1970.
    pub started_at_ms: i64,
}

/// Params of `item/completed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemCompleted {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
    /// The item.
    pub item: ThreadItem,
    /// When, in milliseconds since 1970.
    pub completed_at_ms: i64,
}

/// Params of the deltas of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemDelta {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
    /// The item.
    pub item_id: String,
    /// The next piece.
    pub delta: String,
    /// Which part of a summary it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<u32>,
}

/// Params of `item/mcpToolCall/progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpToolCallProgress {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
    /// The item.
    pub item_id: String,
    /// How far the call is.
    pub message: String,
}
