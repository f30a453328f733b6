//! Requests of ours that wait for the client's answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_app_server_protocol::{Outgoing, RequestId, ServerRequest};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::outbox::Outbox;

/// An answer of the client; no value for an error.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: i64,
    pub(crate) result: Option<Value>,
}

/// Asks the client, and brings its answers to who asked; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    outbox: Outbox,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: i64,
    waiting: HashMap<i64, mpsc::Sender<Reply>>,
}

impl Asked {
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            state: Arc::default(),
        }
    }

    /// Names a question that is about to be asked; its answer comes to `replies`, unless it is
    /// withdrawn.
    pub(crate) fn reserve(&self, replies: &mpsc::Sender<Reply>) -> i64 {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.insert(id, replies.clone());
        id
    }

    /// Asks.
    pub(crate) async fn ask(&self, id: i64, request: ServerRequest) {
        self.outbox.say(&Outgoing::Request { id, request }).await;
    }

    /// Lets an answer pass that comes too late.
    pub(crate) fn withdraw(&self, id: i64) {
        self.lock().waiting.remove(&id);
    }

    /// Brings an answer to who asked; one that nobody waits for is let pass.
    pub(crate) fn answered(&self, id: &RequestId, result: Option<Value>) {
        let RequestId::Integer(id) = *id else {
            return;
        };
        let waiting = self.lock().waiting.remove(&id);
        if let Some(replies) = waiting {
            // There is room for the answer to every question of a thread.
            let _ = replies.try_send(Reply { id, result });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
