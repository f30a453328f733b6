//! What the client sends while a request of its own is under way.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Answers to our requests and cancellations of theirs, by id.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    n_asked: u64,
    answers: HashMap<String, Value>,
    cancelled: HashMap<String, Value>,
}

impl Exchange {
    /// Returns an id for a request of ours.
    pub(crate) fn next_id(&self) -> Value {
        let mut state = self.state.lock().expect("no holder panics");
        state.n_asked += 1;
        Value::String(format!("fake-{}", state.n_asked))
    }

    /// Takes in a message that is no request; `true` when somebody may wait for it.
    pub(crate) fn take_in(&self, message: &Value) -> bool {
        let mut state = self.state.lock().expect("no holder panics");
        if message.get("method").is_none() && message.get("id").is_some() {
            state
                .answers
                .insert(message["id"].to_string(), message.clone());
        } else if message["method"] == "notifications/cancelled" {
            let params = &message["params"];
            state
                .cancelled
                .insert(params["requestId"].to_string(), params.clone());
        } else {
            return false;
        }
        self.changed.notify_all();
        true
    }

    /// Waits for the answer to our request.
    pub(crate) fn answer(&self, id: &Value, limit: Duration) -> Option<Value> {
        self.wait(limit, |state| state.answers.remove(&id.to_string()))
    }

    /// Waits until the client cancels its request, and returns the notification's parameters.
    pub(crate) fn cancelled(&self, id: &Value, limit: Duration) -> Option<Value> {
        self.wait(limit, |state| state.cancelled.remove(&id.to_string()))
    }

    fn wait<T>(&self, limit: Duration, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.state.lock().expect("no holder panics");
        loop {
            if let Some(found) = take(&mut state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .expect("no holder panics")
                .0;
        }
    }
}
