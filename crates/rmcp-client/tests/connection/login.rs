//! Servers that people log in to: a token per request, and what follows a refusal.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use codex_host::Secret;
use codex_oauth::{
    AccessToken, BoxFuture, LoginWanted, Rejection, Retry, TokenError, TokenSource, WhyLogin,
};
use codex_rmcp_client::{CallError, ConnectError, McpClient, RequestAuth, ServerEndpoint};
use codex_test_support::{FakeHttp, FakeHttpServer, HttpFault};
use serde_json::json;

use super::{call, connect_with, http_endpoint, options, text};

/// Gives its tokens one after the other: each refusal takes the next one.
#[derive(Debug)]
struct Tokens {
    tokens: Vec<&'static str>,
    at: AtomicUsize,
    n_asked: AtomicUsize,
    refusals: Mutex<Vec<(u16, String, bool)>>,
}

impl Tokens {
    fn new(tokens: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            tokens: tokens.to_vec(),
            at: AtomicUsize::new(0),
            n_asked: AtomicUsize::new(0),
            refusals: Mutex::default(),
        })
    }

    fn wanted(&self) -> LoginWanted {
        LoginWanted {
            server: codex_rmcp_client::ServerName::from_config("fake"),
            why: WhyLogin::Expired,
            scopes: None,
            challenge: None,
        }
    }
}

impl TokenSource for Tokens {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        let token = self.tokens.get(self.at.load(Ordering::Relaxed));
        let token = match token {
            Some(&"") => Ok(None),
            Some(token) => Ok(Some(AccessToken::bearer(Secret::new(*token)))),
            None => Err(TokenError::LoginRequired(self.wanted())),
        };
        Box::pin(async move { token })
    }

    fn rejected<'a>(
        &'a self,
        _sent: Option<&'a AccessToken>,
        rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        let refusal = (
            rejection.status,
            rejection.operation.clone(),
            rejection.is_repeat,
        );
        self.refusals.lock().unwrap().push(refusal);
        let next = self.at.fetch_add(1, Ordering::Relaxed) + 1;
        let retry = match next < self.tokens.len() {
            true => Retry::Again,
            false => Retry::Login(self.wanted()),
        };
        Box::pin(async move { retry })
    }
}

async fn connect(server: &FakeHttpServer, source: &Arc<Tokens>) -> Result<McpClient, ConnectError> {
    let mut endpoint = http_endpoint(server);
    endpoint.auth = RequestAuth::OAuth(Arc::clone(source) as Arc<dyn TokenSource>);
    let connected = connect_with(ServerEndpoint::Http(endpoint), options()).await;
    connected.map(|(client, _)| client)
}

#[tokio::test]
async fn every_request_asks_for_its_token() {
    let server = FakeHttp::new().require_bearer("right").start();
    let source = Tokens::new(&["right"]);
    let client = connect(&server, &source).await.unwrap();
    let outcome = call(&client, "echo", json!({"text": "hi"})).await.unwrap();
    assert_eq!(text(&outcome), "ECHO:hi");
    client.shutdown(super::LONG).await;
    let seen = server.seen();
    assert!(seen.iter().any(|seen| seen.http_method == "GET"));
    assert!(seen.iter().any(|seen| seen.http_method == "DELETE"));
    for seen in &seen {
        assert_eq!(
            seen.header("authorization"),
            Some("Bearer right"),
            "{seen:?}"
        );
    }
    assert_eq!(source.n_asked.load(Ordering::Relaxed), seen.len());
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_request_sent_again() {
    let server = FakeHttp::new().require_bearer("right").start();
    let source = Tokens::new(&["", "old", "right"]);
    let client = connect(&server, &source).await.unwrap();
    let outcome = call(&client, "echo", json!({"text": "hi"})).await.unwrap();
    assert_eq!(text(&outcome), "ECHO:hi");
    assert_eq!(
        *source.refusals.lock().unwrap(),
        [
            (401, "server/discover".to_owned(), false),
            (401, "server/discover".to_owned(), true)
        ]
    );
}

#[tokio::test]
async fn a_login_that_nobody_can_make_here_ends_the_start_with_its_challenge() {
    let server = FakeHttp::new().require_bearer("right").start();
    let error = connect(&server, &Tokens::new(&["old"])).await.unwrap_err();
    let ConnectError::LoginRequired {
        status,
        challenge,
        token_sent,
        wanted,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*status, *token_sent), (401, true));
    assert_eq!(challenge.as_deref(), Some("Bearer realm=\"fake\""));
    let wanted = wanted.as_deref().unwrap();
    assert_eq!(wanted.command(), "codex mcp login fake");
    assert_eq!(error.hints(), ["run `codex mcp login fake`"]);
}

