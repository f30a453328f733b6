//! An authorization server and a protected MCP address on one loopback port, strict where the
//! standards say MUST.
//!
//! The provider's "page" is an address that redirects at once, as a user who is logged in and says
//! yes. PKCE, redirect URIs, client proofs, one-time codes and one-time refresh tokens are checked:
//! a used refresh token ends its whole family, as real servers with rotation do. Faults are asked
//! for one by one with [`FakeAuth::script`]; `change` edits what the documents say.

mod dpop;
mod endpoints;
mod state;

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::http_server::{Handler, HttpRequest, HttpServer, Responder};
use crate::{Gate, secrets};
use state::State;

/// A way in which one request to one path is answered instead of rightly.
#[derive(Debug, Clone)]
pub enum AuthFault {
    /// This status and JSON body.
    Answer(u16, Value),
    /// This status, these headers, this body.
    Raw(u16, Vec<(String, String)>, String),
    /// Acts rightly, but the answer never leaves: the connection closes after the deed.
    LoseAnswer,
    /// Takes the request and says nothing until the client leaves.
    NoAnswer,
    /// Acts rightly and answers when the gate opens.
    Hold(Gate),
    /// This status and an OAuth error whose description is everything that was sent.
    Echo(u16),
    /// Answers rightly with these fields of the JSON body set; `null` removes one.
    Change(Value),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct AuthRequest {
    /// `GET`, `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The parameters of the query, or of the form.
    pub params: Vec<(String, String)>,
    /// The JSON body, `Null` when it is none.
    pub json: Value,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The proof of a key (`DPoP`).
    pub dpop: Option<String>,
}

impl AuthRequest {
    /// Returns the one value of a parameter; a parameter that came twice is a defect.
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.params.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "`{name}` came twice: {self:?}");
        value
    }
}

/// What the server is like from its start.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Seconds that an access token lives.
    pub token_life: u64,
    /// Whether a refresh token works once.
    pub rotates: bool,
    /// Fields of the authorization server's document that are set; `null` removes one.
    pub metadata: Value,
    /// Fields of the resource's document that are set; `null` removes one.
    pub resource: Value,
    /// Scopes of the challenge.
    pub scope: Option<String>,
    /// A scope that a token needs for calls of tools, beside being alive.
    pub call_scope: Option<String>,
    /// Whether the challenge names the resource's document.
    pub challenge_names_document: bool,
    /// Whether tokens are bound to keys, and nothing else is taken.
    pub dpop: Option<DpopRule>,
}

/// How tokens are bound to keys (RFC 9449). Signatures are not checked here: suites of others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DpopRule {
    /// A proof with each request.
    Proofs,
    /// The proof also holds a nonce of the address that it is for.
    Nonces,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            token_life: 3600,
            rotates: true,
            metadata: Value::Null,
            resource: Value::Null,
            scope: None,
            call_scope: None,
            challenge_names_document: true,
            dpop: None,
        }
    }
}

/// A running server; dropping it closes every connection.
#[derive(Debug)]
pub struct FakeAuth {
    server: HttpServer,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: AuthSettings,
    state: Mutex<State>,
    script: Mutex<Vec<(String, VecDeque<AuthFault>)>>,
    requests: Mutex<Vec<AuthRequest>>,
}

