//! What the engine and the small commands hold: snapshots, calls, the end.

mod skills;

use std::sync::Arc;
use std::time::Duration;

use codex_config::{McpServerConfig, OffReason};
use codex_protocol::{McpOutcome, ServerName, ToolRef};
use codex_rmcp_client::{
    CallError as ConnectionError, CallOptions, Hint, ItemList, ProgressSink, ServerInfo,
};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::start::knock;
use super::{Connection, Ends, Input, RENEWAL_LIMIT, Shared, Slot, Stop};
use crate::catalog::{HiddenReason, ToolCatalog};
use crate::error::{CallError, StartFailure};
use crate::filter::{FilterVerdict, judge_tool};
use crate::naming::ToolNamer;
use crate::notice::{McpNotice, quoted};

/// A call that makes progress may take this many times its idle limit.
const PROGRESS_FACTOR: u32 = 4;

/// A cheap handle on all servers; clones see the same state.
#[derive(Debug, Clone)]
pub struct McpHandle {
    pub(super) shared: watch::Receiver<Arc<Shared>>,
    catalogs: watch::Sender<Arc<ToolCatalog>>,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) stop: Arc<Stop>,
    ends: Ends,
}

/// How one call runs.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CallContext {
    /// Limit between two signs of life; `None` = the server's `tool_timeout_sec`.
    pub idle_timeout: Option<Duration>,
    /// Hears how far the call is.
    pub on_progress: Option<ProgressSink>,
}

impl std::fmt::Debug for CallContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallContext")
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}

/// Where one server stands, for people.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The server.
    pub server: ServerName,
    /// Where it stands.
    pub state: ServerState,
}

/// Where a server stands.
#[derive(Debug, Clone)]
pub enum ServerState {
    /// It is not to run; why.
    Off(OffReason),
    /// It is being started.
    Starting,
    /// It can be called.
    Ready(Box<ServerInfo>),
    /// It ended and is being started again.
    Restarting,
    /// It was given up. After a [`StartFailure::Login`] it is started again as soon as somebody has
    /// logged in ([`McpHandle::retry_logins`]).
    Failed(Arc<StartFailure>),
}

/// A server whose tools are not in a catalog, and may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentServer {
    /// The server.
    pub server: ServerName,
    /// The namespace that its tools will have, unless another server's falls together with it.
    pub namespace: String,
    /// One sentence that says why.
    pub why: String,
}

/// Tells when servers come to stand elsewhere.
#[derive(Debug, Clone)]
pub struct StatusChanges(watch::Receiver<Arc<Shared>>);

impl StatusChanges {
    /// Lets the next look return at once.
    pub fn mark_changed(&mut self) {
        self.0.mark_changed();
    }

    /// Waits for a change and returns where every server stands then; changes that follow fast may
    /// be told as one. `None` when there are no servers any more. Cancel safe.
    pub async fn next(&mut self) -> Option<Vec<ServerStatus>> {
        self.0.changed().await.ok()?;
        Some(statuses(&self.0.borrow_and_update().clone()))
    }
}

fn statuses(shared: &Shared) -> Vec<ServerStatus> {
    let status = |(server, slot): (&ServerName, &Slot)| ServerStatus {
        server: server.clone(),
        state: match slot {
            Slot::Off(why) => ServerState::Off(why.clone()),
            Slot::Starting { restart: false } => ServerState::Starting,
            Slot::Starting { restart: true } => ServerState::Restarting,
            Slot::Ready(connection) => {
                ServerState::Ready(Box::new(connection.client.info().clone()))
            }
            Slot::Failed(failure) | Slot::LoggedOut { failure, .. } => {
                ServerState::Failed(failure.clone())
            }
        },
    };
    shared.slots.iter().map(status).collect()
}

impl McpHandle {
    pub(super) fn new(
        shared: watch::Receiver<Arc<Shared>>,
        catalogs: watch::Sender<Arc<ToolCatalog>>,
        inbox: mpsc::Sender<Input>,
        stop: Arc<Stop>,
        ends: Ends,
    ) -> Self {
        Self {
            shared,
            catalogs,
            inbox,
            stop,
            ends,
        }
    }

