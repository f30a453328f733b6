//! The refresh transaction and every answer that it may get.

use codex_host::Secret;
use codex_oauth::{Deputy, OAuthTokens, RefreshError, Renewed, Revocation, revoke};
use codex_test_support::{AuthFault, AuthSettings, Gate};
use serde_json::{Value, json};

use crate::world::{Blocked, World, limited, store_at};

async fn renewed(world: &World, stale: &OAuthTokens) -> Result<OAuthTokens, RefreshError> {
    let outcome = limited(world.refresh().run(&stale.login.access_token, None)).await;
    outcome.map(|renewed| {
        assert_eq!(renewed.unsaved, None);
        renewed.tokens
    })
}

#[tokio::test]
async fn a_renewal_is_stored_before_it_is_returned() {
    let world = World::plain();
    let old = world.log_in().await;
    let new = renewed(&world, &old).await.unwrap();
    assert_ne!(new.login.access_token, old.login.access_token);
    assert_ne!(new.login.refresh_token, old.login.refresh_token);
    assert_eq!(world.stored().await, new);
}

#[tokio::test]
async fn whoever_comes_second_takes_what_the_first_stored() {
    let world = World::plain();
    let old = world.log_in().await;
    let first = renewed(&world, &old).await.unwrap();
    let second = renewed(&world, &old).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(world.auth.requests("/token").len(), 2);
}

#[tokio::test]
async fn eight_at_once_send_one_request() {
    let world = World::plain();
    let old = world.log_in().await;
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (refresh, stale) = (world.refresh(), old.login.access_token.clone());
        tasks.spawn(async move { refresh.run(&stale, None).await.unwrap().tokens });
    }
    while world.auth.requests("/token").len() < 2 {
        tokio::task::yield_now().await;
    }
    gate.open();
    let all = limited(tasks.join_all()).await;
    assert!(all.iter().all(|tokens| *tokens == all[0]));
    assert_eq!(world.auth.requests("/token").len(), 2);
}

#[tokio::test]
async fn an_answer_may_leave_things_out() {
    let world = World::new(AuthSettings {
        scope: Some("a b".into()),
        ..AuthSettings::default()
    });
    let old = world.log_in().await;
    let sparse =
        json!({"refresh_token": null, "expires_in": null, "scope": null, "token_type": null});
    world.auth.script("/token", AuthFault::Change(sparse));
    let new = renewed(&world, &old).await.unwrap();
    assert_eq!(new.login.refresh_token, old.login.refresh_token);
    assert_eq!(new.login.expires_at, None);
    assert_eq!(new.login.scopes.to_string(), "a b");
}

#[tokio::test]
async fn what_passes_leaves_the_login_as_it_was() {
    let rows = [
        AuthFault::Answer(500, Value::Null),
        AuthFault::Answer(429, Value::Null),
        AuthFault::Answer(400, json!({"error": "temporarily_unavailable"})),
        AuthFault::LoseAnswer,
    ];
    for fault in rows {
        // Without rotation, for a lost answer of a rotating server has used the token up.
        let world = World::new(AuthSettings {
            rotates: false,
            ..AuthSettings::default()
        });
        let old = world.log_in().await;
        world.auth.script("/token", fault.clone());
        let error = renewed(&world, &old).await.unwrap_err();
        assert!(
            matches!(error, RefreshError::Transient { .. }),
            "{fault:?}: {error}"
        );
        assert_eq!(world.stored().await, old);
        assert_eq!(
            world.auth.requests("/token").len(),
            2,
            "what may have been seen is sent once"
        );
        renewed(&world, &old).await.unwrap();
    }
}

