//! Logins without a browser: device code, client credentials; and the end of a login.

use codex_host::Secret;
use codex_oauth::{
    AuthMethod, ClientCredentials, ClientCredentialsSource, DeviceRequest, PreRegistered,
    Rejection, Retry, Revocation, ScopeWish, TokenSource, revoke,
};
use codex_test_support::{AuthFault, AuthSettings};
use serde_json::json;

use crate::world::{LONG, World, limited};

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
    let (tokens, ()) = tokio::join!(limited(login.finish(LONG, &world.cancel)), async {
        while n_polls() < 3 {
            tokio::task::yield_now().await;
        }
        world.auth.approve_device();
    });
    let tokens = tokens.unwrap();
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
    assert_eq!(
        error.hints(&world.key),
        ["run `codex mcp login figma --no-browser` and paste the callback URL"]
    );
}

fn machine(world: &World, method: Option<AuthMethod>) -> ClientCredentials {
    let mut client = world.client.clone();
    client.auth_method = method;
    client.pre_registered = Some(PreRegistered {
        client_id: "ci".into(),
        secret: Some(Secret::new("hush")),
    });
    world.auth.register("ci", Some("hush"), &[]);
    ClientCredentials {
        key: world.key.clone(),
        client,
        scopes: None,
        resource: None,
        pinned_issuer: None,
        discovery: None,
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
    let source = ClientCredentialsSource::new(machine(&world, None), world.services.clone());
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
    let source = ClientCredentialsSource::new(machine(&world, method), world.services.clone());
    limited(source.token()).await.unwrap().unwrap();
    let request = &world.auth.requests("/token")[0];
    assert_eq!(request.param("client_secret"), Some("hush"));
    assert_eq!(request.authorization, None);
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
