//! Logins without a browser: device code, client credentials, assertions; and the end of a login.

use std::time::{Duration, Instant};

use codex_host::Secret;
use codex_oauth::{
    AuthMethod, CallbackSettings, ClientSettings, DeviceRequest, DiscoveryRequest, FreshFile,
    IdentityProvider, LoginRequest, PreRegistered, Rejection, Retry, Revocation, ScopeWish,
    TokenError, TokenSource, UnattendedGrant, UnattendedLogin, UnattendedSource, discover, revoke,
};
use codex_test_support::{AuthFault, AuthSettings, FakeAuth};
use serde_json::json;

use crate::world::{LONG, World, later, limited};

async fn device(world: &World) -> DeviceRequest {
    DeviceRequest {
        key: world.key.clone(),
        discovery: world.try_discover().await.unwrap(),
        scopes: ScopeWish::default(),
        client: world.client.clone(),
        known_client: None,
        resource: None,
    }
}

#[tokio::test]
async fn a_device_code_becomes_a_login_when_the_user_has_entered_it() {
    let world = World::plain();
    let request = device(&world).await;
    let login = limited(request.begin(&world.services, &world.cancel))
        .await
        .unwrap();
    assert_eq!(login.user_code, "ABCD-EFGH");
    assert!(!format!("{login:?}").contains("device-canary"));
    let n_polls = || world.auth.requests("/token").len();
    let begin = Instant::now();
    let (tokens, ()) = tokio::join!(limited(login.finish(LONG, &world.cancel)), async {
        while n_polls() < 2 {
            tokio::task::yield_now().await;
        }
        world.auth.approve_device();
    });
    let tokens = tokens.unwrap();
    // The server names no interval; it is not asked without a pause all the same. The second poll may
    // be answered after the approval already.
    assert!(begin.elapsed() >= Duration::from_secs(2));
    world.save(&tokens).await;
    let stale = &tokens.login.access_token;
    limited(world.refresh().run(stale, None)).await.unwrap();
    let registration = &world.auth.requests("/register")[0].json;
    assert_eq!(
        registration["grant_types"],
        json!([
            "urn:ietf:params:oauth:grant-type:device_code",
            "refresh_token"
        ])
    );
    assert_eq!(registration["redirect_uris"], json!([]));
}

#[tokio::test]
async fn a_device_login_ends_with_the_answer_of_the_user() {
    for (code, expected) in [
        ("access_denied", "the login was denied"),
        ("expired_token", "the code expired before it was entered"),
        (
            "invalid_grant",
            "the token endpoint answered `invalid_grant`",
        ),
    ] {
        let world = World::plain();
        let request = device(&world).await;
        let login = limited(request.begin(&world.services, &world.cancel))
            .await
            .unwrap();
        world
            .auth
            .script("/token", AuthFault::Answer(400, json!({"error": code})));
        let error = limited(login.finish(LONG, &world.cancel))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_server_without_device_codes_is_named_with_the_other_way() {
    let world = World::new(AuthSettings {
        metadata: json!({"device_authorization_endpoint": null}),
        ..AuthSettings::default()
    });
    let request = device(&world).await;
    let error = limited(request.begin(&world.services, &world.cancel))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server offers no login by device code"
    );
}

#[tokio::test]
async fn a_device_login_ends_with_the_callers_time_or_with_a_newer_login() {
    let world = World::plain();
    let begin = async || {
        let request = device(&world).await;
        limited(request.begin(&world.services, &world.cancel))
            .await
            .unwrap()
    };
    let older = begin().await;
    let newer = begin().await;
    let error = limited(older.finish(LONG, &world.cancel)).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "superseded by a newer login"
    );
    let error = limited(newer.finish(Duration::ZERO, &world.cancel)).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the code was not entered in time"
    );
}

fn machine(world: &World, method: Option<AuthMethod>) -> UnattendedLogin {
    let mut client = world.client.clone();
    client.auth_method = method;
    client.pre_registered = Some(PreRegistered {
        client_id: "ci".into(),
        secret: Some(Secret::new("hush")),
    });
    world.auth.register("ci", Some("hush"), &[]);
    UnattendedLogin {
        key: world.key.clone(),
        grant: UnattendedGrant::ClientCredentials,
        client,
        scopes: None,
        resource: None,
    }
}

