//! What of an answer is shown while it arrives.
//!
//! Deltas go to frontends that asked for them, under the id of the item that will complete. A search
//! that the provider began is ended here even when the answer breaks off.

use std::collections::VecDeque;

use codex_api_types::{ResponseItem, WebSearchCall};
use codex_model::ModelEvent;
use codex_protocol::{EventKind, ItemDetails, ItemId, WebSearch};
use serde_json::{Value, json};

use crate::events::EventSink;

/// The open items of one answer.
#[derive(Debug)]
pub(super) struct Shown {
    events: EventSink,
    stream_deltas: bool,
    message: Option<ItemId>,
    reasoning: Option<ItemId>,
    searches: VecDeque<ItemId>,
}

impl Shown {
    pub(super) fn new(events: EventSink, stream_deltas: bool) -> Self {
        Self {
            events,
            stream_deltas,
            message: None,
            reasoning: None,
            searches: VecDeque::new(),
        }
    }

    /// Shows a piece of an item that is not done.
    pub(super) async fn progress(&mut self, event: ModelEvent) {
        match event {
            ModelEvent::ItemAdded(ResponseItem::WebSearchCall(_)) => self.begin_search().await,
            ModelEvent::TextDelta(delta) if self.stream_deltas => {
                let item = *self.message.get_or_insert_with(|| self.events.new_item());
                self.events
                    .emit(EventKind::AgentMessageDelta { item, delta })
                    .await;
            }
            ModelEvent::ReasoningDelta(delta) if self.stream_deltas => {
                self.reasoning_delta(delta).await;
            }
            ModelEvent::ReasoningPartAdded if self.stream_deltas && self.reasoning.is_some() => {
                self.reasoning_delta("\n\n".to_owned()).await;
            }
            ModelEvent::Created
            | ModelEvent::ItemAdded(_)
            | ModelEvent::TextDelta(_)
            | ModelEvent::ReasoningPartAdded
            | ModelEvent::ReasoningDelta(_)
            | ModelEvent::RawReasoningDelta(_)
            | ModelEvent::CallInputDelta(_)
            | ModelEvent::ItemDone(_)
            | ModelEvent::Retrying(_)
            | ModelEvent::Completed { .. }
            | ModelEvent::Interrupted(_) => {}
        }
    }

    /// Shows an item that is done and is no call of ours.
    pub(super) async fn done(&mut self, item: &ResponseItem) {
        match item {
            ResponseItem::Message(message) => {
                let id = self
                    .message
                    .take()
                    .unwrap_or_else(|| self.events.new_item());
                let text = message.text();
                self.events
                    .completed(id, ItemDetails::AgentMessage { text })
                    .await;
            }
            ResponseItem::Reasoning(reasoning) => {
                let text = reasoning.summary_text();
                let id = self.reasoning.take();
                if !text.is_empty() {
                    let id = id.unwrap_or_else(|| self.events.new_item());
                    self.events
                        .completed(id, ItemDetails::Reasoning { text })
                        .await;
                }
            }
            ResponseItem::WebSearchCall(call) => {
                if self.searches.is_empty() {
                    self.begin_search().await;
                }
                if let Some(id) = self.searches.pop_front() {
                    self.events
                        .completed(id, ItemDetails::WebSearch(search(call)))
                        .await;
                }
            }
            ResponseItem::FunctionCall(_)
            | ResponseItem::CustomToolCall(_)
            | ResponseItem::LocalShellCall(_)
            | ResponseItem::FunctionCallOutput(_)
            | ResponseItem::CustomToolCallOutput(_)
            | ResponseItem::Other(_) => {}
        }
    }

    /// Ends what was begun and will not be done.
    pub(super) async fn void(&mut self) {
        self.message = None;
        self.reasoning = None;
        while let Some(id) = self.searches.pop_front() {
            self.events
                .completed(id, ItemDetails::WebSearch(nothing_yet()))
                .await;
        }
    }

    async fn begin_search(&mut self) {
        let id = self
            .events
            .started(ItemDetails::WebSearch(nothing_yet()))
            .await;
        self.searches.push_back(id);
    }

    async fn reasoning_delta(&mut self, delta: String) {
        let item = *self.reasoning.get_or_insert_with(|| self.events.new_item());
        self.events
            .emit(EventKind::ReasoningDelta { item, delta })
            .await;
    }
}

fn nothing_yet() -> WebSearch {
    WebSearch {
        query: String::new(),
        action: json!({"type": "other"}),
    }
}

fn search(call: &WebSearchCall) -> WebSearch {
    let Some(action) = &call.action else {
        return nothing_yet();
    };
    let first_query = action.get("queries").and_then(|queries| queries.get(0));
    let what = [
        action.get("query"),
        first_query,
        action.get("url"),
        action.get("pattern"),
    ];
    let query = what.into_iter().flatten().find_map(Value::as_str);
    WebSearch {
        query: query.unwrap_or_default().to_owned(),
        action: action.clone(),
    }
}
