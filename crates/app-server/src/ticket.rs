//! A request that waits for its answer: there is exactly one, because giving it takes the ticket.

use std::sync::Arc;

use codex_app_server_protocol::{Fault, Outgoing, RequestId};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::outbox::Outbox;

/// So many requests may wait at once.
pub(crate) const MAX_WAITING: usize = 512;

/// So many bytes the lines of those requests may have together: two of the longest.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Gives out tickets, as many as may wait.
#[derive(Debug, Clone)]
pub(crate) struct TicketOffice {
    outbox: Outbox,
    free: Arc<Semaphore>,
    free_bytes: Arc<Semaphore>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: RequestId,
    outbox: Outbox,
    _place: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl TicketOffice {
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            free: Arc::new(Semaphore::new(MAX_WAITING)),
            free_bytes: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
        }
    }

    /// Returns when no request waits.
    pub(crate) async fn settled(&self) {
        // Nobody closes the semaphore.
        let _ = self.free.acquire_many(MAX_WAITING as u32).await;
    }

    /// Takes in a request whose line has so many bytes, or refuses it when too much waits.
    pub(crate) async fn ticket(&self, id: RequestId, n_bytes: usize) -> Option<Ticket> {
        let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        let place = self.free.clone().try_acquire_owned();
        let bytes = self.free_bytes.clone().try_acquire_many_owned(n_bytes);
        match (place, bytes) {
            (Ok(place), Ok(bytes)) => Some(Ticket {
                id,
                outbox: self.outbox.clone(),
                _place: place,
                _bytes: bytes,
            }),
            _ => {
                let error = Fault::overloaded();
                let refusal = Outgoing::Error {
                    id: Some(id),
                    error,
                };
                self.outbox.say(&refusal).await;
                None
            }
        }
    }
}

impl Ticket {
    /// Answers.
    pub(crate) async fn answer(self, result: &impl Serialize) {
        self.outbox.say(&Outgoing::response(self.id, result)).await;
    }

    /// Refuses.
    pub(crate) async fn refuse(self, error: Fault) {
        let refusal = Outgoing::Error {
            id: Some(self.id),
            error,
        };
        self.outbox.say(&refusal).await;
    }

    /// Answers or refuses.
    pub(crate) async fn settle(self, result: Result<impl Serialize, Fault>) {
        match result {
            Ok(result) => self.answer(&result).await,
            Err(fault) => self.refuse(fault).await,
        }
    }
}
