//! rmcp's streamable HTTP transport on our own HTTP stack.
//!
//! rmcp's worker keeps the session, resumes streams and writes the standard headers. Here is what it
//! leaves to its client: one pooled connection set, headers that go to this origin only, limits of
//! bodies and events, an answer for every odd status and content type, and errors with a reason.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use codex_http::{Body, HttpClient, HttpError, HttpErrorKind, Limits, Request, Response};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpError,
    StreamableHttpPostResponse,
};
use sse_stream::Sse;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::calls::MarkedSchemas;
use crate::endpoint::{HttpEndpoint, RequestAuth};
use crate::fault::HttpFault;
use crate::login;
use crate::param_headers;
use crate::wire::Tap;

/// The largest JSON answer.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The largest event of a stream.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// So many characters of a strange body are shown.
const SHOWN_BODY: usize = 200;

/// A server that says `retry: 0` shall not make us spin.
const MIN_RETRY: Duration = Duration::from_millis(50);

/// So many standing GETs may end at once before the next ones wait, each twice as long.
const FREE_LISTENS: u32 = 3;

/// How long ending a session may take.
const DELETE_LIMIT: Duration = Duration::from_secs(3);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");

type Failure = StreamableHttpError<HttpFault>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// The HTTP side of one connection; clones share it.
#[derive(Clone)]
pub(crate) struct HttpWire(Arc<Shared>);

struct Shared {
    http: HttpClient,
    endpoint: HttpEndpoint,
    user_agent: HeaderValue,
    tap: Arc<Tap>,
    schemas: MarkedSchemas,
    /// Ends requests that rmcp's worker does not watch, the very first one above all.
    cancel: CancellationToken,
    has_session: AtomicBool,
    /// Whether the login ended under which the session was made.
    is_login_over: AtomicBool,
    /// Whether the standing GET was answered, in whatever way.
    listening: watch::Sender<bool>,
    /// Standing GETs in a row whose stream ended at once and said nothing.
    idle_listens: Arc<AtomicU32>,
    /// The last failure, for connections that end without another reason.
    last_fault: Mutex<Option<HttpFault>>,
}

impl HttpWire {
    pub(crate) fn new(
        http: HttpClient,
        endpoint: HttpEndpoint,
        user_agent: &str,
        tap: Arc<Tap>,
        schemas: MarkedSchemas,
        cancel: CancellationToken,
    ) -> Self {
        let user_agent = HeaderValue::from_str(user_agent);
        Self(Arc::new(Shared {
            http,
            endpoint,
            user_agent: user_agent.unwrap_or(HeaderValue::from_static("codex-mcp-client")),
            tap,
            schemas,
            cancel,
            has_session: AtomicBool::new(false),
            is_login_over: AtomicBool::new(false),
            listening: watch::Sender::new(false),
            idle_listens: Arc::default(),
            last_fault: Mutex::default(),
        }))
    }

    /// Waits until the standing GET was answered, at most `limit`; at once without a session.
    ///
    /// A server may send a request of its own on that stream while it answers the first call, and
    /// would wait for ever when nobody listens yet.
    pub(crate) async fn wait_until_listening(&self, limit: Duration) {
        if self.0.has_session.load(Ordering::Relaxed) {
            let mut listening = self.0.listening.subscribe();
            let _ = tokio::time::timeout(limit, listening.wait_for(|is_open| *is_open)).await;
        }
    }

    /// Returns the last failure of a POST.
    pub(crate) fn last_fault(&self) -> Option<HttpFault> {
        let fault = self.0.last_fault.lock();
        fault.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits before another standing GET when the last ones were in vain: rmcp opens one each second
    /// for ever when a server ends the stream at once.
    async fn calm_down(&self) -> Result<(), Failure> {
        let in_vain = self.0.idle_listens.load(Ordering::Relaxed);
        let Some(doublings) = in_vain.checked_sub(FREE_LISTENS) else {
            return Ok(());
        };
        let wait = Duration::from_secs(1 << doublings.min(6));
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.0.cancel.cancelled() => Err(Failure::Client(HttpFault::Cancelled)),
        }
    }

