//! Waiting for servers: for their first start, and for those that somebody logged in to meanwhile.

use std::time::Duration;

use codex_protocol::ServerName;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Door, McpHandle, Shared, Slot};
use crate::error::{RequiredFailure, StartError};
use crate::notice::McpNotice;

/// Waiting longer than this is said.
const PATIENCE: Duration = Duration::from_secs(2);

impl McpHandle {
    /// Waits until the first model request may be sent.
    ///
    /// Required servers are always waited for, each within its own limit. Optional servers are waited
    /// for until each is ready or has failed, at most for `grace` when there is one; those that are late
    /// are named in a notice, and their tools join a later [`McpHandle::catalog`].
    pub async fn ready(
        &self,
        grace: Option<Duration>,
        cancel: &CancellationToken,
    ) -> Result<(), StartError> {
        self.knock_at_all(cancel).await;
        self.settled(grace, cancel).await
    }

    async fn settled(
        &self,
        grace: Option<Duration>,
        cancel: &CancellationToken,
    ) -> Result<(), StartError> {
        let mut shared = self.shared.clone();
        let begin = Instant::now();
        let mut patience = Some(begin + PATIENCE);
        let mut grace_end = grace.map(|grace| begin + grace);
        let mut grace_is_over = false;
        loop {
            let now = shared.borrow_and_update().clone();
            let waiting: Vec<&ServerName> = now
                .slots
                .iter()
                .filter(|(_, slot)| !slot.is_settled())
                .map(|(name, _)| name)
                .collect();
            let (required, optional): (Vec<&ServerName>, Vec<&ServerName>) = waiting
                .iter()
                .copied()
                .partition(|&name| now.is_required(name));
            if required.is_empty() {
                self.check_required(&now)?;
                if optional.is_empty() || grace_is_over {
                    return Ok(());
                }
            }
            tokio::select! {
                changed = shared.changed() => changed.map_err(|_| StartError::Cancelled)?,
                () = cancel.cancelled() => return Err(StartError::Cancelled),
                () = self.stop.token.cancelled() => return Err(StartError::Cancelled),
                () = until(grace_end) => {
                    grace_end = None;
                    grace_is_over = true;
                    if !optional.is_empty() {
                        self.say(McpNotice::still_starting(&optional)).await;
                    }
                }
                () = until(patience) => {
                    patience = None;
                    // When the grace is over only the required ones are waited for, and all are named.
                    let names = if grace_is_over { required } else { waiting };
                    self.say(McpNotice::waiting(&names)).await;
                }
            }
        }
    }

    /// Waits for required servers only, each within its own limit, and says nothing.
    pub async fn required_ready(&self, cancel: &CancellationToken) -> Result<(), StartError> {
        let mut shared = self.shared.clone();
        loop {
            let now = shared.borrow_and_update().clone();
            if now
                .slots
                .iter()
                .all(|(name, slot)| slot.is_settled() || !now.is_required(name))
            {
                return self.check_required(&now);
            }
            tokio::select! {
                changed = shared.changed() => changed.map_err(|_| StartError::Cancelled)?,
                () = cancel.cancelled() => return Err(StartError::Cancelled),
                () = self.stop.token.cancelled() => return Err(StartError::Cancelled),
            }
        }
    }

    /// Starts the servers that failed for want of a login and have one now, made here or by another
    /// program, and waits for them as [`McpHandle::ready`] does. Without such a server it costs
    /// nothing; with one, a look at the store at most every two seconds.
    pub async fn retry_logins(
        &self,
        grace: Option<Duration>,
        cancel: &CancellationToken,
    ) -> Result<(), StartError> {
        match self.knock_at_all(cancel).await {
            true => self.settled(grace, cancel).await,
            false => Ok(()),
        }
    }

    /// Lets every server that waits for a login look for one; whether any is started again.
    async fn knock_at_all(&self, cancel: &CancellationToken) -> bool {
        let shared = self.shared.borrow().clone();
        let doors = shared.slots.values().filter_map(|slot| match slot {
            Slot::LoggedOut { door, .. } => Some(door.clone()),
            Slot::Off(_) | Slot::Starting { .. } | Slot::Ready(_) | Slot::Failed(_) => None,
        });
        let mut knocks: FuturesUnordered<_> = doors.map(|door| knock(door, cancel)).collect();
        let mut is_any_started = false;
        while let Some(is_started) = knocks.next().await {
            is_any_started |= is_started;
        }
        is_any_started
    }

    fn check_required(&self, shared: &Shared) -> Result<(), StartError> {
        let failures: Vec<RequiredFailure> = shared
            .slots
            .iter()
            .filter(|(server, _)| shared.is_required(server))
            .filter_map(|(server, slot)| match slot {
                Slot::Failed(failure) | Slot::LoggedOut { failure, .. } => Some(RequiredFailure {
                    server: server.clone(),
                    why: failure.why(server),
                    hints: failure.hints(),
                }),
                Slot::Off(_) | Slot::Starting { .. } | Slot::Ready(_) => None,
            })
            .collect();
        if failures.is_empty() {
            Ok(())
        } else {
            Err(StartError::Required(failures))
        }
    }
}

impl Shared {
    fn is_required(&self, server: &ServerName) -> bool {
        let config = self.servers.get(server);
        config.is_some_and(|config| config.required)
    }
}

/// Lets a server that waits for a login look for one; whether it is started again.
pub(super) async fn knock(door: Door, cancel: &CancellationToken) -> bool {
    let (knock, answer) = oneshot::channel();
    let asked = async {
        // A server that no longer waits has found a login, or its end has come.
        door.send(knock).await.is_err() || answer.await.unwrap_or(true)
    };
    tokio::select! {
        is_started = asked => is_started,
        () = cancel.cancelled() => false,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
