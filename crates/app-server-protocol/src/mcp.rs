//! MCP servers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Params of `mcpServerStatus/list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct McpServerStatusListParams {
    /// Where to go on.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: Option<u32>,
    /// How much of each.
    pub detail: Option<McpStatusDetail>,
    /// Only this one.
    pub server_name: Option<String>,
    /// The thread whose servers are meant.
    pub thread_id: Option<String>,
}

/// How much is wanted of each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum McpStatusDetail {
    /// Everything.
    Full,
    /// No resources.
    ToolsAndAuthOnly,
}

/// Result of `mcpServerStatus/list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatusListResponse {
    /// The servers, by name.
    pub data: Vec<McpServerStatus>,
    /// Where to go on.
    pub next_cursor: Option<String>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// Its name as configured.
    pub name: String,
    /// What is known about its login.
    pub auth_status: McpAuthStatus,
    /// Where it stands.
    pub runtime_status: McpRuntimeStatus,
    /// Its tools on offer, by their raw name, each as the server describes it.
    pub tools: BTreeMap<String, Value>,
    /// Its resources, verbatim.
    pub resources: Vec<Value>,
    /// Its resource templates, verbatim.
    pub resource_templates: Vec<Value>,
    /// What it says about itself.
    pub server_info: Option<McpServerInfo>,
    /// What it can do, verbatim.
    pub server_capabilities: Option<Value>,
    /// Why it has no tools.
    pub tools_error: Option<String>,
    /// Where it is, of a server that is reached by HTTP.
    pub http_origin: Option<String>,
}

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct McpServerInfo {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// Its version.
    pub version: String,
}

/// What is known about a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum McpAuthStatus {
    Unsupported,
    NotLoggedIn,
    BearerToken,
    OAuth,
    Unknown,
}

impl From<codex_protocol::McpAuthStatus> for McpAuthStatus {
    fn from(status: codex_protocol::McpAuthStatus) -> Self {
        use codex_protocol::McpAuthStatus as Ours;
        match status {
            Ours::Unsupported => Self::Unsupported,
            Ours::NotLoggedIn => Self::NotLoggedIn,
            Ours::BearerToken => Self::BearerToken,
            Ours::OAuth => Self::OAuth,
            Ours::Unknown => Self::Unknown,
        }
    }
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum McpRuntimeStatus {
    NotStarted,
    Starting,
    Connected,
    AuthenticationRequired,
    Failed,
    Cancelled,
    Disabled,
}

/// How the start of a server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum McpStartupStatus {
    Starting,
    Ready,
    Failed,
    Cancelled,
}