    /// Waits until a server has listed its tools or was given up; cancelling ends the wait.
    pub async fn listed(&self, server: &ServerName, cancel: &CancellationToken) {
        let mut shared = self.shared.clone();
        loop {
            let now = shared.borrow_and_update().clone();
            let is_over = match now.slots.get(server) {
                None | Some(Slot::Off(_) | Slot::Failed(_) | Slot::LoggedOut { .. }) => true,
                Some(Slot::Ready(_) | Slot::Starting { .. }) => {
                    now.catalog.server(server).is_some()
                }
            };
            if is_over {
                return;
            }
            tokio::select! {
                changed = shared.changed() => if changed.is_err() { return },
                () = cancel.cancelled() => return,
            }
        }
    }

    /// Returns the tools of this moment; keep it for a whole turn.
    pub fn catalog(&self) -> Arc<ToolCatalog> {
        self.shared.borrow().catalog.clone()
    }

    /// Returns a channel that holds the newest catalog.
    pub fn catalogs(&self) -> watch::Receiver<Arc<ToolCatalog>> {
        self.catalogs.subscribe()
    }

    /// Returns where every configured server stands, by name.
    pub fn statuses(&self) -> Vec<ServerStatus> {
        let shared = self.shared.borrow().clone();
        statuses(&shared)
    }

    /// Returns the changes of the statuses from now on.
    pub fn status_changes(&self) -> StatusChanges {
        StatusChanges(self.shared.clone())
    }

    /// Returns the servers that have no tools in `catalog` and may have some later, since they are
    /// being started or wait for a login.
    pub fn absent(&self, catalog: &ToolCatalog) -> Vec<AbsentServer> {
        let shared = self.shared.borrow().clone();
        let why = |server: &ServerName, slot: &Slot| match slot {
            // Ready, too: its tools come after the connection, and `catalog` may be an older one.
            Slot::Starting { .. } | Slot::Ready(_) if catalog.server(server).is_none() => {
                Some(format!(
                    "MCP server `{server}` is still starting; its tools join when they are ready"
                ))
            }
            Slot::LoggedOut { failure, .. } => Some(failure.why(server)),
            Slot::Off(_) | Slot::Failed(_) | Slot::Starting { .. } | Slot::Ready(_) => None,
        };
        let absent = shared.slots.iter().filter_map(|(server, slot)| {
            Some(AbsentServer {
                server: server.clone(),
                namespace: ToolNamer::namespace(server),
                why: why(server, slot)?,
            })
        });
        absent.collect()
    }

    /// Calls a tool by its raw names; waits when its server is being started.
    ///
    /// Calls of one server run one after another unless `supports_parallel_tool_calls` is set; waiting
    /// for the turn does not count towards the call's own limit.
    pub async fn call(
        &self,
        tool: &ToolRef,
        arguments: Map<String, Value>,
        context: CallContext,
        cancel: &CancellationToken,
    ) -> Result<McpOutcome, CallError> {
        let config = self.config(&tool.server)?;
        if let FilterVerdict::Off(by) = judge_tool(&config.tools, &tool.tool) {
            return Err(CallError::Hidden {
                tool: tool.clone(),
                why: format!("{by} of the server leaves it out"),
            });
        }
        let idle_timeout = context.idle_timeout.unwrap_or(config.tool_timeout());
        let options = CallOptions {
            idle_timeout,
            max_total: idle_timeout.saturating_mul(PROGRESS_FACTOR),
            on_progress: context.on_progress,
        };
        loop {
            let connection = self.connection(&config, None, cancel).await?;
            self.check_hidden(tool)?;
            let _turn = match config.supports_parallel_tool_calls {
                true => None,
                false => Some(or_cancelled(cancel, connection.turn.lock()).await?),
            };
            if has_ended(&connection).await {
                // It ended while this call waited for its turn. Nothing was sent, so the next
                // connection can have it.
                self.connection(&config, Some(&connection), cancel).await?;
                continue;
            }
            let answer = connection
                .client
                .call_tool(&tool.tool, arguments, options, cancel.clone())
                .await;
            return answer.map_err(|error| self.explain(&tool.server, error));
        }
    }

