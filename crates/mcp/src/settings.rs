//! What the manager needs, already resolved from config and command line.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use codex_config::{Feature, Features, McpServerConfig};
use codex_host::{AbsPath, Env};
use codex_http::HttpClient;
use codex_protocol::ServerName;
use codex_rmcp_client::{ClientInfo, Elicitation, ElicitationReply, Probe};
use tokio::sync::{mpsc, oneshot};

use crate::auth::McpAuth;
use crate::pins::ToolPins;

/// Which servers run and how; `codex-runtime` makes it from the config.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct McpSettings {
    /// Every configured server, those that are off included.
    pub servers: BTreeMap<ServerName, McpServerConfig>,
    /// The environment that servers' variables are taken from.
    pub env: Env,
    /// The thread's working directory: default of the servers' own.
    pub cwd: AbsPath,
    /// Who we say we are.
    pub client: ClientInfo,
    /// The shared HTTP stack.
    pub http: HttpClient,
    /// The logins; without them a server that wants one is only told as refusing.
    pub auth: Option<McpAuth>,
    /// Where the pins of tools are; without it the tools of servers with `pin_tools` are held back.
    pub pins: Option<ToolPins>,
    /// Which era of the protocol is tried first with stdio servers; HTTP servers always negotiate.
    pub probe: Probe,
    /// What happens when a server asks the user something.
    pub elicitation: ElicitationPolicy,
    /// Whether the tools of a server may change while it runs.
    pub list_changes: ListChanges,
    /// How a server that ends is started again.
    pub restart: RestartPolicy,
}

impl McpSettings {
    /// Makes settings with the defaults of `exec`: nobody can be asked.
    pub fn new(
        servers: BTreeMap<ServerName, McpServerConfig>,
        env: Env,
        cwd: AbsPath,
        client: ClientInfo,
        http: HttpClient,
    ) -> Self {
        Self {
            servers,
            env,
            cwd,
            client,
            http,
            auth: None,
            pins: None,
            probe: Probe::default(),
            elicitation: ElicitationPolicy::default(),
            list_changes: ListChanges::default(),
            restart: RestartPolicy::default(),
        }
    }

    /// Sets what the user's feature flags decide.
    pub fn with_features(mut self, features: &Features) -> Self {
        if features.enabled(Feature::Mcp20260728) {
            self.probe = Probe::Modern;
        }
        if !features.enabled(Feature::McpToolListChanged) {
            self.list_changes = ListChanges::Ignore;
        }
        self
    }
}

/// Whether `tools/list_changed` is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListChanges {
    /// The tools are listed again; the new ones join the next catalog.
    #[default]
    Follow,
    /// The first list stays until the server is started again.
    Ignore,
}

/// What happens when a server asks the user something (elicitation).
#[derive(Clone)]
pub enum ElicitationPolicy {
    /// Declined, with a notice that ends in these words, for example `exec cannot ask`.
    Decline(&'static str),
    /// A form without fields is accepted, as the user waved all approvals; the rest is declined, with
    /// a notice that ends in these words.
    AcceptEmptyForms(&'static str),
    /// The frontend asks; a question that it does not take is declined with a notice.
    Ask(mpsc::Sender<ElicitationRequest>),
}

impl Default for ElicitationPolicy {
    fn default() -> Self {
        Self::Decline("exec cannot ask")
    }
}

impl fmt::Debug for ElicitationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decline(why) => f.debug_tuple("Decline").field(why).finish(),
            Self::AcceptEmptyForms(why) => f.debug_tuple("AcceptEmptyForms").field(why).finish(),
            Self::Ask(_) => f.write_str("Ask"),
        }
    }
}

/// A question of a server to the user; dropping `reply` declines.
#[derive(Debug)]
pub struct ElicitationRequest {
    /// Who asks.
    pub server: ServerName,
    /// What it asks; untrusted text.
    pub question: Elicitation,
    /// Where the answer goes.
    pub reply: oneshot::Sender<ElicitationReply>,
}

/// How a server that ended on its own is started again.
#[derive(Debug, Clone, Copy)]
pub struct RestartPolicy {
    /// Wait before the first restart; doubled for each further one.
    pub first_delay: Duration,
    /// Longest wait.
    pub max_delay: Duration,
    /// Restarts in a row; the next end is final.
    pub max_restarts: u32,
    /// A server that lived this long begins to count anew.
    pub stable_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(30),
            max_restarts: 5,
            stable_after: Duration::from_secs(60),
        }
    }
}
