//! From an HTTP request to its answer, sound or broken.

use std::cell::RefCell;
use std::io::Result;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{HttpFault, PostAnswer, SeenPost, World};
use crate::fake_mcp::script::{MODERN, Peer, is_modern};
use crate::http_server::{Handler, HttpRequest, Responder};

const HOLD_LIMIT: Duration = Duration::from_secs(120);
/// How often an open stream looks whether its client is still there.
const LOOK: Duration = Duration::from_millis(10);

impl Handler for World {
    fn handle(&self, request: HttpRequest, responder: &mut Responder) -> Result<()> {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let rpc_method = message["method"].as_str().unwrap_or_default().to_owned();
        self.lock().seen.push(SeenPost {
            http_method: request.method.clone(),
            headers: request.headers.clone(),
            message: message.clone(),
        });
        self.tell();
        // It publishes no documents.
        if request.path.starts_with("/.well-known/") {
            return responder.full(404, &[], b"");
        }
        if self.lacks_header(&request) {
            let headers = [(
                "www-authenticate".to_owned(),
                "Bearer realm=\"fake\"".to_owned(),
            )];
            return responder.full(401, &headers, b"unauthorized");
        }
        let key = if request.method == "POST" {
            &rpc_method
        } else {
            &request.method
        };
        if let Some(fault) = self.take_fault(key) {
            return self.go_wrong(fault, &message, responder);
        }
        match request.method.as_str() {
            "POST" if message.is_object() => self.post(&request, &message, responder),
            "POST" => refuse(responder, 400, -32700, "Parse error"),
            "GET" => self.get(&request, responder),
            "DELETE" => {
                if let Some(session) = request.header("mcp-session-id") {
                    self.lock().sessions.remove(session);
                }
                responder.full(200, &[], b"")
            }
            _ => responder.full(405, &[], b""),
        }
    }
}

impl World {
    fn lacks_header(&self, request: &HttpRequest) -> bool {
        let mut required = self.manners.required_headers.iter();
        required.any(|(name, value)| request.header(name) != Some(value))
    }

    fn post(
        &self,
        request: &HttpRequest,
        message: &Value,
        responder: &mut Responder,
    ) -> Result<()> {
        let method = message["method"].as_str().unwrap_or_default();
        let modern = is_modern(message) && self.script.era.speaks_modern();
        if modern {
            if let Some(why) = bad_modern_headers(request, message) {
                return refuse(responder, 400, -32020, &why);
            }
        } else if method != "initialize"
            && let Some((status, why)) = self.bad_legacy_headers(request, message)
        {
            return refuse(responder, status, -32000, &why);
        }
        self.exchange.take_in(message);
        if message.get("id").is_none() || method.is_empty() {
            return responder.full(202, &[], b"");
        }
        if modern && method == "subscriptions/listen" {
            return self.listen(message, responder);
        }
        let mut headers = Vec::new();
        if method == "initialize" && !self.manners.without_sessions {
            let mut state = self.lock();
            state.n_sessions += 1;
            let session = format!("fake-session-{}", state.n_sessions);
            headers.push(("mcp-session-id".to_owned(), session.clone()));
            state.sessions.insert(session);
        }
        let peer = HttpPeer {
            world: self,
            line: RefCell::new(Line {
                responder,
                headers,
                begun: false,
                dead: false,
            }),
        };
        let answer = self.script.answer(message, &peer).message(&message["id"]);
        peer.line.into_inner().finish(answer, self.manners.answer)
    }

    fn bad_legacy_headers(&self, request: &HttpRequest, message: &Value) -> Option<(u16, String)> {
        if self.manners.without_sessions {
            return None;
        }
        let Some(session) = request.header("mcp-session-id") else {
            return Some((400, "Bad Request: No valid session ID provided".into()));
        };
        if !self.lock().sessions.contains(session) {
            return Some((404, "Session not found".into()));
        }
        let versioned = request.header("mcp-protocol-version").is_some();
        let is_answer = message.get("method").is_none();
        (!versioned && !is_answer).then(|| (400, "MCP-Protocol-Version is missing".into()))
    }

    /// The stream on which the server of the handshake era may speak first.
    fn get(&self, request: &HttpRequest, responder: &mut Responder) -> Result<()> {
        if let Some(last) = request.header("last-event-id") {
            let answer = self.lock().resumable.remove(last);
            let Some(answer) = answer else {
                return responder.full(404, &[], b"no such event");
            };
            responder.begin_stream(200, &event_stream())?;
            responder.chunk(event(&answer).as_bytes())?;
            return responder.end_stream();
        }
        if self.manners.without_get_stream || !self.script.era.speaks_legacy() {
            return responder.full(405, &[], b"");
        }
        self.stream_to_client(None, responder)
    }

