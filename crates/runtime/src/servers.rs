//! The MCP servers of a program that runs for long: connected once, kept, and kept in step with the
//! configuration.

use std::time::Duration;

use codex_config::ConfigChanges;
use codex_http::HttpClient;
use codex_mcp::{ElicitationPolicy, McpAuth, McpHandle, McpManager, McpNotice};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Loaded;

/// Notices that may wait for their reader.
const NOTICES: usize = 64;

/// The running servers of a configuration.
#[derive(Debug)]
pub struct Servers {
    handle: McpHandle,
    elicitation: ElicitationPolicy,
    http: HttpClient,
    auth: McpAuth,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Loaded {
    /// Starts every enabled server side by side and returns at once.
    pub fn start_servers(
        &self,
        elicitation: ElicitationPolicy,
    ) -> (Servers, mpsc::Receiver<McpNotice>) {
        let http = HttpClient::from_env(self.env.clone());
        let (sender, notices) = mpsc::channel(NOTICES);
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let auth = self.mcp_auth(http.clone());
        let settings = self.mcp_settings(elicitation.clone(), http.clone(), auth.clone());
        let servers = Servers {
            handle: McpManager::start(settings, &tasks, &cancel, sender),
            elicitation,
            http,
            auth,
            tasks,
            cancel,
        };
        (servers, notices)
    }

    /// Compares with a newer configuration.
    pub fn changes_to(&self, new: &Self) -> ConfigChanges {
        ConfigChanges::between((&self.config, &self.layers), (&new.config, &new.layers))
    }
}

impl Servers {
    /// Returns the servers themselves.
    pub fn handle(&self) -> &McpHandle {
        &self.handle
    }

    /// Returns what is known about their logins.
    pub fn auth(&self) -> McpAuth {
        self.auth.clone()
    }

    /// Lets a newer configuration hold; servers that did not change do not notice.
    pub async fn apply(&mut self, new: &Loaded, changes: &ConfigChanges) {
        self.auth = new.mcp_auth(self.http.clone());
        let (elicitation, http) = (self.elicitation.clone(), self.http.clone());
        let settings = new.mcp_settings(elicitation, http, self.auth.clone());
        self.handle.apply(settings, changes.servers.clone()).await;
    }

    /// Ends them; none is alive after `limit`.
    pub async fn end(self, limit: Duration) {
        self.handle.shutdown(limit).await;
        self.cancel.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(limit, self.tasks.wait()).await;
    }
}
