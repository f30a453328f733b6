//! A request that waits for its answer: there is exactly one, because giving it takes the ticket.

use std::sync::Arc;

use codex_app_server_protocol::{Fault, Outgoing, RequestId};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::outbox::Outbox;

/// So many requests may wait at once.
pub(crate) const MAX_WAITING: usize = 512;

/// Gives out tickets, as many as may wait.
#[derive(Debug, Clone)]
pub(crate) struct TicketOffice {
    outbox: Outbox,
    free: Arc<Semaphore>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: RequestId,
    outbox: Outbox,
    _place: OwnedSemaphorePermit,
}

impl TicketOffice {
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            free: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }

    /// Returns when no request waits.
    pub(crate) async fn settled(&self) {
        // Nobody closes the semaphore.
        let _ = self.free.acquire_many(MAX_WAITING as u32).await;
    }

    /// Takes a request in, or refuses it when too many wait.
    pub(crate) async fn ticket(&self, id: RequestId) -> Option<Ticket> {
        match self.free.clone().try_acquire_owned() {
            Ok(place) => Some(Ticket {
                id,
                outbox: self.outbox.clone(),
                _place: place,
            }),
            Err(_) => {
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
