//! The thread file, as far as there is one.
//!
//! A new thread's file is made with its first turn, so that a thread without a turn leaves nothing.
//! A disk that fails ends the record, not the thread: the user hears it once.

use std::path::PathBuf;

use codex_api_types::ResponseItem;
use codex_model::PromptItem;
use codex_rollout::{RolloutError, RolloutLine, RolloutWriter, ThreadMeta};

use crate::events::EventSink;

/// Records a thread.
#[derive(Debug)]
pub(crate) struct Journal {
    state: State,
    events: EventSink,
}

#[derive(Debug)]
enum State {
    /// Nothing is recorded.
    Off,
    /// A file will be made.
    Planned {
        path: PathBuf,
        meta: ThreadMeta,
    },
    Open(RolloutWriter),
}

impl Journal {
    /// Records nothing.
    pub(crate) fn off(events: EventSink) -> Self {
        Self {
            state: State::Off,
            events,
        }
    }

    /// Makes a file when the first turn begins.
    pub(crate) fn planned(path: PathBuf, meta: ThreadMeta, events: EventSink) -> Self {
        Self {
            state: State::Planned { path, meta },
            events,
        }
    }

    /// Goes on with a file.
    pub(crate) fn open_on(writer: RolloutWriter, events: EventSink) -> Self {
        Self {
            state: State::Open(writer),
            events,
        }
    }

    /// Makes the planned file with the whole history in it, or adds what is missing to an old one.
    /// Returns whether the file is new.
    pub(super) async fn open(&mut self, history: &[PromptItem], n_unwritten: usize) -> bool {
        let mut is_new = false;
        let mut missing = &history[history.len() - n_unwritten..];
        if let State::Planned { path, meta } = &self.state {
            match RolloutWriter::create(path, &[RolloutLine::Meta(meta.clone())]) {
                Ok(writer) => self.state = State::Open(writer),
                Err(error) => {
                    self.give_up(&error).await;
                    return false;
                }
            }
            missing = history;
            is_new = true;
        }
        for item in missing {
            self.write_item(&item.item).await;
        }
        is_new
    }

    pub(super) async fn write(&mut self, line: &RolloutLine) {
        if let State::Open(writer) = &self.state
            && let Err(error) = writer.append(line).await
        {
            self.give_up(&error).await;
        }
    }

    pub(super) async fn write_item(&mut self, item: &ResponseItem) {
        if let State::Open(writer) = &self.state
            && let Err(error) = writer.append_item(item).await
        {
            self.give_up(&error).await;
        }
    }

    pub(super) async fn flush(&mut self) {
        if let State::Open(writer) = &self.state
            && let Err(error) = writer.flush().await
        {
            self.give_up(&error).await;
        }
    }

    async fn give_up(&mut self, error: &RolloutError) {
        self.state = State::Off;
        self.events
            .notice(format!(
                "{error}; the thread goes on and cannot be resumed from here"
            ))
            .await;
    }
}
