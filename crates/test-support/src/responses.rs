//! A model provider for tests: scripted answers in, recorded requests out.

pub(crate) mod events;
pub(crate) mod reply;
pub(crate) mod request;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::http_server::{Handler, HttpRequest, HttpServer, Responder};
use reply::{End, Kind, Pace, Reply};
use request::RecordedRequest;

/// No scripted hold lasts longer: a forgotten client cannot keep a thread for ever.
const HOLD_LIMIT: Duration = Duration::from_secs(120);

/// A loopback server that speaks the Responses API from a script.
///
/// Answers are given in the order of [`queue`](Self::queue); when the queue is empty, the answer
/// of [`otherwise`](Self::otherwise), and without one status 400, so that a client that asks too
/// often fails at once and visibly. Each request is recorded before it is answered.
///
/// ```no_run
/// use codex_test_support::{MockResponses, ev_assistant_message, ev_completed, ev_response_created, sse};
///
/// let provider = MockResponses::start();
/// provider.queue(sse(vec![
///     ev_response_created("resp_1"),
///     ev_assistant_message("msg_1", "Hello"),
///     ev_completed("resp_1"),
/// ]));
/// println!("point the client at {}", provider.base_url());
/// ```
#[derive(Debug)]
pub struct MockResponses {
    server: HttpServer,
    script: Arc<Script>,
}

#[derive(Debug)]
struct Script {
    state: Mutex<State>,
    arrived: Condvar,
    n_arrived: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Reply>,
    otherwise: Option<Reply>,
    requests: Vec<RecordedRequest>,
    times: Vec<Instant>,
}

impl MockResponses {
    /// Starts a server on a free port of loopback.
    pub fn start() -> Self {
        let script = Arc::new(Script {
            state: Mutex::default(),
            arrived: Condvar::new(),
            n_arrived: watch::Sender::new(0),
        });
        Self {
            server: HttpServer::start(script.clone()),
            script,
        }
    }

    /// Returns the base URL to configure, such as `http://127.0.0.1:40123/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// Returns the port, for output filters.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Adds an answer at the end of the queue.
    pub fn queue(&self, reply: impl Into<Reply>) -> &Self {
        self.state().queue.push_back(reply.into());
        self
    }

    /// Sets the answer of every request that finds the queue empty.
    pub fn otherwise(&self, reply: impl Into<Reply>) -> &Self {
        self.state().otherwise = Some(reply.into());
        self
    }

    /// Returns everything that came in so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.clone()
    }

    /// Returns request `index` (from 0), which must have come in.
    pub fn request(&self, index: usize) -> RecordedRequest {
        let requests = self.requests();
        let n_requests = requests.len();
        requests.into_iter().nth(index).unwrap_or_else(|| {
            panic!("request {index} was asked for, but only {n_requests} came in")
        })
    }

    /// Returns when each request had arrived completely.
    pub fn arrival_times(&self) -> Vec<Instant> {
        self.state().times.clone()
    }

    /// Returns how many answers are still queued; a test that cares asserts 0.
    pub fn n_unused(&self) -> usize {
        self.state().queue.len()
    }

    /// Blocks until `count` requests came in, and returns them; panics after the limit.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> Vec<RecordedRequest> {
        let state = self.state();
        let (state, wait) = self
            .script
            .arrived
            .wait_timeout_while(state, limit, |state| state.requests.len() < count)
            .expect("no holder panics");
        let n_requests = state.requests.len();
        assert!(
            !wait.timed_out(),
            "{n_requests} of {count} requests within {limit:?}"
        );
        state.requests.clone()
    }

    /// As [`wait_for_requests`](Self::wait_for_requests), without blocking the runtime of the test.
    pub async fn requests_reached(&self, count: usize, limit: Duration) -> Vec<RecordedRequest> {
        let mut n_arrived = self.script.n_arrived.subscribe();
        let reached = tokio::time::timeout(limit, n_arrived.wait_for(|n| *n >= count))
            .await
            .is_ok();
        let requests = self.requests();
        assert!(
            reached,
            "{} of {count} requests within {limit:?}",
            requests.len()
        );
        requests
    }

    /// Closes every open connection, as a restarted provider would.
    pub fn drop_connections(&self) {
        self.server.drop_connections();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.script.state.lock().expect("no holder panics")
    }
}

impl Handler for Script {
    fn handle(&self, request: HttpRequest, responder: &mut Responder) -> std::io::Result<()> {
        let path = request.path.clone();
        let (reply, n_arrived) = {
            let mut state = self.state.lock().expect("no holder panics");
            state.requests.push(request.into());
            state.times.push(Instant::now());
            let reply = state.queue.pop_front().or_else(|| state.otherwise.clone());
            (reply, state.requests.len())
        };
        self.arrived.notify_all();
        self.n_arrived.send_replace(n_arrived);
        let reply = reply.unwrap_or_else(|| {
            Reply::error(
                400,
                "no_reply_queued",
                &format!("MockResponses has no answer for {path}"),
            )
        });
        answer(&reply, responder)
    }
}

fn answer(reply: &Reply, responder: &mut Responder) -> std::io::Result<()> {
    if let Some(gate) = &reply.gate {
        gate.wait(HOLD_LIMIT);
    }
    if !reply.delay.is_zero() {
        std::thread::sleep(reply.delay);
    }
    match &reply.kind {
        Kind::Full {
            status,
            headers,
            body,
        } => responder.full(*status, headers, body),
        Kind::Raw(bytes) => responder.raw(bytes),
        Kind::Never => {
            responder.wait_for_disconnect(HOLD_LIMIT);
            Ok(())
        }
        Kind::Stream {
            headers,
            body,
            pace,
            end,
        } => {
            responder.begin_stream(200, headers)?;
            match *pace {
                // Real providers flush often; 16 KiB keeps big answers cheap for us.
                Pace::AtOnce => {
                    for piece in body.chunks(16 * 1024) {
                        responder.chunk(piece)?;
                    }
                }
                Pace::Slow { n_bytes, pause } => {
                    for piece in body.chunks(n_bytes) {
                        responder.chunk(piece)?;
                        std::thread::sleep(pause);
                    }
                }
            }
            match end {
                End::Proper => responder.end_stream()?,
                End::Cut => responder.cut(),
                End::Idle => {
                    responder.wait_for_disconnect(HOLD_LIMIT);
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
