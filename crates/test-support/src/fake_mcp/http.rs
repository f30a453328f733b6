//! A streamable HTTP MCP server inside the test, of both eras.
//!
//! It is strict where the specification says MUST (session id, protocol version header, the
//! `Mcp-*` headers of 2026-07-28), for it is the oracle of our client; faults are asked for one by
//! one with [`FakeHttpServer::fault`].

mod answer;

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::exchange::Exchange;
pub use super::script::Era;
use super::script::Script;
use crate::http_server::HttpServer;

/// How a POST is answered when nothing else forces one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostAnswer {
    /// One event on a stream, then its end.
    #[default]
    Sse,
    /// A JSON body; a stream only when the server has something to say before the answer.
    Json,
}

/// Something that goes wrong with one request.
#[derive(Debug, Clone)]
pub enum HttpFault {
    /// This status with a short text.
    Status(u16),
    /// This status with these headers and body.
    StatusWith(u16, Vec<(String, String)>, String),
    /// 200 and a web page, as a captive portal or a wrong path gives it.
    Html,
    /// 200, `application/json`, and no JSON.
    BadJson,
    /// 202 without a body, as if the request were a notification.
    Accepted,
    /// Takes the request and says nothing until the client leaves.
    NoAnswer,
    /// Closes the connection without a byte.
    HangUp,
    /// A stream of log messages that never holds the answer, until the client leaves.
    EndlessSse,
    /// A stream that breaks off before the answer and offers nothing to resume.
    CutSse,
    /// A stream with an event id and this `retry` time that ends before the answer, which a GET
    /// with `Last-Event-ID` gets.
    RetryThenResume(u64),
    /// One event of this many bytes.
    HugeEvent(usize),
    /// One JSON body of this many bytes.
    HugeJson(usize),
    /// 307 to another address.
    Redirect(String),
}

/// One request that came in.
#[derive(Debug, Clone)]
pub struct SeenPost {
    /// `POST`, `GET` or `DELETE`.
    pub http_method: String,
    /// In order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The JSON-RPC message; null for GET and DELETE.
    pub message: Value,
}

impl SeenPost {
    /// Returns the first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the JSON-RPC method.
    pub fn rpc_method(&self) -> Option<&str> {
        self.message["method"].as_str()
    }
}

/// What a server shall be; [`start`](Self::start) makes it so.
#[derive(Debug, Default)]
pub struct FakeHttp {
    script: Script,
    manners: Manners,
}

#[derive(Debug, Default)]
pub(super) struct Manners {
    answer: PostAnswer,
    without_sessions: bool,
    without_get_stream: bool,
    required_headers: Vec<(String, String)>,
}

impl FakeHttp {
    /// A sound server of the handshake era with sessions, a GET stream and the tool `echo`.
    pub fn new() -> Self {
        let script = Script {
            name: "fake".into(),
            ..Script::default()
        };
        Self {
            script,
            manners: Manners::default(),
        }
    }

    /// Offers exactly these tools (`fake_mcp/tools.rs` lists them).
    pub fn tools<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.script.tools = names
            .into_iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        self
    }

    /// Offers this many tools `tool_0`, `tool_1`, …
    pub fn tool_count(mut self, count: usize) -> Self {
        self.script.count = count;
        self
    }

    /// Lists tools in pages of this size.
    pub fn pages_of(mut self, size: usize) -> Self {
        self.script.page_size = Some(size);
        self
    }

    /// Lists the same page for ever; give a page size too.
    pub fn endless_pages(mut self) -> Self {
        self.script.endless_pages = true;
        self
    }

    /// Sets the instructions.
    pub fn instructions(mut self, text: &str) -> Self {
        self.script.instructions = Some(text.to_owned());
        self
    }

    /// Chooses the revisions.
    pub fn era(mut self, era: Era) -> Self {
        self.script.era = era;
        self
    }

    /// Answers `initialize` with this version whatever was asked.
    pub fn protocol_version(mut self, version: &str) -> Self {
        self.script.forced_version = Some(version.to_owned());
        self
    }

    /// Chooses the form of answers.
    pub fn answer_as(mut self, answer: PostAnswer) -> Self {
        self.manners.answer = answer;
        self
    }

    /// Gives no session id.
    pub fn without_sessions(mut self) -> Self {
        self.manners.without_sessions = true;
        self
    }

    /// Answers GET with 405.
    pub fn without_get_stream(mut self) -> Self {
        self.manners.without_get_stream = true;
        self
    }

    /// Answers 401 to every request that lacks this header with this value.
    pub fn require_header(mut self, name: &str, value: &str) -> Self {
        self.manners
            .required_headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Answers 401 to every request without this bearer token.
    pub fn require_bearer(self, token: &str) -> Self {
        self.require_header("authorization", &format!("Bearer {token}"))
    }

    /// Starts the server on a free port of loopback.
    pub fn start(self) -> FakeHttpServer {
        let world = Arc::new(World {
            script: self.script,
            manners: self.manners,
            exchange: Exchange::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            n_changes: watch::Sender::new(0),
        });
        FakeHttpServer {
            server: HttpServer::start(world.clone()),
            world,
        }
    }
}

/// A running fake; dropping it closes every connection.
#[derive(Debug)]
pub struct FakeHttpServer {
    server: HttpServer,
    world: Arc<World>,
}

