//! Newer settings for a manager that runs: only the servers that changed notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use codex_config::{McpServerConfig, ServerChange};
use codex_protocol::ServerName;
use tokio::sync::oneshot;

use super::lane::{Lane, LaneGround};
use super::{Actor, Input, McpHandle, Slot};
use crate::settings::McpSettings;

/// What each server is told.
type Changes = BTreeMap<ServerName, ServerChange>;

/// An order to the actor.
#[derive(Debug)]
pub(super) struct Apply {
    pub(super) settings: Arc<McpSettings>,
    pub(super) changes: Changes,
    /// Told when it holds.
    pub(super) done: oneshot::Sender<()>,
}

impl McpHandle {
    /// Lets newer settings hold: `changes` says what became of each server, and one that is not in it
    /// goes on untouched, its process and its connection too. Returns when every snapshot that is
    /// taken from now on knows them; what has to end or to start does so behind that.
    ///
    /// A server that was given up is tried again when it changed in any way.
    pub async fn apply(&self, settings: McpSettings, changes: Changes) {
        let (done, is_done) = oneshot::channel();
        let apply = Box::new(Apply {
            settings: Arc::new(settings),
            changes,
            done,
        });
        // After the end of everything nothing has to hold.
        if self.inbox.send(Input::Apply(apply)).await.is_ok() {
            tokio::select! {
                _ = is_done => {}
                () = self.stop.token.cancelled() => {}
            }
        }
    }
}

/// What the first settings are, seen from nothing.
pub(super) fn all_added(servers: &BTreeMap<ServerName, McpServerConfig>) -> Changes {
    let enabled = servers.values().filter(|server| server.is_enabled());
    enabled
        .map(|server| (server.name.clone(), ServerChange::Added))
        .collect()
}

impl Actor {
    pub(super) fn apply(&mut self, settings: &Arc<McpSettings>, changes: &Changes) {
        let servers = settings.servers.iter();
        self.servers = Arc::new(
            servers
                .map(|(name, config)| (name.clone(), Arc::new(config.clone())))
                .collect(),
        );
        for (name, change) in changes {
            self.change(name, *change, settings);
        }
        // What does not run has no change of its own, but perhaps another reason.
        let servers = self.servers.clone();
        for (name, config) in servers.iter().filter(|(_, config)| !config.is_enabled()) {
            self.slots.insert(name.clone(), Slot::before_start(config));
        }
        self.slots.retain(|name, _| servers.contains_key(name));
        self.publish_catalog();
    }

    fn change(&mut self, name: &ServerName, change: ServerChange, settings: &Arc<McpSettings>) {
        let config = self.servers.get(name).cloned();
        let config = config.filter(|config| config.is_enabled());
        let is_given_up = matches!(
            self.slots.get(name),
            Some(Slot::Failed(_) | Slot::LoggedOut { .. })
        );
        match (self.lanes.get(name), config) {
            (Some(lane), Some(config)) if change == ServerChange::Settings && !is_given_up => {
                lane.update(config, settings.clone());
                return;
            }
            (Some(lane), config) => lane.replace(config, settings.clone()),
            (None, None) => {}
            (None, Some(config)) => {
                let ground = LaneGround {
                    inbox: self.reports.clone(),
                    stop: self.stop.clone(),
                    renewals: self.ends.renewals.clone(),
                };
                let lane = Lane::start(config, settings.clone(), ground, &self.ends.servers);
                self.lanes.insert(name.clone(), lane);
            }
        }
        self.listings.remove(name);
        if let Some(config) = self.servers.get(name) {
            self.slots.insert(name.clone(), Slot::before_start(config));
        }
    }
}
