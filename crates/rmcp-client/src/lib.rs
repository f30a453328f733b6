//! One connection to one MCP server.
//!
//! Input is a [`ServerEndpoint`] in which every environment variable is already a value; output are our
//! own types. The official SDK (rmcp) does the protocol below and no type of it leaves this crate.
//! **Absent on purpose:** config files, the process environment, approvals, restarts, printing. The
//! meeting place of settings and connections is `codex-mcp`.

mod calls;
mod client;
mod connect;
mod elicitation;
mod endpoint;
mod error;
mod events;
mod exchange;
mod fault;
mod handler;
mod http_transport;
mod last_words;
mod listen;
mod login;
mod own_secrets;
mod param_headers;
mod skills;
mod stdio;
mod supervise;
mod tools;
mod wire;

pub use calls::ItemList;
pub use client::{
    CallOptions, ClientInfo, ClosedReason, ConnectOptions, ElicitationSupport, McpClient, Probe,
    Progress, ProgressSink, ServerInfo,
};
pub use codex_http::HttpClient;
pub use codex_oauth::{LoginWanted, TokenSource};
pub use codex_protocol::{McpOutcome, ServerName, ToolAnnotations};
pub use endpoint::{HttpEndpoint, RequestAuth, ServerEndpoint, StdioLaunch};
pub use error::{CallError, ConnectError, Hint};
pub use events::{Elicitation, ElicitationReply, ServerEvent};
pub use skills::{SkillEntry, SkillFault};
pub use tools::{RejectedTool, ToolDefinition, ToolList};
