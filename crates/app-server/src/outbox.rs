//! Everything that is said, in the order in which it is said.
//!
//! The queue behind it is short: who says much waits for a client that reads slowly, and only who says
//! it waits.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use codex_app_server_protocol::{Fault, Outgoing, ServerNotification};
use codex_host::Clock;
use codex_process::Output;

/// A handle to the client's ear; clones speak to the same.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    out: Arc<Output>,
    clock: Clock,
    unwanted: Arc<OnceLock<HashSet<String>>>,
}

impl Outbox {
    pub(crate) fn new(out: Output, clock: Clock) -> Self {
        Self {
            out: Arc::new(out),
            clock,
            unwanted: Arc::default(),
        }
    }

    /// Leaves out these notifications from now on; once.
    pub(crate) fn leave_out(&self, methods: impl IntoIterator<Item = String>) {
        let _ = self.unwanted.set(methods.into_iter().collect());
    }

    /// Returns the clock that what is told is dated by.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Says one line.
    pub(crate) async fn say(&self, message: &Outgoing) {
        self.out.data(message.line()).await;
    }

    /// Refuses a line that has no id to answer to.
    pub(crate) async fn refuse_line(&self, error: Fault) {
        self.say(&Outgoing::Error { id: None, error }).await;
    }

    /// Tells something unasked.
    pub(crate) async fn notify(&self, notification: ServerNotification) {
        let unwanted = self.unwanted.get();
        if unwanted.is_some_and(|methods| methods.contains(notification.method())) {
            return;
        }
        let message = Outgoing::Notification {
            notification,
            emitted_at_ms: self.clock.now().as_millisecond(),
        };
        self.say(&message).await;
    }

    /// Returns when nobody reads any more.
    pub(crate) async fn lost(&self) {
        self.out.lost().await;
    }

    /// Returns when everything that was said is written.
    pub(crate) async fn flushed(&self) {
        self.out.flushed().await;
    }

    /// Returns why nothing can be written, unless the reader has just gone away.
    pub(crate) fn fault(&self) -> Option<String> {
        self.out.fault().map(ToString::to_string)
    }
}
