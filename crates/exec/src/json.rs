//! Turns what a thread tells into the lines of `--json`.
//!
//! The rules of the stream live here and not in the engine, because the published clients break when
//! one is missed: items are numbered in the order of first appearance, every item has exactly one
//! start (for the kinds that have one) and one end, nothing follows the turn's end, and whatever is
//! still open when the turn ends is completed as failed first.

use std::collections::HashMap;

use codex_protocol::{
    CommandExecution, EventKind, FileChange, ItemDetails, ItemId, ItemStatus, ThreadId, ThreadItem,
    TurnError, WebSearch,
};
use serde_json::json;

use crate::events::{ExecDetails, ExecEvent, ExecItem, ItemName, Message};

/// Renders events as JSON lines.
#[derive(Debug, Default)]
pub(crate) struct JsonLines {
    names: HashMap<ItemId, ItemName>,
    n_names: u64,
    /// Items that have begun and not ended, in the order of their beginning.
    open: Vec<ThreadItem>,
    turn: Turn,
}

/// Where the one turn of this process is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Turn {
    #[default]
    NotStarted,
    Running,
    Ended,
}

impl JsonLines {
    /// Returns the line that names the thread.
    pub(crate) fn thread_started(&mut self, thread_id: ThreadId) -> Vec<u8> {
        line(&ExecEvent::ThreadStarted { thread_id })
    }

    /// Returns the lines for one event; none for what this wire does not carry.
    pub(crate) fn event(&mut self, kind: &EventKind) -> Vec<u8> {
        if self.turn == Turn::Ended {
            return Vec::new();
        }
        match kind {
            EventKind::Notice(message) => self.notice(message),
            EventKind::Retrying { message, why } => self.notice(&format!("{message} ({why})")),
            EventKind::TurnStarted => {
                self.turn = Turn::Running;
                line(&ExecEvent::TurnStarted)
            }
            EventKind::ItemStarted(item) => self.started(item),
            EventKind::ItemUpdated(item) => self.updated(item),
            EventKind::ItemCompleted(item) => self.completed(item),
            EventKind::CallAllowed { item, why } => {
                let item_id = self.name(*item);
                line(&ExecEvent::ItemAllowed { item_id, why })
            }
            EventKind::TurnCompleted { usage } => {
                let mut lines = self.close_open();
                self.turn = Turn::Ended;
                lines.extend(line(&ExecEvent::TurnCompleted {
                    usage: (*usage).into(),
                }));
                lines
            }
            EventKind::TurnFailed(error) => self.failed(error),
            EventKind::TurnInterrupted => self.interrupted(),
            EventKind::AgentMessageDelta { .. }
            | EventKind::ReasoningDelta { .. }
            | EventKind::McpProgress { .. }
            | EventKind::ApprovalRequested(_)
            | EventKind::ApprovalResolved(_)
            | EventKind::ResponseCompleted { .. }
            | EventKind::Closed => Vec::new(),
        }
    }

    /// Returns a sentence that the run survives, as an item of its own.
    pub(crate) fn notice(&mut self, message: &str) -> Vec<u8> {
        if self.turn == Turn::Ended {
            return Vec::new();
        }
        let id = self.next_name();
        let details = ExecDetails::Error { message };
        line(&ExecEvent::ItemCompleted {
            item: ExecItem { id, details },
        })
    }

    /// Returns the lines of a failure that ends the run, wherever it is.
    pub(crate) fn fatal(&mut self, message: &str) -> Vec<u8> {
        match self.turn {
            Turn::Ended => Vec::new(),
            Turn::NotStarted => {
                self.turn = Turn::Ended;
                line(&ExecEvent::Error { message })
            }
            Turn::Running => {
                let mut lines = self.close_open();
                self.turn = Turn::Ended;
                lines.extend(line(&ExecEvent::Error { message }));
                lines.extend(line(&ExecEvent::TurnFailed {
                    error: Message { message },
                }));
                lines
            }
        }
    }

    /// Returns the lines of an interrupt: before the turn it is an error, within it a failed turn.
    pub(crate) fn interrupted(&mut self) -> Vec<u8> {
        const MESSAGE: &str = "interrupted";
        if self.turn != Turn::Running {
            return self.fatal(MESSAGE);
        }
        let mut lines = self.close_open();
        self.turn = Turn::Ended;
        lines.extend(line(&ExecEvent::TurnFailed {
            error: Message { message: MESSAGE },
        }));
        lines
    }

    fn failed(&mut self, error: &TurnError) -> Vec<u8> {
        self.fatal(&error.message)
    }

    fn started(&mut self, item: &ThreadItem) -> Vec<u8> {
        if !has_start(&item.details) || self.is_open(item.id) {
            return Vec::new();
        }
        let id = self.name(item.id);
        self.open.push(item.clone());
        item_line(id, item, |item| ExecEvent::ItemStarted { item })
    }

