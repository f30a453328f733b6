//! A door that a test opens: what waits for it needs no sleep.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Holds something back until the test says go.
///
/// Clones share the door. A wait ends after the limit too, so a forgotten gate cannot hang a run.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// Returns a closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        let (open, changed) = &*self.shared;
        *open.lock().expect("no holder panics") = true;
        changed.notify_all();
    }

    /// Waits until the gate is open; `false` when the limit passed first.
    pub fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let (open, changed) = &*self.shared;
        let mut open = open.lock().expect("no holder panics");
        while !*open {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            open = changed
                .wait_timeout(open, left)
                .expect("no holder panics")
                .0;
        }
        true
    }
}
