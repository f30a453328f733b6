//! The life of one server: connect, list, watch, restart, end.
//!
//! Every path out of here leaves either a report of failure with its notice, or the stop that the owner
//! asked for: a server never vanishes silently. While a server restarts, its tools stay on offer, so
//! that the list the model sees does not flicker; a call waits for the new connection.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use codex_config::{McpServerConfig, StartupReadiness};
use codex_protocol::ServerName;
use codex_rmcp_client::{
    CallError as ConnectionError, ClosedReason, ConnectError, ConnectOptions, ElicitationSupport,
    McpClient, Probe, RequestAuth, ServerEndpoint, ServerEvent, ToolList,
};
use http::header::AUTHORIZATION;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::lane::Order;
use super::questions::answer;
use super::{Connection, Door, Input, Knock, RENEWAL_LIMIT, Report, Stop};
use crate::auth::TokenSupply;
use crate::catalog::ServerListing;
use crate::error::StartFailure;
use crate::notice::{McpNotice, quoted};
use crate::pins::ToolPins;
use crate::resolve::{Resolved, http_client, resolve_endpoint};
use crate::settings::{ListChanges, McpSettings};

/// Events of one connection that may wait for its task.
const EVENTS_CAPACITY: usize = 64;
/// A server that announces changes all the time is listed at most this often.
const RELIST_GAP: Duration = Duration::from_millis(250);
/// Knocks that may wait while the store is looked at.
const KNOCKS_CAPACITY: usize = 16;
/// Sentences that are remembered, so that a server whose faults have ever new names costs no memory.
const MAX_SAID: usize = 1_000;

/// The task of one server.
pub(super) struct ServerTask {
    config: Arc<McpServerConfig>,
    settings: Arc<McpSettings>,
    run: u64,
    /// What holds from now on.
    orders: watch::Receiver<Order>,
    inbox: mpsc::Sender<Input>,
    stop: Arc<Stop>,
    /// The tokens of its login, once it was asked for.
    tokens: Option<TokenSupply>,
    /// The era of the last connection: a restart does not try the other one first.
    era: Option<Probe>,
    /// Sentences that were said already.
    said: HashSet<String>,
}

/// A connection that is ready to be served.
struct Connected {
    connection: Arc<Connection>,
    events: mpsc::Receiver<ServerEvent>,
    /// Whether the tools changed while they were listed for the first time.
    has_changed: bool,
    /// Until when the first list of tools must be there.
    deadline: Instant,
}

/// How one connection went, from its first try to its end.
enum Life {
    /// The owner asked for the end.
    Stopped,
    /// It ended on its own.
    Ended { status: String, lived: Duration },
    /// It never got as far as to be used.
    Failed(StartFailure),
}

/// Why serving a connection ended.
enum End {
    /// The owner asked for it.
    Stopped,
    /// The connection ended on its own.
    Closed(String),
    /// It lives, but its tools cannot be listed.
    NoTools(ConnectionError),
}

impl ServerTask {
    pub(super) fn new(
        config: Arc<McpServerConfig>,
        order: &Order,
        orders: watch::Receiver<Order>,
        inbox: mpsc::Sender<Input>,
        stop: Arc<Stop>,
    ) -> Self {
        Self {
            config,
            settings: order.settings.clone(),
            run: order.run,
            orders,
            inbox,
            stop,
            tokens: None,
            era: None,
            said: HashSet::new(),
        }
    }

    /// Runs until the server is given up or the owner cancels. What is left then goes to `renewals`:
    /// a renewal that began must reach the store, for its old token is worth nothing any more.
    pub(super) async fn run(mut self, renewals: TaskTracker) {
        self.live().await;
        if let Some(tokens) = self.tokens.clone() {
            renewals.spawn(async move {
                tokens.settle(RENEWAL_LIMIT).await;
                self.say_what_tokens_say().await;
            });
        }
    }

    /// Tells what the login of the server and its store have to say.
    async fn say_what_tokens_say(&mut self) {
        let warnings = self.tokens.as_ref().map(TokenSupply::take_warnings);
        for warning in warnings.unwrap_or_default() {
            self.say_once(McpNotice::about(&self.config.name.clone(), warning))
                .await;
        }
    }