    /// Sends a request with everything that each one carries.
    async fn send(
        &self,
        request: Request,
        session_id: Option<&str>,
        protocol_headers: HashMap<HeaderName, HeaderValue>,
        operation: &str,
    ) -> Result<Response, Failure> {
        let shared = &self.0;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, shared.user_agent.clone());
        // Each replaces: the user's may name another agent, and what the protocol needs is ours.
        headers.extend(shared.endpoint.headers.clone());
        headers.extend(request.headers.clone());
        headers.extend(protocol_headers);
        if let Some(session_id) = session_id {
            let value = HeaderValue::from_str(session_id).map_err(|_| unsendable("session id"))?;
            headers.insert(SESSION_ID, value);
        }
        match &shared.endpoint.auth {
            RequestAuth::None => {}
            RequestAuth::Bearer(token) => {
                let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
                let mut value = value.map_err(|_| unsendable("bearer token"))?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            // Asked below, once per attempt.
            RequestAuth::OAuth(_) => {}
        }
        let request = Request { headers, ..request };
        let sending = async {
            match &shared.endpoint.auth {
                RequestAuth::OAuth(source) => {
                    let secrets = &shared.tap.secrets;
                    login::send(&shared.http, source.as_ref(), request, operation, secrets).await
                }
                RequestAuth::None | RequestAuth::Bearer(_) => Ok(shared.http.send(request).await?),
            }
        };
        tokio::select! {
            response = sending => response.map_err(Failure::Client),
            () = shared.cancel.cancelled() => Err(Failure::Client(HttpFault::Cancelled)),
        }
    }

    /// Whether a session belongs to a login that ended and that another has replaced: what the one
    /// user did in it is none of the other's.
    async fn is_of_earlier_login(&self) -> bool {
        let is_over = &self.0.is_login_over;
        let RequestAuth::OAuth(source) = &self.0.endpoint.auth else {
            return false;
        };
        if !is_over.load(Ordering::Relaxed) {
            return false;
        }
        let has_other = tokio::select! {
            token = source.token() => matches!(token, Ok(Some(_))),
            () = self.0.cancel.cancelled() => false,
        };
        if has_other {
            is_over.store(false, Ordering::Relaxed);
        }
        has_other
    }

    fn login(&self, response: &Response) -> HttpFault {
        let auth = &self.0.endpoint;
        let challenge = login::challenge_text(&response.headers);
        HttpFault::Login {
            status: response.status.as_u16(),
            challenge: challenge.map(|words| self.0.tap.secrets.redacted(&words)),
            token_sent: matches!(auth.auth, RequestAuth::Bearer(_))
                || auth.headers.contains_key(AUTHORIZATION),
            wanted: None,
        }
    }

    /// Arguments that travel as headers.
    fn param_headers(
        &self,
        message: &ClientJsonRpcMessage,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
        let ClientJsonRpcMessage::Request(request) = message else {
            return Ok(Vec::new());
        };
        let ClientRequest::CustomRequest(request) = &request.request else {
            return Ok(Vec::new());
        };
        let params = request.params.as_ref();
        let tool = params.and_then(|params| params.get("name")?.as_str());
        let schema = match (request.method.as_str(), tool) {
            ("tools/call", Some(tool)) => self.0.schemas.get(tool),
            _ => None,
        };
        let Some(schema) = schema else {
            return Ok(Vec::new());
        };
        let arguments = params.and_then(|params| params.get("arguments"));
        param_headers::headers(&schema, arguments)
            .map_err(|why| Failure::Client(HttpFault::Unsendable { why }))
    }

