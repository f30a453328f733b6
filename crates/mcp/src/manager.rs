//! The actor that owns the state of every server.
//!
//! One task per server ([`server`]) connects, lists, watches and restarts; it reports here. This loop
//! alone changes the slots and publishes snapshots; [`McpHandle`] only reads snapshots, so a call never
//! waits for the actor. Newer settings ([`McpHandle::apply`]) reach a task through its lane ([`lane`]);
//! what a task says of an earlier run is dropped. Trap: a notice must be in the reader's channel
//! *before* the state that it explains is visible, otherwise "server failed" could follow the turn
//! that lacks the server.

mod apply;
mod handle;
mod lane;
mod questions;
mod server;
mod start;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codex_config::{Enablement, McpServerConfig, OffReason};
use codex_protocol::ServerName;
use codex_rmcp_client::McpClient;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use handle::{AbsentServer, CallContext, McpHandle, ServerState, ServerStatus, StatusChanges};

use crate::catalog::{ServerListing, ToolCatalog};
use crate::error::StartFailure;
use crate::notice::McpNotice;
use crate::settings::McpSettings;
use apply::Apply;
use lane::Lane;

/// How long a server may take to end when its owner does not say otherwise.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1800);
/// How long the end waits for the renewal of a login that is under way.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);
/// Reports that may wait for the actor.
const INBOX_CAPACITY: usize = 64;
/// Notices that may wait for their reader; beyond it the newest are dropped and counted.
const MAX_WAITING_NOTICES: usize = 256;

/// Starts and keeps the connections to all servers.
#[derive(Debug)]
pub struct McpManager;

impl McpManager {
    /// Starts every enabled server side by side and returns at once.
    ///
    /// The tasks run on `tasks` and end when `cancel` is cancelled or by [`McpHandle::shutdown`];
    /// servers are stopped in order in both cases. Notices wait for a slow reader of `notices`.
    pub fn start(
        settings: McpSettings,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
        notices: mpsc::Sender<McpNotice>,
    ) -> McpHandle {
        let settings = Arc::new(settings);
        let stop = Arc::new(Stop::new(cancel.child_token()));
        let (inbox_sender, inbox) = mpsc::channel(INBOX_CAPACITY);
        let ends = Ends {
            servers: TaskTracker::new(),
            renewals: TaskTracker::new(),
        };
        ends.servers.close();
        ends.renewals.close();
        let first = Arc::new(Shared::default());
        let (published, shared) = watch::channel(first);
        let (catalogs, _) = watch::channel(Arc::default());
        let mut actor = Actor {
            inbox,
            reports: inbox_sender.downgrade(),
            stop: stop.clone(),
            ends: ends.clone(),
            servers: Arc::default(),
            lanes: BTreeMap::new(),
            slots: BTreeMap::new(),
            listings: BTreeMap::new(),
            published,
            catalogs: catalogs.clone(),
            outbox: VecDeque::new(),
            n_dropped: 0,
            notices: Some(notices),
        };
        actor.apply(&settings, &apply::all_added(&settings.servers));
        tasks.spawn(actor.run());
        McpHandle::new(shared, catalogs, inbox_sender, stop, ends)
    }
}

/// The end of everything: when, and how long each server may take.
#[derive(Debug)]
struct Stop {
    token: CancellationToken,
    limit: Arc<OnceLock<Duration>>,
}

impl Stop {
    fn new(token: CancellationToken) -> Self {
        Self {
            token,
            limit: Arc::default(),
        }
    }

    /// Returns the end of one run of one server, which comes with everything's end or before it.
    fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            limit: self.limit.clone(),
        }
    }

    /// How long one server may take to end.
    fn limit(&self) -> Duration {
        self.limit.get().copied().unwrap_or(SHUTDOWN_LIMIT)
    }
}

/// What is waited for at the end: the servers, and then what they left to be done.
#[derive(Debug, Clone)]
struct Ends {
    servers: TaskTracker,
    renewals: TaskTracker,
}

/// Every configured server.
type Servers = BTreeMap<ServerName, Arc<McpServerConfig>>;

/// What readers see: one consistent moment.
#[derive(Debug, Default)]
struct Shared {
    catalog: Arc<ToolCatalog>,
    slots: BTreeMap<ServerName, Slot>,
    servers: Arc<Servers>,
}

/// Where one server stands.
#[derive(Debug, Clone)]
enum Slot {
    /// It is not to run.
    Off(OffReason),
    /// It is being connected, for the first time or after its end.
    Starting { restart: bool },
    /// It can be called.
    Ready(Arc<Connection>),
    /// It was given up.
    Failed(Arc<StartFailure>),
    /// It waits until somebody has logged in to it, here or in another program.
    LoggedOut {
        failure: Arc<StartFailure>,
        door: Door,
    },
}

/// Where the task of a server that waits for a login can be knocked at: it then looks at the store.
type Door = mpsc::Sender<Knock>;

/// One knock; answered when it is clear whether the server is started again.
type Knock = oneshot::Sender<bool>;

impl Slot {
    fn before_start(config: &McpServerConfig) -> Self {
        match &config.enablement {
            Enablement::On => Self::Starting { restart: false },
            Enablement::Off(reason @ OffReason::Invalid { .. }) if config.required => {
                Self::Failed(Arc::new(StartFailure::Config { why: reason.why() }))
            }
            Enablement::Off(reason) => Self::Off(reason.clone()),
        }
    }

    /// Whether the first attempt is over, one way or the other.
    fn is_settled(&self) -> bool {
        !matches!(self, Self::Starting { restart: false })
    }
}

