//! Turns a thread file back into a conversation.
//!
//! A run that was killed may have left calls without outputs, and providers refuse such an input:
//! each gets the output `aborted` where the next one would have stood. An output without its call,
//! which only a damaged file has, is left out.

use codex_api_types::ResponseItem;
use codex_model::{CallStatus, PromptItem};
use codex_rollout::{Recorded, RolloutLine, TurnContext};

use crate::tools::OutputWire;

/// What the model is told of a call that was cut short.
pub(crate) const ABORTED: &str = "aborted";

/// A conversation as it was recorded.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    pub(super) items: Vec<PromptItem>,
    pub(super) context: Option<TurnContext>,
    /// The outputs at the end of `items` that are not on disk yet.
    pub(super) n_aborted_at_end: usize,
}

impl Recalled {
    /// Reads the lines of a thread file.
    pub(crate) fn new(recorded: Recorded) -> Self {
        let mut recalled = Self::default();
        let mut open = Vec::new();
        for line in recorded.lines {
            match line {
                RolloutLine::Context(context) => recalled.context = Some(context),
                RolloutLine::Item { item } => recalled.take(item, &mut open),
                RolloutLine::Compacted { items } => {
                    recalled.items.clear();
                    open.clear();
                    for item in items {
                        recalled.take(item, &mut open);
                    }
                }
                RolloutLine::Meta(_)
                | RolloutLine::TurnStarted
                | RolloutLine::TurnEnded { .. }
                | RolloutLine::Unknown => {}
            }
        }
        recalled.n_aborted_at_end = open.len();
        recalled.abort(&mut open);
        recalled
    }

    /// Returns the model that was used last.
    pub(crate) fn model(&self) -> Option<&str> {
        self.context.as_ref().map(|context| context.model.as_str())
    }

    fn take(&mut self, item: ResponseItem, open: &mut Vec<(String, OutputWire)>) {
        let item = match &item {
            ResponseItem::Message(message) if message.role == "assistant" => {
                PromptItem::model(item)
            }
            ResponseItem::Message(message) => {
                // Whoever speaks now, the calls before have nothing more to say.
                let is_developer = message.role == "developer";
                self.abort(open);
                if is_developer {
                    PromptItem::context(item)
                } else {
                    PromptItem::user(item)
                }
            }
            ResponseItem::FunctionCallOutput(result)
            | ResponseItem::CustomToolCallOutput(result) => {
                let Some(at) = open
                    .iter()
                    .position(|(call_id, _)| *call_id == result.call_id)
                else {
                    return;
                };
                open.remove(at);
                PromptItem::call(item, CallStatus::Completed)
            }
            ResponseItem::FunctionCall(_)
            | ResponseItem::CustomToolCall(_)
            | ResponseItem::LocalShellCall(_)
            | ResponseItem::Reasoning(_)
            | ResponseItem::WebSearchCall(_)
            | ResponseItem::Other(_) => {
                if let Some(call_id) = item.pending_call() {
                    open.push((call_id.to_owned(), OutputWire::of(&item)));
                }
                PromptItem::model(item)
            }
        };
        self.items.push(item);
    }

    fn abort(&mut self, open: &mut Vec<(String, OutputWire)>) {
        for (call_id, wire) in open.drain(..) {
            self.items.push(PromptItem::call(
                wire.output(call_id, ABORTED),
                CallStatus::Failed,
            ));
        }
    }
}
