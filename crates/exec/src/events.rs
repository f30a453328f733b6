//! The JSON wire of `codex exec --json`: every line that stdout can carry, and nothing else does it.
//!
//! Drop-in clients read these lines with typed models, so the order of the fields below is the order
//! of the keys on the wire, and a key is added at the end or not at all. The types borrow from the
//! domain items: an MCP result of several megabytes is written without a copy.

use codex_protocol::{
    ItemDetails, ItemStatus, McpOutcome, McpToolCall, PatchChange, PatchChangeKind, ThreadId,
    ThreadItem, TodoItem, TokenUsage,
};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// One line of stdout.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(crate) enum ExecEvent<'a> {
    /// The thread exists and can be resumed by this id.
    #[serde(rename = "thread.started")]
    ThreadStarted { thread_id: ThreadId },
    /// The turn began.
    #[serde(rename = "turn.started")]
    TurnStarted,
    /// An item that takes time began.
    #[serde(rename = "item.started")]
    ItemStarted { item: ExecItem<'a> },
    /// A call may run; with `--explain` only.
    #[serde(rename = "item.allowed")]
    ItemAllowed { item_id: ItemName, why: &'a str },
    /// A plan changed.
    #[serde(rename = "item.updated")]
    ItemUpdated { item: ExecItem<'a> },
    /// An item ended.
    #[serde(rename = "item.completed")]
    ItemCompleted { item: ExecItem<'a> },
    /// The turn ended well.
    #[serde(rename = "turn.completed")]
    TurnCompleted { usage: Usage },
    /// Something that ends the run.
    #[serde(rename = "error")]
    Error { message: &'a str },
    /// The turn failed.
    #[serde(rename = "turn.failed")]
    TurnFailed { error: Message<'a> },
}

/// One item under its name on the wire.
#[derive(Serialize)]
pub(crate) struct ExecItem<'a> {
    pub(crate) id: ItemName,
    #[serde(flatten)]
    pub(crate) details: ExecDetails<'a>,
}

/// `item_N`, counted in the order of first appearance in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemName(pub(crate) u64);

impl Serialize for ItemName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("item_{}", self.0))
    }
}

/// What an item is, as the published types spell it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ExecDetails<'a> {
    AgentMessage {
        text: &'a str,
    },
    Reasoning {
        text: &'a str,
    },
    CommandExecution {
        command: &'a str,
        aggregated_output: &'a str,
        exit_code: Option<i32>,
        status: Status,
    },
    FileChange {
        changes: Vec<Change<'a>>,
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Message<'a>>,
    },
    McpToolCall {
        server: &'a str,
        tool: &'a str,
        arguments: &'a Value,
        result: Option<McpResult<'a>>,
        error: Option<Message<'a>>,
        status: Status,
    },
    WebSearch {
        query: &'a str,
        action: &'a Value,
    },
    TodoList {
        items: Vec<Todo<'a>>,
    },
    Error {
        message: &'a str,
    },
}

/// How far an item is.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    InProgress,
    Completed,
    Failed,
}

/// `{"message": …}`.
#[derive(Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) message: &'a str,
}

/// One file of a patch.
#[derive(Serialize)]
pub(crate) struct Change<'a> {
    path: std::borrow::Cow<'a, str>,
    kind: &'static str,
}

/// What an MCP tool answered.
#[derive(Serialize)]
pub(crate) struct McpResult<'a> {
    content: &'a [Value],
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Value>,
    structured_content: Option<&'a Value>,
}

/// One step of a plan.
#[derive(Serialize)]
pub(crate) struct Todo<'a> {
    text: &'a str,
    completed: bool,
}

/// Tokens of the turn.
#[derive(Serialize)]
pub(crate) struct Usage {
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        let TokenUsage {
            input_tokens,
            cached_input_tokens,
            cache_write_input_tokens,
            output_tokens,
            reasoning_output_tokens,
        } = usage;
        Self {
            input_tokens,
            cached_input_tokens,
            cache_write_input_tokens,
            output_tokens,
            reasoning_output_tokens,
        }
    }
}

impl From<ItemStatus> for Status {
    fn from(status: ItemStatus) -> Self {
        match status {
            ItemStatus::InProgress => Self::InProgress,
            ItemStatus::Completed => Self::Completed,
            // This wire has no word of its own for it.
            ItemStatus::Failed | ItemStatus::Declined => Self::Failed,
        }
    }
}

impl<'a> ExecItem<'a> {
    /// Spells `item` under the name it has in this process.
    pub(crate) fn new(id: ItemName, item: &'a ThreadItem) -> Self {
        Self {
            id,
            details: ExecDetails::from(&item.details),
        }
    }
}

impl<'a> From<&'a ItemDetails> for ExecDetails<'a> {
    fn from(details: &'a ItemDetails) -> Self {
        match details {
            ItemDetails::AgentMessage { text } => Self::AgentMessage { text },
            ItemDetails::Reasoning { text } => Self::Reasoning { text },
            ItemDetails::CommandExecution(run) => Self::CommandExecution {
                command: &run.command,
                aggregated_output: &run.aggregated_output,
                exit_code: run.exit_code,
                status: run.status.into(),
            },
            ItemDetails::FileChange(patch) => Self::FileChange {
                changes: patch.changes.iter().map(Change::from).collect(),
                status: patch.status.into(),
                error: patch.error.as_deref().map(|message| Message { message }),
            },
            ItemDetails::McpToolCall(call) => Self::from(&**call),
            ItemDetails::TodoList { items } => Self::TodoList {
                items: items.iter().map(Todo::from).collect(),
            },
            ItemDetails::WebSearch(search) => Self::WebSearch {
                query: &search.query,
                action: &search.action,
            },
            ItemDetails::Error { message } => Self::Error { message },
        }
    }
}

impl<'a> From<&'a McpToolCall> for ExecDetails<'a> {
    fn from(call: &'a McpToolCall) -> Self {
        Self::McpToolCall {
            server: &call.server,
            tool: &call.tool,
            arguments: &call.arguments,
            result: call.result.as_ref().map(McpResult::from),
            error: call.error.as_deref().map(|message| Message { message }),
            status: call.status.into(),
        }
    }
}

impl<'a> From<&'a McpOutcome> for McpResult<'a> {
    fn from(outcome: &'a McpOutcome) -> Self {
        Self {
            content: &outcome.content,
            meta: outcome.meta.as_ref(),
            structured_content: outcome.structured.as_ref(),
        }
    }
}

impl<'a> From<&'a PatchChange> for Change<'a> {
    fn from(change: &'a PatchChange) -> Self {
        Self {
            path: change.path.to_string_lossy(),
            kind: match change.kind {
                PatchChangeKind::Add => "add",
                PatchChangeKind::Delete => "delete",
                PatchChangeKind::Update => "update",
            },
        }
    }
}

impl<'a> From<&'a TodoItem> for Todo<'a> {
    fn from(item: &'a TodoItem) -> Self {
        Self {
            text: &item.text,
            completed: item.completed,
        }
    }
}