/// A live connection and the queue of its calls.
#[derive(Debug)]
struct Connection {
    client: McpClient,
    /// Held during a call when the server does not say that it can run several; fair, so in order.
    turn: Mutex<()>,
}

/// Everything that can wake the actor.
#[derive(Debug)]
enum Input {
    /// A server's task tells where the server stands.
    Server {
        server: ServerName,
        /// Which run of the server; what an earlier one says counts no more.
        run: u64,
        report: Report,
    },
    /// Newer settings hold from now on.
    Apply(Box<Apply>),
    /// Somebody has something to say.
    Notice(McpNotice),
}

/// Where a server stands.
#[derive(Debug)]
enum Report {
    /// It can be called; its tools may still be unknown.
    Connected(Arc<Connection>),
    /// Its tools are known, or known anew.
    Listed(Arc<ServerListing>),
    /// It ended and is started again; its tools stay on offer meanwhile.
    Restarting,
    /// It was given up.
    Failed {
        failure: Arc<StartFailure>,
        /// Present when a login would help.
        door: Option<Door>,
    },
    /// Somebody has logged in to it, and it is started again now.
    LoggedIn(Knock),
}

struct Actor {
    inbox: mpsc::Receiver<Input>,
    /// For new lanes; weak, so that the actor does not keep itself alive.
    reports: mpsc::WeakSender<Input>,
    stop: Arc<Stop>,
    ends: Ends,
    servers: Arc<Servers>,
    /// The lane of every server that was ever to run.
    lanes: BTreeMap<ServerName, Lane>,
    slots: BTreeMap<ServerName, Slot>,
    listings: BTreeMap<ServerName, Arc<ServerListing>>,
    published: watch::Sender<Arc<Shared>>,
    catalogs: watch::Sender<Arc<ToolCatalog>>,
    outbox: VecDeque<McpNotice>,
    n_dropped: usize,
    /// `None` when nobody listens any more.
    notices: Option<mpsc::Sender<McpNotice>>,
}

impl Actor {
    async fn run(mut self) {
        let (stop, ends) = (self.stop.clone(), self.ends.clone());
        let stopped = async {
            stop.token.cancelled().await;
            ends.servers.wait().await;
            ends.renewals.wait().await;
        };
        tokio::pin!(stopped);
        loop {
            let sender = self.notices.clone().filter(|_| !self.outbox.is_empty());
            let room = async {
                match &sender {
                    Some(sender) => sender.reserve().await.map(drop).is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // In this order reports are never starved by a reader of notices.
                biased;
                input = self.inbox.recv() => match input {
                    Some(input) => self.on_input(input),
                    None => return,
                },
                is_open = room => match is_open {
                    true => self.flush(),
                    false => self.notices = None,
                },
                () = &mut stopped => return,
            }
        }
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Server {
                server,
                run,
                report,
            } => {
                let lane = self.lanes.get(&server);
                if lane.is_some_and(|lane| lane.is_on(run)) {
                    self.on_report(server, report);
                }
            }
            Input::Apply(apply) => {
                self.apply(&apply.settings, &apply.changes);
                // Who asked may have left.
                let _ = apply.done.send(());
            }
            Input::Notice(notice) => {
                if self.outbox.len() < MAX_WAITING_NOTICES {
                    self.outbox.push_back(notice);
                } else {
                    self.n_dropped += 1;
                }
                self.flush();
            }
        }
    }

    fn on_report(&mut self, server: ServerName, report: Report) {
        match report {
            Report::Connected(connection) => {
                self.slots.insert(server, Slot::Ready(connection));
                self.publish();
            }
            Report::Listed(listing) => {
                self.listings.insert(server, listing);
                self.publish_catalog();
            }
            Report::Restarting => {
                self.slots.insert(server, Slot::Starting { restart: true });
                self.publish();
            }
            Report::LoggedIn(knock) => {
                self.slots.insert(server, Slot::Starting { restart: false });
                self.publish();
                // Who knocked may have left.
                let _ = knock.send(true);
            }
            Report::Failed { failure, door } => {
                let had_tools = self.listings.remove(&server).is_some();
                let slot = match door {
                    Some(door) => Slot::LoggedOut { failure, door },
                    None => Slot::Failed(failure),
                };
                self.slots.insert(server, slot);
                if had_tools {
                    self.publish_catalog()
                } else {
                    self.publish()
                }
            }
        }
    }

    /// Hands over as many notices as the reader has room for.
    fn flush(&mut self) {
        let Some(notices) = &self.notices else {
            self.outbox.clear();
            return;
        };
        while let Some(notice) = self.outbox.pop_front() {
            if let Err(error) = notices.try_send(notice) {
                if let mpsc::error::TrySendError::Full(notice) = error {
                    self.outbox.push_front(notice);
                }
                return;
            }
        }
        if self.n_dropped > 0 {
            let text = format!(
                "... and {} more notices about MCP servers",
                std::mem::take(&mut self.n_dropped)
            );
            self.outbox.push_back(McpNotice {
                server: None,
                tool: None,
                text,
                hints: Vec::new(),
            });
        }
    }

    fn publish(&self) {
        let catalog = self.published.borrow().catalog.clone();
        self.publish_with(catalog);
    }

    fn publish_catalog(&self) {
        let catalog = Arc::new(ToolCatalog::build(&self.listings));
        self.publish_with(catalog.clone());
        self.catalogs.send_replace(catalog);
    }

    fn publish_with(&self, catalog: Arc<ToolCatalog>) {
        self.published.send_replace(Arc::new(Shared {
            catalog,
            slots: self.slots.clone(),
            servers: self.servers.clone(),
        }));
    }
}
