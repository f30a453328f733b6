//! One answer with all its tries.
//!
//! A small machine: send, read events, and on a failure ask the retry table. Items that are done are
//! handed out and never taken back; when the answer breaks after one, the session ends with
//! [`ModelEvent::Interrupted`] and the engine goes on with a new request that contains them.
//! Trap: the body is built once and the prompt dropped at once, so that the engine can change its
//! history in place afterwards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_api_types::{Completed, ResponseItem, ResponsesRequest, SseEvent, Usage};
use codex_http::{
    HttpError, HttpErrorKind, Limits, Request, Response, RetryAfter, SseDecoder, SseStream,
};
use codex_protocol::{ThreadId, TokenUsage, TurnErrorKind};
use futures_util::{FutureExt as _, StreamExt as _};
use http::header::AUTHORIZATION;
use tokio_util::sync::CancellationToken;

use super::{Shared, Waits, headers};
use crate::refusal::{self, Failure};
use crate::retry::{Decision, Fault, random_jitter};
use crate::{
    ErrorOrigin, Freshness, ModelError, ModelEvent, Prompt, PromptItem, ProviderKey,
    RedactionRules, RetryBudget, Retrying,
};

/// Largest request body.
const MAX_REQUEST: usize = 64 * 1024 * 1024;
/// Most text in one answer; deltas and done items are counted apart, because they say the same.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// Deltas that arrived together are joined up to this size: one wake-up instead of hundreds.
const JOINED_DELTA: usize = 16 * 1024;
/// How long the end of the body may take after the answer is complete; only a connection whose body
/// was read to its end can be used again.
const DRAIN: Duration = Duration::from_millis(20);
/// How long the body of a refusal may take.
const REFUSAL_BODY: Duration = Duration::from_secs(10);

/// One answer with all its tries.
#[derive(Debug)]
pub(super) struct Session {
    shared: Arc<Shared>,
    cancel: CancellationToken,
    thread: ThreadId,
    prompt: Option<Prompt>,
    body: Bytes,
    budget: RetryBudget,
    renew_key: bool,
    /// The key of the last try, which no message may show.
    key: Option<codex_host::Secret>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the first try: a retry of the session before this one is announced here.
    Begin,
    /// Between two tries.
    Wait(Duration),
    Send,
    Read(Box<Reading>),
    Ended,
}

/// A try whose headers came.
#[derive(Debug)]
struct Reading {
    events: SseStream,
    content_type: Option<String>,
    ready: VecDeque<ModelEvent>,
    end: Option<Result<TokenUsage, Failure>>,
    any_event: bool,
    n_done: usize,
    delta_bytes: usize,
    done_bytes: usize,
}