    /// Lists the resources of a server, verbatim.
    pub async fn list_resources(
        &self,
        server: &ServerName,
        cancel: &CancellationToken,
    ) -> Result<Vec<Value>, CallError> {
        let config = self.config(server)?;
        let connection = self.connection(&config, None, cancel).await?;
        let listed = connection.client.list_resources(config.tool_timeout());
        self.whole_or_told("resources", server, or_cancelled(cancel, listed).await?)
            .await
    }

    /// Lists the resource templates of a server, verbatim.
    pub async fn list_resource_templates(
        &self,
        server: &ServerName,
        cancel: &CancellationToken,
    ) -> Result<Vec<Value>, CallError> {
        let config = self.config(server)?;
        let connection = self.connection(&config, None, cancel).await?;
        let client = &connection.client;
        let listed = client.list_resource_templates(config.tool_timeout());
        let listed = or_cancelled(cancel, listed).await?;
        self.whole_or_told("resource templates", server, listed)
            .await
    }

    /// Lists the prompts of a server, verbatim.
    pub async fn list_prompts(
        &self,
        server: &ServerName,
        cancel: &CancellationToken,
    ) -> Result<Vec<Value>, CallError> {
        let config = self.config(server)?;
        let connection = self.connection(&config, None, cancel).await?;
        let listed = connection.client.list_prompts(config.tool_timeout());
        self.whole_or_told("prompts", server, or_cancelled(cancel, listed).await?)
            .await
    }

    /// Says when a list is not the whole list.
    async fn whole_or_told(
        &self,
        what: &str,
        server: &ServerName,
        listed: Result<ItemList, ConnectionError>,
    ) -> Result<Vec<Value>, CallError> {
        let list = listed.map_err(|error| self.explain(server, error))?;
        if let Some(why) = list.truncated {
            let why = quoted(&why);
            let text = format!("the {what} of MCP server `{server}` are incomplete: {why}");
            self.say(McpNotice::about(server, text)).await;
        }
        Ok(list.items)
    }

    /// Reads a resource; returns the result object verbatim.
    pub async fn read_resource(
        &self,
        server: &ServerName,
        uri: &str,
        cancel: &CancellationToken,
    ) -> Result<Value, CallError> {
        let config = self.config(server)?;
        let connection = self.connection(&config, None, cancel).await?;
        if uri.starts_with("skill:") && connection.client.info().has_skills() {
            return Err(CallError::Skill {
                server: server.clone(),
                skill: quoted(uri),
                why: "its files are read as those of a skill, where they are checked".to_owned(),
            });
        }
        let options = CallOptions::with_idle_timeout(config.tool_timeout());
        let answer = connection
            .client
            .read_resource(uri, options, cancel.clone())
            .await;
        answer.map_err(|error| self.explain(server, error))
    }

    /// Stops all servers side by side; none is alive after `limit`. Only the renewal of a login that
    /// is under way is waited for longer, at most 10 s: without its end the login would be lost.
    pub async fn shutdown(&self, limit: Duration) {
        // A tenth is left for the reports; the first limit that is given holds.
        let _ = self.stop.limit.set(limit.mul_f32(0.9));
        self.stop.token.cancel();
        // Beyond the limit the owner's runtime ends, and with it each server's process group.
        let _ = tokio::time::timeout(limit, self.ends.servers.wait()).await;
        let _ = tokio::time::timeout(RENEWAL_LIMIT, self.ends.renewals.wait()).await;
    }

    fn config(&self, server: &ServerName) -> Result<Arc<McpServerConfig>, CallError> {
        let shared = self.shared.borrow();
        let config = shared.servers.get(server).cloned();
        config.ok_or_else(|| CallError::UnknownServer(server.clone()))
    }

