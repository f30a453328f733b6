//! The tools of a server, decoded so that one bad tool costs only itself.

use codex_protocol::ToolAnnotations;
use serde_json::Value;

/// All pages of `tools/list`.
#[derive(Debug, Clone, Default)]
pub struct ToolList {
    /// The usable tools in the server's order.
    pub tools: Vec<ToolDefinition>,
    /// The others, each with its reason.
    pub rejected: Vec<RejectedTool>,
    /// Why the list is not the whole list: a cap was reached or a cursor came twice.
    pub truncated: Option<String>,
}

/// A tool that cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedTool {
    /// Its name, or its place in the list when it has none.
    pub name: String,
    /// Why.
    pub why: String,
}

/// A tool as its server describes it; everything in it is a claim.
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// The server's spelling.
    pub name: String,
    /// Name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of the arguments, verbatim; always an object.
    pub input_schema: Value,
    /// JSON schema of `structuredContent`, verbatim.
    pub output_schema: Option<Value>,
    /// What the server claims about it.
    pub annotations: ToolAnnotations,
    /// `_meta` of the tool.
    pub meta: Option<Value>,
    /// The whole object as received, unknown fields included.
    pub raw: Value,
}