/// What one step of the machine gives.
type Step = Option<Result<ModelEvent, ModelError>>;

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        prompt: Prompt,
        budget: RetryBudget,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            shared,
            cancel,
            thread: prompt.thread_id,
            prompt: Some(prompt),
            body: Bytes::new(),
            budget,
            renew_key: false,
            key: None,
            state: State::Begin,
        }
    }

    /// Returns the next event; `None` after the end.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            match &mut self.state {
                State::Ended => return None,
                // What has already arrived needs no wait, and so no watch for the cancellation.
                State::Read(reading) if !self.cancel.is_cancelled() => {
                    if let Some(event) = reading.ready.pop_front() {
                        return Some(Ok(event));
                    }
                }
                State::Begin | State::Wait(_) | State::Send | State::Read(_) => {}
            }
            let cancel = self.cancel.clone();
            let step = tokio::select! {
                biased;
                () = cancel.cancelled() => Some(Err(ModelError::cancelled())),
                step = self.step() => step,
            };
            match step {
                Some(Err(error)) => {
                    self.state = State::Ended;
                    return Some(Err(error));
                }
                Some(event) => return Some(event),
                None => {}
            }
        }
    }

    /// Does one step; `None` means that there is nothing to tell yet.
    async fn step(&mut self) -> Step {
        match &mut self.state {
            State::Begin => self.begin(),
            State::Wait(after) => {
                let after = *after;
                if self.shared.waits == Waits::Real {
                    tokio::time::sleep(after).await;
                }
                self.state = State::Send;
                None
            }
            State::Send => match self.send().await {
                Ok(response) => {
                    self.state = State::Read(Box::new(Reading::new(response)));
                    None
                }
                Err(failure) => Some(self.on_failure(failure, 0)),
            },
            State::Read(reading) => match reading.end.take() {
                None => {
                    reading.read(self.shared.idle).await;
                    None
                }
                Some(Ok(usage)) => {
                    reading.drain().await;
                    self.state = State::Ended;
                    Some(Ok(ModelEvent::Completed { usage }))
                }
                Some(Err(failure)) => {
                    let n_done = reading.n_done;
                    Some(self.on_failure(failure, n_done))
                }
            },
            State::Ended => None,
        }
    }

    fn begin(&mut self) -> Step {
        if let Some(prompt) = self.prompt.take() {
            match build_body(&prompt) {
                Ok(body) => self.body = body,
                Err(error) => return Some(Err(error)),
            }
        }
        match self.budget.pending.take() {
            Some(retrying) => {
                self.state = State::Wait(retrying.after);
                Some(Ok(ModelEvent::Retrying(retrying)))
            }
            None => {
                self.state = State::Send;
                None
            }
        }
    }

    async fn send(&mut self) -> Result<Response, Failure> {
        self.key = self.fetch_key().await?;
        let shared = &self.shared;
        let mut headers = shared.headers.clone().map_err(local)?;
        headers::add_ids(&mut headers, self.thread);
        let has_own_key = headers.contains_key(AUTHORIZATION);
        let mut request = Request::post_json(shared.url.clone(), self.body.clone());
        request.headers = headers;
        request.limits = Limits {
            headers: Some(shared.idle),
            // Silence is measured in events, below: comments alone keep no answer alive.
            idle: None,
            body: None,
        };
        if let Some(key) = self.key.as_ref().filter(|_| !has_own_key) {
            request = request
                .bearer(key)
                .map_err(|error| local(error.to_string()))?;
        }
        let response = shared
            .http
            .send(request)
            .await
            .map_err(|e| unanswered(&e))?;
        if response.status.is_success() {
            return Ok(response);
        }
        let status = response.status.as_u16();
        let asked = RetryAfter::from_headers(&response.headers);
        let asked = asked.map(|asked| asked.delay(shared.clock.now()));
        let body = tokio::time::timeout(REFUSAL_BODY, response.error_text()).await;
        let renewable = matches!(shared.key, ProviderKey::Source(_));
        Err(refusal::refused(
            status,
            asked,
            &body.unwrap_or_default(),
            renewable,
        ))
    }

    async fn fetch_key(&mut self) -> Result<Option<codex_host::Secret>, Failure> {
        let found = match &self.shared.key {
            ProviderKey::None => return Ok(None),
            ProviderKey::Fixed(key) => return Ok(Some(key.clone())),
            ProviderKey::Missing(error) => Err(error.clone()),
            ProviderKey::Source(source) => {
                let freshness = match self.renew_key {
                    true => Freshness::Renewed,
                    false => Freshness::Any,
                };
                source.key(freshness).await
            }
        };
        found.map(Some).map_err(|error| Failure {
            hints: error.hints,
            kind: TurnErrorKind::Unauthorized,
            ..local(error.message)
        })
    }

    /// Asks the retry table. After `n_done` items the next try is the engine's.
    fn on_failure(&mut self, failure: Failure, n_done: usize) -> Result<ModelEvent, ModelError> {
        let attempts = self.budget.attempts();
        let decision = self
            .budget
            .decide(failure.fault, self.shared.limits, random_jitter());
        let mut message = self.redacted(&failure.message);
        let mut kind = failure.kind;
        match decision {
            Decision::Retry {
                attempt,
                max,
                after,
            } => {
                self.renew_key |= matches!(failure.fault, Fault::Unauthorized { .. });
                let retrying = Retrying {
                    attempt,
                    max,
                    why: message,
                    after,
                };
                if n_done == 0 {
                    self.state = State::Wait(after);
                    return Ok(ModelEvent::Retrying(retrying));
                }
                self.state = State::Ended;
                self.budget.pending = Some(retrying);
                return Ok(ModelEvent::Interrupted(self.budget.clone()));
            }
            Decision::UsedUp if attempts > 1 => {
                let status = failure.status();
                kind = TurnErrorKind::TooManyFailedAttempts { status };
            }
            Decision::UsedUp | Decision::Fail => {}
            Decision::TooLong(delay) => message.push_str(&refusal::too_long(delay)),
        }
        Err(ModelError {
            origin: failure.origin,
            kind,
            message,
            hints: failure.hints,
            attempts: match failure.origin {
                ErrorOrigin::Local => 0,
                _ => attempts,
            },
        })
    }

    fn redacted(&self, message: &str) -> String {
        let secrets = self.shared.secrets.iter().chain(&self.key).cloned();
        RedactionRules::new(secrets).redact(message).0.into_owned()
    }
}

