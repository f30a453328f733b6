//! Streamable HTTP: sessions, streams, headers, and servers that answer with anything but MCP.

use ::http::{HeaderName, HeaderValue};
use codex_host::Secret;
use codex_rmcp_client::{CallError, ConnectError};
use codex_test_support::{Era, FakeHttp, HttpFault, PostAnswer, SeenPost};
use serde_json::json;

use super::*;

/// The error of a connection attempt, with the port replaced.
async fn refusal(server: &FakeHttpServer) -> String {
    let error = connect_http(server).await.unwrap_err().to_string();
    error.replace(&server.port().to_string(), "PORT")
}

/// Lets both eras' first request go wrong.
fn fail_start(server: &FakeHttpServer, fault: HttpFault) {
    server.fault_always("server/discover", fault.clone());
    server.fault_always("initialize", fault);
}

#[tokio::test]
async fn each_form_of_answer_and_session_works() {
    for server in [
        FakeHttp::new(),
        FakeHttp::new().answer_as(PostAnswer::Json),
        FakeHttp::new().without_sessions(),
        FakeHttp::new().without_get_stream(),
        FakeHttp::new().era(Era::Modern),
        FakeHttp::new().era(Era::Modern).answer_as(PostAnswer::Json),
        FakeHttp::new().era(Era::Both),
    ] {
        let server = server.start();
        let client = connect_http(&server).await.unwrap();
        assert_eq!(client.list_tools(LONG).await.unwrap().tools.len(), 1);
        let answer = call(&client, "echo", json!({ "text": "hi" })).await;
        assert_eq!(text(&answer.unwrap()), "ECHO:hi");
        client.shutdown(LONG).await;
    }
}

#[tokio::test]
async fn a_session_is_deleted_at_the_end() {
    let server = FakeHttp::new().start();
    let client = connect_http(&server).await.unwrap();
    client.shutdown(LONG).await;
    assert!(server.methods().contains(&"DELETE".to_owned()));
}