    /// Turns the answer to a POST into what rmcp's worker expects.
    async fn post_answer(
        &self,
        response: Response,
        request_id: Option<RequestId>,
        had_session: bool,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let status = response.status;
        let session = response.headers.get(SESSION_ID);
        let session = session.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        match status {
            StatusCode::UNAUTHORIZED => return Err(Failure::Client(self.login(&response))),
            StatusCode::FORBIDDEN if response.headers.contains_key(WWW_AUTHENTICATE) => {
                return Err(Failure::Client(self.login(&response)));
            }
            StatusCode::NOT_FOUND if had_session => return Err(Failure::SessionExpired),
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT
                if request_id.is_some() && !had_session =>
            {
                return Err(Failure::Client(HttpFault::NotMcp {
                    status: status.as_u16(),
                    start: "no answer to a request, and no stream for it".to_owned(),
                }));
            }
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                return Ok(StreamableHttpPostResponse::Accepted);
            }
            _ => {}
        }
        let content_type = response.content_type().unwrap_or_default();
        if status.is_success() && content_type == "text/event-stream" {
            self.note_session(session.as_deref());
            let events = self.events(response, request_id);
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        let Some(request_id) = request_id else {
            // Whatever a server answers to a notification, nothing depends on it.
            return Ok(StreamableHttpPostResponse::Accepted);
        };
        let body = self.read(response.body).await?;
        match self.0.tap.incoming_answer(&body, Some(&request_id)) {
            Ok(message @ ServerJsonRpcMessage::Error(_)) => {
                Ok(StreamableHttpPostResponse::Json(message, session))
            }
            Ok(message) if status.is_success() => {
                self.note_session(session.as_deref());
                Ok(StreamableHttpPostResponse::Json(message, session))
            }
            Ok(_) | Err(_) => Err(Failure::Client(HttpFault::NotMcp {
                status: status.as_u16(),
                start: self.shown_start(&content_type, &body),
            })),
        }
    }

    fn note_session(&self, session: Option<&str>) {
        if session.is_some() {
            self.0.has_session.store(true, Ordering::Relaxed);
        }
    }

    async fn read(&self, mut body: Body) -> Result<Bytes, Failure> {
        let mut read = Vec::new();
        loop {
            let piece = tokio::select! {
                piece = body.next() => piece,
                () = self.0.cancel.cancelled() => return Err(Failure::Client(HttpFault::Cancelled)),
            };
            let Some(piece) = piece else {
                return Ok(read.into());
            };
            let piece = piece.map_err(|error| Failure::Client(error.into()))?;
            if read.len() + piece.len() > MAX_BODY {
                return Err(Failure::Client(HttpFault::Network {
                    kind: HttpErrorKind::BodyTooLarge,
                    why: format!("the answer is larger than {MAX_BODY} bytes"),
                }));
            }
            read.extend_from_slice(&piece);
        }
    }

    /// Content type and first words of a body, on one line and without our secrets.
    fn shown_start(&self, content_type: &str, body: &[u8]) -> String {
        // Before anything is cut: half a secret would not be recognized.
        let text = self.0.tap.secrets.redacted(&String::from_utf8_lossy(body));
        let page = codex_http::page_words(&text);
        let words = page
            .as_deref()
            .unwrap_or(&text)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown: String = words.chars().take(SHOWN_BODY).collect();
        if shown.len() < words.len() {
            shown.push('…');
        }
        match (content_type, shown.is_empty()) {
            ("", true) => "an empty body".to_owned(),
            (content_type, true) => format!("an empty body ({content_type})"),
            ("", false) => shown,
            (content_type, false) => format!("{shown} ({content_type})"),
        }
    }

    /// The events of a stream with every result kept aside. `request_id` is the request that the
    /// stream answers, when it is known.
    fn events(&self, response: Response, request_id: Option<RequestId>) -> Events {
        let tap = Arc::clone(&self.0.tap);
        let mut can_resume = request_id.is_none();
        let mut has_failed = false;
        let events = response.events(MAX_EVENT).filter_map(move |event| {
            let shown = match event {
                Ok(event) => {
                    can_resume |= event.id.is_some();
                    let data = event.data.and_then(|data| tap.incoming_text(&data).ok());
                    let retry = event.retry.map(|retry| retry.max(MIN_RETRY).as_millis());
                    Some(Ok(Sse {
                        event: event.event,
                        data,
                        id: event.id,
                        retry: retry.and_then(|retry| u64::try_from(retry).ok()),
                    }))
                }
                Err(_) if has_failed => None,
                Err(error) => {
                    has_failed = true;
                    Some(broken_stream(&tap, &error, request_id.as_ref(), can_resume))
                }
            };
            std::future::ready(shown)
        });
        events.boxed()
    }
}