impl FakeAuth {
    /// Starts a server on a free loopback port.
    pub fn start(settings: AuthSettings) -> Self {
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::default(),
            script: Mutex::default(),
            requests: Mutex::default(),
        });
        let server = HttpServer::start(Arc::clone(&shared) as Arc<dyn Handler>);
        shared.state.lock().expect("no holder panics").base = server.url();
        Self { server, shared }
    }

    /// Says in its documents and challenges that it is at `base`, where a front of the test stands.
    pub fn known_as(&self, base: &str) {
        let mut state = self.shared.state.lock().expect("no holder panics");
        base.clone_into(&mut state.base);
    }

    /// Returns the loopback port it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> String {
        self.server.url()
    }

    /// Returns the protected MCP address.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.server.url())
    }

    /// Answers the next request to `path` in this way; several wait in line.
    pub fn script(&self, path: &str, fault: AuthFault) {
        let mut script = self.shared.script.lock().expect("no holder panics");
        match script.iter_mut().find(|(known, _)| known == path) {
            Some((_, line)) => line.push_back(fault),
            None => script.push((path.to_owned(), VecDeque::from([fault]))),
        }
    }

    /// Knows a client that was registered by hand.
    pub fn register(&self, client_id: &str, secret: Option<&str>, redirect_uris: &[&str]) {
        let mut state = self.shared.state.lock().expect("no holder panics");
        state.register(client_id, secret, redirect_uris);
    }

    /// Ends every access token that was issued so far; refresh tokens stay.
    pub fn end_access_tokens(&self) {
        let mut state = self.shared.state.lock().expect("no holder panics");
        state.access_tokens.clear();
    }

    /// Ends every refresh token that was issued so far.
    pub fn end_refresh_tokens(&self) {
        let mut state = self.shared.state.lock().expect("no holder panics");
        state.refresh_tokens.clear();
    }

    /// Forgets every registered client.
    pub fn forget_clients(&self) {
        let mut state = self.shared.state.lock().expect("no holder panics");
        state.clients.clear();
    }

    /// Lets the user of the pending device code say yes.
    pub fn approve_device(&self) {
        let mut state = self.shared.state.lock().expect("no holder panics");
        state.device_approved = true;
    }

    /// Whether a token is alive.
    pub fn knows(&self, token: &str) -> bool {
        let state = self.shared.state.lock().expect("no holder panics");
        state.access_tokens.contains_key(token) || state.refresh_tokens.contains_key(token)
    }

    /// Returns every request to `path` so far.
    pub fn requests(&self, path: &str) -> Vec<AuthRequest> {
        let requests = self.shared.requests.lock().expect("no holder panics");
        let found = requests.iter().filter(|request| request.path == path);
        found.cloned().collect()
    }

    /// Returns method and path of every request so far.
    pub fn journal(&self) -> Vec<String> {
        let requests = self.shared.requests.lock().expect("no holder panics");
        let lines = requests.iter();
        lines
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

impl Handler for Shared {
    fn handle(&self, request: HttpRequest, responder: &mut Responder) -> std::io::Result<()> {
        let request = read(&request);
        let verifier = request
            .params
            .iter()
            .filter(|(name, _)| name == "code_verifier");
        verifier.for_each(|(_, verifier)| secrets::learn(verifier));
        if let Some((_, proof)) = request
            .authorization
            .as_ref()
            .and_then(|it| it.split_once(' '))
        {
            secrets::learn(proof);
        }
        self.requests
            .lock()
            .expect("no holder panics")
            .push(request.clone());
        let fault = {
            let mut script = self.script.lock().expect("no holder panics");
            let line = script.iter_mut().find(|(path, _)| *path == request.path);
            line.and_then(|(_, line)| line.pop_front())
        };
        match &fault {
            Some(AuthFault::Answer(status, json)) => {
                return send(responder, *status, &[], json.to_string());
            }
            Some(AuthFault::Raw(status, headers, body)) => {
                return send(responder, *status, headers, body.clone());
            }
            Some(AuthFault::Echo(status)) => {
                let words = echo(&request);
                let body =
                    serde_json::json!({"error": "invalid_request", "error_description": words});
                return send(responder, *status, &[], body.to_string());
            }
            Some(AuthFault::NoAnswer) => {
                responder.wait_for_disconnect(Duration::from_secs(60));
                return Ok(());
            }
            Some(AuthFault::LoseAnswer | AuthFault::Hold(_) | AuthFault::Change(_)) | None => {}
        }
        let mut answer = self.answer(&request);
        match fault {
            Some(AuthFault::LoseAnswer) => {
                responder.cut();
                return Ok(());
            }
            Some(AuthFault::Hold(gate)) => {
                gate.wait(Duration::from_secs(60));
            }
            Some(AuthFault::Change(fields)) => state::change(&mut answer.json, &fields),
            _ => {}
        }
        let body = match answer.json {
            Value::Null => String::new(),
            json => json.to_string(),
        };
        send(responder, answer.status, &answer.headers, body)
    }
}

/// Everything that was sent, as a server in debug mode says it.
fn echo(request: &AuthRequest) -> String {
    let mut words: Vec<String> = request
        .params
        .iter()
        .map(|(_, value)| value.clone())
        .collect();
    if let Some(authorization) = &request.authorization {
        words.push(authorization.clone());
        let pair = authorization.split_once(' ').map(|(_, pair)| pair);
        let pair = pair.and_then(|pair| STANDARD.decode(pair).ok());
        words.extend(pair.map(|pair| String::from_utf8_lossy(&pair).into_owned()));
    }
    words.join(" ")
}

/// What the server says to one request.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    json: Value,
}

fn send(
    responder: &mut Responder,
    status: u16,
    headers: &[(String, String)],
    body: String,
) -> std::io::Result<()> {
    let mut headers = headers.to_vec();
    let has_type = headers.iter().any(|(name, _)| name == "content-type");
    if !body.is_empty() && !has_type {
        headers.push(("content-type".into(), "application/json".into()));
    }
    responder.full(status, &headers, body.as_bytes())
}

fn read(request: &HttpRequest) -> AuthRequest {
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path, query.to_owned()),
        None => (request.path.as_str(), String::new()),
    };
    let is_form = request
        .header("content-type")
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let query = match is_form {
        true => String::from_utf8_lossy(&request.body).into_owned(),
        false => query,
    };
    let params = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
    AuthRequest {
        method: request.method.clone(),
        path: path.to_owned(),
        params: params.collect(),
        json: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
        authorization: request.header("authorization").map(str::to_owned),
        dpop: request.header("dpop").map(str::to_owned),
    }
}

/// Undoes percent and plus encoding.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        let code = text.get(index + 1..index + 3);
        match (
            bytes[index],
            code.and_then(|code| u8::from_str_radix(code, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                index += 2;
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// What a page or a redirect answered.
#[derive(Debug, Clone)]
pub struct BrowserPage {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl BrowserPage {
    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Gets an http address as a browser does, without following a redirect.
pub fn browser_get(url: &str) -> BrowserPage {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    browser_send(host, &text)
}

/// Follows redirects from `url` to the page that has none, as a browser does.
pub fn browser_follow(url: &str) -> BrowserPage {
    let mut page = browser_get(url);
    for _ in 0..10 {
        match page.header("location") {
            Some(location) => page = browser_get(location),
            None => return page,
        }
    }
    panic!("an endless redirect from {url}")
}

/// Sends a request as it stands to `host:port` and reads the answer.
pub fn browser_send(host: &str, request: &str) -> BrowserPage {
    let mut stream = TcpStream::connect(host).expect("somebody listens");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a limit is a limit");
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    BrowserPage {
        status: status.and_then(|text| text.parse().ok()).unwrap_or(0),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}