#[tokio::test]
async fn an_expired_session_is_made_anew_without_the_caller_noticing() {
    let server = FakeHttp::new().start();
    let client = connect_http(&server).await.unwrap();
    call(&client, "echo", json!({ "text": "one" }))
        .await
        .unwrap();
    server.expire_sessions();
    let answer = call(&client, "echo", json!({ "text": "two" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:two");
    assert_eq!(server.seen_of("initialize").len(), 2);
}

#[tokio::test]
async fn the_first_call_waits_for_the_standing_stream() {
    let server = FakeHttp::new().tools(["elicit"]).start();
    let client = connect_http(&server).await.unwrap();
    call(&client, "elicit", json!({})).await.unwrap();
    let methods = server.methods();
    let place = |name: &str| methods.iter().position(|method| method == name);
    assert!(place("GET") < place("tools/call"), "{methods:?}");
}

#[tokio::test]
async fn a_server_that_fails_says_how() {
    let server = FakeHttp::new().start();
    fail_start(&server, HttpFault::Status(500));
    let error = connect_http(&server).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Http { status: 500, .. }),
        "{error}"
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn strange_answers_are_shown() {
    let server = FakeHttp::new().start();
    fail_start(
        &server,
        HttpFault::StatusWith(
            404,
            vec![("content-type".to_owned(), "text/plain".to_owned())],
            "no such\n page".to_owned(),
        ),
    );
    insta::assert_snapshot!(refusal(&server).await, @"MCP server `fake` answered HTTP 404: no such page (text/plain)");
    let server = FakeHttp::new().start();
    fail_start(&server, HttpFault::Html);
    let error = refusal(&server).await;
    assert!(
        error.starts_with("MCP server `fake` answered HTTP 200: <"),
        "{error}"
    );
    assert!(error.ends_with("(text/html)"), "{error}");
    let server = FakeHttp::new().start();
    fail_start(&server, HttpFault::BadJson);
    let error = refusal(&server).await;
    assert!(error.ends_with("(application/json)"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_ends_with_the_limit() {
    for fault in [
        HttpFault::NoAnswer,
        HttpFault::EndlessSse,
        HttpFault::Accepted,
    ] {
        let server = FakeHttp::new().start();
        fail_start(&server, fault.clone());
        let mut options = options();
        options.startup_timeout = SHORT;
        let endpoint = ServerEndpoint::Http(http_endpoint(&server));
        let error = connect_with(endpoint, options).await.unwrap_err();
        let is_expected = match fault {
            HttpFault::Accepted => matches!(error, ConnectError::Http { status: 202, .. }),
            _ => matches!(error, ConnectError::Timeout { .. }),
        };
        assert!(is_expected, "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_once() {
    let server = FakeHttp::new().start();
    let endpoint = ServerEndpoint::Http(http_endpoint(&server));
    let port = server.port().to_string();
    drop(server);
    let error = connect_with(endpoint, options()).await.unwrap_err();
    insta::assert_snapshot!(
        error.to_string().replace(&port, "PORT"),
        @"MCP server `fake` cannot be reached at `http://127.0.0.1:PORT/mcp`: connection refused"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_probe_is_asked_to_initialize() {
    for fault in [
        HttpFault::NoAnswer,
        HttpFault::HangUp,
        HttpFault::Html,
        HttpFault::Accepted,
        HttpFault::Status(400),
        HttpFault::Status(500),
        HttpFault::BadJson,
        HttpFault::CutSse,
    ] {
        let server = FakeHttp::new().start();
        server.fault_always("server/discover", fault.clone());
        let mut options = options();
        options.startup_timeout = 3 * SHORT;
        let endpoint = ServerEndpoint::Http(http_endpoint(&server));
        let connected = connect_with(endpoint, options).await;
        let (client, _) = connected.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(client.info().protocol_version, "2025-11-25");
    }
}

/// Row 5.http_headers.
#[tokio::test]
async fn headers_and_token_travel_with_every_request_and_to_nobody_else() {
    let server = FakeHttp::new()
        .require_bearer("s3cret")
        .require_header("x-team", "blue")
        .start();
    let other = FakeHttp::new().start();
    let mut endpoint = http_endpoint(&server);
    endpoint.auth = RequestAuth::Bearer(Secret::new("s3cret"));
    let team = HeaderName::from_static("x-team");
    endpoint
        .headers
        .insert(team, HeaderValue::from_static("blue"));
    assert!(!format!("{endpoint:?}").contains("s3cret"));
    let (client, _) = connect_with(ServerEndpoint::Http(endpoint), options())
        .await
        .unwrap();
    call(&client, "echo", json!({ "text": "hi" }))
        .await
        .unwrap();
    server.fault("tools/call", HttpFault::Redirect(other.url()));
    let error = call(&client, "echo", json!({ "text": "hi" })).await;
    assert!(
        matches!(error, Err(CallError::Transport { .. })),
        "{error:?}"
    );
    client.shutdown(LONG).await;
    assert!(other.seen().is_empty());
    for seen in server.seen() {
        assert_eq!(
            seen.header("authorization"),
            Some("Bearer s3cret"),
            "{seen:?}"
        );
        assert_eq!(seen.header("user-agent"), Some("codex-mcp-client/1.2.3"));
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_is_not_shown() {
    let server = FakeHttp::new().start();
    let echo = "you sent: Bearer s3cret-token, x-key: k3y-of-mine, x-team: blue".to_owned();
    fail_start(&server, HttpFault::StatusWith(400, Vec::new(), echo));
    let mut endpoint = http_endpoint(&server);
    endpoint.auth = RequestAuth::Bearer(Secret::new("s3cret-token"));
    for (name, value) in [("x-key", "Key k3y-of-mine"), ("x-team", "blue")] {
        let name = HeaderName::from_static(name);
        endpoint
            .headers
            .insert(name, HeaderValue::from_static(value));
    }
    let error = connect_with(ServerEndpoint::Http(endpoint), options()).await;
    insta::assert_snapshot!(error.unwrap_err(), @"MCP server `fake` answered HTTP 400: you sent: Bearer [redacted], x-key: [redacted], x-team: blue");
}

#[tokio::test]
async fn the_users_own_agent_is_the_only_one() {
    let server = FakeHttp::new().start();
    let mut endpoint = http_endpoint(&server);
    endpoint
        .headers
        .insert("user-agent", HeaderValue::from_static("mine/1"));
    let (client, _) = connect_with(ServerEndpoint::Http(endpoint), options())
        .await
        .unwrap();
    client.shutdown(LONG).await;
    for seen in server.seen() {
        let agents = seen.headers.iter().filter(|(name, _)| name == "user-agent");
        let agents: Vec<&str> = agents.map(|(_, value)| value.as_str()).collect();
        assert_eq!(agents, ["mine/1"], "{seen:?}");
    }
}

#[tokio::test]
async fn a_missing_or_refused_token_is_told_apart() {
    let server = FakeHttp::new().require_bearer("right").start();
    let error = connect_http(&server).await.unwrap_err();
    insta::assert_snapshot!(error, @"MCP server `fake` wants a login (HTTP 401)");
    insta::assert_snapshot!(error.hints().join("\n"), @"configure a token: bearer_token_env_var in [mcp_servers.fake]");
    let mut endpoint = http_endpoint(&server);
    endpoint.auth = RequestAuth::Bearer(Secret::new("wrong"));
    let error = connect_with(ServerEndpoint::Http(endpoint), options())
        .await
        .unwrap_err();
    let ConnectError::LoginRequired {
        challenge,
        token_sent,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(token_sent);
    assert_eq!(challenge.as_deref(), Some("Bearer realm=\"fake\""));
    insta::assert_snapshot!(error.hints().join("\n"), @"the configured token was refused: renew it");
}

#[tokio::test]
async fn a_login_that_is_wanted_in_mid_session_fails_the_call() {
    let server = FakeHttp::new().start();
    let client = connect_http(&server).await.unwrap();
    server.fault("tools/call", HttpFault::Status(401));
    let error = call(&client, "echo", json!({})).await.unwrap_err();
    assert!(
        matches!(error, CallError::LoginRequired { status: 401, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn faults_of_one_call_leave_the_connection_usable() {
    let server = FakeHttp::new().start();
    let client = connect_http(&server).await.unwrap();
    for (fault, expected) in [
        (HttpFault::Status(500), "the server answered HTTP 500"),
        (HttpFault::Html, "the server answered HTTP 200: <"),
        (HttpFault::HangUp, "broke"),
        (HttpFault::CutSse, "broke off"),
        (
            HttpFault::HugeJson(17 * 1024 * 1024),
            "larger than 16777216 bytes",
        ),
        (
            HttpFault::HugeEvent(17 * 1024 * 1024),
            "larger than 16777216 bytes",
        ),
    ] {
        server.fault("tools/call", fault.clone());
        let error = call(&client, "echo", json!({})).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{fault:?}: {error}");
        let answer = call(&client, "echo", json!({ "text": "next" })).await;
        assert_eq!(text(&answer.unwrap()), "ECHO:next");
    }
}

#[tokio::test]
async fn a_stream_that_never_ends_ends_with_the_limit_of_its_call() {
    let server = FakeHttp::new().start();
    let client = connect_http(&server).await.unwrap();
    for fault in [
        HttpFault::EndlessSse,
        HttpFault::NoAnswer,
        HttpFault::Accepted,
    ] {
        server.fault("tools/call", fault);
        let limit = Duration::from_millis(300);
        let error = call_within(&client, "echo", json!({}), limit).await;
        assert_eq!(error.unwrap_err().to_string(), "timed out after 0.3s");
    }
    let answer = call(&client, "echo", json!({ "text": "next" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:next");
}

#[tokio::test]
async fn a_stream_with_an_event_id_is_resumed() {
    let server = FakeHttp::new().start();
    let client = connect_http(&server).await.unwrap();
    server.fault("tools/call", HttpFault::RetryThenResume(60));
    let answer = call(&client, "echo", json!({ "text": "resumed" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:resumed");
    let seen = server.seen();
    let resumed = |seen: &SeenPost| seen.header("last-event-id").is_some();
    assert!(seen.iter().any(resumed), "{seen:?}");
}

#[tokio::test]
async fn a_header_mismatch_fetches_the_tools_again_and_retries_once() {
    let mismatch = || {
        let error = json!({ "code": -32020, "message": "stale headers" });
        let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        HttpFault::StatusWith(400, vec![kind], body.to_string())
    };
    let server = FakeHttp::new().era(Era::Modern).start();
    let client = connect_http(&server).await.unwrap();
    server.fault("tools/call", mismatch());
    let answer = call(&client, "echo", json!({ "text": "again" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:again");
    assert_eq!(server.seen_of("tools/list").len(), 1);
    server.fault_always("tools/call", mismatch());
    let error = call(&client, "echo", json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "stale headers (-32020)");
}

#[tokio::test]
async fn an_unknown_revision_is_refused() {
    let server = FakeHttp::new().protocol_version("1999-01-01").start();
    let error = connect_http(&server).await.unwrap_err();
    insta::assert_snapshot!(error, @"MCP server `fake` speaks protocol `1999-01-01`, which this client does not know");
}
