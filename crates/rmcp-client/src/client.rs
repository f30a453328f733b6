//! The connection: connect, list, call, end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_http::HttpClient;
use codex_protocol::{McpOutcome, ServerName};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{CallError, ConnectError, ServerEndpoint, ServerEvent, ToolList};

/// Who we say we are.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// `codex-mcp-client`.
    pub name: String,
    /// `Codex`.
    pub title: Option<String>,
    /// Our version.
    pub version: String,
}

impl ClientInfo {
    /// Returns the name that every server sees from Codex.
    pub fn codex(version: &str) -> Self {
        Self {
            name: "codex-mcp-client".to_owned(),
            title: Some("Codex".to_owned()),
            version: version.to_owned(),
        }
    }
}

/// Which era is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Probe {
    /// HTTP like [`Probe::Modern`], stdio like [`Probe::Legacy`].
    #[default]
    Auto,
    /// `initialize` only, what every server of today knows.
    Legacy,
    /// `server/discover` first (revision 2026-07-28), then `initialize` on a fresh transport.
    Modern,
}

/// Whether the server may ask the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ElicitationSupport {
    /// Forms and URLs may be asked; questions arrive as [`ServerEvent::Elicitation`].
    #[default]
    FormAndUrl,
    /// The capability is not declared.
    None,
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The name in errors.
    pub server: ServerName,
    /// Who we say we are.
    pub client: ClientInfo,
    /// The whole start, every attempt included.
    pub startup_timeout: Duration,
    /// Which era is tried first.
    pub probe: Probe,
    /// Whether the server may ask the user.
    pub elicitation: ElicitationSupport,
    /// The shared HTTP stack; unused by stdio servers.
    pub http: HttpClient,
}

/// What the server said about itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Negotiated revision, for example `2025-06-18`.
    pub protocol_version: String,
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// Its version.
    pub version: String,
    /// Advice for the model; untrusted text.
    pub instructions: Option<String>,
    /// Capabilities, verbatim.
    pub capabilities: Value,
}

impl ServerInfo {
    /// Whether the server declared a capability, for example `resources`.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.get(capability).is_some()
    }
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Grows with each report.
    pub progress: f64,
    /// The end, when it is known.
    pub total: Option<f64>,
    /// The server's words.
    pub message: Option<String>,
}

/// Receives progress; called on the connection's task, so it must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// How long a call may take and who hears about it.
#[derive(Clone)]
pub struct CallOptions {
    /// Limit between two signs of life.
    pub idle_timeout: Duration,
    /// Limit of the whole call.
    pub max_total: Duration,
    /// Receives progress.
    pub on_progress: Option<ProgressSink>,
}

impl CallOptions {
    /// Limits silence to `idle_timeout` and the whole call to four times that.
    pub fn with_idle_timeout(idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            max_total: idle_timeout.saturating_mul(4),
            on_progress: None,
        }
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("idle_timeout", &self.idle_timeout)
            .field("max_total", &self.max_total)
            .field("on_progress", &self.on_progress.is_some())
            .finish()
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClosedReason {
    /// We ended it.
    Shutdown,
    /// The server's process ended.
    Exited {
        /// Exit status in words.
        status: String,
        /// The last lines it wrote to stderr.
        stderr_tail: String,
    },
    /// The transport broke.
    Transport(String),
}

/// One live connection. Dropping it kills the server's process group.
pub struct McpClient {
    _private: (),
}

impl McpClient {
    /// Connects within `options.startup_timeout`; on an error nothing is left running.
    pub async fn connect(
        endpoint: ServerEndpoint,
        options: ConnectOptions,
        events: mpsc::Sender<ServerEvent>,
        cancel: CancellationToken,
    ) -> Result<Self, ConnectError> {
        let _ = (endpoint, options, events, cancel);
        todo!()
    }

    /// Returns what the server said about itself.
    pub fn info(&self) -> &ServerInfo {
        todo!()
    }

    /// Fetches every page of tools, within caps on pages, tools and time.
    pub async fn list_tools(&self, limit: Duration) -> Result<ToolList, CallError> {
        let _ = limit;
        todo!()
    }

    /// Calls a tool.
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        options: CallOptions,
        cancel: CancellationToken,
    ) -> Result<McpOutcome, CallError> {
        let _ = (name, arguments, options, cancel);
        todo!()
    }

    /// Fetches every page of resources, verbatim.
    pub async fn list_resources(&self, limit: Duration) -> Result<Vec<Value>, CallError> {
        let _ = limit;
        todo!()
    }

    /// Fetches every page of resource templates, verbatim.
    pub async fn list_resource_templates(&self, limit: Duration) -> Result<Vec<Value>, CallError> {
        let _ = limit;
        todo!()
    }

    /// Reads a resource; returns the result object verbatim.
    pub async fn read_resource(
        &self,
        uri: &str,
        options: CallOptions,
        cancel: CancellationToken,
    ) -> Result<Value, CallError> {
        let _ = (uri, options, cancel);
        todo!()
    }

    /// Sends any other request; returns the result verbatim.
    pub async fn request(
        &self,
        method: &str,
        params: Value,
        options: CallOptions,
        cancel: CancellationToken,
    ) -> Result<Value, CallError> {
        let _ = (method, params, options, cancel);
        todo!()
    }

    /// Completes when the connection has ended, however often it is asked.
    pub async fn closed(&self) -> ClosedReason {
        todo!()
    }

    /// Returns the last lines of a stdio server's stderr; empty for HTTP.
    pub fn stderr_tail(&self) -> String {
        todo!()
    }

    /// Ends the connection in order: stdin closed, then TERM, then KILL, all within `limit`.
    /// Every later call fails with [`CallError::Closed`].
    pub async fn shutdown(&self, limit: Duration) {
        let _ = limit;
        todo!()
    }
}

impl fmt::Debug for McpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpClient").finish_non_exhaustive()
    }
}
