//! Tokens per request.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::{Clock, Secret};
use codex_oauth::{
    AccessToken, Challenge, Deputy, LoginWanted, Rejection, Retry, Scopes, SigningKey,
    StoredTokenSource, TokenError, TokenSource, WhyLogin,
};
use codex_test_support::{AuthFault, AuthSettings, Gate};
use jiff::ToSpan;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::world::{Blocked, LONG, World, later, limited};

fn source(world: &World) -> Arc<StoredTokenSource> {
    StoredTokenSource::new(world.refresh(), None)
}

fn bearer(text: &Secret) -> AccessToken {
    AccessToken::bearer(text.clone())
}

fn refused(status: u16, challenge: &str, is_repeat: bool) -> Rejection {
    Rejection {
        status,
        challenge: Challenge::from_text(challenge),
        operation: "tools/call echo".into(),
        is_repeat,
    }
}

async fn token(source: &StoredTokenSource) -> AccessToken {
    limited(source.token()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_token_that_is_not_due_costs_nothing() {
    let world = World::plain();
    let login = world.log_in().await;
    let source = source(&world);
    assert_eq!(token(&source).await, bearer(&login.login.access_token));
    std::fs::remove_file(world.home.path().join(".credentials.json")).unwrap();
    for _ in 0..100 {
        assert_eq!(token(&source).await, bearer(&login.login.access_token));
    }
    assert_eq!(world.auth.requests("/token").len(), 1);
}

#[tokio::test]
async fn a_logout_or_a_login_made_elsewhere_is_noticed_while_the_token_is_good() {
    let world = World::plain();
    world.log_in().await;
    let source = source(&world);
    token(&source).await;
    let newer = world.log_in().await;
    later(Duration::from_secs(2)).await;
    assert_eq!(token(&source).await, bearer(&newer.login.access_token));
    world.log_out().await;
    later(Duration::from_secs(2)).await;
    assert_eq!(limited(source.token()).await.unwrap(), None);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_does_not_stop_a_login_that_is_known() {
    let world = World::plain();
    let login = world.log_in().await;
    let source = source(&world);
    token(&source).await;
    let _blocked = Blocked::new(&world);
    later(Duration::from_secs(2)).await;
    assert_eq!(token(&source).await, bearer(&login.login.access_token));
}

#[tokio::test]
async fn a_hundred_calls_with_a_due_token_renew_once() {
    let mut world = World::plain();
    let login = world.log_in().await;
    let soon = login.login.expires_at.unwrap() - 1.second();
    world.services.clock = Clock::fixed(soon);
    world
        .auth
        .script("/token", AuthFault::Change(json!({"expires_in": 20})));
    let source = StoredTokenSource::new(world.refresh(), None);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let source = Arc::clone(&source);
        tasks.spawn(async move { source.token().await.unwrap().unwrap() });
    }
    let all = limited(tasks.join_all()).await;
    assert!(all.iter().all(|token| *token == all[0]));
    assert_ne!(all[0], bearer(&login.login.access_token));
    assert_eq!(world.auth.requests("/token").len(), 2);
}

#[tokio::test]
async fn a_short_token_is_not_renewed_before_each_request() {
    let world = World::new(AuthSettings {
        token_life: 20,
        ..AuthSettings::default()
    });
    world.log_in().await;
    let source = source(&world);
    for _ in 0..100 {
        token(&source).await;
    }
    assert_eq!(world.auth.requests("/token").len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_then_a_login_is_wanted() {
    let world = World::plain();
    world.log_in().await;
    let source = source(&world);
    let first = token(&source).await;
    let again = limited(source.rejected(Some(&first), &refused(401, "Bearer", false))).await;
    assert_eq!(again, Retry::Again);
    let second = token(&source).await;
    assert_ne!(first, second);
    // A call that was sent with the first token replays without another renewal.
    let late = limited(source.rejected(Some(&first), &refused(401, "Bearer", false))).await;
    assert_eq!(late, Retry::Again);
    assert_eq!(world.auth.requests("/token").len(), 2);

    let retry = limited(source.rejected(Some(&second), &refused(401, "Bearer", true))).await;
    let Retry::Login(wanted) = retry else {
        panic!("{retry:?}")
    };
    assert_eq!(
        wanted.to_string(),
        "MCP server `figma` wants a login. Run `codex mcp login figma`."
    );
    let error = limited(source.token()).await.unwrap_err();
    assert!(matches!(error, TokenError::LoginRequired(_)), "{error}");
}

#[tokio::test]
async fn a_login_made_elsewhere_heals_the_running_program() {
    let world = World::plain();
    let source = source(&world);
    assert_eq!(limited(source.token()).await.unwrap(), None);
    let retry = limited(source.rejected(None, &refused(401, "Bearer", false))).await;
    assert!(
        matches!(
            retry,
            Retry::Login(LoginWanted {
                why: WhyLogin::None,
                ..
            })
        ),
        "{retry:?}"
    );
    let login = world.log_in().await;
    let retry = limited(source.rejected(None, &refused(401, "Bearer", false))).await;
    assert_eq!(retry, Retry::Again);
    assert_eq!(token(&source).await, bearer(&login.login.access_token));
}

#[tokio::test]
async fn an_unexpired_token_goes_on_while_the_server_cannot_renew() {
    let mut world = World::plain();
    let login = world.log_in().await;
    world.services.clock = Clock::fixed(login.login.expires_at.unwrap() - 1.second());
    let source = StoredTokenSource::new(world.refresh(), None);
    world
        .auth
        .script("/token", AuthFault::Answer(503, Value::Null));
    for _ in 0..10 {
        assert_eq!(token(&source).await, bearer(&login.login.access_token));
    }
    assert_eq!(world.auth.requests("/token").len(), 2, "the next try waits");
}

#[tokio::test]
async fn an_expired_token_that_cannot_be_renewed_now_is_no_reason_to_log_in() {
    let mut world = World::plain();
    let login = world.log_in().await;
    world.services.clock = Clock::fixed(login.login.expires_at.unwrap() + 1.second());
    let source = StoredTokenSource::new(world.refresh(), None);
    world
        .auth
        .script("/token", AuthFault::Answer(503, Value::Null));
    let error = limited(source.token()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot renew the login of MCP server `figma`: the token endpoint answered with HTTP 503"
    );
    assert_eq!(world.stored().await, login);
}

#[tokio::test]
async fn a_cancelled_call_does_not_take_the_renewal_along() {
    let world = World::plain();
    let login = world.log_in().await;
    let source = source(&world);
    let first = token(&source).await;
    let (call, gate) = renewing(&world, &source, &first).await;
    call.abort();
    gate.open();
    limited(source.settle(LONG)).await;
    let stored = world.stored().await;
    assert_ne!(stored.login.access_token, login.login.access_token);
    assert!(
        world
            .auth
            .knows(stored.login.refresh_token.unwrap().expose())
    );
}

#[tokio::test]
async fn what_a_cancelled_call_could_not_store_is_used_by_the_next_one() {
    let world = World::plain();
    world.log_in().await;
    let source = source(&world);
    let first = token(&source).await;
    let (call, gate) = renewing(&world, &source, &first).await;
    let blocked = Blocked::new(&world);
    call.abort();
    gate.open();
    // It cannot store them either.
    limited(source.settle(LONG)).await;
    drop(blocked);
    let again = limited(source.rejected(Some(&first), &refused(401, "Bearer", false))).await;
    assert_eq!(again, Retry::Again);
    assert_ne!(token(&source).await, first);
    assert_eq!(world.auth.requests("/token").len(), 2);
    let stored = world.stored().await.login;
    assert_eq!(token(&source).await, bearer(&stored.access_token));
}

#[tokio::test]
async fn the_end_stores_what_could_not_be_stored_unless_somebody_logged_in_or_out() {
    for between in ["nothing", "login", "logout"] {
        let world = World::plain();
        world.log_in().await;
        let source = source(&world);
        let first = token(&source).await;
        let (call, gate) = renewing(&world, &source, &first).await;
        let blocked = Blocked::new(&world);
        gate.open();
        assert_eq!(limited(call).await.unwrap(), Retry::Again);
        drop(blocked);
        let renewed = token(&source).await;
        let expected = match between {
            "login" => Some(world.log_in().await.login.access_token),
            "logout" => {
                world.log_out().await;
                None
            }
            _ => Some(Secret::new("")),
        };
        limited(source.settle(LONG)).await;
        let stored = world.store.load(&world.key).await.unwrap();
        let stored = stored.map(|tokens| tokens.login.access_token);
        match between {
            "nothing" => assert_eq!(stored.as_ref().map(bearer), Some(renewed)),
            _ => assert_eq!(stored, expected, "{between}"),
        }
    }
}

#[tokio::test]
async fn a_renewal_that_no_deputy_does_is_waited_for_longer() {
    let mut world = World::plain();
    let login = world.log_in().await;
    // A private key stays in this process: the deputy declines.
    world.client.signing_key = Some(signing_key());
    world.services.deputy = Some(Deputy {
        program: "/nowhere/codex".into(),
        args: Vec::new(),
    });
    let source = source(&world);
    let first = token(&source).await;
    let (call, gate) = renewing(&world, &source, &first).await;
    let mut end = Box::pin(source.settle(LONG));
    assert!(has_not_ended(&mut end).await);
    later(Duration::from_secs(5)).await;
    assert!(has_not_ended(&mut end).await, "the token is not stored yet");
    gate.open();
    limited(end).await;
    assert_eq!(limited(call).await.unwrap(), Retry::Again);
    let stored = world.stored().await;
    assert_ne!(stored.login.access_token, login.login.access_token);
}

/// Begins a renewal whose answer waits for the gate.
async fn renewing(
    world: &World,
    source: &Arc<StoredTokenSource>,
    sent: &AccessToken,
) -> (JoinHandle<Retry>, Gate) {
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let n_asked = world.auth.requests("/token").len();
    let (source, sent) = (Arc::clone(source), sent.clone());
    let call = tokio::task::spawn(async move {
        let rejection = refused(401, "Bearer", false);
        source.rejected(Some(&sent), &rejection).await
    });
    while world.auth.requests("/token").len() == n_asked {
        tokio::task::yield_now().await;
    }
    (call, gate)
}

async fn has_not_ended(work: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! {
        biased;
        () = work => false,
        () = std::future::ready(()) => true,
    }
}

fn signing_key() -> SigningKey {
    let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = ring::rand::SystemRandom::new();
    let der = ring::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let inside = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{inside}\n-----END PRIVATE KEY-----\n");
    SigningKey::from_pem(&Secret::new(pem)).unwrap()
}

#[tokio::test]
async fn more_scopes_are_asked_for_as_a_union_and_not_without_end() {
    let world = World::new(AuthSettings {
        scope: Some("read".into()),
        ..AuthSettings::default()
    });
    world.log_in().await;
    let source = source(&world);
    let sent = token(&source).await;
    let challenge = r#"Bearer error="insufficient_scope", scope="write admin""#;
    let retry = limited(source.rejected(Some(&sent), &refused(403, challenge, false))).await;
    let Retry::Login(wanted) = retry else {
        panic!("{retry:?}")
    };
    assert_eq!(wanted.scopes, Some(Scopes::parse("read write admin")));
    assert_eq!(
        wanted.to_string(),
        "MCP server `figma` wants more scopes. Run `codex mcp login figma --scopes read,write,admin`."
    );
    let granted = r#"Bearer error="insufficient_scope", scope="read""#;
    let retry = limited(source.rejected(Some(&sent), &refused(403, granted, false))).await;
    assert!(matches!(retry, Retry::Refused(_)), "{retry:?}");
    let retry = limited(source.rejected(Some(&sent), &refused(403, "Bearer", false))).await;
    assert_eq!(
        retry,
        Retry::Refused("the server forbids it (HTTP 403)".into())
    );
}

#[tokio::test]
async fn a_frontend_is_asked_once_per_operation() {
    let world = World::new(AuthSettings {
        scope: Some("read".into()),
        ..AuthSettings::default()
    });
    world.log_in().await;
    let (questions, mut asked) = mpsc::channel(1);
    let source = StoredTokenSource::new(world.refresh(), Some(questions));
    let sent = token(&source).await;
    let challenge = r#"Bearer error="insufficient_scope", scope="write""#;
    let rejection = refused(403, challenge, false);
    let (retry, ()) = tokio::join!(limited(source.rejected(Some(&sent), &rejection)), async {
        let (wanted, reply): (LoginWanted, _) = asked.recv().await.unwrap();
        let mut request = world.request().await;
        request.scopes.explicit = wanted.scopes;
        let pending = world.begin(request).await.unwrap();
        let (outcome, _) = world.finish(pending).await;
        world.save(&outcome.unwrap()).await;
        reply.send(true).unwrap();
    });
    assert_eq!(retry, Retry::Again);
    let sent = token(&source).await;
    let rejection = refused(
        403,
        r#"Bearer error="insufficient_scope", scope="more""#,
        true,
    );
    let retry = limited(source.rejected(Some(&sent), &rejection)).await;
    assert!(matches!(retry, Retry::Refused(_)), "{retry:?}");
    assert!(
        tokio::time::timeout(Duration::ZERO, asked.recv())
            .await
            .is_err()
    );
}
