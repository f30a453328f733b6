//! Discovery over the wire: limits, redirects, and what it never asks.

use std::time::{Duration, Instant};

use codex_oauth::{DiscoveryError, DiscoveryRequest, Found, discover};
use codex_test_support::{AuthFault, AuthSettings, FakeAuth};
use serde_json::{Value, json};

use crate::world::World;

const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
const SERVER: &str = "/.well-known/oauth-authorization-server";

fn redirect(to: &str) -> AuthFault {
    AuthFault::Raw(302, vec![("location".into(), to.into())], String::new())
}

#[tokio::test]
async fn a_hanging_metadata_server_costs_ten_seconds() {
    // Each candidate may hang for 3 s, twice; the whole ends at 10 s all the same.
    let world = World::plain();
    for path in [RESOURCE, SERVER] {
        for _ in 0..4 {
            world.auth.script(path, AuthFault::NoAnswer);
        }
    }
    let begin = Instant::now();
    let error = world.try_discover().await.unwrap_err();
    assert!(
        begin.elapsed() < Duration::from_secs(11),
        "{:?}",
        begin.elapsed()
    );
    assert!(matches!(error, DiscoveryError::Unknown { .. }), "{error}");
    assert!(
        error.to_string().contains("did not answer within 3s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_once_more() {
    let world = World::plain();
    world
        .auth
        .script(SERVER, AuthFault::Answer(503, Value::Null));
    let found = world.try_discover().await.unwrap();
    assert!(matches!(found.found, Found::Document(_)));
    assert_eq!(world.auth.requests(SERVER).len(), 2);
    let trace: Vec<&str> = found
        .trace
        .0
        .iter()
        .map(|step| step.verdict.as_str())
        .collect();
    assert_eq!(
        trace,
        ["resource metadata", "authorization server metadata"]
    );
}

#[tokio::test]
async fn a_huge_document_is_not_read() {
    let world = World::plain();
    let huge = json!({"resource": "x".repeat(70_000)});
    for _ in 0..2 {
        world
            .auth
            .script(RESOURCE, AuthFault::Answer(200, huge.clone()));
    }
    let error = world.try_discover().await.unwrap_err();
    assert!(
        error.to_string().contains("is larger than 65536 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_web_page_is_no_document() {
    let world = World::new(AuthSettings {
        challenge_names_document: false,
        ..AuthSettings::default()
    });
    let page = AuthFault::Raw(
        200,
        vec![("content-type".into(), "text/html".into())],
        "<html>".into(),
    );
    world.auth.script(RESOURCE, page);
    let found = world.try_discover().await.unwrap();
    assert_eq!(found.resource, None);
    assert_eq!(found.trace.0[0].verdict, "not a JSON object");
}

#[tokio::test]
async fn a_stream_at_every_path_is_no_document_and_costs_no_time() {
    let server = codex_test_support::FakeHttp::new().start();
    let request = DiscoveryRequest {
        saw_401: false,
        ..DiscoveryRequest::after_401(server.url().parse().unwrap(), None)
    };
    let (world, begin) = (World::plain(), Instant::now());
    let error = discover(&request, &world.services, &world.cancel).await;
    assert!(
        matches!(error, Err(DiscoveryError::Unsupported { .. })),
        "{error:?}"
    );
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_document_may_lie_elsewhere_but_not_on_another_scheme() {
    let (world, other) = (World::plain(), FakeAuth::start(AuthSettings::default()));
    let document = json!({
        "resource": world.auth.mcp_url(),
        "authorization_servers": [world.auth.issuer()],
    });
    other.script("/elsewhere", AuthFault::Answer(200, document));
    world
        .auth
        .script(RESOURCE, redirect(&format!("{}/elsewhere", other.issuer())));
    world.try_discover().await.unwrap();

    world
        .auth
        .script(RESOURCE, redirect("https://127.0.0.1:1/elsewhere"));
    let error = world.try_discover().await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_refused() {
    let world = World::plain();
    world.auth.script(
        RESOURCE,
        redirect("http://169.254.169.254/latest/meta-data"),
    );
    let error = world.try_discover().await.unwrap_err();
    let DiscoveryError::Refused { why, trace } = error else {
        panic!("{error}")
    };
    assert!(why.contains("the address is not allowed"), "{why}");
    assert_eq!(trace.0.len(), 1);
}

#[tokio::test]
async fn a_redirect_loses_the_token() {
    let (world, thief) = (World::plain(), FakeAuth::start(AuthSettings::default()));
    let login = world.log_in().await;
    world.auth.script(
        "/token",
        AuthFault::Raw(
            307,
            vec![("location".into(), format!("{}/token", thief.issuer()))],
            String::new(),
        ),
    );
    let error = world
        .refresh()
        .run(&login.login.access_token, None)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the token endpoint answered with HTTP 307"
    );
    assert!(thief.journal().is_empty());
    assert_eq!(world.stored().await, login);
}

#[tokio::test]
async fn a_login_that_is_stored_needs_no_metadata() {
    let world = World::plain();
    let login = world.log_in().await;
    let n_before = world.auth.journal().len();
    world
        .refresh()
        .run(&login.login.access_token, None)
        .await
        .unwrap();
    assert_eq!(world.auth.journal()[n_before..], ["POST /token"]);
}
