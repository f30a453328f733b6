//! Logins whose tokens are bound to a key (DPoP, RFC 9449).

use codex_host::Secret;
use codex_oauth::{
    AccessToken, DpopKey, Nonce, OAuthTokens, RefreshError, StoredTokenSource, TokenSource,
};
use codex_test_support::{AuthFault, AuthSettings, DpopRule};
use http::{HeaderMap, Method};
use serde_json::json;

use crate::world::{World, limited};

fn world(rule: DpopRule) -> World {
    World::new(AuthSettings {
        dpop: Some(rule),
        ..AuthSettings::default()
    })
}

fn key(tokens: &OAuthTokens) -> Option<DpopKey> {
    tokens.client.as_ref().unwrap().dpop_key.clone()
}

/// Signs a request to the MCP address with the token that is stored.
async fn signed(world: &World) -> (AccessToken, HeaderMap) {
    let source = StoredTokenSource::new(world.refresh(), None);
    let token = limited(source.token()).await.unwrap().unwrap();
    let mut headers = HeaderMap::new();
    let url = world.key.url.parse().unwrap();
    token.sign(&Method::POST, &url, &mut headers).unwrap();
    (token, headers)
}

fn file(world: &World, name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(world.home.path().join(name)).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file[world.key.to_string()].clone()
}

#[tokio::test]
async fn a_bound_login_is_renewed_and_used_with_its_key_after_a_restart() {
    for rule in [DpopRule::Proofs, DpopRule::Nonces] {
        let world = world(rule);
        let login = world.log_in().await;
        let page = &world.auth.requests("/authorize")[0];
        assert_eq!(page.param("dpop_jkt").unwrap().len(), 43);
        let stored = world.stored().await;
        assert_eq!((&stored, key(&stored).is_some()), (&login, true));
        let renewed = limited(world.refresh().run(&login.login.access_token, None)).await;
        let renewed = renewed.unwrap().tokens;
        assert_ne!(renewed.login.access_token, login.login.access_token);
        assert_eq!(key(&renewed), key(&login));
        assert_eq!(world.stored().await, renewed);
        let (_, headers) = signed(&world).await;
        let sent = headers["authorization"].to_str().unwrap();
        assert_eq!(
            sent,
            format!("DPoP {}", renewed.login.access_token.expose())
        );
        assert!(headers.contains_key("dpop"));
    }
}

#[tokio::test]
async fn a_bound_token_lies_beside_its_key_and_nowhere_else() {
    let world = world(DpopRule::Proofs);
    let login = world.log_in().await;
    let token = login.login.access_token.expose();
    assert_eq!(file(&world, ".credentials.json")["access_token"], "");
    let client = file(&world, ".mcp-clients.json");
    assert_eq!(
        (&client["access_token"], &client["token_type"]),
        (&json!(token), &json!("DPoP"))
    );

    std::fs::remove_file(world.home.path().join(".mcp-clients.json")).unwrap();
    // Without its key the token is gone, and is not sent as what it is not.
    let source = StoredTokenSource::new(world.refresh(), None);
    let answer = limited(source.token()).await;
    assert!(!matches!(answer, Ok(Some(_))), "{answer:?}");
    assert!(
        world
            .auth
            .requests("/mcp")
            .iter()
            .all(|it| it.authorization.is_none())
    );
}

