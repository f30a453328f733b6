//! A server that sends back what it was sent: nothing of it is shown.

use codex_host::Secret;
use codex_oauth::{PreRegistered, Revocation, revoke};
use codex_test_support::{AuthFault, AuthRequest, AuthSettings, FakeAuth};
use serde_json::json;

use crate::world::{World, limited};

/// Fails when a shown text holds a secret of the last request to `path`.
fn assert_hidden(auth: &FakeAuth, path: &str, shown: &str) {
    assert!(shown.contains("[redacted]"), "it did not echo: {shown}");
    let request: AuthRequest = auth.requests(path).pop().unwrap();
    let open = [
        "grant_type",
        "redirect_uri",
        "resource",
        "client_id",
        "token_type_hint",
        "scope",
    ];
    let secrets = request.params.iter();
    let secrets = secrets.filter(|(name, _)| !open.contains(&name.as_str()));
    let mut secrets: Vec<&str> = secrets.map(|(_, value)| value.as_str()).collect();
    secrets.extend(
        request
            .authorization
            .as_deref()
            .and_then(|it| it.split_once(' '))
            .map(|it| it.1),
    );
    assert!(!secrets.is_empty());
    for secret in secrets {
        assert!(!shown.contains(secret), "`{secret}` is shown: {shown}");
    }
    assert!(!shown.contains("hush"), "{shown}");
}

/// A client with the secret `hush hush` that proves itself in this way.
fn world(method: &str) -> World {
    let mut world = World::new(AuthSettings {
        metadata: json!({"token_endpoint_auth_methods_supported": [method]}),
        ..AuthSettings::default()
    });
    world.client.pre_registered = Some(PreRegistered {
        client_id: "by hand".into(),
        secret: Some(Secret::new("hush hush")),
    });
    world
}

const METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

#[tokio::test]
async fn an_echo_of_the_exchange_shows_neither_code_nor_verifier_nor_client_secret() {
    for method in METHODS {
        let world = world(method);
        let pending = world.pending().await;
        let redirect_uri = pending.redirect_uri().to_owned();
        world
            .auth
            .register("by hand", Some("hush hush"), &[&redirect_uri]);
        world.auth.script("/token", AuthFault::Echo(400));
        let (outcome, page) = world.finish(pending).await;
        assert_hidden(&world.auth, "/token", &outcome.unwrap_err().to_string());
        assert_eq!(
            page.body,
            "Authentication failed. Return to the terminal for the reason."
        );
    }
}

#[tokio::test]
async fn an_echo_of_a_renewal_or_a_revocation_shows_no_token() {
    for method in METHODS {
        let world = world(method);
        let pending = world.pending().await;
        let redirect_uri = pending.redirect_uri().to_owned();
        world
            .auth
            .register("by hand", Some("hush hush"), &[&redirect_uri]);
        let (tokens, _) = world.finish(pending).await;
        let tokens = tokens.unwrap();
        world.save(&tokens).await;
        world.auth.script("/token", AuthFault::Echo(400));
        let refused = world.refresh().run(&tokens.login.access_token, None).await;
        assert_hidden(&world.auth, "/token", &refused.unwrap_err().to_string());

        world.auth.script("/revoke", AuthFault::Echo(400));
        world.auth.script("/revoke", AuthFault::Echo(400));
        let revoked = limited(revoke(&tokens, &world.client, &world.services)).await;
        let Revocation::Failed { why } = revoked else {
            panic!("{revoked:?}");
        };
        assert!(!why.contains("canary") && !why.contains("hush"), "{why}");
        assert!(why.contains("[redacted]"), "{why}");
    }
}
