//! One request and its answer: limits, progress, cancellation, and what a broken connection means.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, CustomRequest, ErrorCode, ErrorData, ProgressToken, RequestId, ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestHandle, ServiceError};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::CallError;
use crate::client::{CallOptions, ClosedReason};
use crate::fault::fault_of;
use crate::handler::{CallEar, EarState};
use crate::wire::Tap;

/// How long telling the server about a cancelled request may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// How long a caller waits until the server was told.
const CANCEL_PATIENCE: Duration = Duration::from_millis(250);

/// How long a request whose connection ended waits for the reason.
const REASON_LIMIT: Duration = Duration::from_secs(2);

/// A connection that is up: what every request needs.
pub(crate) struct Wire {
    pub(crate) peer: Peer<RoleClient>,
    pub(crate) tap: Arc<Tap>,
    pub(crate) ear: Arc<EarState>,
    pub(crate) closed: watch::Receiver<Option<ClosedReason>>,
    pub(crate) tasks: TaskTracker,
}

impl Wire {
    /// Sends one request and returns its result verbatim.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        params: Map<String, Value>,
        options: &CallOptions,
        cancel: &CancellationToken,
    ) -> Result<Value, CallError> {
        if let Some(reason) = self.closed.borrow().as_ref() {
            return Err(closed_error(reason));
        }
        let params = (!params.is_empty()).then_some(Value::Object(params));
        let request = ClientRequest::CustomRequest(CustomRequest::new(method, params));
        let sending = self
            .peer
            .send_request_with_option(request, PeerRequestOptions::no_options());
        let handle = tokio::select! {
            handle = sending => handle,
            () = cancel.cancelled() => return Err(CallError::Cancelled),
        };
        let handle = match handle {
            Ok(handle) => handle,
            Err(_) => return Err(self.closed_now().await),
        };
        let alive = watch::Sender::new(0);
        let ear = CallEar {
            alive: alive.clone(),
            sink: options.on_progress.clone(),
        };
        self.ear.register(&handle.progress_token, ear);
        let mut open = OpenRequest {
            wire: self,
            id: handle.id.clone(),
            progress_token: handle.progress_token.clone(),
            handle: Some(handle),
            reason: "the caller no longer waits",
        };
        let answer = open.answer(options, alive.subscribe(), cancel).await;
        if let Some(telling) = open.give_up() {
            // The word shall be out before the caller goes on, and perhaps ends the connection.
            let _ = timeout(CANCEL_PATIENCE, telling).await;
        }
        answer
    }

    /// The error of a request on a connection that has just ended.
    async fn closed_now(&self) -> CallError {
        let mut closed = self.closed.clone();
        let reason = timeout(REASON_LIMIT, closed.wait_for(Option::is_some)).await;
        if let Ok(Ok(reason)) = reason
            && let Some(reason) = reason.as_ref()
        {
            return closed_error(reason);
        }
        CallError::Closed {
            reason: "it broke".to_owned(),
        }
    }
}

pub(crate) fn closed_error(reason: &ClosedReason) -> CallError {
    CallError::Closed {
        reason: reason.to_string(),
    }
}

/// A request without an answer. Dropping it tells the server that nobody waits any more.
struct OpenRequest<'a> {
    wire: &'a Wire,
    id: RequestId,
    progress_token: ProgressToken,
    handle: Option<RequestHandle<RoleClient>>,
    reason: &'static str,
}

