//! What was said so far: in memory for the next request, on disk for the next process.
//!
//! **Law: the input of a request begins with the whole input of the one before it**, byte for byte.
//! It holds because items are only ever appended here, until [`Conversation::replace`]. While an answer arrives its prompt shares the
//! items, so new ones wait in `fresh` and join when the next input is asked for: nothing is copied.

mod journal;
mod recall;

use std::sync::Arc;

use codex_api_types::{ContentItem, ResponseItem};
use codex_model::{ItemOrigin, PromptItem};
use codex_protocol::{TokenUsage, UserInput};
use codex_rollout::{RolloutLine, TurnContext, TurnEnd};

use crate::instructions::{self, AgentsMd};
use crate::settings::ThreadSettings;

pub(crate) use journal::Journal;
pub(crate) use recall::{ABORTED, Recalled};

/// The history of a thread and its record.
#[derive(Debug)]
pub(crate) struct Conversation {
    items: Arc<Vec<PromptItem>>,
    fresh: Vec<PromptItem>,
    /// The settings of the last turn; `None` before the first.
    context: Option<TurnContext>,
    /// Tokens of the last request and its answer; 0 while unknown.
    last_total: u64,
    /// So many of the last items are not on disk yet.
    n_unwritten: usize,
    journal: Journal,
}

impl Conversation {
    /// Makes a conversation of which nothing was said yet.
    pub(crate) fn empty(journal: Journal) -> Self {
        Self::recalled(Recalled::default(), journal)
    }

    /// Goes on with a recorded conversation.
    pub(crate) fn recalled(recalled: Recalled, journal: Journal) -> Self {
        Self {
            n_unwritten: recalled.n_aborted_at_end,
            items: Arc::new(recalled.items),
            fresh: Vec::new(),
            last_total: 0,
            context: recalled.context,
            journal,
        }
    }

    /// Begins a turn: the record, what the model must know first, and the user's words.
    pub(crate) async fn begin_turn(
        &mut self,
        settings: &ThreadSettings,
        agents_md: impl FnOnce() -> Option<AgentsMd>,
        now: jiff::Timestamp,
        input: Vec<UserInput>,
    ) {
        let n_unwritten = std::mem::take(&mut self.n_unwritten);
        let is_new = self.journal.open(&self.items, n_unwritten).await;
        let context = instructions::context_of(settings);
        let told = match &self.context {
            None => instructions::opening(settings, agents_md().as_ref(), now),
            Some(recorded) => instructions::changes(recorded, settings, now),
        };
        if is_new || self.context.as_ref() != Some(&context) {
            self.journal
                .write(&RolloutLine::Context(context.clone()))
                .await;
            self.context = Some(context);
        }
        self.journal.write(&RolloutLine::TurnStarted).await;
        for item in told {
            self.push(PromptItem::context(item)).await;
        }
        if !input.is_empty() {
            self.push(PromptItem::user(user_message(input))).await;
        }
    }

    /// Appends an item.
    pub(crate) async fn push(&mut self, item: PromptItem) {
        self.journal.write_item(&item.item).await;
        self.fresh.push(item);
    }

    /// Returns everything said so far. Cheap while no earlier input is held by anybody.
    pub(crate) fn input(&mut self) -> Arc<Vec<PromptItem>> {
        Arc::make_mut(&mut self.items).append(&mut self.fresh);
        Arc::clone(&self.items)
    }

    /// Takes note of what the last request and its answer came to.
    pub(crate) fn counted(&mut self, usage: TokenUsage) {
        self.last_total = usage.input_tokens.saturating_add(usage.output_tokens);
    }

    /// Returns the tokens of the last request and its answer; 0 while unknown.
    pub(crate) fn last_total(&self) -> u64 {
        self.last_total
    }

    /// Returns what the user said last.
    pub(crate) fn last_user_prompt(&self) -> Option<PromptItem> {
        let mut newest_first = self.fresh.iter().rev().chain(self.items.iter().rev());
        newest_first
            .find(|item| item.origin == ItemOrigin::User)
            .cloned()
    }

    /// Begins anew with these items: the one exception from the law above.
    pub(crate) async fn replace(&mut self, items: Vec<PromptItem>) {
        let recorded = items.iter().map(|item| item.item.clone()).collect();
        let line = RolloutLine::Compacted { items: recorded };
        self.journal.write(&line).await;
        self.items = Arc::new(items);
        self.fresh.clear();
        self.last_total = 0;
    }

    /// Ends the record of a turn and waits until it is on disk.
    pub(crate) async fn end_turn(&mut self, end: TurnEnd, message: Option<String>) {
        self.journal
            .write(&RolloutLine::TurnEnded { end, message })
            .await;
        self.journal.flush().await;
    }
}

/// Makes the user's message: three parts for each picture, so that the model can name it.
fn user_message(input: Vec<UserInput>) -> ResponseItem {
    let mut parts = Vec::new();
    let mut n_images = 0;
    for part in input {
        match part {
            UserInput::Text(text) => parts.push(ContentItem::input_text(text)),
            UserInput::Image { path, data_url } => {
                n_images += 1;
                let path = path.display();
                parts.push(ContentItem::input_text(format!(
                    "<image name=[Image #{n_images}] path=\"{path}\">"
                )));
                parts.push(ContentItem::input_image(data_url));
                parts.push(ContentItem::input_text("</image>"));
            }
        }
    }
    ResponseItem::input_message("user", parts)
}

#[cfg(test)]
mod tests;
