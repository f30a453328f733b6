//! Makes a conversation short again when the model's window is about to be full, or is.
//!
//! One request asks the model for a summary; then the conversation begins anew with what every thread
//! begins with, the user's last prompt and the summary. The thread file keeps all that was said
//! before. When a request was refused as too long the summary is asked of its newer half only,
//! because the whole would be refused again.

use std::collections::HashSet;
use std::sync::Arc;

use codex_api_types::{ContentItem, ResponseItem};
use codex_model::{ModelEvent, Prompt, PromptItem, RetryBudget};
use codex_protocol::{EventKind, TurnError, TurnErrorKind};

use super::{Turn, own_error, told, turn_error};

/// What the model is told to write the summary.
const REQUEST: &str = include_str!("compaction/request.md");
/// What stands before the summary.
const HEAD: &str = "The conversation before this point became too long and was replaced by this summary of it. \
     Go on with the user's last request from here; do not repeat what is already done.\n\n";

/// How much of the conversation the summary is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// All of it: it still fits.
    Whole,
    /// The newer half, counted in bytes: the whole was refused.
    NewerHalf,
}

/// Why there is no summary.
pub(super) enum NoSummary {
    Failed(TurnError),
    Interrupted,
}

impl Turn {
    /// Makes the next request fit, where the last one did not or came near the end of the window.
    pub(super) async fn make_room(&mut self, was_too_long: bool) -> Result<(), NoSummary> {
        let limit = self.services.calls.settings.compaction_limit();
        if was_too_long {
            self.compact(Scope::NewerHalf).await
        } else if self.conversation.last_total() > limit {
            match self.compact(Scope::Whole).await {
                // The outputs since the last answer were too much.
                Err(NoSummary::Failed(error))
                    if error.kind == TurnErrorKind::ContextWindowExceeded =>
                {
                    self.compact(Scope::NewerHalf).await
                }
                other => other,
            }
        } else {
            Ok(())
        }
    }

    /// Replaces the conversation by a summary of it.
    async fn compact(&mut self, scope: Scope) -> Result<(), NoSummary> {
        let prompt = self.summary_prompt(scope);
        let summary = self.summary(prompt).await?;
        let mut items = self.services.opening();
        items.extend(self.conversation.last_user_prompt());
        let summary = ContentItem::input_text(format!("{HEAD}{summary}"));
        items.push(PromptItem::context(ResponseItem::input_message(
            "user",
            vec![summary],
        )));
        self.conversation.replace(items).await;
        let events = &self.services.calls.events;
        events
            .notice("the conversation became too long for the model and was replaced by a summary")
            .await;
        Ok(())
    }

    fn summary_prompt(&mut self, scope: Scope) -> Prompt {
        let catalog = self.services.calls.mcp.catalog();
        let mut prompt = self.prompt(&catalog);
        prompt.text.format = None;
        let mut items = match scope {
            Scope::Whole => prompt.input.to_vec(),
            Scope::NewerHalf => newer_half(&prompt.input),
        };
        let request = vec![ContentItem::input_text(REQUEST)];
        items.push(PromptItem::context(ResponseItem::input_message(
            "user", request,
        )));
        prompt.input = Arc::new(items);
        prompt
    }

    async fn summary(&mut self, prompt: Prompt) -> Result<String, NoSummary> {
        let mut budget = RetryBudget::default();
        loop {
            match self.summary_try(prompt.clone(), budget).await? {
                SummaryTry::Done(text) if text.trim().is_empty() => {
                    let message = "the conversation is too long, and the model gave no summary";
                    return Err(NoSummary::Failed(own_error(message.to_owned())));
                }
                SummaryTry::Done(text) => return Ok(text),
                SummaryTry::Broken(left) => budget = left,
            }
        }
    }

