//! Words about MCP servers and the outcome of their tools.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known about the login of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum McpAuthStatus {
    /// No OAuth: a stdio server, a server that is off, or one that answers without a login.
    Unsupported,
    /// OAuth is offered and nothing usable is stored.
    NotLoggedIn,
    /// A static token is configured.
    BearerToken,
    /// A usable login is stored.
    OAuth,
    /// Nothing that we know decides it.
    Unknown,
}

/// Who decides whether a tool may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolApprovalMode {
    /// Tools that say they only read may run; others are asked about.
    #[default]
    Auto,
    /// Every call is asked about.
    Prompt,
    /// Calls that may write are asked about.
    Writes,
    /// Every call runs.
    Approve,
}

/// What a server says about a tool; a claim, not a fact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolAnnotations {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The tool changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// The tool may delete or overwrite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// A second equal call changes nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// The tool reaches beyond the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// What a tool answered, with every block as the server sent it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct McpOutcome {
    /// Content blocks, verbatim, unknown kinds included.
    pub content: Vec<Value>,
    /// `structuredContent`; `Some(Value::Null)` is an explicit null.
    pub structured: Option<Value>,
    /// The tool says that it failed; the content says why.
    pub is_error: bool,
    /// `_meta` of the result.
    pub meta: Option<Value>,
}