#[tokio::test]
async fn a_login_that_is_known_to_be_gone_costs_no_request() {
    let server = FakeHttp::new().require_bearer("right").start();
    let error = connect(&server, &Tokens::new(&[])).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::LoginRequired {
                wanted: Some(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(server.seen().is_empty());
}

/// Has a login that ends at the first refusal, and another one as soon as there is one.
#[derive(Debug, Default)]
struct TwoLogins {
    is_refused: AtomicBool,
    is_new_there: AtomicBool,
}

impl TwoLogins {
    fn wanted() -> LoginWanted {
        Tokens::new(&[]).wanted()
    }
}

impl TokenSource for TwoLogins {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        let is_new = self.is_new_there.load(Ordering::Relaxed);
        let token = match (is_new, self.is_refused.load(Ordering::Relaxed)) {
            (true, _) => Ok(Some(AccessToken::bearer(Secret::new("new-login")))),
            (false, true) => Err(TokenError::LoginRequired(Self::wanted())),
            (false, false) => Ok(Some(AccessToken::bearer(Secret::new("old-login")))),
        };
        Box::pin(async move { token })
    }

    fn rejected<'a>(
        &'a self,
        _sent: Option<&'a AccessToken>,
        _rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        self.is_refused.store(true, Ordering::Relaxed);
        Box::pin(async { Retry::Login(Self::wanted()) })
    }
}

#[tokio::test]
async fn a_new_login_gets_a_session_of_its_own() {
    let server = FakeHttp::new().start();
    let source = Arc::new(TwoLogins::default());
    let mut endpoint = http_endpoint(&server);
    endpoint.auth = RequestAuth::OAuth(Arc::clone(&source) as Arc<dyn TokenSource>);
    let connected = connect_with(ServerEndpoint::Http(endpoint), options()).await;
    let (client, _events) = connected.unwrap();
    server.fault("tools/call", HttpFault::Status(401));
    for _ in 0..2 {
        let error = call(&client, "echo", json!({})).await.unwrap_err();
        assert!(matches!(error, CallError::LoginRequired { .. }), "{error}");
    }
    source.is_new_there.store(true, Ordering::Relaxed);
    let outcome = call(&client, "echo", json!({"text": "hi"})).await.unwrap();
    assert_eq!(text(&outcome), "ECHO:hi");
    let calls: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.message["method"] == "tools/call")
        .map(|seen| {
            let header = |name| seen.header(name).unwrap_or_default().to_owned();
            (header("authorization"), header("mcp-session-id"))
        })
        .collect();
    assert_eq!(
        calls.len(),
        2,
        "a login that is known to be gone costs no request"
    );
    let ((old, old_session), (new, new_session)) = (&calls[0], &calls[1]);
    assert_eq!(
        (old.as_str(), new.as_str()),
        ("Bearer old-login", "Bearer new-login")
    );
    assert!(!new_session.is_empty());
    assert_ne!(old_session, new_session);
}

/// Has a login and no token from it.
#[derive(Debug)]
struct NoToken(TokenError);

impl TokenSource for NoToken {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn rejected<'a>(
        &'a self,
        _sent: Option<&'a AccessToken>,
        _rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        Box::pin(async { Retry::Refused("nothing was sent".to_owned()) })
    }
}

