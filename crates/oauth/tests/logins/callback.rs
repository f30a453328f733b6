//! The listener while a login waits.

use std::time::Duration;

use codex_oauth::{LoginError, PasteError, PendingLogin};
use codex_test_support::{AuthFault, AuthSettings, Gate, browser_send};
use serde_json::json;

use crate::world::{LONG, World, get, limited};

fn state(pending: &PendingLogin) -> String {
    let url = pending.authorization_url();
    let state = url.query_pairs().find(|(name, _)| name == "state");
    state.unwrap().1.into_owned()
}

#[tokio::test]
async fn a_forged_state_leaves_the_login_waiting() {
    let world = World::plain();
    let pending = world.pending().await;
    let uri = pending.redirect_uri().to_owned();
    for query in [
        "?code=evil&state=forged",
        "?error=access_denied&state=",
        "/x?code=c",
        "",
    ] {
        let page = get(format!("{uri}{query}")).await;
        assert_eq!(
            (page.status, page.body.as_str()),
            (400, "Invalid OAuth callback"),
            "{query}"
        );
    }
    let (outcome, page) = world.finish(pending).await;
    assert_eq!((outcome.is_ok(), page.status), (true, 200));
}

#[tokio::test]
async fn pages_carry_the_headers_that_protect_them() {
    let world = World::plain();
    let pending = world.pending().await;
    let page = get(pending.redirect_uri().to_owned()).await;
    let header = |name: &str| page.header(name).unwrap_or_default().to_owned();
    assert_eq!(header("content-type"), "text/plain; charset=UTF-8");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("connection"), "close");
}

#[tokio::test]
async fn a_denial_ends_the_login_and_both_hear_the_same() {
    let world = World::plain();
    let pending = world.pending().await;
    let url = format!(
        "{}?error=access_denied&error_description=no+way%1B%5B31m&state={}",
        pending.redirect_uri(),
        state(&pending)
    );
    let browser = tokio::task::spawn(get(url));
    let error = limited(pending.finish(LONG, &world.cancel))
        .await
        .unwrap_err();
    let page = browser.await.unwrap();
    assert_eq!(
        error.to_string(),
        "OAuth provider returned `access_denied`: no way[31m"
    );
    assert_eq!((page.status, page.body), (400, error.to_string()));
}

#[tokio::test]
async fn an_answer_of_another_issuer_ends_the_login_and_its_text_is_not_shown() {
    for query in [
        "error=x&error_description=evil&iss=https://evil",
        "code=c&iss=https://evil",
    ] {
        let world = World::plain();
        let pending = world.pending().await;
        let url = format!(
            "{}?{query}&state={}",
            pending.redirect_uri(),
            state(&pending)
        );
        let browser = tokio::task::spawn(get(url));
        let error = limited(pending.finish(LONG, &world.cancel))
            .await
            .unwrap_err();
        assert!(matches!(error, LoginError::OtherIssuer), "{error}");
        assert_eq!(browser.await.unwrap().body, "Invalid OAuth callback");
        assert!(world.auth.requests("/token").is_empty());
    }
}

#[tokio::test]
async fn a_server_that_promises_to_name_itself_must_and_then_has_a_short_path() {
    let world = World::new(AuthSettings {
        metadata: json!({"authorization_response_iss_parameter_supported": true}),
        ..AuthSettings::default()
    });
    let pending = world.pending().await;
    assert!(
        pending.redirect_uri().ends_with("/callback"),
        "{}",
        pending.redirect_uri()
    );
    let (outcome, _) = world.finish(pending).await;
    outcome.unwrap();
}

#[tokio::test]
async fn a_callback_that_comes_twice_is_heard_once() {
    let world = World::plain();
    let pending = world.pending().await;
    let page = get(pending.authorization_url().to_string()).await;
    let callback = page.header("location").unwrap().to_owned();
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let first = tokio::task::spawn(get(callback.clone()));
    let cancel = world.cancel.clone();
    let login = tokio::task::spawn(async move { pending.finish(LONG, &cancel).await });
    while world.auth.requests("/token").is_empty() {
        tokio::task::yield_now().await;
    }
    // A reload of the page, while the first is still being answered.
    let second = tokio::task::spawn_blocking(move || {
        let stream = std::net::TcpStream::connect(host_of(&callback)).unwrap();
        (stream, callback)
    });
    let (mut stream, callback) = limited(second).await.unwrap();
    let path = callback.split_once("/callback").unwrap().1;
    let request = format!("GET /callback{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    gate.open();
    limited(login).await.unwrap().unwrap();
    assert_eq!(limited(first).await.unwrap().status, 200);
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        // Closed without a word, or told that it is none of this login.
        let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
        answer
    });
    let answer = limited(answer).await.unwrap();
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(world.auth.requests("/token").len(), 1);
}

