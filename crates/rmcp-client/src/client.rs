//! The public face of a connection: connect, list, call, end.
//!
//! The work is below: `connect` gets a connection up, `calls` and `exchange` use it, `supervise` ends it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_http::HttpClient;
use codex_protocol::{McpOutcome, ServerName};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::calls::{Caller, ItemList, MarkedSchemas};
use crate::connect::{Live, LiveKind, Plan, is_known, is_modern};
use crate::exchange::Wire;
use crate::handler::EarState;
use crate::http_transport::HttpWire;
use crate::listen;
use crate::skills;
use crate::supervise::Supervisor;
use crate::tools::HeaderRules;
use crate::{CallError, ConnectError, ServerEndpoint, ServerEvent, ToolList};

/// How long the first call may wait for the standing GET of a session.
const LISTENING_LIMIT: Duration = Duration::from_secs(2);

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

    /// Whether the server offers skills (SEP-2640).
    pub fn has_skills(&self) -> bool {
        let extensions = self.capabilities.get("extensions");
        extensions.is_some_and(|extensions| extensions.get(skills::EXTENSION).is_some())
    }

    /// Returns the probe that finds this server at once the next time.
    pub fn era(&self) -> Probe {
        if is_modern(&self.protocol_version) {
            Probe::Modern
        } else {
            Probe::Legacy
        }
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

impl fmt::Display for ClosedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("it was shut down"),
            Self::Exited {
                status,
                stderr_tail,
            } => {
                write!(f, "the server ended ({status})")?;
                let tail = stderr_tail.trim();
                if tail.is_empty() {
                    return Ok(());
                }
                write!(f, "; its stderr ended with: {tail}")
            }
            Self::Transport(why) => f.write_str(why),
        }
    }
}

/// One live connection. Dropping it kills the server's process group.
pub struct McpClient {
    info: ServerInfo,
    caller: Caller,
    /// The standing GET of a session; calls wait for it at most until the instant.
    listening: Option<(HttpWire, Instant)>,
    supervisor: Supervisor,
}

impl McpClient {
    /// Connects within `options.startup_timeout`; on an error nothing is left running.
    pub async fn connect(
        endpoint: ServerEndpoint,
        options: ConnectOptions,
        events: mpsc::Sender<ServerEvent>,
        cancel: CancellationToken,
    ) -> Result<Self, ConnectError> {
        let tasks = TaskTracker::new();
        let may_ask = options.elicitation == ElicitationSupport::FormAndUrl;
        let ear = Arc::new(EarState::new(events, tasks.clone(), may_ask));
        let plan = Plan::new(&options, ear);
        let connecting = async {
            match &endpoint {
                ServerEndpoint::Stdio(launch) => plan.stdio(launch).await,
                ServerEndpoint::Http(endpoint) => plan.http(endpoint).await,
            }
        };
        let live = tokio::select! {
            live = timeout(options.startup_timeout, connecting) => live,
            () = cancel.cancelled() => {
                return Err(ConnectError::Cancelled { server: options.server.clone() });
            }
        };
        let live = match live {
            Ok(live) => live?,
            Err(_) => {
                return Err(ConnectError::Timeout {
                    server: options.server.clone(),
                    limit: options.startup_timeout,
                    stderr_tail: plan.stderr_tail(),
                });
            }
        };
        let connected_at = Instant::now();
        let info = server_info(&live);
        if !is_known(&info.protocol_version) {
            Supervisor::start(live, tasks)
                .shutdown(Duration::from_secs(2))
                .await;
            return Err(ConnectError::UnknownProtocol {
                server: options.server.clone(),
                theirs: info.protocol_version,
            });
        }
        let is_modern = is_modern(&info.protocol_version);
        let is_http = matches!(live.kind, LiveKind::Http { .. });
        let schemas = match &live.kind {
            LiveKind::Http { schemas, .. } => schemas.clone(),
            LiveKind::Stdio { .. } => MarkedSchemas::default(),
        };
        let listening = match &live.kind {
            LiveKind::Http { wire, .. } => Some((wire.clone(), connected_at + LISTENING_LIMIT)),
            LiveKind::Stdio { .. } => None,
        };
        let peer = live.service.peer().clone();
        let (tap, ear) = (Arc::clone(&live.tap), Arc::clone(&live.ear));
        let supervisor = Supervisor::start(live, tasks.clone());
        if is_modern {
            listen::start(&peer, &ear, &info, &supervisor);
        }
        let wire = Wire {
            peer,
            tap,
            ear,
            closed: supervisor.closed(),
            tasks,
        };
        let header_rules = if is_modern && is_http {
            HeaderRules::Apply
        } else {
            HeaderRules::Ignore
        };
        Ok(Self {
            info,
            caller: Caller {
                wire,
                is_modern,
                header_rules,
                schemas,
            },
            listening,
            supervisor,
        })
    }