    fn check_hidden(&self, tool: &ToolRef) -> Result<(), CallError> {
        let catalog = self.catalog();
        let hidden = catalog
            .server(&tool.server)
            .map(|server| server.hidden.as_slice())
            .unwrap_or_default();
        match hidden
            .iter()
            .find(|hidden| hidden.name == tool.tool)
            .map(|hidden| &hidden.reason)
        {
            Some(HiddenReason::Invalid(why) | HiddenReason::Held(why))
                if catalog.get(tool).is_none() =>
            {
                Err(CallError::Hidden {
                    tool: tool.clone(),
                    why: why.clone(),
                })
            }
            // What was not listed was not judged.
            None if self.config(&tool.server)?.pin_tools && catalog.get(tool).is_none() => {
                Err(CallError::Hidden {
                    tool: tool.clone(),
                    why: "it is not among the pinned tools of its server".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Returns the server's connection, other than `ended`, waiting for a start within its limit.
    async fn connection(
        &self,
        config: &McpServerConfig,
        ended: Option<&Arc<Connection>>,
        cancel: &CancellationToken,
    ) -> Result<Arc<Connection>, CallError> {
        let mut shared = self.shared.clone();
        let server = &config.name;
        let limit = config.startup_timeout();
        let deadline = Instant::now() + limit;
        let not_running = |why: String, hints: Vec<Hint>| CallError::NotRunning {
            server: server.clone(),
            why,
            hints,
        };
        loop {
            let now = shared.borrow_and_update().clone();
            match now.slots.get(server) {
                None => return Err(CallError::UnknownServer(server.clone())),
                Some(Slot::Off(why)) => {
                    return Err(CallError::Off {
                        server: server.clone(),
                        why: why.why(),
                    });
                }
                Some(Slot::Failed(failure)) => {
                    return Err(not_running(failure.why(server), failure.hints()));
                }
                Some(Slot::LoggedOut { failure, door }) => {
                    if !knock(door.clone(), cancel).await {
                        return Err(not_logged_in(server, failure));
                    }
                }
                Some(Slot::Ready(connection))
                    if !ended.is_some_and(|ended| Arc::ptr_eq(ended, connection)) =>
                {
                    return Ok(connection.clone());
                }
                Some(Slot::Ready(_) | Slot::Starting { .. }) => {}
            }
            tokio::select! {
                changed = shared.changed() => {
                    changed.map_err(|_| not_running("it was stopped".to_owned(), Vec::new()))?;
                }
                () = cancel.cancelled() => return Err(CallError::Cancelled),
                () = self.stop.token.cancelled() => return Err(not_running("it was stopped".to_owned(), Vec::new())),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(not_running(format!("it was not ready within {limit:?}"), Vec::new()));
                }
            }
        }
    }

    fn explain(&self, server: &ServerName, error: ConnectionError) -> CallError {
        match error {
            ConnectionError::Closed { reason } => CallError::ServerEnded {
                server: server.clone(),
                reason,
            },
            ConnectionError::Cancelled => CallError::Cancelled,
            other => CallError::Connection(other),
        }
    }

    pub(super) async fn say(&self, notice: McpNotice) {
        // The actor ends only together with everything that a notice could be about.
        let _ = self.inbox.send(Input::Notice(notice)).await;
    }
}

fn not_logged_in(server: &ServerName, failure: &StartFailure) -> CallError {
    match failure.wanted_login() {
        Some(wanted) => CallError::NotLoggedIn {
            sentence: failure.why(server),
            wanted: Box::new(wanted.clone()),
        },
        None => CallError::NotRunning {
            server: server.clone(),
            why: failure.why(server),
            hints: failure.hints(),
        },
    }
}

async fn or_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, CallError> {
    tokio::select! {
        done = work => Ok(done),
        () = cancel.cancelled() => Err(CallError::Cancelled),
    }
}

async fn has_ended(connection: &Connection) -> bool {
    tokio::select! {
        biased;
        _ = connection.client.closed() => true,
        () = std::future::ready(()) => false,
    }
}
