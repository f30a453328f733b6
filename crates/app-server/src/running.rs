//! The servers that no thread has: started once, kept, and told about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codex_app_server_protocol::{
    McpServerStartupStatusUpdated, McpServerStatusListParams, McpStartupStatus, ServerNotification,
    Warning,
};
use codex_config::{ConfigChanges, OffReason, ServerChange};
use codex_mcp::{ElicitationPolicy, McpNotice, ServerState, ServerStatus, StatusChanges};
use codex_protocol::ServerName;
use codex_runtime::{Loaded, Servers};
use tokio::sync::mpsc;

use crate::status::{Question, reason};

/// Why a server that asks the user gets no answer.
const NOBODY: &str = "no thread is there to ask in";

/// The servers and what was told about them.
#[derive(Debug)]
pub(crate) struct Running {
    servers: Servers,
    notices: mpsc::Receiver<McpNotice>,
    changes: StatusChanges,
    startups: Startups,
}

/// How far the client knows the start of each server.
#[derive(Debug, Default)]
pub(crate) struct Startups {
    thread_id: Option<String>,
    told: BTreeMap<ServerName, McpStartupStatus>,
}

impl Running {
    pub(crate) fn start(loaded: &Loaded) -> Self {
        let (servers, notices) = loaded.start_servers(ElicitationPolicy::Decline(NOBODY));
        let mut changes = servers.handle().status_changes();
        // The first look counts as a change.
        changes.mark_changed();
        Self {
            servers,
            notices,
            changes,
            startups: Startups::default(),
        }
    }

    /// Waits for something to tell; for ever when nothing runs. Cancel safe.
    pub(crate) async fn next(running: &mut Option<Self>) -> Vec<ServerNotification> {
        let Some(running) = running else {
            return std::future::pending().await;
        };
        tokio::select! {
            Some(statuses) = running.changes.next() => running.startups.tell(&statuses),
            Some(notice) = running.notices.recv() => vec![warning(&notice, None)],
            else => std::future::pending().await,
        }
    }

    /// Lets a newer configuration hold.
    pub(crate) async fn apply(&mut self, new: &Loaded, changes: &ConfigChanges) {
        self.startups.forget(changes);
        self.servers.apply(new, changes).await;
    }

    /// Takes down what is asked about them.
    pub(crate) fn question(
        &self,
        loaded: Arc<Loaded>,
        params: McpServerStatusListParams,
    ) -> Question {
        let handle = self.servers.handle().clone();
        Question::new(loaded, handle, self.servers.auth(), params)
    }

    pub(crate) async fn end(self, limit: Duration) {
        self.servers.end(limit).await;
    }
}

impl Startups {
    pub(crate) fn of_thread(thread_id: String) -> Self {
        Self {
            thread_id: Some(thread_id),
            told: BTreeMap::new(),
        }
    }

    /// Returns what the client does not know yet.
    pub(crate) fn tell(&mut self, statuses: &[ServerStatus]) -> Vec<ServerNotification> {
        let is_there = |name: &ServerName| statuses.iter().any(|status| status.server == *name);
        self.told.retain(|name, _| is_there(name));
        let mut told = Vec::new();
        for ServerStatus { server, state, .. } in statuses {
            let Some(now) = startup(state) else {
                self.told.remove(server);
                continue;
            };
            let before = self.told.insert(server.clone(), now);
            if before == Some(now) {
                continue;
            }
            // A start that was over before anybody looked began all the same.
            if now != McpStartupStatus::Starting && before != Some(McpStartupStatus::Starting) {
                told.push(self.updated(server, &ServerState::Starting, McpStartupStatus::Starting));
            }
            told.push(self.updated(server, state, now));
        }
        told
    }

    /// Servers that begin anew are told anew.
    pub(crate) fn forget(&mut self, changes: &ConfigChanges) {
        for (server, change) in &changes.servers {
            if *change != ServerChange::Settings {
                self.told.remove(server);
            }
        }
    }

    fn updated(
        &self,
        server: &ServerName,
        state: &ServerState,
        status: McpStartupStatus,
    ) -> ServerNotification {
        let has_failed = status == McpStartupStatus::Failed;
        let wants_again = match state {
            ServerState::Failed(failure) => failure.wants_login_again(),
            _ => false,
        };
        ServerNotification::McpServerStartupStatusUpdated(McpServerStartupStatusUpdated {
            thread_id: self.thread_id.clone(),
            name: server.to_string(),
            status,
            error: reason(server, state).filter(|_| has_failed),
            failure_reason: wants_again.then_some("reauthenticationRequired"),
        })
    }
}

/// Returns how the start of a server goes; `None` for one that is not to start.
fn startup(state: &ServerState) -> Option<McpStartupStatus> {
    match state {
        ServerState::Off(OffReason::Invalid { .. }) | ServerState::Failed(_) => {
            Some(McpStartupStatus::Failed)
        }
        ServerState::Off(_) => None,
        ServerState::Starting | ServerState::Restarting => Some(McpStartupStatus::Starting),
        ServerState::Ready(_) => Some(McpStartupStatus::Ready),
    }
}

/// Tells a notice of the servers.
pub(crate) fn warning(notice: &McpNotice, thread_id: Option<String>) -> ServerNotification {
    let mut message = notice.text.clone();
    for hint in &notice.hints {
        message.push_str(&format!("; {hint}"));
    }
    ServerNotification::Warning(Warning { message, thread_id })
}
