//! A file in which a fake server notes what it saw, one JSON object a line.
//!
//! The server is another process and may be killed at any moment; a file survives that.
//! Entries: `{"event": "start", "pid"}`, `message` (with the message), `cancelled` (with `id` and
//! `params`, by a call that waited for it), `disconnected`, `stdin closed`, `sigterm`,
//! `grandchild` (with `pid`), `exit`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The notes of one fake server, over all its starts.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Names the file; it need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all entries so far; a last line that is still being written is left out.
    pub fn entries(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Returns the entries of one kind.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.entries()
            .into_iter()
            .filter(|entry| entry["event"] == event)
            .collect()
    }

    /// Returns the methods of the client's messages in order; answers have none and are left out.
    pub fn methods(&self) -> Vec<String> {
        let messages = self.events("message").into_iter();
        messages
            .filter_map(|entry| entry["message"]["method"].as_str().map(str::to_owned))
            .collect()
    }

    /// Returns the process id of each start and of each grandchild.
    pub fn pids(&self) -> Vec<u32> {
        self.entries()
            .iter()
            .filter(|entry| entry["event"] == "start" || entry["event"] == "grandchild")
            .filter_map(|entry| entry["pid"].as_u64()?.try_into().ok())
            .collect()
    }

    /// Blocks until there are `count` entries of a kind, and returns them; panics after the limit.
    pub fn wait_for(&self, event: &str, count: usize, limit: Duration) -> Vec<Value> {
        self.wait(limit, &format!("{count} × `{event}`"), || {
            Some(self.events(event)).filter(|found| found.len() >= count)
        })
    }

    /// Blocks until the client sent this method, and returns the first such message.
    pub fn wait_for_method(&self, method: &str, limit: Duration) -> Value {
        self.wait(limit, &format!("message `{method}`"), || {
            let messages = self
                .events("message")
                .into_iter()
                .map(|entry| entry["message"].clone());
            messages
                .into_iter()
                .find(|message| message["method"] == method)
        })
    }

    fn wait<T>(&self, limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() >= deadline {
                panic!(
                    "no {what} within {limit:?}; the journal holds {:#?}",
                    self.entries()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn note(&self, event: &str, mut more: Value) {
        let mut entry = json!({ "event": event });
        if let (Some(entry), Some(more)) = (entry.as_object_mut(), more.as_object_mut()) {
            entry.append(more);
        }
        let mut line = entry.to_string();
        line.push('\n');
        // One append of one line: two processes may share the file.
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path);
        file.expect("the journal can be opened")
            .write_all(line.as_bytes())
            .expect("and written");
    }
}