fn host_of(url: &str) -> String {
    let url: url::Url = url.parse().unwrap();
    format!("127.0.0.1:{}", url.port().unwrap())
}

#[tokio::test]
async fn nobody_comes() {
    let world = World::plain();
    let pending = world.pending().await;
    let short = Duration::from_millis(10);
    let error = limited(pending.finish(short, &world.cancel))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "timed out waiting for OAuth callback");
}

#[tokio::test]
async fn a_cancelled_login_frees_its_port() {
    let world = World::plain();
    let pending = world.pending().await;
    let uri: url::Url = pending.redirect_uri().parse().unwrap();
    world.cancel.cancel();
    let error = limited(pending.finish(LONG, &world.cancel))
        .await
        .unwrap_err();
    assert!(matches!(error, LoginError::Cancelled), "{error}");
    tokio::task::yield_now().await;
    tokio::net::TcpListener::bind(("127.0.0.1", uri.port().unwrap()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_taken_port_is_said_before_anything_is_registered() {
    let world = World::plain();
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let mut request = world.request().await;
    request.callback.port = Some(taken.local_addr().unwrap().port());
    let error = world.begin(request).await.unwrap_err();
    let expected = format!(
        "cannot listen on {} for the OAuth callback: address already in use",
        taken.local_addr().unwrap()
    );
    assert_eq!(error.to_string(), expected);
    assert!(world.auth.requests("/register").is_empty());
}

#[tokio::test]
async fn a_newer_login_of_the_same_server_ends_the_older_and_takes_its_port() {
    let world = World::plain();
    let older = world.pending().await;
    let uri: url::Url = older.redirect_uri().parse().unwrap();
    let cancel = world.cancel.clone();
    let older = tokio::task::spawn(async move { older.finish(LONG, &cancel).await });
    let mut request = world.request().await;
    request.callback.port = uri.port();
    let newer = world.begin(request).await.unwrap();
    let error = limited(older).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "superseded by a newer login");
    let (outcome, _) = world.finish(newer).await;
    outcome.unwrap();
}

#[tokio::test]
async fn a_pasted_url_counts_by_path_query_and_state() {
    let world = World::plain();
    let pending = world.pending().await;
    let page = get(pending.authorization_url().to_string()).await;
    let location = page.header("location").unwrap().to_owned();
    let paste = pending.paste();
    let rows = [
        ("just-a-code", PasteError::NotAUrl),
        ("http://127.0.0.1", PasteError::NotAUrl),
        ("http://127.0.0.1/callback", PasteError::NotAUrl),
        ("http://127.0.0.1/other?code=c&state=s", PasteError::NotOurs),
        (
            "http://127.0.0.1/callback/x?code=c&state=s",
            PasteError::NotOurs,
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(paste.submit(text).await.unwrap_err(), expected, "{text}");
    }
    // The browser ran elsewhere: host and port are those of another machine.
    let (_, rest) = location.split_once("/callback").unwrap();
    let elsewhere = format!("  https://other.example:1/callback{rest}#fragment\n");
    paste.submit(&elsewhere).await.unwrap();
    limited(pending.finish(LONG, &world.cancel)).await.unwrap();
    assert_eq!(
        paste.submit(&elsewhere).await.unwrap_err(),
        PasteError::Ended
    );
}

#[tokio::test]
async fn a_browser_that_says_nothing_holds_nobody_up() {
    let world = World::plain();
    let pending = world.pending().await;
    let uri: url::Url = pending.redirect_uri().parse().unwrap();
    let host = format!("127.0.0.1:{}", uri.port().unwrap());
    let silent = std::net::TcpStream::connect(&host).unwrap();
    let begin = std::time::Instant::now();
    let (outcome, _) = world.finish(pending).await;
    outcome.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2));
    drop(silent);
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let world = World::plain();
    let pending = world.pending().await;
    let uri: url::Url = pending.redirect_uri().parse().unwrap();
    let host = format!("127.0.0.1:{}", uri.port().unwrap());
    let request = format!("GET / HTTP/1.1\r\nX: {}\r\n", "x".repeat(20 * 1024));
    let page = tokio::task::spawn_blocking(move || browser_send(&host, &request));
    assert_eq!(limited(page).await.unwrap().status, 0);
    let (outcome, _) = world.finish(pending).await;
    outcome.unwrap();
}
