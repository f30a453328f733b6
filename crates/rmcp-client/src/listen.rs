//! Changed lists since revision 2026-07-28: they come on a subscription that the client opens.
//!
//! A subscription is not resumed; when it ends it is opened again, slower each time, and the lists count
//! as changed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ServerNotification, SubscriptionFilter};
use rmcp::service::{Peer, ServiceError};
use tokio::time::{Instant, sleep};

use crate::client::ServerInfo;
use crate::handler::{EarState, List};
use crate::supervise::Supervisor;

const MIN_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60);

/// A subscription that lived so long starts the delays anew.
const HEALTHY: Duration = Duration::from_secs(60);

/// Subscribes to the lists that the server says can change.
pub(crate) fn start(
    peer: &Peer<RoleClient>,
    ear: &Arc<EarState>,
    info: &ServerInfo,
    supervisor: &Supervisor,
) {
    let changes = |capability: &str| {
        let capability = info.capabilities.get(capability);
        capability.and_then(|capability| capability.get("listChanged")?.as_bool()) == Some(true)
    };
    let mut filter = SubscriptionFilter::new();
    filter.tools_list_changed = changes("tools").then_some(true);
    filter.resources_list_changed = changes("resources").then_some(true);
    filter.prompts_list_changed = changes("prompts").then_some(true);
    if filter == SubscriptionFilter::new() {
        return;
    }
    let (peer, ear, stop) = (peer.clone(), Arc::clone(ear), supervisor.stop_token());
    supervisor.tasks().spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = keep_listening(peer, ear, filter) => {}
        }
    });
}

async fn keep_listening(peer: Peer<RoleClient>, ear: Arc<EarState>, filter: SubscriptionFilter) {
    let mut delay = MIN_DELAY;
    let mut is_first = true;
    while !peer.is_transport_closed() {
        let started = Instant::now();
        match peer.listen(filter.clone()).await {
            Ok(mut subscription) => {
                if !is_first {
                    report(&ear, List::Tools, filter.tools_list_changed);
                    report(&ear, List::Resources, filter.resources_list_changed);
                    report(&ear, List::Prompts, filter.prompts_list_changed);
                }
                is_first = false;
                while let Ok(Some(notification)) = subscription.next().await {
                    hear(&ear, &notification);
                }
            }
            // The server knows no subscriptions, whatever it declared.
            Err(ServiceError::McpError(_)) => return,
            Err(_) => {}
        }
        if started.elapsed() > HEALTHY {
            delay = MIN_DELAY;
        }
        sleep(delay).await;
        delay = (delay * 2).min(MAX_DELAY);
    }
}

fn report(ear: &Arc<EarState>, list: List, is_wanted: Option<bool>) {
    if is_wanted == Some(true) {
        ear.list_changed(list);
    }
}

fn hear(ear: &Arc<EarState>, notification: &ServerNotification) {
    match notification {
        ServerNotification::ToolListChangedNotification(_) => ear.list_changed(List::Tools),
        ServerNotification::ResourceListChangedNotification(_) => {
            ear.list_changed(List::Resources);
        }
        ServerNotification::PromptListChangedNotification(_) => ear.list_changed(List::Prompts),
        _ => {}
    }
}
