//! Where everything that happens in a thread goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_protocol::{Event, EventKind, ItemDetails, ItemId, ThreadId, ThreadItem};
use tokio::sync::mpsc;

/// So many events may wait for the frontend; then the thread waits too.
const CAPACITY: usize = 64;

/// Sends events and counts items; clones count together.
#[derive(Debug, Clone)]
pub(crate) struct EventSink {
    thread: ThreadId,
    events: mpsc::Sender<Event>,
    next_item: Arc<AtomicU64>,
}

impl EventSink {
    pub(crate) fn new(thread: ThreadId) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let sink = Self {
            thread,
            events: sender,
            next_item: Arc::default(),
        };
        (sink, receiver)
    }

    /// Sends an event; a frontend that is gone hears nothing, and the thread ends by itself.
    pub(crate) async fn emit(&self, kind: EventKind) {
        let _ = self.events.send(self.event(kind)).await;
    }

    /// Sends an event unless the frontend is behind; for what may be lost.
    pub(crate) fn try_emit(&self, kind: EventKind) {
        let _ = self.events.try_send(self.event(kind));
    }

    pub(crate) async fn notice(&self, text: impl Into<String>) {
        self.emit(EventKind::Notice(text.into())).await;
    }

    /// Begins an item and returns its id.
    pub(crate) async fn started(&self, details: ItemDetails) -> ItemId {
        let id = self.new_item();
        self.emit(EventKind::ItemStarted(ThreadItem { id, details }))
            .await;
        id
    }

    pub(crate) async fn completed(&self, id: ItemId, details: ItemDetails) {
        self.emit(EventKind::ItemCompleted(ThreadItem { id, details }))
            .await;
    }

    pub(crate) fn new_item(&self) -> ItemId {
        ItemId(self.next_item.fetch_add(1, Ordering::Relaxed))
    }

    fn event(&self, kind: EventKind) -> Event {
        Event {
            thread: self.thread,
            kind,
        }
    }
}
