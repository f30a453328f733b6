//! From the challenge to stored tokens.

use codex_host::Secret;
use codex_oauth::{
    AuthMethod, ClientKind, LoginError, PreRegistered, RegistrationError, Rung, Scopes,
};
use codex_test_support::{AuthFault, AuthSettings, SECRET_MARK};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_login_registers_goes_through_the_browser_and_is_stored() {
    let world = World::new(AuthSettings {
        scope: Some("read write".into()),
        ..AuthSettings::default()
    });
    let pending = world.pending().await;
    let redirect_uri = pending.redirect_uri().to_owned();
    let (outcome, page) = world.finish(pending).await;
    let tokens = outcome.unwrap();
    assert_eq!(
        page.body,
        "Authentication complete. You may close this window."
    );
    assert_eq!(page.status, 200);
    assert!(world.auth.knows(tokens.login.access_token.expose()));

    world.save(&tokens).await;
    assert_eq!(world.stored().await, tokens);
    let client = tokens.client.unwrap();
    assert_eq!(client.kind, ClientKind::Dynamic);
    assert_eq!(client.issuer, world.auth.issuer());
    assert_eq!(client.scopes_requested, Scopes::parse("read write"));
    assert_eq!(client.resource, Some(world.key.url.clone()));

    let authorize = &world.auth.requests("/authorize")[0];
    assert_eq!(authorize.param("resource"), Some(world.key.url.as_str()));
    assert_eq!(authorize.param("scope"), Some("read write"));
    assert_eq!(authorize.param("code_challenge_method"), Some("S256"));
    let exchange = &world.auth.requests("/token")[0];
    assert_eq!(exchange.param("resource"), Some(world.key.url.as_str()));
    assert_eq!(exchange.param("redirect_uri"), Some(redirect_uri.as_str()));
    let registration = &world.auth.requests("/register")[0].json;
    assert_eq!(
        *registration,
        json!({
            "client_name": "Codex",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "scope": "read write",
        })
    );
}

#[tokio::test]
async fn each_document_is_asked_for_once() {
    let world = World::plain();
    world.log_in().await;
    assert_eq!(
        world.auth.journal(),
        [
            "GET /mcp",
            "GET /.well-known/oauth-protected-resource/mcp",
            "GET /.well-known/oauth-authorization-server",
            "POST /register",
            "GET /authorize",
            "POST /token",
        ]
    );
}

#[tokio::test]
async fn the_servers_own_scopes_are_never_asked_for() {
    let world = World::plain();
    world.log_in().await;
    assert_eq!(world.auth.requests("/authorize")[0].param("scope"), None);
}

#[tokio::test]
async fn a_client_with_a_secret_proves_itself_in_the_way_that_is_wanted() {
    for (method, secret_in_form) in [
        (AuthMethod::ClientSecretBasic, None),
        (AuthMethod::ClientSecretPost, Some("hush +%")),
    ] {
        let mut world = World::new(AuthSettings {
            metadata: json!({"token_endpoint_auth_methods_supported": [method.as_str()]}),
            ..AuthSettings::default()
        });
        world.client.pre_registered = Some(PreRegistered {
            client_id: "by hand".into(),
            secret: Some(Secret::new("hush +%")),
        });
        let mut request = world.request().await;
        request.callback.url = Some("http://127.0.0.1:0/cb".into());
        world
            .auth
            .register("by hand", Some("hush +%"), &["http://127.0.0.1:0/cb"]);
        // Port 0 stands for an ingress that knows where we are: paste is the way back.
        let pending = world.begin(request).await.unwrap();
        let page = crate::world::get(pending.authorization_url().to_string()).await;
        let paste = pending.paste();
        paste
            .submit(page.header("location").unwrap())
            .await
            .unwrap();
        let tokens = pending
            .finish(crate::world::LONG, &world.cancel)
            .await
            .unwrap();
        world.save(&tokens).await;
        let exchange = &world.auth.requests("/token")[0];
        assert_eq!(exchange.param("client_secret"), secret_in_form);
        assert!(world.auth.requests("/register").is_empty());

        // The secret is configuration: it is used for renewals and lies in no record of ours.
        let client = tokens.client.as_ref().unwrap();
        assert_eq!((client.auth_method, &client.client_secret), (method, &None));
        let refresh = world.refresh();
        refresh.run(&tokens.login.access_token, None).await.unwrap();
    }
}

