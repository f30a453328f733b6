//! The lane of one server: its runs one after another, never two at once.
//!
//! An order with a higher run number ends the run that is under way, process and all, before the next
//! one begins; one with the same number goes to the run itself. A lane stays when its server is turned
//! off or removed, so that turning it on again waits for the old process too.

use std::pin::pin;
use std::sync::Arc;

use codex_config::McpServerConfig;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::server::ServerTask;
use super::{Input, Stop};
use crate::settings::McpSettings;

/// The actor's end of a lane.
#[derive(Debug)]
pub(super) struct Lane(watch::Sender<Order>);

/// What a server is to do.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Counts the runs from 0.
    pub(super) run: u64,
    /// `None`: it is not to run.
    pub(super) config: Option<Arc<McpServerConfig>>,
    pub(super) settings: Arc<McpSettings>,
}

/// What a lane works with.
pub(super) struct LaneGround {
    /// Weak between runs: a lane that waits keeps nobody alive.
    pub(super) inbox: mpsc::WeakSender<Input>,
    pub(super) stop: Arc<Stop>,
    pub(super) renewals: TaskTracker,
}

impl Lane {
    /// Starts the first run on `servers`.
    pub(super) fn start(
        config: Arc<McpServerConfig>,
        settings: Arc<McpSettings>,
        ground: LaneGround,
        servers: &TaskTracker,
    ) -> Self {
        let (sender, orders) = watch::channel(Order {
            run: 0,
            config: Some(config),
            settings,
        });
        servers.spawn(run(orders, ground));
        Self(sender)
    }

    /// Whether a run is the one that counts.
    pub(super) fn is_on(&self, run: u64) -> bool {
        let order = self.0.borrow();
        order.run == run && order.config.is_some()
    }

    /// Begins anew, or only ends.
    pub(super) fn replace(&self, config: Option<Arc<McpServerConfig>>, settings: Arc<McpSettings>) {
        self.0.send_modify(|order| {
            *order = Order {
                run: order.run + 1,
                config,
                settings,
            };
        });
    }

    /// Lets the run go on with other settings.
    pub(super) fn update(&self, config: Arc<McpServerConfig>, settings: Arc<McpSettings>) {
        self.0.send_modify(|order| {
            order.config = Some(config);
            order.settings = settings;
        });
    }
}

async fn run(mut orders: watch::Receiver<Order>, ground: LaneGround) {
    let stop = ground.stop.clone();
    loop {
        let order = orders.borrow_and_update().clone();
        if let Some(config) = &order.config {
            let Some(inbox) = ground.inbox.upgrade() else {
                return;
            };
            let own = Arc::new(stop.child());
            let task = ServerTask::new(config.clone(), &order, orders.clone(), inbox, own.clone());
            let mut life = pin!(task.run(ground.renewals.clone()));
            tokio::select! {
                () = &mut life => {}
                () = replaced(orders.clone(), order.run) => {
                    own.token.cancel();
                    life.await;
                }
            }
        }
        // Whether it was given up or is not to run: the next order may be another one.
        while orders.borrow_and_update().run == order.run {
            let changed = tokio::select! {
                changed = orders.changed() => changed,
                () = stop.token.cancelled() => return,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}

/// Returns when a run is to make way.
async fn replaced(mut orders: watch::Receiver<Order>, run: u64) {
    // Without an actor nobody can order anything.
    if orders.wait_for(|order| order.run != run).await.is_err() {
        std::future::pending::<()>().await;
    }
}