    fn updated(&mut self, item: &ThreadItem) -> Vec<u8> {
        let mut lines = self.start_if_missing(item);
        if let Some(open) = self.open.iter_mut().find(|open| open.id == item.id) {
            open.clone_from(item);
        }
        // Only a plan has updates on this wire; other kinds tell their end and nothing between.
        if matches!(item.details, ItemDetails::TodoList { .. }) {
            let id = self.name(item.id);
            lines.extend(item_line(id, item, |item| ExecEvent::ItemUpdated { item }));
        }
        lines
    }

    fn completed(&mut self, item: &ThreadItem) -> Vec<u8> {
        let mut lines = self.start_if_missing(item);
        let id = self.name(item.id);
        self.open.retain(|open| open.id != item.id);
        lines.extend(item_line(id, item, |item| ExecEvent::ItemCompleted {
            item,
        }));
        lines
    }

    /// Ends what the turn left open; the engine should have done it, and clients rely on it.
    fn close_open(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        for mut item in std::mem::take(&mut self.open) {
            fail(&mut item.details);
            let id = self.name(item.id);
            lines.extend(item_line(id, &item, |item| ExecEvent::ItemCompleted {
                item,
            }));
        }
        lines
    }

    /// A call that is refused before it runs has only an end; its start is written here.
    fn start_if_missing(&mut self, item: &ThreadItem) -> Vec<u8> {
        if !has_start(&item.details) || self.is_open(item.id) {
            return Vec::new();
        }
        let beginning = ThreadItem {
            id: item.id,
            details: beginning_of(&item.details),
        };
        self.started(&beginning)
    }

    fn is_open(&self, id: ItemId) -> bool {
        self.open.iter().any(|open| open.id == id)
    }

    fn name(&mut self, id: ItemId) -> ItemName {
        if let Some(name) = self.names.get(&id) {
            return *name;
        }
        let name = self.next_name();
        self.names.insert(id, name);
        name
    }

    fn next_name(&mut self) -> ItemName {
        let name = ItemName(self.n_names);
        self.n_names += 1;
        name
    }
}

/// Whether the published types know a start of this kind.
fn has_start(details: &ItemDetails) -> bool {
    match details {
        ItemDetails::CommandExecution(_)
        | ItemDetails::McpToolCall(_)
        | ItemDetails::TodoList { .. }
        | ItemDetails::WebSearch(_) => true,
        ItemDetails::AgentMessage { .. }
        | ItemDetails::Reasoning { .. }
        | ItemDetails::FileChange(_)
        | ItemDetails::Error { .. } => false,
    }
}

/// How an item looked before it had an outcome.
fn beginning_of(details: &ItemDetails) -> ItemDetails {
    let mut details = details.clone();
    match &mut details {
        ItemDetails::CommandExecution(CommandExecution {
            aggregated_output,
            exit_code,
            status,
            ..
        }) => {
            aggregated_output.clear();
            *exit_code = None;
            *status = ItemStatus::InProgress;
        }
        ItemDetails::McpToolCall(call) => {
            call.result = None;
            call.error = None;
            call.status = ItemStatus::InProgress;
        }
        ItemDetails::WebSearch(search) => {
            *search = WebSearch {
                query: String::new(),
                action: json!({"type": "other"}),
            };
        }
        ItemDetails::AgentMessage { .. }
        | ItemDetails::Reasoning { .. }
        | ItemDetails::FileChange(_)
        | ItemDetails::TodoList { .. }
        | ItemDetails::Error { .. } => {}
    }
    details
}

/// Marks an item that never ended as failed.
fn fail(details: &mut ItemDetails) {
    match details {
        ItemDetails::CommandExecution(CommandExecution { status, .. })
        | ItemDetails::FileChange(FileChange { status, .. }) => *status = ItemStatus::Failed,
        ItemDetails::McpToolCall(call) => {
            call.status = ItemStatus::Failed;
            call.error.get_or_insert_with(|| "interrupted".to_owned());
        }
        ItemDetails::AgentMessage { .. }
        | ItemDetails::Reasoning { .. }
        | ItemDetails::TodoList { .. }
        | ItemDetails::WebSearch(_)
        | ItemDetails::Error { .. } => {}
    }
}

fn item_line(
    id: ItemName,
    item: &ThreadItem,
    event: impl for<'a> Fn(ExecItem<'a>) -> ExecEvent<'a>,
) -> Vec<u8> {
    let whole = line(&event(ExecItem::new(id, item)));
    let ItemDetails::CommandExecution(run) = &item.details else {
        return whole;
    };
    if whole.len() <= cut::LINE_LIMIT {
        return whole;
    }
    let (command, aggregated_output) =
        cut::command_line(&run.command, &run.aggregated_output, whole.len());
    line(&event(ExecItem {
        id,
        details: ExecDetails::CommandExecution {
            command: &command,
            aggregated_output: &aggregated_output,
            exit_code: run.exit_code,
            status: run.status.into(),
        },
    }))
}

fn line(event: &ExecEvent<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    // Strings, numbers and maps with string keys always serialise; a line that did not would be
    // half a line, so it is dropped whole.
    if serde_json::to_writer(&mut bytes, event).is_err() {
        return Vec::new();
    }
    bytes.push(b'\n');
    bytes
}

mod cut;
#[cfg(test)]
mod tests;