impl Reading {
    fn new(response: Response) -> Self {
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
    async fn read(&mut self, idle: Duration) {
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
            SseEvent::OutputItemAdded(item) => self.ready.push_back(ModelEvent::ItemAdded(item)),
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

    async fn drain(&mut self) {
        let to_the_end = async { while let Some(Ok(_)) = self.events.next().await {} };
        // An answer that is complete stays complete, however its connection ends.
        let _ = tokio::time::timeout(DRAIN, to_the_end).await;
    }
}

/// Writes the body, and measures it before anything is sent.
fn build_body(prompt: &Prompt) -> Result<Bytes, ModelError> {
    let thread = prompt.thread_id.to_string();
    let request = ResponsesRequest {
        model: &prompt.model,
        instructions: &prompt.instructions,
        input: &prompt.input,
        tools: &prompt.tools,
        reasoning: Some(&prompt.reasoning),
        prompt_cache_key: &thread,
        text: Some(&prompt.text),
        service_tier: prompt.service_tier.as_deref(),
    };
    let failed =
        |message: String| ModelError::new(ErrorOrigin::Local, TurnErrorKind::BadRequest, message);
    let body = serde_json::to_vec(&request)
        .map_err(|why| failed(format!("the request cannot be written as JSON: {why}")))?;
    if body.len() <= MAX_REQUEST {
        return Ok(Bytes::from(body));
    }
    let biggest = biggest_item(&prompt.input).unwrap_or_default();
    let (size, limit) = (body.len() >> 20, MAX_REQUEST >> 20);
    let message =
        format!("the request has {size} MiB, more than the limit of {limit} MiB{biggest}");
    Err(failed(message).hint("begin a new thread, or attach smaller images"))
}

fn biggest_item(input: &[PromptItem]) -> Option<String> {
    let sizes = input.iter().map(json_size).enumerate();
    let (index, size) = sizes.max_by_key(|(_, size)| *size)?;
    let (number, kind, size) = (index + 1, input.get(index)?.item.kind(), size >> 20);
    Some(format!(
        "; the biggest item is number {number}, a `{kind}` of {size} MiB"
    ))
}

/// Measures without writing: the item may be huge.
fn json_size(item: &PromptItem) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, item) {
        Ok(()) => counter.0,
        Err(_) => 0,
    }
}

/// Makes the failure of something that went wrong on our side.
fn local(message: String) -> Failure {
    Failure::new(
        Fault::Permanent,
        ErrorOrigin::Local,
        TurnErrorKind::Other,
        message,
    )
}

/// Reads why there are no headers.
fn unanswered(error: &HttpError) -> Failure {
    let fault = match error.kind() {
        HttpErrorKind::Dns
        | HttpErrorKind::Refused
        | HttpErrorKind::Unreachable
        | HttpErrorKind::Proxy
        | HttpErrorKind::Reset
        | HttpErrorKind::Protocol => Fault::Unreachable,
        HttpErrorKind::ConnectTimeout | HttpErrorKind::HeadersTimeout => Fault::Slow,
        // Certificates, addresses, foreign redirects: the next try would end the same way.
        _ => Fault::Permanent,
    };
    let kind = TurnErrorKind::HttpConnectionFailed { status: None };
    Failure::new(fault, ErrorOrigin::Connection, kind, error.to_string())
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