    async fn live(&mut self) {
        let stop = self.stop.clone();
        let mut n_restarts: u32 = 0;
        let mut has_run = false;
        loop {
            match self.one_life().await {
                Life::Stopped => return,
                Life::Ended { status, lived } => {
                    has_run = true;
                    if lived >= self.settings.restart.stable_after {
                        n_restarts = 0;
                    }
                    if n_restarts == self.settings.restart.max_restarts {
                        let n_times = n_restarts + 1;
                        let failure = StartFailure::KeepsEnding { n_times, status };
                        return self.give_up(failure, has_run, None).await;
                    }
                    let notice = McpNotice::ended(self.name(), &status);
                    self.send(Input::Notice(notice)).await;
                    self.report(Report::Restarting).await;
                }
                Life::Failed(_) if stop.token.is_cancelled() => return,
                Life::Failed(failure) if failure.wanted_login().is_some() => {
                    if !self.wait_for_login(failure, has_run).await {
                        return;
                    }
                    n_restarts = 0;
                    continue;
                }
                // That it is being restarted was said; a further attempt needs no further notice.
                Life::Failed(_) if has_run && n_restarts < self.settings.restart.max_restarts => {}
                Life::Failed(failure) => return self.give_up(failure, has_run, None).await,
            }
            let delay = self.restart_delay(n_restarts);
            n_restarts += 1;
            tokio::select! {
                () = stop.token.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Connects, serves, and ends what is left of the connection.
    async fn one_life(&mut self) -> Life {
        let connected = match self.connect().await {
            Ok(connected) => connected,
            Err(failure) => return Life::Failed(failure),
        };
        let connection = connected.connection.clone();
        let since = Instant::now();
        let end = self.serve(connected).await;
        // What the leader left behind ends too, before any successor starts.
        connection.client.shutdown(self.stop.limit()).await;
        match end {
            End::Closed(status) if !self.stop.token.is_cancelled() => Life::Ended {
                status,
                lived: since.elapsed(),
            },
            End::Stopped | End::Closed(_) => Life::Stopped,
            End::NoTools(error) => Life::Failed(StartFailure::Catalog(error)),
        }
    }

    /// Says that a login is wanted and waits for one; `false` when none can come.
    ///
    /// Nobody looks at the store unless somebody knocks: a keyring is not asked every other second
    /// by a program that nobody uses.
    async fn wait_for_login(&mut self, failure: StartFailure, has_run: bool) -> bool {
        let Some(TokenSupply::Stored(source)) = self.tokens.clone() else {
            self.give_up(failure, has_run, None).await;
            return false;
        };
        let refused = source.last_token().await;
        let (door, mut knocks) = mpsc::channel::<Knock>(KNOCKS_CAPACITY);
        self.give_up(failure, has_run, Some(door)).await;
        loop {
            let knock = tokio::select! {
                () = self.stop.token.cancelled() => return false,
                knock = knocks.recv() => knock,
            };
            let Some(knock) = knock else {
                return false;
            };
            if source.has_login_besides(refused.as_ref()).await {
                self.report(Report::LoggedIn(knock)).await;
                return true;
            }
            // Who knocked may have left.
            let _ = knock.send(false);
        }
    }

    fn name(&self) -> &ServerName {
        &self.config.name
    }

    fn restart_delay(&self, n_restarts: u32) -> Duration {
        let policy = &self.settings.restart;
        policy
            .first_delay
            .saturating_mul(2_u32.saturating_pow(n_restarts))
            .min(policy.max_delay)
    }

    async fn send(&self, input: Input) {
        // The actor outlives its servers; after its end nobody needs the report.
        let _ = self.inbox.send(input).await;
    }

    async fn report(&self, report: Report) {
        self.send(Input::Server {
            server: self.name().clone(),
            run: self.run,
            report,
        })
        .await;
    }

    /// Takes over settings that need no new connection; whether there are any.
    fn update(&mut self) -> bool {
        let order = self.orders.borrow_and_update().clone();
        match order.config {
            Some(config) if order.run == self.run => {
                self.settings = order.settings;
                self.config = config;
                true
            }
            // The lane ends this run.
            Some(_) | None => false,
        }
    }

    /// Says something unless it was said before.
    async fn say_once(&mut self, notice: McpNotice) {
        if self.said.len() >= MAX_SAID || !self.said.insert(notice.text.clone()) {
            return;
        }
        self.send(Input::Notice(notice)).await;
        if self.said.len() == MAX_SAID {
            let name = self.name();
            let text = format!("further faults in the tools of MCP server `{name}` are not told");
            self.send(Input::Notice(McpNotice::about(name, text))).await;
        }
    }

    /// Gives the server up. The failure of a required server's first start fails the whole start, and
    /// that sentence says it; everything else is a notice.
    async fn give_up(&self, failure: StartFailure, has_run: bool, door: Option<Door>) {
        let failure = Arc::new(failure.in_words_of(&self.config));
        // After a change of the settings there is no start that could fail.
        let is_first = !has_run && self.run == 0;
        if !is_first || !self.config.required {
            let why = failure.why(self.name());
            let notice = match failure.as_ref() {
                StartFailure::Login { sentence, .. } => {
                    McpNotice::about(self.name(), sentence.clone())
                }
                StartFailure::Connect(ConnectError::Unreachable { reason, .. }) => {
                    McpNotice::unreachable(self.name(), reason, failure.hints())
                }
                _ => McpNotice::failed_to_start(self.name(), &why, failure.hints()),
            };
            self.send(Input::Notice(notice)).await;
        }
        self.report(Report::Failed { failure, door }).await;
    }

    /// Connects, and lists the tools unless being connected is ready enough.
    async fn connect(&mut self) -> Result<Connected, StartFailure> {
        let deadline = Instant::now() + self.config.startup_timeout();
        let resolved = resolve_endpoint(&self.config, &self.settings.env, &self.settings.cwd)?;
        for warning in resolved.warnings.clone() {
            self.say_once(McpNotice::about(&self.config.name, warning))
                .await;
        }
        self.find_tokens()?;
        let (client, mut events) = match self.connect_once(&resolved, deadline).await {
            // A helper's token can have run out between two uses: it is asked once more.
            Err(StartFailure::Connect(ConnectError::LoginRequired { .. }))
                if resolved.headers_helper.is_some() =>
            {
                self.connect_once(&resolved, deadline).await?
            }
            other => other?,
        };
        let connection = Arc::new(Connection {
            client,
            turn: Mutex::new(()),
        });
        let mut has_changed = false;
        if self.config.startup_readiness == StartupReadiness::Catalog {
            let listing = list_tools(&connection.client, deadline);
            tokio::pin!(listing);
            let listed = loop {
                tokio::select! {
                    biased;
                    listed = &mut listing => break listed,
                    reason = connection.client.closed() => {
                        break Err(ConnectionError::Closed { reason: closed_text(&reason) });
                    }
                    () = self.stop.token.cancelled() => break Err(ConnectionError::Cancelled),
                    // A server may ask before it lists, and would wait for the answer.
                    Some(event) = events.recv() => has_changed |= self.hear(event).await,
                }
            };
            match listed {
                Ok(list) => self.publish_list(&connection, list).await,
                Err(error) => {
                    connection.client.shutdown(self.stop.limit()).await;
                    return Err(StartFailure::Catalog(error));
                }
            }
        }
        self.say_what_tokens_say().await;
        self.report(Report::Connected(connection.clone())).await;
        Ok(Connected {
            connection,
            events,
            has_changed,
            deadline,
        })
    }

    /// Makes the token source of a server that may want a login; it is kept over restarts.
    fn find_tokens(&mut self) -> Result<(), StartFailure> {
        if let (None, Some(auth)) = (&self.tokens, &self.settings.auth) {
            self.tokens = auth.source(&self.config, &self.settings.cwd)?;
        }
        Ok(())
    }

    async fn connect_once(
        &mut self,
        resolved: &Resolved,
        deadline: Instant,
    ) -> Result<(McpClient, mpsc::Receiver<ServerEvent>), StartFailure> {
        let mut endpoint = resolved.endpoint.clone();
        if let (ServerEndpoint::Http(http), Some(helper)) =
            (&mut endpoint, &resolved.headers_helper)
        {
            let headers = tokio::select! {
                headers = helper.run(self.name()) => headers?,
                () = self.stop.token.cancelled() => {
                    return Err(ConnectError::Cancelled { server: self.name().clone() }.into());
                }
            };
            http.headers.extend(headers);
        }
        if let (ServerEndpoint::Http(http), Some(tokens)) = (&mut endpoint, &self.tokens)
            && !http.headers.contains_key(AUTHORIZATION)
        {
            http.auth = RequestAuth::OAuth(tokens.source());
        }
        // Forgotten when it fails: the server may have been updated.
        let probe = self.era.take().unwrap_or(match &endpoint {
            ServerEndpoint::Http(_) => Probe::Modern,
            ServerEndpoint::Stdio(_) => self.settings.probe,
        });
        let options = ConnectOptions {
            server: self.name().clone(),
            client: self.settings.client.clone(),
            startup_timeout: whole_millis(deadline.saturating_duration_since(Instant::now())),
            probe,
            elicitation: ElicitationSupport::FormAndUrl,
            http: http_client(
                &self.config,
                &self.settings.env,
                &self.settings.cwd,
                &self.settings.http,
            )?,
        };
        let (sender, events) = mpsc::channel(EVENTS_CAPACITY);
        let client = McpClient::connect(endpoint, options, sender, self.stop.token.clone()).await?;
        self.era = Some(client.info().era());
        Ok((client, events))
    }

    async fn publish_list(&mut self, connection: &Connection, list: ToolList) {
        let pinned = match self.config.pin_tools {
            true => {
                let (pins, tools) = (self.settings.pins.as_ref(), list.tools.clone());
                let instructions = connection.client.info().instructions.clone();
                Some(ToolPins::judged(pins, &self.config.name, tools, instructions).await)
            }
            false => None,
        };
        let info = connection.client.info();
        let mut listing = ServerListing::new(&self.config, info, list, pinned);
        for complaint in std::mem::take(&mut listing.complaints) {
            self.say_once(complaint).await;
        }
        self.report(Report::Listed(Arc::new(listing))).await;
    }

    /// Watches a connection until it ends.
    async fn serve(&mut self, connected: Connected) -> End {
        let Connected {
            connection,
            mut events,
            has_changed,
            deadline,
        } = connected;
        let stop = self.stop.clone();
        let mut lists: JoinSet<Result<ToolList, ConnectionError>> = JoinSet::new();
        let mut is_first = self.config.startup_readiness == StartupReadiness::Connection;
        let mut list_at: Option<Instant> = (is_first || has_changed).then(Instant::now);
        let mut events_open = true;
        loop {
            let due = list_at.filter(|_| lists.is_empty());
            tokio::select! {
                biased;
                () = stop.token.cancelled() => return End::Stopped,
                reason = connection.client.closed() => return match reason {
                    ClosedReason::Shutdown => End::Stopped,
                    reason => End::Closed(closed_text(&reason)),
                },
                event = events.recv(), if events_open => match event {
                    Some(event) => if self.hear(event).await {
                        list_at.get_or_insert_with(Instant::now);
                    },
                    None => events_open = false,
                },
                Ok(()) = self.orders.changed() => if self.update() {
                    // The filters of its tools may be other ones.
                    list_at.get_or_insert_with(Instant::now);
                },
                () = sleep_until(due) => {
                    list_at = None;
                    let connection = connection.clone();
                    let limit = self.config.startup_timeout();
                    let deadline = if is_first { deadline } else { Instant::now() + limit };
                    lists.spawn(async move { list_tools(&connection.client, deadline).await });
                }
                Some(listed) = lists.join_next() => {
                    list_at = list_at.map(|_| Instant::now() + RELIST_GAP);
                    match listed {
                        Ok(Ok(list)) => self.publish_list(&connection, list).await,
                        Ok(Err(error)) if is_first => return End::NoTools(error),
                        Ok(Err(ConnectionError::Closed { .. })) => {}
                        Ok(Err(error)) => {
                            let name = self.name();
                            let sentence = format!(
                                "MCP server `{name}` changed its tools and cannot list them: {error}; the earlier list stays"
                            );
                            self.send(Input::Notice(McpNotice::about(name, sentence))).await;
                        }
                        // The task was cancelled or panicked: the next change lists again.
                        Err(_) => {}
                    }
                    is_first = false;
                }
            }
        }
    }

    /// Takes in what the server says on its own; `true` when its tools are to be listed again.
    async fn hear(&self, event: ServerEvent) -> bool {
        match event {
            ServerEvent::ToolListChanged => self.settings.list_changes == ListChanges::Follow,
            ServerEvent::Elicitation { request, reply } => {
                let told = answer(&self.settings.elicitation, self.name(), request, reply);
                if let Some(notice) = told {
                    self.send(Input::Notice(notice)).await;
                }
                false
            }
            // Logs, and lists that nobody keeps.
            _ => false,
        }
    }
}

/// Rounds up, because the limit is read in messages: `400ms`, not `399.977549ms`.
fn whole_millis(limit: Duration) -> Duration {
    Duration::from_millis(u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Lists the tools; a server that never declared tools may refuse and simply has none.
async fn list_tools(client: &McpClient, deadline: Instant) -> Result<ToolList, ConnectionError> {
    let limit = deadline.saturating_duration_since(Instant::now());
    match client.list_tools(limit).await {
        Err(ConnectionError::Rpc { .. } | ConnectionError::Unsupported { .. })
            if !client.info().has("tools") =>
        {
            Ok(ToolList::default())
        }
        listed => listed,
    }
}

fn closed_text(reason: &ClosedReason) -> String {
    match reason {
        ClosedReason::Shutdown => "it was stopped".to_owned(),
        ClosedReason::Exited {
            status,
            stderr_tail,
        } => match stderr_tail.trim().lines().last() {
            Some(line) => format!("{status}; its stderr ended with: {}", quoted(line)),
            None => status.clone(),
        },
        ClosedReason::Transport(why) => quoted(why),
    }
}