    fn listen(&self, request: &Value, responder: &mut Responder) -> Result<()> {
        self.stream_to_client(Some(request), responder)
    }

    fn stream_to_client(&self, listen: Option<&Value>, responder: &mut Responder) -> Result<()> {
        let (sender, messages) = channel();
        responder.begin_stream(200, &event_stream())?;
        match listen {
            Some(request) => responder.chunk(
                event(&json!({
                    "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                    "params": {
                        "_meta": {"io.modelcontextprotocol/subscriptionId": request["id"]},
                        "notifications": request["params"]["notifications"],
                    },
                }))
                .as_bytes(),
            )?,
            None => responder.chunk(b": open\n\n")?,
        }
        let stream = self.open_stream(listen.map(|request| request["id"].clone()), sender);
        self.tell();
        let deadline = Instant::now() + HOLD_LIMIT;
        while Instant::now() < deadline {
            match messages.recv_timeout(LOOK) {
                Ok(message) => responder.chunk(event(&message).as_bytes())?,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if responder.wait_for_disconnect(Duration::from_millis(1)) {
                        break;
                    }
                }
            }
        }
        self.lock().streams.remove(&stream);
        self.tell();
        Ok(())
    }

    fn go_wrong(&self, fault: HttpFault, message: &Value, responder: &mut Responder) -> Result<()> {
        let kind = |kind: &str| [("content-type".to_owned(), kind.to_owned())];
        match fault {
            HttpFault::Status(status) => {
                responder.full(status, &kind("text/plain"), b"the fake fails")
            }
            HttpFault::StatusWith(status, headers, body) => {
                responder.full(status, &headers, body.as_bytes())
            }
            HttpFault::Html => {
                let page = b"<!doctype html><html><body><h1>Welcome</h1></body></html>";
                responder.full(200, &kind("text/html; charset=utf-8"), page)
            }
            HttpFault::BadJson => responder.full(200, &kind("application/json"), b"{\"jsonrpc\": "),
            HttpFault::Accepted => responder.full(202, &[], b""),
            HttpFault::NoAnswer => {
                responder.wait_for_disconnect(HOLD_LIMIT);
                self.note(json!({"event": "disconnected", "id": message["id"]}));
                Ok(())
            }
            HttpFault::HangUp => {
                responder.cut();
                Ok(())
            }
            HttpFault::EndlessSse => self.talk_for_ever(message, responder),
            HttpFault::CutSse => {
                responder.begin_stream(200, &event_stream())?;
                responder.chunk(b": soon\n\nevent: message\nda")?;
                responder.cut();
                Ok(())
            }
            HttpFault::RetryThenResume(retry_ms) => {
                let peer = HttpPeer {
                    world: self,
                    line: RefCell::new(Line {
                        responder,
                        headers: Vec::new(),
                        begun: true,
                        dead: true,
                    }),
                };
                let answer = self.script.answer(message, &peer).message(&message["id"]);
                let id = format!("event-of-{}", message["id"]);
                self.lock()
                    .resumable
                    .insert(id.clone(), answer.unwrap_or_default());
                let line = peer.line.into_inner();
                line.responder.begin_stream(200, &event_stream())?;
                let priming = format!("id: {id}\nretry: {retry_ms}\ndata: \n\n");
                line.responder.chunk(priming.as_bytes())?;
                line.responder.end_stream()
            }
            HttpFault::HugeEvent(n_bytes) => {
                responder.begin_stream(200, &event_stream())?;
                responder.chunk(b"event: message\ndata: ")?;
                let piece = vec![b'x'; 64 * 1024];
                for start in (0..n_bytes).step_by(piece.len()) {
                    responder.chunk(&piece[..piece.len().min(n_bytes - start)])?;
                }
                responder.chunk(b"\n\n")?;
                responder.end_stream()
            }
            HttpFault::HugeJson(n_bytes) => {
                let body = format!("{{\"jsonrpc\":\"2.0\",\"x\":\"{}\"}}", "x".repeat(n_bytes));
                responder.full(200, &kind("application/json"), body.as_bytes())
            }
            HttpFault::Redirect(to) => responder.full(307, &[("location".to_owned(), to)], b""),
        }
    }

    fn talk_for_ever(&self, message: &Value, responder: &mut Responder) -> Result<()> {
        responder.begin_stream(200, &event_stream())?;
        let deadline = Instant::now() + HOLD_LIMIT;
        while Instant::now() < deadline {
            let words = event(&json!({
                "jsonrpc": "2.0", "method": "notifications/message",
                "params": {"level": "info", "data": "still talking"},
            }));
            let gone = responder.chunk(words.as_bytes()).is_err();
            if gone || responder.wait_for_disconnect(LOOK) {
                self.note(json!({"event": "disconnected", "id": message["id"]}));
                break;
            }
        }
        Ok(())
    }
}

