//! One answer with all its tries.
//!
//! A small machine: send, read events, and on a failure ask the retry table. Items that are done are
//! handed out and never taken back; when the answer breaks after one, the session ends with
//! [`ModelEvent::Interrupted`] and the engine goes on with a new request that contains them.
//! Trap: the body is built once and the prompt dropped at once, so that the engine can change its
//! history in place afterwards.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_http::{HttpError, HttpErrorKind, Limits, Request, Response, RetryAfter};
use codex_protocol::{ThreadId, TurnErrorKind};
use http::header::AUTHORIZATION;
use tokio_util::sync::CancellationToken;

use super::reading::Reading;
use super::{Shared, Waits, body, headers};
use crate::refusal::{self, Failure};
use crate::retry::{Decision, Fault, random_jitter};
use crate::{
    ErrorOrigin, Freshness, ModelError, ModelEvent, Prompt, ProviderKey, RedactionRules,
    RetryBudget, Retrying,
};

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
            match body::build(&prompt) {
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
        let key = self.fetch_key().await?;
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
        if let Some(key) = key.as_ref().filter(|_| !has_own_key) {
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
        // Bounded in size and time by the HTTP stack.
        let body = response.error_text().await;
        let renewable = matches!(shared.key, ProviderKey::Source(_));
        Err(refusal::refused(status, asked, &body, renewable))
    }

    async fn fetch_key(&mut self) -> Result<Option<codex_host::Secret>, Failure> {
        // A refusal renews the key once: the tries after it use what that gave.
        let renew_key = std::mem::take(&mut self.renew_key);
        let found = match &self.shared.key {
            ProviderKey::None => return Ok(None),
            ProviderKey::Fixed(key) => return Ok(Some(key.clone())),
            ProviderKey::Missing(error) => Err(error.clone()),
            ProviderKey::Source(source) => {
                let freshness = match renew_key {
                    true => Freshness::Renewed,
                    false => Freshness::Any,
                };
                source
                    .key(freshness)
                    .await
                    .inspect(|key| self.shared.remember(key))
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
                self.renew_key = matches!(failure.fault, Fault::Unauthorized { .. });
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
        })
    }

    fn redacted(&self, message: &str) -> String {
        let secrets = self.shared.secrets.iter().cloned();
        RedactionRules::new(secrets.chain(self.shared.fetched()))
            .redact(message)
            .0
            .into_owned()
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
        | HttpErrorKind::TlsCut
        | HttpErrorKind::Proxy
        | HttpErrorKind::Reset
        | HttpErrorKind::Protocol
        | HttpErrorKind::NotHttp => Fault::Unreachable,
        HttpErrorKind::ConnectTimeout | HttpErrorKind::HeadersTimeout => Fault::Slow,
        // Certificates, addresses, foreign redirects: the next try would end the same way.
        _ => Fault::Permanent,
    };
    let kind = TurnErrorKind::HttpConnectionFailed { status: None };
    Failure {
        hints: error.hints().into_iter().map(str::to_owned).collect(),
        ..Failure::new(fault, ErrorOrigin::Connection, kind, error.to_string())
    }
}