#[tokio::test]
async fn the_answer_of_a_registration_rules_the_proof() {
    // Some servers say `none` and give a secret all the same.
    let world = World::plain();
    let surplus = json!({"client_secret": "surplus"});
    world.auth.script("/register", AuthFault::Change(surplus));
    let tokens = world.log_in().await;
    assert_eq!(tokens.client.unwrap().auth_method, AuthMethod::None);
    let exchange = &world.auth.requests("/token")[0];
    assert_eq!(
        (exchange.param("client_secret"), &exchange.authorization),
        (None, &None)
    );
}

#[tokio::test]
async fn a_dynamic_secret_is_stored_and_sent_with_renewals() {
    let world = World::new(AuthSettings {
        metadata: json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}),
        ..AuthSettings::default()
    });
    let tokens = world.log_in().await;
    world
        .refresh()
        .run(&tokens.login.access_token, None)
        .await
        .unwrap();
    let renewal = &world.auth.requests("/token")[1];
    assert!(
        renewal
            .authorization
            .as_ref()
            .unwrap()
            .starts_with("Basic ")
    );
    assert_eq!(renewal.param("resource"), Some(world.key.url.as_str()));
    assert_eq!(renewal.param("scope"), None);
}

#[tokio::test]
async fn a_second_login_uses_the_registration_again_only_at_the_same_address() {
    let world = World::plain();
    let port = {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        socket.local_addr().unwrap().port()
    };
    for _ in 0..2 {
        let mut request = world.request().await;
        request.callback.port = Some(port);
        let pending = world.begin(request).await.unwrap();
        let (outcome, _) = world.finish(pending).await;
        world.save(&outcome.unwrap()).await;
    }
    assert_eq!(world.auth.requests("/register").len(), 1);
    world.log_in().await;
    assert_eq!(world.auth.requests("/register").len(), 2);
}

#[tokio::test]
async fn without_any_rung_the_user_hears_what_to_register() {
    let world = World::new(AuthSettings {
        metadata: json!({"registration_endpoint": null}),
        ..AuthSettings::default()
    });
    let mut request = world.request().await;
    request.callback.url = Some("https://box.example/cb".into());
    let error = world.begin(request).await.unwrap_err();
    let issuer = world.auth.issuer();
    assert_eq!(
        error.to_string(),
        format!("{issuer} registers no clients by itself.")
    );
    assert_eq!(
        error.hints(&world.key),
        [
            "register a public client (authorization code, PKCE S256) with exactly this redirect URI:".to_owned(),
            "  https://box.example/cb".to_owned(),
            format!("then run `codex mcp add figma --url {} --oauth-client-id <CLIENT_ID>`", world.key.url),
        ]
    );
}

#[test]
fn a_server_that_publishes_no_login_may_want_a_token() {
    let error = codex_oauth::RegistrationError::Refused {
        issuer: "https://keys.example".into(),
        why: "HTTP 404".into(),
        redirect_uri: "http://127.0.0.1/callback/x".into(),
        is_guessed: true,
    };
    let hints = error.hints("keys", "https://keys.example/mcp").join("\n");
    assert!(
        hints.contains("codex mcp add keys --url https://keys.example/mcp --bearer-token-env-var"),
        "{hints}"
    );
    assert!(!hints.contains("register a public client"), "{hints}");
}

