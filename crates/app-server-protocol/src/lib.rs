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
mod mcp;
mod method;
mod notification;

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
pub use mcp::{
    McpAuthStatus, McpRuntimeStatus, McpServerInfo, McpServerStatus, McpServerStatusListParams,
    McpServerStatusListResponse, McpStartupStatus, McpStatusDetail,
};
pub use method::{Known, Method};
pub use notification::{
    ConfigWarning, DeprecationNotice, McpServerStartupStatusUpdated, Position, ServerNotification,
    TextRange, Warning,
};

/// Empty params, and the empty result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Empty {}