    /// Asks once; nothing of the answer is shown, and its calls do not run.
    async fn summary_try(
        &mut self,
        prompt: Prompt,
        budget: RetryBudget,
    ) -> Result<SummaryTry, NoSummary> {
        let model = Arc::clone(&self.services.model);
        let mut stream = model.stream(prompt, budget, self.cancel.clone());
        let mut text = String::new();
        loop {
            let event = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(NoSummary::Interrupted),
                event = stream.next() => event,
            };
            match event {
                Some(Ok(ModelEvent::ItemDone(ResponseItem::Message(message)))) => {
                    text.push_str(&message.text());
                }
                Some(Ok(ModelEvent::Retrying(retrying))) => {
                    let events = &self.services.calls.events;
                    events.emit(told(&retrying)).await;
                }
                Some(Ok(ModelEvent::Completed { usage })) => {
                    self.usage += usage;
                    let events = &self.services.calls.events;
                    events.emit(EventKind::ResponseCompleted { usage }).await;
                    return Ok(SummaryTry::Done(text));
                }
                Some(Ok(ModelEvent::Interrupted(budget))) => return Ok(SummaryTry::Broken(budget)),
                Some(Ok(_)) => {}
                Some(Err(error)) if error.is_cancelled() => return Err(NoSummary::Interrupted),
                Some(Err(error)) => return Err(NoSummary::Failed(turn_error(error))),
                None => {
                    let message = "the model's answer ended without an end";
                    return Err(NoSummary::Failed(own_error(message.to_owned())));
                }
            }
        }
    }
}

/// How one try ended.
enum SummaryTry {
    Done(String),
    /// The answer broke off; the next try asks for the whole of it again.
    Broken(RetryBudget),
}

/// Returns the newest items that have at most half of all bytes, without outputs whose calls are gone.
fn newer_half(items: &[PromptItem]) -> Vec<PromptItem> {
    let sizes: Vec<usize> = items.iter().map(size).collect();
    let mut left = sizes.iter().sum::<usize>() / 2;
    let n_kept = sizes
        .iter()
        .rev()
        .take_while(|size| {
            let fits = **size <= left;
            left = left.saturating_sub(**size);
            fits
        })
        .count();
    let kept = &items[items.len() - n_kept..];
    let calls: HashSet<&str> = kept
        .iter()
        .filter_map(|item| item.item.pending_call())
        .collect();
    let has_call = |item: &&PromptItem| match &item.item {
        ResponseItem::FunctionCallOutput(result) | ResponseItem::CustomToolCallOutput(result) => {
            calls.contains(result.call_id.as_str())
        }
        _ => true,
    };
    kept.iter().filter(has_call).cloned().collect()
}

fn size(item: &PromptItem) -> usize {
    serde_json::to_vec(item).map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use codex_api_types::FunctionCall;
    use codex_model::CallStatus;

    use super::*;

    fn user(text: &str) -> PromptItem {
        let part = ContentItem::input_text(text);
        PromptItem::user(ResponseItem::input_message("user", vec![part]))
    }

    fn call(call_id: &str) -> PromptItem {
        PromptItem::model(ResponseItem::FunctionCall(FunctionCall {
            call_id: call_id.to_owned(),
            name: "f".to_owned(),
            namespace: None,
            arguments: "x".repeat(500),
        }))
    }

    fn output(call_id: &str) -> PromptItem {
        PromptItem::call(
            ResponseItem::function_output(call_id, "ok"),
            CallStatus::Completed,
        )
    }

    #[test]
    fn the_newer_half_has_no_output_without_its_call() {
        let (first, second) = (call("call_1"), call("call_2"));
        let items = [
            user(&"old ".repeat(20)),
            first,
            second.clone(),
            output("call_1"),
            output("call_2"),
        ];
        assert_eq!(newer_half(&items), [second, output("call_2")]);
    }

    #[test]
    fn an_item_larger_than_half_is_left_out() {
        assert_eq!(newer_half(&[user("small"), user(&"x".repeat(999))]), []);
        assert_eq!(newer_half(&[]), []);
    }
}