#[tokio::test]
async fn a_metadata_url_is_the_client_id_where_it_is_taken() {
    let settings = |taken: bool| AuthSettings {
        metadata: json!({"client_id_metadata_document_supported": taken}),
        ..AuthSettings::default()
    };
    let mut world = World::new(settings(true));
    let url = "https://client.example/codex.json";
    world.client.metadata_url = Some(url.parse().unwrap());
    let pending = world.pending().await;
    let client_id = pending
        .authorization_url()
        .query_pairs()
        .find(|(name, _)| name == "client_id");
    assert_eq!(client_id.unwrap().1, url);
    assert!(world.auth.requests("/register").is_empty());

    let mut world = World::new(settings(false));
    world.client.metadata_url = Some(url.parse().unwrap());
    world.client.rung = Rung::MetadataDocument;
    let request = world.request().await;
    let error = world.begin(request).await.unwrap_err();
    assert!(
        matches!(
            error,
            LoginError::Registration(RegistrationError::WrongRung(_))
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_changed_issuer_gets_no_secret() {
    let mut world = World::plain();
    world.client.pre_registered = Some(PreRegistered {
        client_id: "mine".into(),
        secret: Some(Secret::new("hush")),
    });
    let mut request = world.request().await;
    world
        .auth
        .register("mine", Some("hush"), &["http://127.0.0.1:0/cb"]);
    request.callback.url = Some("http://127.0.0.1:0/cb".into());
    let pending = world.begin(request).await.unwrap();
    let page = crate::world::get(pending.authorization_url().to_string()).await;
    pending
        .paste()
        .submit(page.header("location").unwrap())
        .await
        .unwrap();
    let tokens = pending
        .finish(crate::world::LONG, &world.cancel)
        .await
        .unwrap();

    let other = World::plain();
    let mut request = other.request().await;
    request.client = world.client.clone();
    request.known_client = tokens.client;
    let error = other.begin(request).await.unwrap_err();
    let expected = format!(
        "the client id in the config belongs to {}, but the server now trusts {}",
        world.auth.issuer(),
        other.auth.issuer()
    );
    assert_eq!(error.to_string(), expected);
    assert!(other.auth.requests("/token").is_empty());
}

#[tokio::test]
async fn a_dynamic_client_of_another_issuer_registers_anew() {
    let (world, other) = (World::plain(), World::plain());
    let tokens = world.log_in().await;
    let mut request = other.request().await;
    request.known_client = tokens.client.clone();
    let pending = other.begin(request).await.unwrap();
    assert_eq!(other.auth.requests("/register").len(), 1);
    let (outcome, _) = other.finish(pending).await;
    assert_eq!(outcome.unwrap().client.unwrap().issuer, other.auth.issuer());
}

#[tokio::test]
async fn scopes_that_a_registration_refuses_are_left_out_there_only() {
    let world = World::new(AuthSettings {
        scope: Some("odd".into()),
        ..AuthSettings::default()
    });
    let refusal = AuthFault::Answer(400, json!({"error": "invalid_client_metadata"}));
    world.auth.script("/register", refusal);
    world.log_in().await;
    assert_eq!(world.auth.requests("/register")[1].json.get("scope"), None);
    assert_eq!(
        world.auth.requests("/authorize")[0].param("scope"),
        Some("odd")
    );
}

#[tokio::test]
async fn a_code_of_another_login_is_refused_by_the_server() {
    let world = World::plain();
    let (first, second) = (world.pending().await, World::plain());
    let page = crate::world::get(first.authorization_url().to_string()).await;
    let location: url::Url = page.header("location").unwrap().parse().unwrap();
    let code = location
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned();
    drop(first);
    // The attacker puts his code where the victim's answer is expected.
    let victim = world.pending().await;
    let url = victim.authorization_url().clone();
    let state = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let forged = format!("{}?code={code}&state={state}", victim.redirect_uri());
    victim.paste().submit(&forged).await.unwrap();
    let error = victim
        .finish(crate::world::LONG, &world.cancel)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the token endpoint answered `invalid_grant`"
    );
    drop(second);
}

#[tokio::test]
async fn a_failed_exchange_ends_the_login_and_the_page_gives_nothing_away() {
    let world = World::plain();
    let answer = json!({"error": "invalid_grant", "error_description": "canary"});
    world.auth.script("/token", AuthFault::Answer(400, answer));
    let (outcome, page) = world.finish(world.pending().await).await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the token endpoint answered `invalid_grant`: canary"
    );
    assert_eq!(page.status, 502);
    assert_eq!(
        page.body,
        "Authentication failed. Return to the terminal for the reason."
    );
}

#[tokio::test]
async fn discovered_scopes_that_the_provider_refuses_are_dropped_in_the_same_browser() {
    let world = World::new(AuthSettings {
        scope: Some("odd".into()),
        ..AuthSettings::default()
    });
    let pending = world.pending().await;
    let url = pending.authorization_url().clone();
    let state = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let back = format!(
        "{}?error=invalid_scope&state={state}",
        pending.redirect_uri()
    );
    let fault = AuthFault::Raw(302, vec![("location".into(), back)], String::new());
    world.auth.script("/authorize", fault);
    let (outcome, page) = world.finish(pending).await;
    assert_eq!(page.status, 200);
    assert!(outcome.unwrap().client.unwrap().scopes_requested.is_empty());
    let asked = world.auth.requests("/authorize");
    assert_eq!(
        (asked[0].param("scope"), asked[1].param("scope")),
        (Some("odd"), None)
    );
    assert_ne!(asked[0].param("state"), asked[1].param("state"));
}

#[tokio::test]
async fn no_canary_in_any_debug_print() {
    let world = World::plain();
    let pending = world.pending().await;
    let state = pending
        .authorization_url()
        .query_pairs()
        .find(|(name, _)| name == "state");
    let state = state.unwrap().1.into_owned();
    let shown = format!("{pending:?}");
    assert!(!shown.contains(&state), "{shown}");
    let (outcome, _) = world.finish(pending).await;
    let tokens = outcome.unwrap();
    let shown = format!("{tokens:?} {:?} {:?}", world.refresh(), world.store);
    assert!(!shown.contains(SECRET_MARK), "{shown}");
}
