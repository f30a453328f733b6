//! The words that the engine and its frontends share.
//!
//! Ids and enums with one spelling derive serde, because every wire spells them alike. Items, events
//! and operations do not: each wire format has one owner module elsewhere that converts them.
//! **Absent on purpose:** wire formats, tokio, anything that does work.

mod approval;
mod approve_when;
mod event;
mod ids;
mod item;
mod mcp;
mod op;
mod policy;

pub use approval::{ApprovalDecision, ApprovalId, ApprovalRequest, ApprovalSubject};
pub use approve_when::ApproveWhen;
pub use event::{Event, EventKind, TokenUsage, TurnError, TurnErrorKind};
pub use ids::{CallId, IdError, ItemId, ServerName, ServerNameError, ThreadId, ToolRef, TurnId};
pub use item::{
    CommandExecution, FileChange, ItemDetails, ItemStatus, McpToolCall, PatchChange,
    PatchChangeKind, ThreadItem, TodoItem, WebSearch,
};
pub use mcp::{McpAuthStatus, McpOutcome, ToolAnnotations, ToolApprovalMode};
pub use op::{Op, ThreadChanges, UserInput};
pub use policy::{ApprovalPreset, AskForApproval, SandboxMode, SandboxPolicy, WorkspaceWrite};
