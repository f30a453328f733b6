//! A running thread as a frontend holds it.

use codex_protocol::{Event, Op, ThreadId};
use tokio::sync::mpsc;

use crate::settings::{Begin, ThreadServices, ThreadSettings};
use crate::StartError;

/// A running thread.
///
/// Dropping the handle ends the thread; call with [`Op::Shutdown`] and read until
/// [`EventKind::Closed`](codex_protocol::EventKind::Closed) to wait for the servers' end.
#[derive(Debug)]
pub struct ThreadHandle {
    /// The thread's id.
    pub id: ThreadId,
    ops: ThreadSender,
    events: mpsc::Receiver<Event>,
}

/// Sends operations to a thread; a cheap clone for those who do not read events.
#[derive(Debug, Clone)]
pub struct ThreadSender {
    ops: mpsc::Sender<Op>,
}

/// The thread has ended and takes no more operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the thread has ended")]
pub struct ThreadEnded;

impl ThreadHandle {
    /// Sends one operation.
    pub async fn submit(&self, op: Op) -> Result<(), ThreadEnded> {
        self.ops.submit(op).await
    }

    /// Returns the next event; `None` after the thread has ended. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Returns a sender that lives apart from the events.
    pub fn sender(&self) -> ThreadSender {
        self.ops.clone()
    }
}

impl ThreadSender {
    /// Sends one operation.
    pub async fn submit(&self, op: Op) -> Result<(), ThreadEnded> {
        self.ops.send(op).await.map_err(|_| ThreadEnded)
    }
}

/// Starts a thread: its MCP servers, then its actor.
///
/// Waits only for servers with `required = true`; the others join while the thread runs, and the
/// first model request waits for them as [`ThreadSettings::optional_startup_grace`] says. When this
/// fails nothing is left behind: no process and no file.
pub async fn start_thread(
    begin: Begin,
    settings: ThreadSettings,
    services: ThreadServices,
) -> Result<ThreadHandle, StartError> {
    let _ = (begin, settings, services);
    todo!()
}