#[tokio::test]
async fn an_unreachable_server_leaves_the_login_as_it_was() {
    let world = World::plain();
    let mut old = world.log_in().await;
    let nobody = "http://127.0.0.1:1/token".parse().unwrap();
    old.client.as_mut().unwrap().token_endpoint = Some(nobody);
    world.save(&old).await;
    let error = renewed(&world, &old).await.unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert_eq!(world.stored().await, old);
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_told() {
    let world = World::plain();
    let old = world.log_in().await;
    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    world
        .auth
        .script("/token", AuthFault::Raw(503, headers, String::new()));
    let error = renewed(&world, &old).await.unwrap_err();
    let RefreshError::Transient { after, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(after, Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn a_refused_refresh_token_ends_the_login_and_the_record_stays() {
    let world = World::plain();
    let old = world.log_in().await;
    let answer = json!({"error": "invalid_grant"});
    world.auth.script("/token", AuthFault::Answer(400, answer));
    let error = renewed(&world, &old).await.unwrap_err();
    assert!(
        matches!(
            error,
            RefreshError::LoginRequired {
                had_login: true,
                ..
            }
        ),
        "{error}"
    );
    let stored = world.stored().await;
    assert_eq!(stored.login.refresh_token, None);
    assert_eq!(stored.login.access_token, old.login.access_token);
    assert!(stored.client.unwrap().needs_login);
}

#[tokio::test]
async fn a_refusal_counts_only_when_nobody_put_another_token_there() {
    let world = World::plain();
    let old = world.log_in().await;
    let gate = Gate::new();
    // Another program that does not lock renews while our request is on its way.
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let task = tokio::task::spawn({
        let (refresh, stale) = (world.refresh(), old.login.access_token.clone());
        async move { refresh.run(&stale, None).await }
    });
    while world.auth.requests("/token").len() < 2 {
        tokio::task::yield_now().await;
    }
    // The held answer is a success; the scripted refusal is for the next one.
    gate.open();
    let first = limited(task).await.unwrap().unwrap().tokens;
    let mut foreign = first.clone();
    foreign.login.refresh_token = Some(Secret::new("used-up"));
    world.save(&foreign).await;
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let task = tokio::task::spawn({
        let (refresh, stale) = (world.refresh(), first.login.access_token.clone());
        async move { refresh.run(&stale, None).await }
    });
    while world.auth.requests("/token").len() < 3 {
        tokio::task::yield_now().await;
    }
    put_into_file(&world, first.login.refresh_token.as_ref().unwrap());
    gate.open();
    let last = limited(task).await.unwrap().unwrap().tokens;
    assert_eq!(world.stored().await, last);
    assert_eq!(world.auth.requests("/token").len(), 4);
}

/// Writes the file as a program without locks does.
fn put_into_file(world: &World, refresh_token: &Secret) {
    let path = world.home.path().join(".credentials.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("used-up", refresh_token.expose());
    std::fs::write(&path, text).unwrap();
}

#[tokio::test]
async fn a_forgotten_dynamic_client_needs_a_new_registration() {
    let world = World::plain();
    let old = world.log_in().await;
    world.auth.forget_clients();
    let error = renewed(&world, &old).await.unwrap_err();
    assert!(
        matches!(error, RefreshError::LoginRequired { .. }),
        "{error}"
    );
    assert_eq!(world.stored().await.login, old.login);
    world.log_in().await;
    assert_eq!(world.auth.requests("/register").len(), 2);
}

#[tokio::test]
async fn another_refusal_leaves_the_login_and_says_its_code() {
    let world = World::plain();
    let old = world.log_in().await;
    let rows = [
        (
            AuthFault::Answer(400, json!({"error": "invalid_target"})),
            "the token endpoint answered `invalid_target`",
        ),
        (
            AuthFault::Raw(404, vec![], "<html>".into()),
            "the token endpoint answered with HTTP 404",
        ),
        (
            AuthFault::Raw(200, vec![], "<html>".into()),
            "the token endpoint's answer cannot be used: it holds no `access_token`",
        ),
    ];
    for (fault, expected) in rows {
        world.auth.script("/token", fault);
        let error = renewed(&world, &old).await.unwrap_err();
        assert!(matches!(error, RefreshError::Refused(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(world.stored().await, old);
    }
}

#[tokio::test]
async fn a_login_of_another_program_is_renewed_by_the_servers_metadata() {
    let world = World::plain();
    let old = world.log_in().await;
    std::fs::remove_file(world.home.path().join(".mcp-clients.json")).unwrap();
    assert_eq!(world.stored().await.client, None);
    let new = renewed(&world, &old).await.unwrap();
    let client = new.client.unwrap();
    assert_eq!(client.client_id, old.login.client_id);
    assert_eq!(client.revocation_endpoint.unwrap().path(), "/revoke");
}

#[tokio::test]
async fn the_issuer_that_the_config_names_counts_for_a_login_of_another_program() {
    let mut world = World::plain();
    let old = world.log_in().await;
    std::fs::remove_file(world.home.path().join(".mcp-clients.json")).unwrap();
    world.client.pinned_issuer = Some("https://pinned.example".to_owned());
    let expected = format!(
        "the server trusts `{}`, the config names `https://pinned.example`",
        world.auth.issuer()
    );
    let error = renewed(&world, &old).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    let foreign = world.stored().await;
    let outcome = limited(revoke(&foreign, &world.client, &world.services)).await;
    assert_eq!(outcome, Revocation::Failed { why: expected });
    assert_eq!(world.auth.requests("/token").len(), 1);

    world.client.pinned_issuer = Some(world.auth.issuer());
    renewed(&world, &old).await.unwrap();
}

#[tokio::test]
async fn metadata_for_a_login_of_another_program_is_waited_for_three_seconds() {
    let world = World::plain();
    let old = world.log_in().await;
    std::fs::remove_file(world.home.path().join(".mcp-clients.json")).unwrap();
    let document = "/.well-known/oauth-protected-resource/mcp";
    let n_asked = world.auth.requests(document).len();
    world.auth.script(document, AuthFault::NoAnswer);
    let task = tokio::task::spawn({
        let (refresh, stale) = (world.refresh(), old.login.access_token.clone());
        async move { refresh.run(&stale, None).await }
    });
    while world.auth.requests(document).len() == n_asked {
        tokio::task::yield_now().await;
    }
    // The clock jumps to the limit as soon as nothing else is to be done.
    tokio::time::pause();
    let error = limited(task).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no metadata within 3s");
    assert!(matches!(error, RefreshError::Transient { .. }), "{error:?}");
}

#[tokio::test]
async fn a_recorded_endpoint_of_a_public_server_leads_into_no_private_network() {
    let mut world = World::plain();
    let mut old = world.log_in().await;
    world.key.url = "https://203.0.113.7/mcp".to_owned();
    old.login.key = world.key.clone();
    let inside = "https://10.0.0.1/token".parse().unwrap();
    old.client.as_mut().unwrap().token_endpoint = Some(inside);
    world.save(&old).await;
    let error = renewed(&world, &old).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`https://10.0.0.1/token` leads to a private network"
    );
}

#[tokio::test]
async fn a_client_of_another_issuer_is_no_client_of_this_login() {
    let world = World::plain();
    let mut old = world.log_in().await;
    let client = old.client.as_mut().unwrap();
    client.issuer = "https://earlier.example".to_owned();
    client.token_endpoint = Some("https://earlier.example/token".parse().unwrap());
    client.client_secret = Some(Secret::new("of another issuer"));
    world.save(&old).await;
    assert_eq!(world.stored().await.client, None);
    let new = renewed(&world, &old).await.unwrap();
    let client = new.client.unwrap();
    assert_eq!(client.issuer, world.auth.issuer());
    assert_eq!(client.client_secret, None);
}

#[tokio::test]
async fn a_refresh_token_goes_to_nobody_but_its_issuer() {
    let world = World::plain();
    let mut old = world.log_in().await;
    // Another program's login: where to renew it is learnt from the server, which trusts another now.
    old.login.issuer = Some("https://earlier.example".to_owned());
    world.save(&old).await;
    std::fs::remove_file(world.home.path().join(".mcp-clients.json")).unwrap();
    let error = renewed(&world, &old).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a new login is needed: the server trusts another issuer now"
    );
    assert_eq!(world.auth.requests("/token").len(), 1);
}

#[tokio::test]
async fn a_login_without_refresh_token_needs_the_user() {
    let world = World::plain();
    let mut old = world.log_in().await;
    old.login.refresh_token = None;
    world.save(&old).await;
    let error = renewed(&world, &old).await.unwrap_err();
    assert!(
        matches!(error, RefreshError::LoginRequired { .. }),
        "{error}"
    );
    assert_eq!(world.auth.requests("/token").len(), 1);
}

#[tokio::test]
async fn without_any_login_there_is_nothing_to_renew() {
    let world = World::plain();
    let error = limited(world.refresh().run(&Secret::new("x"), None))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RefreshError::LoginRequired {
                had_login: false,
                ..
            }
        ),
        "{error}"
    );
    let other = tempfile::tempdir().unwrap();
    assert_eq!(store_at(&other).load(&world.key).await.unwrap(), None);
}

/// Renews while nothing can be written, and gives the store back as it was.
async fn unsaved(world: &World, stale: &OAuthTokens) -> Renewed {
    let gate = Gate::new();
    let n_asked = world.auth.requests("/token").len();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let task = tokio::task::spawn({
        let (refresh, stale) = (world.refresh(), stale.login.access_token.clone());
        async move { refresh.run(&stale, None).await }
    });
    while world.auth.requests("/token").len() == n_asked {
        tokio::task::yield_now().await;
    }
    let blocked = Blocked::new(world);
    gate.open();
    let renewed = limited(task).await.unwrap().unwrap();
    drop(blocked);
    assert!(renewed.unsaved.is_some());
    renewed
}

#[tokio::test]
async fn tokens_that_cannot_be_stored_are_used_and_stored_later() {
    let world = World::plain();
    let old = world.log_in().await;
    let held = unsaved(&world, &old).await;
    // The stored refresh token is used up; what is held goes on.
    let stale = held.tokens.login.access_token.clone();
    let next = limited(world.refresh().run(&stale, Some(held)))
        .await
        .unwrap();
    assert_eq!(next.unsaved, None);
    assert_eq!(world.stored().await, next.tokens);
}

#[tokio::test]
async fn tokens_that_could_not_be_stored_yield_to_a_newer_login() {
    let world = World::plain();
    let old = world.log_in().await;
    let held = unsaved(&world, &old).await;
    let newer = world.log_in().await;
    let n_asked = world.auth.requests("/token").len();
    let stale = held.tokens.login.access_token.clone();
    let next = limited(world.refresh().run(&stale, Some(held)))
        .await
        .unwrap();
    assert_eq!(next.tokens, newer);
    assert_eq!(world.auth.requests("/token").len(), n_asked);
    assert_eq!(world.stored().await, newer);
}

#[tokio::test]
async fn tokens_that_could_not_be_stored_do_not_revive_a_login() {
    let world = World::plain();
    let old = world.log_in().await;
    let held = unsaved(&world, &old).await;
    world.log_out().await;
    let stale = held.tokens.login.access_token.clone();
    let error = limited(world.refresh().run(&stale, Some(held))).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "a new login is needed: there is none"
    );
    assert_eq!(world.store.load(&world.key).await.unwrap(), None);
}

/// A shell as deputy: descriptor 0 is its conversation with us.
fn deputy(program: &str, script: &str) -> Deputy {
    Deputy {
        program: program.into(),
        args: vec!["-c".into(), script.into()],
    }
}

#[tokio::test]
async fn without_a_deputy_that_works_the_renewal_is_done_here() {
    let rows = [
        deputy("/nowhere/codex", ""),
        deputy("/bin/sh", "exit 1"),
        // Another version of the program refuses the order.
        deputy("/bin/sh", "read order; echo refused! >&0"),
    ];
    for deputy in rows {
        let mut world = World::plain();
        let old = world.log_in().await;
        world.services.deputy = Some(deputy);
        let new = renewed(&world, &old).await.unwrap();
        assert_eq!(world.stored().await, new);
        assert_eq!(world.auth.requests("/token").len(), 2);
    }
}

#[tokio::test]
async fn a_deputy_that_dies_at_work_is_not_worked_after() {
    let mut world = World::plain();
    let old = world.log_in().await;
    let script = "read order; echo accepted >&0; read go";
    world.services.deputy = Some(deputy("/bin/sh", script));
    let error = renewed(&world, &old).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the process that renews the login ended without an answer"
    );
    // What it sent nobody knows: asking once more could end the login.
    assert_eq!(world.auth.requests("/token").len(), 1);
    assert_eq!(world.stored().await, old);
}