#[tokio::test]
async fn a_program_gets_its_own_token_and_another_when_it_is_refused() {
    let world = World::new(AuthSettings {
        metadata: json!({
            "authorization_endpoint": null,
            "code_challenge_methods_supported": null,
            "scopes_supported": ["offline_access"],
        }),
        resource: json!({"scopes_supported": ["read"]}),
        ..AuthSettings::default()
    });
    let source = UnattendedSource::new(machine(&world, None), world.services.clone());
    let first = limited(source.token()).await.unwrap().unwrap();
    assert_eq!(limited(source.token()).await.unwrap().unwrap(), first);
    let request = &world.auth.requests("/token")[0];
    assert_eq!(request.param("resource"), Some(world.key.url.as_str()));
    assert_eq!(request.param("scope"), Some("read"));
    assert!(
        request
            .authorization
            .as_ref()
            .unwrap()
            .starts_with("Basic ")
    );

    let mut rejection = Rejection {
        status: 401,
        challenge: None,
        operation: "tools/list".into(),
        is_repeat: false,
    };
    let retry = limited(source.rejected(Some(&first), &rejection)).await;
    assert_eq!(retry, Retry::Again);
    let second = limited(source.token()).await.unwrap().unwrap();
    assert_ne!(first, second);
    rejection.is_repeat = true;
    let retry = limited(source.rejected(Some(&second), &rejection)).await;
    assert!(matches!(retry, Retry::Refused(_)), "{retry:?}");
    assert_eq!(world.auth.requests("/token").len(), 2);
    assert_eq!(std::fs::read_dir(world.home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_program_can_put_its_secret_into_the_form() {
    let world = World::plain();
    let method = Some(AuthMethod::ClientSecretPost);
    let source = UnattendedSource::new(machine(&world, method), world.services.clone());
    limited(source.token()).await.unwrap().unwrap();
    let request = &world.auth.requests("/token")[0];
    assert_eq!(request.param("client_secret"), Some("hush"));
    assert_eq!(request.authorization, None);
}

/// Writes a token where another program would.
fn put(world: &World, token: &str) -> FreshFile {
    let path = world.home.path().join("token");
    codex_host::PrivateFile::replace(&path, token.as_bytes()).unwrap();
    FreshFile::new("oauth.assertion_file", path)
}

/// A workload without a client id of its own.
fn workload(world: &World) -> UnattendedLogin {
    UnattendedLogin {
        grant: UnattendedGrant::AssertionFile(put(world, "assertion-canary\n")),
        client: ClientSettings::default(),
        ..machine(world, None)
    }
}

async fn refusal(source: &UnattendedSource) -> String {
    match limited(source.token()).await {
        Err(TokenError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_workload_shows_its_assertion_as_it_is_now() {
    let world = World::new(AuthSettings {
        token_life: 0,
        ..AuthSettings::default()
    });
    let source = UnattendedSource::new(workload(&world), world.services.clone());
    limited(source.token()).await.unwrap().unwrap();
    let request = &world.auth.requests("/token")[0];
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(request.param("grant_type"), Some(grant));
    assert_eq!(request.param("assertion"), Some("assertion-canary"));
    assert_eq!(request.param("resource"), Some(world.key.url.as_str()));
    assert_eq!(
        (request.param("client_id"), &request.authorization),
        (None, &None)
    );

    put(&world, "another");
    let why = refusal(&source).await;
    assert_eq!(why, "the token endpoint answered `invalid_grant`");
    let request = &world.auth.requests("/token")[1];
    assert_eq!(request.param("assertion"), Some("another"));
}

#[tokio::test]
async fn a_refused_assertion_is_not_shown_again_and_a_new_one_is() {
    let world = World::plain();
    let source = UnattendedSource::new(workload(&world), world.services.clone());
    put(&world, "canary-unknown");
    let echo = json!({"error": "invalid_grant", "error_description": "bad: canary-unknown"});
    world.auth.script("/token", AuthFault::Answer(400, echo));
    for _ in 0..3 {
        let why = refusal(&source).await;
        assert_eq!(
            why,
            "the token endpoint answered `invalid_grant`: bad: [redacted]"
        );
    }
    let requests = world.auth.requests("/token");
    assert_eq!(requests.len(), 1, "{requests:?}");
    put(&world, "assertion-canary");
    limited(source.token()).await.unwrap().unwrap();
    assert!(!format!("{source:?}").contains("canary"), "{source:?}");
}

#[tokio::test]
async fn a_server_that_is_away_for_a_moment_gets_the_assertion_again() {
    let world = World::plain();
    let source = UnattendedSource::new(workload(&world), world.services.clone());
    world
        .auth
        .script("/token", AuthFault::Answer(503, json!(null)));
    let error = limited(source.token()).await.unwrap_err();
    assert!(matches!(error, TokenError::NotNow { .. }), "{error:?}");
    limited(source.token()).await.unwrap_err();
    assert_eq!(world.auth.requests("/token").len(), 1, "the next try waits");
    later(Duration::from_secs(1)).await;
    limited(source.token()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refused_client_is_not_shown_again_at_each_request() {
    let world = World::plain();
    let mut login = machine(&world, None);
    let wrong = login.client.pre_registered.as_mut().unwrap();
    wrong.secret = Some(Secret::new("wrong"));
    let source = UnattendedSource::new(login, world.services.clone());
    for n_asked in [1, 2, 3] {
        for _ in 0..3 {
            let why = refusal(&source).await;
            assert!(why.contains("`invalid_client`"), "{why}");
        }
        assert_eq!(world.auth.requests("/token").len(), n_asked);
        // 1, 2, 4 s
        later(Duration::from_secs(1 << (n_asked - 1))).await;
    }
}

#[tokio::test]
async fn a_challenge_with_another_document_is_followed() {
    let world = World::plain();
    let source = UnattendedSource::new(machine(&world, None), world.services.clone());
    let first = limited(source.token()).await.unwrap().unwrap();
    let document = "/.well-known/oauth-protected-resource";
    let n_documents = || {
        let journal = world.auth.journal();
        journal
            .iter()
            .filter(|line| line.contains(document))
            .count()
    };
    let before = n_documents();
    let rejection = Rejection {
        status: 401,
        challenge: world.challenge().await,
        operation: "tools/list".into(),
        is_repeat: false,
    };
    limited(source.rejected(Some(&first), &rejection)).await;
    let second = limited(source.token()).await.unwrap().unwrap();
    assert_eq!(n_documents(), before + 1);
    // The same one tells nothing new.
    limited(source.rejected(Some(&second), &rejection)).await;
    limited(source.token()).await.unwrap().unwrap();
    assert_eq!(n_documents(), before + 1);
}

#[tokio::test]
async fn every_grant_names_the_resource_as_the_server_publishes_it() {
    let mut world = World::plain();
    let published = world.auth.mcp_url();
    let challenge = world.challenge().await;
    // The entry leads below what the server calls itself.
    world.key.url = format!("{published}/below");
    let server_url = world.key.url.parse().unwrap();
    let asked = DiscoveryRequest::after_401(server_url, challenge.clone());
    let discovery = discover(&asked, &world.services, &world.cancel);
    let discovery = limited(discovery).await.unwrap();
    let browser = LoginRequest {
        key: world.key.clone(),
        discovery: discovery.clone(),
        scopes: ScopeWish::default(),
        client: world.client.clone(),
        known_client: None,
        resource: None,
        callback: CallbackSettings::default(),
    };
    let pending = world.begin(browser).await.unwrap();
    let mut params = pending.authorization_url().query_pairs();
    let resource = params.find(|(name, _)| name == "resource");
    assert_eq!(resource.unwrap().1, published);

    let source = UnattendedSource::new(machine(&world, None), world.services.clone());
    let rejection = Rejection {
        status: 401,
        challenge,
        operation: "tools/list".into(),
        is_repeat: false,
    };
    limited(source.rejected(None, &rejection)).await;
    limited(source.token()).await.unwrap().unwrap();
    let request = &world.auth.requests("/token")[0];
    assert_eq!(request.param("resource"), Some(published.as_str()));
}

#[tokio::test]
async fn without_its_file_a_workload_asks_nobody() {
    let world = World::plain();
    let source = UnattendedSource::new(workload(&world), world.services.clone());
    std::fs::remove_file(world.home.path().join("token")).unwrap();
    let why = refusal(&source).await;
    assert!(why.starts_with("`oauth.assertion_file`: `"), "{why}");
    assert_eq!(limited(source.check()).await, Err(why));
    assert_eq!(world.auth.journal(), [""; 0]);
}

/// An MCP server behind `world`, and the identity provider that decides about it.
fn enterprise(world: &World, idp: &FakeAuth) -> UnattendedLogin {
    idp.register("at-idp", Some("idp-hush"), &[]);
    let client = PreRegistered {
        client_id: "at-idp".into(),
        secret: Some(Secret::new("idp-hush")),
    };
    UnattendedLogin {
        grant: UnattendedGrant::Enterprise(IdentityProvider {
            issuer: idp.issuer(),
            client: ClientSettings {
                pre_registered: Some(client),
                ..ClientSettings::default()
            },
            id_token: put(world, "id-token-canary"),
        }),
        ..machine(world, None)
    }
}

#[tokio::test]
async fn an_identity_provider_grants_a_token_and_no_page_is_opened() {
    let (world, idp) = (World::plain(), FakeAuth::start(AuthSettings::default()));
    let source = UnattendedSource::new(enterprise(&world, &idp), world.services.clone());
    limited(source.token()).await.unwrap().unwrap();
    let exchange = &idp.requests("/token")[0];
    assert_eq!(
        exchange.param("audience"),
        Some(world.auth.issuer().as_str())
    );
    assert_eq!(exchange.param("resource"), Some(world.key.url.as_str()));
    let bought = &world.auth.requests("/token")[0];
    assert!(bought.param("assertion").unwrap().starts_with("id-jag"));
    let is_basic = |it: &Option<String>| it.as_ref().unwrap().starts_with("Basic ");
    assert!(is_basic(&exchange.authorization) && is_basic(&bought.authorization));
    for server in [&world.auth, &idp] {
        assert!(server.requests("/authorize").is_empty());
        assert!(server.requests("/register").is_empty());
    }
}

#[tokio::test]
async fn an_identity_provider_that_says_no_is_named_and_asked_once() {
    let (world, idp) = (World::plain(), FakeAuth::start(AuthSettings::default()));
    let source = UnattendedSource::new(enterprise(&world, &idp), world.services.clone());
    let no = json!({"error": "access_denied", "error_description": "not id-token-canary"});
    idp.script("/token", AuthFault::Answer(403, no));
    let (why, again) = (refusal(&source).await, refusal(&source).await);
    let expected = format!(
        "the identity provider `{}`: the token endpoint answered `access_denied`: not [redacted]",
        idp.issuer()
    );
    assert_eq!((&why, &again), (&expected, &expected));
    assert_eq!(idp.requests("/token").len(), 1);
    assert!(world.auth.requests("/token").is_empty());
}

#[tokio::test]
async fn what_is_no_grant_goes_nowhere() {
    let (world, idp) = (World::plain(), FakeAuth::start(AuthSettings::default()));
    let source = UnattendedSource::new(enterprise(&world, &idp), world.services.clone());
    let plain = json!({"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
    idp.script("/token", AuthFault::Change(plain));
    let why = refusal(&source).await;
    assert!(
        why.ends_with("its answer holds no grant for an MCP server"),
        "{why}"
    );
    assert!(world.auth.requests("/token").is_empty());
}

#[tokio::test]
async fn a_logout_ends_both_tokens_at_the_server() {
    let world = World::plain();
    let tokens = world.log_in().await;
    let issuer = world.auth.issuer();
    let outcome = limited(revoke(&tokens, &world.client, &world.services)).await;
    assert_eq!(outcome, Revocation::Revoked { issuer });
    assert!(!world.auth.knows(tokens.login.access_token.expose()));
    assert!(
        !world
            .auth
            .knows(tokens.login.refresh_token.unwrap().expose())
    );
    let hints: Vec<_> = world
        .auth
        .requests("/revoke")
        .iter()
        .map(|request| request.param("token_type_hint").unwrap().to_owned())
        .collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
}

#[tokio::test]
async fn a_failed_revocation_says_why_and_tries_both() {
    let world = World::plain();
    let tokens = world.log_in().await;
    world
        .auth
        .script("/revoke", AuthFault::Answer(503, json!(null)));
    let outcome = limited(revoke(&tokens, &world.client, &world.services)).await;
    assert_eq!(
        outcome,
        Revocation::Failed {
            why: "HTTP 503".into()
        }
    );
    assert_eq!(world.auth.requests("/revoke").len(), 2);
}

#[tokio::test]
async fn a_server_may_offer_no_revocation() {
    let world = World::new(AuthSettings {
        metadata: json!({"revocation_endpoint": null}),
        ..AuthSettings::default()
    });
    let tokens = world.log_in().await;
    let outcome = limited(revoke(&tokens, &world.client, &world.services)).await;
    assert_eq!(outcome, Revocation::NotOffered);
}
