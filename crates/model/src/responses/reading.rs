//! One try whose headers came: events of the provider in, events of ours out.
//!
//! `output_item.done` is the only source of items; deltas are for display. Silence is measured from
//! event to event, so that a peer that only sends comments is given up like one that sends nothing.

use std::collections::VecDeque;
use std::time::Duration;

use codex_api_types::{Completed, ResponseItem, SseEvent, Usage};
use codex_http::{HttpError, HttpErrorKind, Response, SseDecoder, SseStream};
use codex_protocol::{TokenUsage, TurnErrorKind};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::refusal::{self, Failure};
use crate::retry::Fault;
use crate::{ErrorOrigin, ModelEvent};

/// Most text in one answer; deltas and done items are counted apart, because they say the same.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// Deltas that arrived together are joined up to this size: one wake-up instead of hundreds.
const JOINED_DELTA: usize = 16 * 1024;
/// How long the end of the body may take after the answer is complete; only a connection whose body
/// was read to its end can be used again.
const DRAIN: Duration = Duration::from_millis(20);

/// A try whose headers came.
#[derive(Debug)]
pub(super) struct Reading {
    events: SseStream,
    content_type: Option<String>,
    pub(super) ready: VecDeque<ModelEvent>,
    pub(super) end: Option<Result<TokenUsage, Failure>>,
    any_event: bool,
    pub(super) n_done: usize,
    delta_bytes: usize,
    done_bytes: usize,
}

impl Reading {
    pub(super) fn new(response: Response) -> Self {
        Self {
            content_type: response.content_type(),
            events: response.events(SseDecoder::DEFAULT_MAX_EVENT),
            ready: VecDeque::new(),
            end: None,
            any_event: false,
            n_done: 0,
            delta_bytes: 0,
            done_bytes: 0,
        }
    }

    /// Waits for one event; deltas that are already here join it.
    pub(super) async fn read(&mut self, idle: Duration) {
        match tokio::time::timeout(idle, self.events.next()).await {
            Ok(item) => self.take(item),
            Err(_) => {
                let silent = format!("the answer was silent for {idle:?}");
                self.end = Some(Err(Failure::stream(silent)));
            }
        }
        while self.end.is_none() && self.may_join() {
            match self.events.next().now_or_never() {
                Some(item) => self.take(item),
                None => break,
            }
        }
    }

    fn may_join(&self) -> bool {
        match self.ready.back() {
            Some(ModelEvent::TextDelta(text)) => self.ready.len() == 1 && text.len() < JOINED_DELTA,
            _ => false,
        }
    }

    fn take(&mut self, item: Option<Result<codex_http::SseEvent, HttpError>>) {
        let outcome = match item {
            Some(Ok(event)) => event.data.map_or(Ok(()), |data| self.on_data(&data)),
            Some(Err(error)) => Err(broken(&error)),
            None => Err(self.cut_off()),
        };
        if let Err(failure) = outcome {
            self.end = Some(Err(failure));
        }
    }

    fn on_data(&mut self, data: &str) -> Result<(), Failure> {
        if data.trim_ascii() == "[DONE]" {
            return Ok(());
        }
        let event = SseEvent::decode(data).map_err(|why| Failure::stream(why.to_string()))?;
        self.any_event = true;
        match event {
            SseEvent::Created => self.ready.push_back(ModelEvent::Created),
            SseEvent::OutputItemAdded(item) => {
                self.count_delta(data)?;
                self.ready.push_back(ModelEvent::ItemAdded(item));
            }
            SseEvent::OutputItemDone(item) => {
                self.done_bytes += data.len();
                self.check_size()?;
                self.on_done(item);
            }
            SseEvent::OutputTextDelta(text) => {
                self.count_delta(&text)?;
                match self.ready.back_mut() {
                    Some(ModelEvent::TextDelta(joined)) => joined.push_str(&text),
                    _ => self
                        .ready
                        .push_back(ModelEvent::TextDelta(text.into_owned())),
                }
            }
            SseEvent::ReasoningSummaryPartAdded => {
                self.ready.push_back(ModelEvent::ReasoningPartAdded);
            }
            SseEvent::ReasoningSummaryTextDelta(text) => {
                self.count_delta(&text)?;
                self.ready
                    .push_back(ModelEvent::ReasoningDelta(text.into_owned()));
            }
            SseEvent::ReasoningTextDelta(text) => {
                self.count_delta(&text)?;
                self.ready
                    .push_back(ModelEvent::RawReasoningDelta(text.into_owned()));
            }
            SseEvent::CustomToolCallInputDelta(text) => {
                self.count_delta(&text)?;
                self.ready
                    .push_back(ModelEvent::CallInputDelta(text.into_owned()));
            }
            SseEvent::Completed(completed) => self.on_completed(&completed),
            SseEvent::Incomplete { reason } => return Err(refusal::incomplete(&reason)),
            SseEvent::Failed(error) => return Err(refusal::failed(&error)),
            SseEvent::Ignored => {}
        }
        Ok(())
    }

    fn on_done(&mut self, item: ResponseItem) {
        self.n_done += 1;
        self.ready.push_back(ModelEvent::ItemDone(item));
    }

    fn on_completed(&mut self, completed: &Completed<'_>) {
        if self.n_done == 0 {
            for item in completed.output() {
                self.on_done(item);
            }
        }
        self.end = Some(Ok(usage(completed.usage)));
    }

    fn count_delta(&mut self, text: &str) -> Result<(), Failure> {
        self.delta_bytes += text.len();
        self.check_size()
    }

    fn check_size(&self) -> Result<(), Failure> {
        if self.delta_bytes.max(self.done_bytes) <= MAX_TEXT {
            return Ok(());
        }
        let message = format!("the answer is larger than {} MiB", MAX_TEXT >> 20);
        let origin = ErrorOrigin::Stream;
        Err(Failure::new(
            Fault::Permanent,
            origin,
            TurnErrorKind::Other,
            message,
        ))
    }

    fn cut_off(&self) -> Failure {
        match &self.content_type {
            Some(other) if !self.any_event && other != "text/event-stream" => Failure::stream(
                format!("the provider answered with `{other}` instead of events"),
            ),
            _ => Failure::stream("the answer ended before response.completed"),
        }
    }

    pub(super) async fn drain(&mut self) {
        let to_the_end = async { while let Some(Ok(_)) = self.events.next().await {} };
        // An answer that is complete stays complete, however its connection ends.
        let _ = tokio::time::timeout(DRAIN, to_the_end).await;
    }
}

/// Reads why the body broke.
fn broken(error: &HttpError) -> Failure {
    let fault = match error.kind() {
        HttpErrorKind::EventTooLarge | HttpErrorKind::BodyTooLarge => Fault::Permanent,
        _ => Fault::Stream,
    };
    Failure {
        fault,
        ..Failure::stream(error.to_string())
    }
}

fn usage(usage: Usage) -> TokenUsage {
    TokenUsage {
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        cache_write_input_tokens: usage.cache_write_input_tokens,
        output_tokens: usage.output_tokens,
        reasoning_output_tokens: usage.reasoning_output_tokens,
    }
}