/// The headers that 2026-07-28 wants on every POST must say what the body says.
fn bad_modern_headers(request: &HttpRequest, message: &Value) -> Option<String> {
    let expect = |name: &str, wanted: &str| {
        let found = request.header(name);
        let encoded = found.is_some_and(|value| value.starts_with("=?base64?"));
        (found != Some(wanted) && !encoded)
            .then(|| format!("header {name} is {found:?}, the body says {wanted:?}"))
    };
    if request.header("mcp-session-id").is_some() {
        return Some("Mcp-Session-Id does not exist in this revision".into());
    }
    let method = message["method"].as_str().unwrap_or_default();
    let name = match method {
        "tools/call" | "prompts/get" => message["params"]["name"].as_str(),
        "resources/read" => message["params"]["uri"].as_str(),
        _ => None,
    };
    let asked = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    expect("mcp-method", method)
        .or_else(|| name.and_then(|name| expect("mcp-name", name)))
        .or_else(|| expect("mcp-protocol-version", asked.unwrap_or(MODERN)))
}

fn refuse(responder: &mut Responder, status: u16, code: i64, why: &str) -> Result<()> {
    let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": why}});
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    responder.full(status, &headers, body.to_string().as_bytes())
}

fn event_stream() -> [(String, String); 1] {
    [("content-type".to_owned(), "text/event-stream".to_owned())]
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// The answer that is being written.
struct Line<'a> {
    responder: &'a mut Responder,
    headers: Vec<(String, String)>,
    begun: bool,
    /// Nothing can be said any more.
    dead: bool,
}

impl Line<'_> {
    fn say(&mut self, message: &Value) -> Result<()> {
        if self.dead {
            return Ok(());
        }
        self.begin()?;
        self.responder.chunk(event(message).as_bytes())
    }

    fn begin(&mut self) -> Result<()> {
        if !self.begun {
            self.headers.extend(event_stream());
            self.responder.begin_stream(200, &self.headers)?;
            self.begun = true;
        }
        Ok(())
    }

    fn finish(mut self, answer: Option<Value>, form: PostAnswer) -> Result<()> {
        if self.dead {
            self.responder.cut();
            return Ok(());
        }
        match answer {
            Some(answer) if form == PostAnswer::Json && !self.begun => {
                self.headers
                    .push(("content-type".to_owned(), "application/json".to_owned()));
                self.responder
                    .full(200, &self.headers, answer.to_string().as_bytes())
            }
            Some(answer) => {
                self.say(&answer)?;
                self.responder.end_stream()
            }
            None => {
                self.begin()?;
                self.responder.end_stream()
            }
        }
    }
}

struct HttpPeer<'a, 'r> {
    world: &'a World,
    line: RefCell<Line<'r>>,
}

impl Peer for HttpPeer<'_, '_> {
    fn send(&self, message: Value) {
        let mut line = self.line.borrow_mut();
        if line.say(&message).is_err() {
            line.dead = true;
        }
    }

    fn ask(&self, method: &str, params: Value) -> Option<Value> {
        let id = self.world.exchange.next_id();
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.world.exchange.answer(&id, HOLD_LIMIT)
    }

    fn wait_for_cancel(&self, id: &Value, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut line = self.line.borrow_mut();
        let _ = line.begin();
        while Instant::now() < deadline {
            if let Some(params) = self.world.exchange.cancelled(id, LOOK) {
                self.world
                    .note(json!({"event": "cancelled", "id": id, "params": params}));
                return true;
            }
            if line.responder.wait_for_disconnect(Duration::from_millis(1)) {
                line.dead = true;
                // The notification may follow on another connection.
                let params = self.world.exchange.cancelled(id, LOOK);
                let event = if params.is_some() {
                    "cancelled"
                } else {
                    "disconnected"
                };
                self.world
                    .note(json!({"event": event, "id": id, "params": params}));
                return true;
            }
        }
        false
    }

    fn die(&self) {
        let mut line = self.line.borrow_mut();
        line.dead = true;
        line.responder.cut();
    }

    fn broadcast(&self, message: Value) {
        self.world.broadcast(message);
    }
}