/// What follows a broken stream: a failed request, or an error after which rmcp resumes.
fn broken_stream(
    tap: &Tap,
    error: &HttpError,
    request_id: Option<&RequestId>,
    can_resume: bool,
) -> Result<Sse, SseError> {
    let is_too_large = error.kind() == HttpErrorKind::EventTooLarge;
    // An event that is too large would be too large again.
    let unanswered = tap.unanswered();
    let failed = match (request_id, unanswered.as_slice()) {
        (Some(id), _) if is_too_large || !can_resume => Some(id),
        (None, [only]) if is_too_large => Some(only),
        _ => None,
    };
    match failed {
        Some(id) => Ok(Sse {
            event: None,
            data: Some(Tap::fault(id, &format!("the answer broke off: {error}")).to_string()),
            id: None,
            retry: None,
        }),
        None => Err(SseError::Body(error.to_string().into())),
    }
}

fn unsendable(what: &str) -> Failure {
    Failure::Client(HttpFault::Unsendable {
        why: format!("the {what} has characters that a header cannot carry"),
    })
}

/// Limits of an exchange whose duration the caller limits.
fn unlimited_time() -> Limits {
    Limits {
        headers: None,
        idle: None,
        body: None,
    }
}

impl StreamableHttpClient for HttpWire {
    type Error = HttpFault;

    async fn post_message(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        mut custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        self.0.tap.outgoing(&message);
        let request_id = match &message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        if custom_headers.contains_key(&METHOD) {
            custom_headers.extend(self.param_headers(&message)?);
        }
        let body = serde_json::to_vec(&message)?;
        let mut request = Request::post_json(self.0.endpoint.url.clone(), body);
        request.limits = unlimited_time();
        request.headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        let had_session = session_id.is_some();
        let operation = login::operation(&message);
        let posting = async {
            if had_session && self.is_of_earlier_login().await {
                return Err(Failure::SessionExpired);
            }
            let response = self
                .send(request, session_id.as_deref(), custom_headers, &operation)
                .await?;
            self.post_answer(response, request_id, had_session).await
        };
        posting.await.inspect_err(|failure| {
            if let Failure::Client(fault) = failure {
                if fault.ends_login() {
                    self.0.is_login_over.store(true, Ordering::Relaxed);
                }
                let mut last = self.0.last_fault.lock();
                let last = last.as_deref_mut();
                if let Ok(last) = last {
                    *last = Some(fault.clone());
                }
            }
        })
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, Failure> {
        let is_standing = last_event_id.is_none();
        if is_standing {
            self.calm_down().await?;
        }
        let mut request = Request::get(self.0.endpoint.url.clone());
        request.limits = unlimited_time();
        let accept = HeaderValue::from_static("text/event-stream");
        request.headers.insert(ACCEPT, accept);
        if let Some(id) = last_event_id {
            let value = HeaderValue::from_str(&id).map_err(|_| unsendable("event id"))?;
            request.headers.insert(LAST_EVENT_ID, value);
        }
        let response = self
            .send(request, session_id.as_deref(), custom_headers, "GET")
            .await;
        if is_standing {
            self.0.listening.send_replace(true);
        }
        let response = response?;
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let error = AuthRequiredError::new(String::new());
                Err(Failure::AuthRequired(error))
            }
            status if status.is_server_error() => Err(Failure::Client(HttpFault::NotMcp {
                status: status.as_u16(),
                start: self.shown_start("", response.error_text().await.as_bytes()),
            })),
            status
                if status.is_success()
                    && response.content_type().as_deref() == Some("text/event-stream") =>
            {
                let events = self.events(response, None);
                if !is_standing {
                    return Ok(events);
                }
                self.0.idle_listens.fetch_add(1, Ordering::Relaxed);
                let idle_listens = Arc::clone(&self.0.idle_listens);
                let hears = move |event| {
                    idle_listens.store(0, Ordering::Relaxed);
                    event
                };
                Ok(events.map(hears).boxed())
            }
            _ => Err(Failure::ServerDoesNotSupportSse),
        }
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let mut request = Request::new(Method::DELETE, self.0.endpoint.url.clone());
        request.limits = Limits {
            headers: Some(DELETE_LIMIT),
            ..Limits::default()
        };
        let response = self
            .send(request, Some(&session_id), custom_headers, "DELETE")
            .await?;
        if response.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(Failure::ServerDoesNotSupportDeleteSession);
        }
        Ok(())
    }
}