#[tokio::test]
async fn another_programs_bearer_token_is_one() {
    let world = world(DpopRule::Proofs);
    let mut login = world.log_in().await;
    let path = world.home.path().join(".credentials.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(r#""access_token":"""#, r#""access_token":"theirs""#);
    codex_host::PrivateFile::replace(&path, text.as_bytes()).unwrap();
    let stored = world.stored().await;
    assert_eq!(key(&stored), None);
    login.login.access_token = Secret::new("theirs");
    assert_eq!(stored.login, login.login);
}

#[tokio::test]
async fn a_nonce_that_is_never_right_ends_after_one_more_try() {
    let world = world(DpopRule::Proofs);
    let login = world.log_in().await;
    let n_before = world.auth.requests("/token").len();
    for number in 0..5 {
        let headers = vec![("dpop-nonce".to_owned(), format!("n{number}"))];
        let body = json!({"error": "use_dpop_nonce"}).to_string();
        world
            .auth
            .script("/token", AuthFault::Raw(400, headers, body));
    }
    let error = limited(world.refresh().run(&login.login.access_token, None)).await;
    assert!(matches!(error, Err(RefreshError::Refused(_))), "{error:?}");
    assert_eq!(world.auth.requests("/token").len(), n_before + 2);
    assert_eq!(world.stored().await, login);
}

#[tokio::test]
async fn a_server_that_wants_bound_tokens_gets_no_other() {
    let world = world(DpopRule::Proofs);
    let bearer = json!({"token_type": "Bearer"});
    world
        .auth
        .script("/token", AuthFault::Change(bearer.clone()));
    let (outcome, _) = world.finish(world.pending().await).await;
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("bound to a key (DPoP), and it is a bearer token"),
        "{error}"
    );

    let login = world.log_in().await;
    world.auth.script("/token", AuthFault::Change(bearer));
    let error = limited(world.refresh().run(&login.login.access_token, None)).await;
    assert!(matches!(error, Err(RefreshError::Refused(_))), "{error:?}");
}

#[tokio::test]
async fn an_authorization_server_that_could_bind_is_not_asked_to() {
    let world = World::new(AuthSettings {
        metadata: json!({"dpop_signing_alg_values_supported": ["ES256"]}),
        ..AuthSettings::default()
    });
    let login = world.log_in().await;
    assert_eq!(key(&login), None);
    assert_eq!(world.auth.requests("/token")[0].dpop, None);
    let (_, headers) = signed(&world).await;
    assert!(
        headers["authorization"]
            .to_str()
            .unwrap()
            .starts_with("Bearer ")
    );
    assert!(!headers.contains_key("dpop"));
}

#[tokio::test]
async fn a_resource_that_takes_both_gets_what_comes() {
    let algorithms = json!({"dpop_signing_alg_values_supported": ["ES256"]});
    let world = World::new(AuthSettings {
        metadata: algorithms.clone(),
        resource: algorithms,
        ..AuthSettings::default()
    });
    let login = world.log_in().await;
    assert!(world.auth.requests("/token")[0].dpop.is_some());
    assert_eq!(key(&login), None);
}

#[tokio::test]
async fn an_answer_tells_which_nonce_is_wanted() {
    let world = world(DpopRule::Proofs);
    world.log_in().await;
    let (token, headers) = signed(&world).await;
    let url = world.key.url.parse().unwrap();
    let answer = |fields: &[(&'static str, &'static str)]| {
        let fields = fields.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        token.seen(&url, &fields.collect::<HeaderMap>())
    };
    let wants = ("www-authenticate", "DPoP error=\"use_dpop_nonce\"");
    assert_eq!(answer(&[("dpop-nonce", "n")]), Nonce::None);
    assert_eq!(answer(&[wants, ("dpop-nonce", "n")]), Nonce::Wanted);
    assert_eq!(answer(&[wants]), Nonce::Withheld);
    let bearer = AccessToken::bearer(Secret::new("t"));
    assert_eq!(bearer.seen(&url, &headers), Nonce::None);
    let shown = format!("{token:?} {:?}", world.stored().await);
    assert!(!shown.contains("access-canary") && !shown.contains("refresh-canary"));
}

#[tokio::test]
async fn a_logout_leaves_no_bound_token_beside_a_secret() {
    let world = world(DpopRule::Proofs);
    world.auth.register("mine", Some("hush"), &[]);
    let tokens = world.log_in().await;
    let mut client = tokens.client.clone().unwrap();
    client.kind = codex_oauth::ClientKind::PreRegistered;
    client.client_secret = Some(Secret::new("hush"));
    let tokens = OAuthTokens {
        client: Some(client),
        ..tokens
    };
    world.save(&tokens).await;
    let lock = world
        .store
        .lock(&world.key, crate::world::LONG)
        .await
        .unwrap();
    let deleted = world.store.delete_login(&world.key, &lock).await;
    assert!(deleted.failed.is_empty());
    let left = file(&world, ".mcp-clients.json");
    assert_eq!(left["client_secret"], "hush");
    assert_eq!(
        (left.get("access_token"), left.get("dpop_key")),
        (None, None)
    );
}
