//! What is asked of the model.

use std::sync::Arc;

use codex_api_types::{ReasoningOptions, ResponseItem, TextOptions, ToolSpec};
use codex_protocol::ThreadId;
use serde::{Serialize, Serializer};

/// One question to the model: the whole conversation and what goes with it.
///
/// The big parts are shared. An engine that keeps its history in the same [`Arc`] and changes it with
/// [`Arc::make_mut`] copies nothing, as long as it drops the stream of the last prompt first.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Names the conversation to the provider: cache key and headers.
    pub thread_id: ThreadId,
    /// Slug of the model.
    pub model: String,
    /// Base instructions.
    pub instructions: Arc<str>,
    /// The conversation in order. Each prompt of a thread begins with the whole input of the one
    /// before it, unless it was compacted in between.
    pub input: Arc<Vec<PromptItem>>,
    /// Tools on offer.
    pub tools: Arc<Vec<ToolSpec>>,
    /// Reasoning effort and summary.
    pub reasoning: ReasoningOptions,
    /// Verbosity and output schema.
    pub text: TextOptions,
    /// When configured.
    pub service_tier: Option<String>,
}

impl Prompt {
    /// Makes a prompt without tools and options.
    pub fn new(thread_id: ThreadId, model: impl Into<String>, input: Vec<PromptItem>) -> Self {
        Self {
            thread_id,
            model: model.into(),
            instructions: Arc::from(""),
            input: Arc::new(input),
            tools: Arc::default(),
            reasoning: ReasoningOptions::default(),
            text: TextOptions::default(),
            service_tier: None,
        }
    }
}

/// One item of the conversation and where it came from; on the wire it is the item alone.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptItem {
    /// The item.
    pub item: ResponseItem,
    /// Where it came from; recordings and replays look at this.
    pub origin: ItemOrigin,
}

/// Where an item of the conversation came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemOrigin {
    /// The engine: permissions, AGENTS.md, environment. Not compared by a replay.
    Context,
    /// The user's prompt.
    User,
    /// The model.
    Model,
    /// The output of a call. Only the engine knows how the call ended.
    Call(CallStatus),
}

/// How a call ended, as its item says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// It ended well.
    Completed,
    /// It ended badly, was refused or was cut short.
    Failed,
}

impl PromptItem {
    /// Makes an item of the engine.
    pub fn context(item: ResponseItem) -> Self {
        let origin = ItemOrigin::Context;
        Self { item, origin }
    }

    /// Makes the user's prompt.
    pub fn user(item: ResponseItem) -> Self {
        let origin = ItemOrigin::User;
        Self { item, origin }
    }

    /// Makes an item of the model.
    pub fn model(item: ResponseItem) -> Self {
        let origin = ItemOrigin::Model;
        Self { item, origin }
    }

    /// Makes the output of a call.
    pub fn call(item: ResponseItem, status: CallStatus) -> Self {
        let origin = ItemOrigin::Call(status);
        Self { item, origin }
    }
}

impl CallStatus {
    /// Returns the word of recordings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl Serialize for PromptItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.item.serialize(serializer)
    }
}