    /// Returns what the server said about itself.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Fetches every page of tools, within caps on pages, tools and time.
    pub async fn list_tools(&self, limit: Duration) -> Result<ToolList, CallError> {
        self.caller.list_tools(limit).await
    }

    /// Calls a tool.
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        options: CallOptions,
        cancel: CancellationToken,
    ) -> Result<McpOutcome, CallError> {
        if let Some((wire, until)) = &self.listening {
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                () = wire.wait_until_listening(left) => {}
                () = cancel.cancelled() => return Err(CallError::Cancelled),
            }
        }
        self.caller
            .call_tool(name, arguments, &options, &cancel)
            .await
    }

    /// Fetches every page of resources, verbatim; none when the server has no resources.
    pub async fn list_resources(&self, limit: Duration) -> Result<ItemList, CallError> {
        match self.info.has("resources") {
            true => {
                self.caller
                    .pages("resources/list", "resources", limit)
                    .await
            }
            false => Ok(ItemList::default()),
        }
    }

    /// Fetches every page of resource templates, verbatim; none when the server has no resources.
    pub async fn list_resource_templates(&self, limit: Duration) -> Result<ItemList, CallError> {
        let (method, key) = ("resources/templates/list", "resourceTemplates");
        match self.info.has("resources") {
            true => self.caller.pages(method, key, limit).await,
            false => Ok(ItemList::default()),
        }
    }

    /// Fetches every page of prompts, verbatim; none when the server has no prompts.
    pub async fn list_prompts(&self, limit: Duration) -> Result<ItemList, CallError> {
        match self.info.has("prompts") {
            true => self.caller.pages("prompts/list", "prompts", limit).await,
            false => Ok(ItemList::default()),
        }
    }

    /// Fetches every page of skills, verbatim ([`crate::SkillEntry::read`]); none when the server
    /// offers none.
    pub async fn list_skills(&self, limit: Duration) -> Result<ItemList, CallError> {
        if !self.info.has_skills() {
            return Ok(ItemList::default());
        }
        self.caller.pages("skills/list", "skills", limit).await
    }

    /// Reads a resource; returns the result object verbatim.
    pub async fn read_resource(
        &self,
        uri: &str,
        options: CallOptions,
        cancel: CancellationToken,
    ) -> Result<Value, CallError> {
        let mut params = Map::new();
        params.insert("uri".to_owned(), Value::String(uri.to_owned()));
        self.request("resources/read", params, options, cancel)
            .await
    }

    /// Sends any other request; returns the result verbatim.
    pub async fn request(
        &self,
        method: &str,
        params: Map<String, Value>,
        options: CallOptions,
        cancel: CancellationToken,
    ) -> Result<Value, CallError> {
        self.caller.request(method, params, &options, &cancel).await
    }

    /// Completes when the connection has ended, however often it is asked.
    pub async fn closed(&self) -> ClosedReason {
        let mut closed = self.supervisor.closed();
        let reason = closed.wait_for(Option::is_some).await;
        let reason = reason.ok().and_then(|reason| reason.clone());
        reason.unwrap_or(ClosedReason::Shutdown)
    }

    /// Returns the last lines of a stdio server's stderr; empty for HTTP.
    pub fn stderr_tail(&self) -> String {
        self.supervisor.stderr_tail()
    }

    /// Ends the connection in order: stdin closed, then TERM, then KILL, all within `limit`.
    /// Every later call fails with [`CallError::Closed`].
    pub async fn shutdown(&self, limit: Duration) {
        self.supervisor.shutdown(limit).await;
    }
}

impl fmt::Debug for McpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpClient")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// What the server said about itself, in either era.
fn server_info(live: &Live) -> ServerInfo {
    let raw = live.tap.initialize_result();
    let peer = live.service.peer_info();
    let peer = peer.and_then(|peer| serde_json::to_value(&*peer).ok());
    let raw = raw.or(peer).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let server = raw.get("serverInfo");
    let about = |key: &str| text(server.and_then(|server| server.get(key)));
    ServerInfo {
        protocol_version: text(raw.get("protocolVersion")).unwrap_or_default(),
        name: about("name").unwrap_or_default(),
        title: about("title"),
        version: about("version").unwrap_or_default(),
        instructions: text(raw.get("instructions")),
        capabilities: raw.get("capabilities").cloned().unwrap_or_default(),
    }
}
