//! The wire of `codex app-server`: one JSON object a line, both ways.
//!
//! [`Incoming`] reads a line, [`Known`] says which methods there are, and the other modules hold the
//! shapes of their params, results and notifications. Every key of a result is written, `null` when
//! unknown; unknown keys of params are ignored.
//! **Absent on purpose:** work of any kind; the engine and its settings. `codex-app-server` converts.

mod config;
mod envelope;
mod fault;
mod feature;
mod handshake;
mod item;
mod mcp;
mod method;
mod notification;
mod question;
mod thread;
mod turn;

pub use config::{
    BatchWriteParams, ConfigEdit, ConfigLayerMetadata, ConfigLayerName, ConfigReadLayer,
    ConfigReadParams, ConfigReadResponse, ConfigRequirements, ConfigRequirementsReadResponse,
    ConfigWriteResponse, MergeStrategy, OverriddenMetadata, ValueWriteParams, WriteStatus,
};
pub use envelope::{Incoming, Outgoing, RequestId};
pub use fault::{ConfigWriteErrorCode, Fault};
pub use feature::{
    ExperimentalFeature, ExperimentalFeatureListParams, ExperimentalFeatureListResponse,
    FeatureStage,
};
pub use handshake::{ClientCapabilities, ClientInfo, InitializeParams, InitializeResponse};
pub use item::{
    FileUpdateChange, ItemCompleted, ItemDelta, ItemStarted, ItemStatus, McpToolCallError,
    McpToolCallProgress, McpToolCallResult, PatchKind, ThreadItem, ThreadItemDetails,
};
pub use mcp::{
    McpAuthStatus, McpRuntimeStatus, McpServerInfo, McpServerStatus, McpServerStatusListParams,
    McpServerStatusListResponse, McpStartupStatus, McpStatusDetail,
};
pub use method::{Known, Method};
pub use notification::{
    ConfigWarning, DeprecationNotice, McpServerStartupStatusUpdated, Position, ServerNotification,
    TextRange, Warning,
};

pub use question::{
    CommandExecutionApproval, Decision, Elicitation, ElicitationAnswer, ElicitationMode,
    FileChangeApproval, ItemPlace, Persist, ServerRequest, ServerRequestResolved, ToolApproval,
};
pub use thread::{
    ActiveFlag, ApprovalPolicy, ApprovalsReviewer, SandboxPolicy, Thread, ThreadSettings,
    ThreadSettingsUpdated, ThreadStartParams, ThreadStartResponse, ThreadStarted, ThreadStatus,
    ThreadStatusChanged, ThreadTokenUsage, ThreadTokenUsageUpdated, TokenUsage,
};
pub use turn::{
    ErrorNotification, ItemsView, PlanStep, PlanStepStatus, Turn, TurnError, TurnInterruptParams,
    TurnPlanUpdated, TurnStartParams, TurnStartResponse, TurnStatus, TurnUpdated, UserInput,
};

/// Empty params, and the empty result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Empty {}
