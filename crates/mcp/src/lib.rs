//! The only meeting place of MCP settings and MCP connections.
//!
//! [`McpManager::start`] connects every enabled server side by side and returns an [`McpHandle`]:
//! snapshots of the tools ([`ToolCatalog`]), calls, statuses. What a user must hear of leaves as an
//! [`McpNotice`]; nothing is printed. One server for one call (`codex mcp call`) is the same manager
//! with one server in its settings.
//! **Absent on purpose:** approvals, the model's wire, rmcp types, config files, frontends.

mod auth;
mod catalog;
mod error;
mod filter;
mod manager;
mod naming;
mod notice;
mod pins;
mod resolve;
mod schema;
mod settings;

#[cfg(unix)]
pub use auth::serve_renewal;
pub use auth::{
    AuthDetail, AuthReport, AuthState, CallbackPaste, CredentialsBackend, Deputy, DeviceCode,
    KeyringPatience, LoginFailure, LoginGround, LoginInspection, LoginOutcome, LoginProbe,
    LoginQuestion, LoginSpec, Logout, McpAuth, PasteError, RegistrationRung, Revocation,
    ServerLogin, StaticToken, TraceStep, Unattended, redirect_uri_to_register,
};
pub use catalog::{CatalogTool, HiddenReason, HiddenTool, ServerTools, ToolCatalog};
pub use codex_config::ServerChange;
pub use codex_rmcp_client::{
    CallError as ConnectionError, ClientInfo, ConnectError, Elicitation, ElicitationReply, Hint,
    LoginWanted, Probe, Progress, ProgressSink, ServerEndpoint, ServerInfo,
};
pub use codex_rmcp_client::{SkillEntry, SkillFault};
pub use error::{CallError, FailedStep, RequiredFailure, StartError, StartFailure};
pub use filter::{FilterVerdict, judge_tool};
pub use manager::{
    AbsentServer, CallContext, McpHandle, McpManager, ServerState, ServerStatus, StatusChanges,
};
pub use naming::{ExposedName, ToolNamer};
pub use notice::McpNotice;
pub use pins::{Drift, PinError, PinnedTools, ToolPins};
pub use resolve::{
    EndpointError, HeadersHelper, Resolved, http_client, inherited_variables, resolve_endpoint,
};
pub use settings::{
    ElicitationPolicy, ElicitationRequest, ListChanges, McpSettings, RestartPolicy,
};