impl OpenRequest<'_> {
    async fn answer(
        &mut self,
        options: &CallOptions,
        mut alive: watch::Receiver<u64>,
        cancel: &CancellationToken,
    ) -> Result<Value, CallError> {
        let mut clocks = Clocks::start(options);
        let mut questions = self.wire.ear.questions();
        let mut closed = self.wire.closed.clone();
        let Some(handle) = self.handle.as_mut() else {
            return Err(CallError::Cancelled);
        };
        loop {
            let is_paused = *questions.borrow_and_update() > 0;
            clocks.pause(is_paused);
            tokio::select! {
                biased;
                answer = &mut handle.rx => {
                    self.handle = None;
                    return match answer {
                        Ok(Ok(result)) => self.result(result),
                        Ok(Err(error)) => Err(self.failure(error).await),
                        Err(_) => Err(self.wire.closed_now().await),
                    };
                }
                () = cancel.cancelled() => {
                    self.reason = "cancelled by the user";
                    return Err(CallError::Cancelled);
                }
                // Cloned inside: the guard of the channel must not live across an await (`Send`).
                reason = async { closed.wait_for(Option::is_some).await.ok().and_then(|r| r.clone()) } => {
                    self.handle = None;
                    return Err(closed_error(&reason.unwrap_or(ClosedReason::Shutdown)));
                }
                Ok(()) = alive.changed() => clocks.restart_idle(),
                Ok(()) = questions.changed() => {}
                () = sleep_until(clocks.deadline()), if !is_paused => {
                    self.reason = "request timeout";
                    return Err(CallError::Timeout { limit: clocks.ended_limit() });
                }
            }
        }
    }

    fn result(&self, result: ServerResult) -> Result<Value, CallError> {
        if let Some(kept) = self.wire.tap.take(&self.id) {
            return Ok(kept);
        }
        // The tap did not know the request; what rmcp decoded is better than nothing.
        serde_json::to_value(result).map_err(|error| CallError::Protocol {
            why: error.to_string(),
        })
    }

    async fn failure(&self, error: ServiceError) -> CallError {
        match error {
            ServiceError::McpError(error) => rpc_error(error),
            ServiceError::TransportSend(error) => match fault_of(error.error.as_ref()) {
                Some(fault) => fault.into(),
                // A pipe that cannot be written to belongs to a server that has ended or will.
                None if self.wire.peer.is_transport_closed() => self.wire.closed_now().await,
                None => CallError::Transport {
                    why: error.error.to_string(),
                },
            },
            ServiceError::TransportClosed if self.wire.peer.is_transport_closed() => {
                self.wire.closed_now().await
            }
            ServiceError::TransportClosed => CallError::Transport {
                why: "the answer broke off before its end".to_owned(),
            },
            other => CallError::Protocol {
                why: other.to_string(),
            },
        }
    }
}

impl OpenRequest<'_> {
    /// Tells the server, unless the request has ended.
    fn give_up(&mut self) -> Option<JoinHandle<()>> {
        let handle = self.handle.take()?;
        let reason = self.reason.to_owned();
        Some(self.wire.tasks.spawn(async move {
            let _ = timeout(CANCEL_LIMIT, handle.cancel(Some(reason))).await;
        }))
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        self.wire.tap.take(&self.id);
        self.wire.ear.unregister(&self.progress_token);
        self.give_up();
    }
}

fn rpc_error(error: ErrorData) -> CallError {
    if Tap::is_fault(error.data.as_ref()) {
        return CallError::Transport {
            why: error.message.into_owned(),
        };
    }
    let ErrorCode(code) = error.code;
    CallError::Rpc {
        code: i64::from(code),
        message: error.message.into_owned(),
        data: error.data,
    }
}

/// The two limits of a call: silence, and the whole.
struct Clocks {
    idle_timeout: Duration,
    max_total: Duration,
    idle_ends: Instant,
    total_ends: Instant,
    /// Since when the user is being asked; both clocks stand still.
    paused: Option<Instant>,
}

impl Clocks {
    fn start(options: &CallOptions) -> Self {
        let now = Instant::now();
        Self {
            idle_timeout: options.idle_timeout,
            max_total: options.max_total,
            idle_ends: now + options.idle_timeout,
            total_ends: now + options.max_total,
            paused: None,
        }
    }

    fn restart_idle(&mut self) {
        self.idle_ends = Instant::now() + self.idle_timeout;
    }

    fn pause(&mut self, is_paused: bool) {
        match (self.paused, is_paused) {
            (None, true) => self.paused = Some(Instant::now()),
            (Some(since), false) => {
                self.paused = None;
                self.total_ends += since.elapsed();
                self.restart_idle();
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn deadline(&self) -> Instant {
        self.idle_ends.min(self.total_ends)
    }

    fn ended_limit(&self) -> Duration {
        if self.idle_ends <= self.total_ends {
            self.idle_timeout
        } else {
            self.max_total
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn clocks() -> Clocks {
        Clocks::start(&CallOptions::with_idle_timeout(10 * SECOND))
    }

    /// Row 5.tool_timeout_sec.
    #[tokio::test(start_paused = true)]
    async fn progress_prolongs_a_call_up_to_its_hard_limit() {
        let started = Instant::now();
        let mut clocks = clocks();
        assert_eq!(clocks.deadline() - started, 10 * SECOND);
        for _ in 0..6 {
            advance(6 * SECOND).await;
            clocks.restart_idle();
        }
        assert_eq!(clocks.deadline() - started, 40 * SECOND);
        assert_eq!(clocks.ended_limit(), 40 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn both_clocks_stand_still_while_the_user_thinks() {
        let started = Instant::now();
        let mut clocks = clocks();
        advance(SECOND).await;
        clocks.pause(true);
        advance(100 * SECOND).await;
        clocks.pause(true);
        clocks.pause(false);
        assert_eq!(clocks.idle_ends - started, 111 * SECOND);
        assert_eq!(clocks.total_ends - started, 140 * SECOND);
        assert_eq!(clocks.ended_limit(), 10 * SECOND);
    }
}
