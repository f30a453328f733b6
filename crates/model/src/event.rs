//! What the model answers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use codex_api_types::ResponseItem;
use codex_protocol::TokenUsage;
use futures_util::Stream;
use futures_util::StreamExt as _;

use crate::{ModelError, RetryBudget};

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The provider began to answer.
    Created,
    /// An item began; for display only.
    ItemAdded(ResponseItem),
    /// Text of the message that is being written; for display only. Several deltas of the provider
    /// that arrived together may come as one.
    TextDelta(String),
    /// A new part of the reasoning summary begins; for display only.
    ReasoningPartAdded,
    /// Text of the reasoning summary; for display only.
    ReasoningDelta(String),
    /// Text of the plain reasoning of open models; for display only.
    RawReasoningDelta(String),
    /// Text of the custom call that is being written; for display only.
    CallInputDelta(String),
    /// An item is done: belongs into the history, and is to be executed when it is a call.
    ItemDone(ResponseItem),
    /// A try failed, and the next one follows after a wait. Deltas since the last item that was done
    /// are void.
    Retrying(Retrying),
    /// The answer is complete; the stream ends.
    Completed {
        /// Tokens of this request.
        usage: TokenUsage,
    },
    /// The answer broke off after some items were done; the stream ends.
    ///
    /// The items stay. Execute their calls, append items and outputs to the history, and ask again
    /// with this budget: the new stream begins with [`ModelEvent::Retrying`] and the wait. No call
    /// runs twice, and the counters of the response go on where they were.
    Interrupted(RetryBudget),
}

/// A try that will be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrying {
    /// The number of the coming retry, from 1.
    pub attempt: u32,
    /// How many retries there can be; `None` when they go on until cancelled.
    pub max: Option<u32>,
    /// Why the last try failed.
    pub why: String,
    /// How long it waits first.
    pub after: Duration,
}

impl Retrying {
    /// Says which try it is.
    pub fn headline(&self) -> String {
        match self.max {
            Some(max) => format!("Reconnecting... {}/{max}", self.attempt),
            None => format!("Reconnecting... {}", self.attempt),
        }
    }
}

impl fmt::Display for Retrying {
    /// Writes the notice of contract-exec 6.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.headline(), self.why)
    }
}

/// An answer as it arrives.
pub struct ModelStream(Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>);

impl ModelStream {
    /// Wraps any stream of events.
    pub fn new(
        stream: impl Stream<Item = Result<ModelEvent, ModelError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(stream))
    }

    /// Makes an answer that is already known.
    pub fn ready(events: Vec<Result<ModelEvent, ModelError>>) -> Self {
        Self::new(futures_util::stream::iter(events))
    }

    /// Returns the next event; `None` after the end.
    pub async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        self.0.next().await
    }
}

impl Stream for ModelStream {
    type Item = Result<ModelEvent, ModelError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for ModelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelStream")
    }
}