#[tokio::test]
async fn only_a_renewal_that_may_pass_is_worth_another_try() {
    let server = FakeHttp::new().start();
    let name = codex_rmcp_client::ServerName::from_config("fake");
    let (server_name, why) = (|| name.clone(), || "why".to_owned());
    let rows = [
        (
            TokenError::NotNow {
                server: server_name(),
                why: why(),
            },
            true,
        ),
        (
            TokenError::Refused {
                server: server_name(),
                why: why(),
            },
            false,
        ),
        (
            TokenError::Store {
                server: server_name(),
                why: why(),
            },
            false,
        ),
    ];
    for (error, is_transient) in rows {
        let mut endpoint = http_endpoint(&server);
        endpoint.auth = RequestAuth::OAuth(Arc::new(NoToken(error)));
        let connected = connect_with(ServerEndpoint::Http(endpoint), options()).await;
        let Err(error) = connected else {
            panic!("there was no token");
        };
        assert!(matches!(error, ConnectError::NoToken { .. }), "{error}");
        assert_eq!(error.is_transient(), is_transient, "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_call_that_wants_a_login_names_the_command_and_the_operation() {
    let server = FakeHttp::new().start();
    let source = Tokens::new(&["token"]);
    let client = connect(&server, &source).await.unwrap();
    server.fault(
        "tools/call",
        HttpFault::StatusWith(
            403,
            vec![(
                "WWW-Authenticate".to_owned(),
                "Bearer error=\"insufficient_scope\", scope=\"a b\"".to_owned(),
            )],
            String::new(),
        ),
    );
    let error = call(&client, "echo", json!({})).await.unwrap_err();
    assert!(matches!(
        error,
        CallError::LoginRequired { status: 403, .. }
    ));
    insta::assert_snapshot!(error, @"MCP server `fake` wants a login. Run `codex mcp login fake`.");
    let refusals = source.refusals.lock().unwrap();
    assert_eq!(*refusals, [(403, "tools/call echo".to_owned(), false)]);
}

#[tokio::test]
async fn a_source_that_always_wants_to_try_again_is_stopped() {
    let server = FakeHttp::new().require_bearer("right").start();
    let source = Tokens::new(&["x"; 100]);
    let error = connect(&server, &source).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::LoginRequired { status: 401, .. }),
        "{error}"
    );
    assert_eq!(server.seen().len(), 5);
}

/// A server that sends back both tokens of the connection, in this kind of answer to a call.
async fn error_of_an_echo(fault: HttpFault) -> CallError {
    let server = FakeHttp::new().require_bearer("second-canary").start();
    let source = Tokens::new(&["first-canary", "second-canary"]);
    let client = connect(&server, &source).await.unwrap();
    server.fault("tools/call", fault);
    call(&client, "echo", json!({})).await.unwrap_err()
}

const ECHO: &str = "you sent Bearer second-canary, and first-canary before";

#[tokio::test]
async fn a_token_that_comes_back_in_a_body_is_not_shown() {
    let fault = HttpFault::StatusWith(500, Vec::new(), ECHO.to_owned());
    let error = error_of_an_echo(fault).await;
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    insta::assert_snapshot!(error, @"the server answered HTTP 500: you sent Bearer [redacted], and [redacted] before");
}

#[tokio::test]
async fn a_token_that_the_cut_of_a_long_body_would_halve_is_not_shown() {
    let body = format!("{}second-canary", " ".repeat(4 * 200 - 6));
    let error = error_of_an_echo(HttpFault::StatusWith(500, Vec::new(), body)).await;
    insta::assert_snapshot!(error, @"the server answered HTTP 500: [redacted]");
}

#[tokio::test]
async fn a_token_that_comes_back_in_an_error_of_the_protocol_is_not_shown() {
    let body = json!({"jsonrpc": "2.0", "id": null, "error": {
        "code": -32000, "message": ECHO, "data": {"headers": [ECHO]},
    }});
    let fault = HttpFault::StatusWith(400, Vec::new(), body.to_string());
    let error = error_of_an_echo(fault).await;
    assert!(matches!(error, CallError::Rpc { data: Some(_), .. }));
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    insta::assert_snapshot!(error, @"you sent Bearer [redacted], and [redacted] before (-32000)");
}

#[tokio::test]
async fn a_token_that_comes_back_in_a_challenge_is_not_shown() {
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{ECHO}\"");
    let headers = vec![("WWW-Authenticate".to_owned(), challenge)];
    let fault = HttpFault::StatusWith(401, headers, String::new());
    let error = error_of_an_echo(fault).await;
    let CallError::LoginRequired { challenge, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        challenge
            .as_deref()
            .unwrap_or_default()
            .contains("[redacted]")
    );
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}