#[derive(Debug)]
pub(super) struct World {
    script: Script,
    manners: Manners,
    exchange: Exchange,
    state: Mutex<State>,
    changed: Condvar,
    n_changes: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<SeenPost>,
    notes: Vec<Value>,
    sessions: HashSet<String>,
    n_sessions: usize,
    faults: Vec<PlannedFault>,
    /// Open streams to the client: GET of the handshake era (no id) or `subscriptions/listen`.
    streams: BTreeMap<usize, (Option<Value>, Sender<Value>)>,
    n_streams: usize,
    /// Answers that a GET with `Last-Event-ID` gets.
    resumable: BTreeMap<String, Value>,
}

#[derive(Debug)]
struct PlannedFault {
    method: String,
    fault: HttpFault,
    always: bool,
}

impl FakeHttpServer {
    /// Returns the URL to configure, such as `http://127.0.0.1:40123/mcp`.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.server.url())
    }

    /// Returns the port, for output filters.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the table `[mcp_servers.NAME]`; more keys may follow it.
    pub fn toml(&self, name: &str) -> String {
        format!("[mcp_servers.{name}]\nurl = \"{}\"\n", self.url())
    }

    /// Lets the next request of this JSON-RPC method (or `GET`, `DELETE`) go wrong.
    pub fn fault(&self, method: &str, fault: HttpFault) -> &Self {
        self.plan(method, fault, false)
    }

    /// Lets every request of this method go wrong.
    pub fn fault_always(&self, method: &str, fault: HttpFault) -> &Self {
        self.plan(method, fault, true)
    }

    /// Forgets every session: requests with an old id get 404.
    pub fn expire_sessions(&self) {
        self.world.lock().sessions.clear();
    }

    /// Closes every open connection, as a restart would.
    pub fn drop_connections(&self) {
        self.server.drop_connections();
    }

    /// Adds a tool and sends `tools/list_changed` to everybody who listens.
    pub fn add_tool(&self, name: &str) {
        self.world
            .script
            .late_tools
            .lock()
            .expect("no holder panics")
            .push(name.to_owned());
        self.world.broadcast(json!({
            "jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {},
        }));
    }

    /// Returns every request so far.
    pub fn seen(&self) -> Vec<SeenPost> {
        self.world.lock().seen.clone()
    }

    /// Returns the JSON-RPC methods so far; GET and DELETE by their names.
    pub fn methods(&self) -> Vec<String> {
        let name = |seen: &SeenPost| match seen.message.is_null() {
            true => Some(seen.http_method.clone()),
            false => seen.rpc_method().map(str::to_owned),
        };
        self.seen().iter().filter_map(name).collect()
    }

    /// Returns the requests of one JSON-RPC method.
    pub fn seen_of(&self, method: &str) -> Vec<SeenPost> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.rpc_method() == Some(method))
            .collect()
    }

    /// Returns what calls noted: `{"event": "cancelled", "id", "params"}`, `{"event":
    /// "disconnected", "id"}`.
    pub fn notes(&self) -> Vec<Value> {
        self.world.lock().notes.clone()
    }

    /// Returns how many streams to the client are open now.
    pub fn n_open_streams(&self) -> usize {
        self.world.lock().streams.len()
    }

    /// Blocks until the condition holds; panics with all that was seen after the limit.
    pub fn wait_until(&self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + limit;
        while !done(self) {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            assert!(!left.is_zero(), "not within {limit:?}: {:#?}", self.seen());
            let state = self.world.lock();
            // Short slices: the condition is judged without the lock.
            let slice = left.min(Duration::from_millis(10));
            drop(
                self.world
                    .changed
                    .wait_timeout(state, slice)
                    .expect("no holder panics"),
            );
        }
    }

    /// As [`wait_until`](Self::wait_until), without blocking the runtime of the test.
    pub async fn reached(&self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let mut n_changes = self.world.n_changes.subscribe();
        let wait = async {
            while !done(self) {
                if n_changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(limit, wait).await.is_ok();
        assert!(in_time, "not within {limit:?}: {:#?}", self.seen());
    }

    fn plan(&self, method: &str, fault: HttpFault, always: bool) -> &Self {
        self.world.lock().faults.push(PlannedFault {
            method: method.to_owned(),
            fault,
            always,
        });
        self
    }
}

impl World {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.n_changes.send_modify(|n| *n += 1);
    }

    fn note(&self, note: Value) {
        self.lock().notes.push(note);
        self.tell();
    }

    fn broadcast(&self, message: Value) {
        for (listen_id, stream) in self.lock().streams.values() {
            let mut message = message.clone();
            if let Some(id) = listen_id {
                message["params"]["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
            }
            // A stream that just closed takes itself off the list.
            let _ = stream.send(message);
        }
    }

    fn open_stream(&self, listen_id: Option<Value>, sender: Sender<Value>) -> usize {
        let mut state = self.lock();
        state.n_streams += 1;
        let number = state.n_streams;
        state.streams.insert(number, (listen_id, sender));
        number
    }

    fn take_fault(&self, method: &str) -> Option<HttpFault> {
        let mut state = self.lock();
        let index = state
            .faults
            .iter()
            .position(|planned| planned.method == method)?;
        match state.faults[index].always {
            true => Some(state.faults[index].fault.clone()),
            false => Some(state.faults.remove(index).fault),
        }
    }
}
