//! Servers that people log in to: from a login to a call, and what a session does without one.

use std::path::Path;
use std::time::Duration;

use codex_config::{
    CredentialsStore, Enablement, McpOAuthSettings, McpServerConfig, McpTransport, OAuthConfig,
    OffReason, PeerHttp,
};
use codex_host::{AbsPath, CodexHome, Env, Secret};
use codex_http::HttpClient;
use codex_mcp::{
    AuthState, CallError, ConnectionError, KeyringPatience, LoginProbe, LoginSpec, McpAuth,
    Revocation, ServerState,
};
use codex_test_support::{AuthSettings, FakeAuth, FakeHttp, HttpFault, browser_follow};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::front::Front;
use crate::support::{LIMIT, World, http, name, text_of};

/// One user's logins, in a file.
pub(crate) fn logins(home: &Path) -> McpAuth {
    let settings = McpOAuthSettings {
        credentials_store: CredentialsStore::File,
        ..McpOAuthSettings::default()
    };
    let home = CodexHome::at(AbsPath::new(home).unwrap());
    let (env, patience) = (Env::default(), KeyringPatience::Run);
    McpAuth::new(
        home,
        settings,
        env.clone(),
        HttpClient::from_env(env),
        "0",
        patience,
    )
}

/// Logs in as a user does, in whose browser an address becomes `seen_as`.
pub(crate) async fn log_in(
    logins: &McpAuth,
    server: &McpServerConfig,
    seen_as: impl Fn(&str) -> String,
) {
    finish(logins, LoginSpec::new(server.clone()), seen_as).await;
}

async fn finish(logins: &McpAuth, spec: LoginSpec, seen_as: impl Fn(&str) -> String) {
    let cancel = CancellationToken::new();
    let login = logins.begin(spec, Path::new("/"), &cancel).await.unwrap();
    let url = seen_as(login.authorization_url().as_str());
    let browser = tokio::task::spawn_blocking(move || browser_follow(&url));
    login.finish(LIMIT, &cancel).await.unwrap();
    assert_eq!(browser.await.unwrap().status, 200);
}

/// Row 5.http.
#[tokio::test]
async fn the_proxy_and_certificates_of_a_server_serve_its_login_too() {
    let folder = tempfile::tempdir().unwrap();
    let auth = FakeAuth::start(AuthSettings::default());
    let (direct, base) = (auth.issuer(), "https://mcp.localhost");
    auth.known_as(base);
    let front = Front::start(folder.path(), "mcp.localhost", &auth).await;
    let mut config = http("co", "https://mcp.localhost/mcp");
    if let McpTransport::StreamableHttp(transport) = &mut config.transport {
        transport.http = Some(PeerHttp {
            proxy: Some(front.proxy.clone().into()),
            ca_file: Some(front.ca_file.clone()),
            client_cert: Some(front.client_cert.clone()),
            client_key: Some(front.client_key.clone()),
            ..PeerHttp::default()
        });
    }
    let logins = logins(folder.path());
    let cancel = CancellationToken::new();
    let servers = [(name("co"), config.clone())].into();
    let status = async || {
        let reports = logins.statuses(&servers, Path::new("/"), LIMIT, &cancel);
        reports.await[&name("co")].detail.state
    };
    assert_eq!(status().await, AuthState::NotLoggedIn);
    log_in(&logins, &config, |url| url.replace(base, &direct)).await;
    assert_eq!(status().await, AuthState::LoggedIn);

    let mut world = World::start_with([config.clone()], |settings| {
        settings.auth = Some(logins.clone());
    });
    world.ready(None).await.unwrap();
    // The renewal goes the same way.
    auth.end_access_tokens();
    let outcome = world.call("co", "whoami", json!({})).await.unwrap();
    assert_eq!(text_of(&outcome), "ada");
    assert_eq!(world.stop().await, [] as [&str; 0]);

    let logout = logins.logout(&config, Path::new("/")).await.unwrap();
    let issuer = base.to_owned();
    assert_eq!(logout.revocation, Some(Revocation::Revoked { issuer }));
    assert_eq!(front.targets(), ["mcp.localhost:443"]);

    // A server that may not run is not reached, and its login is gone from here all the same.
    log_in(&logins, &config, |url| url.replace(base, &direct)).await;
    config.enablement = Enablement::Off(OffReason::Requirements {
        source: "policy".to_owned(),
        why: "not listed".to_owned(),
        fault: None,
    });
    let n_before = auth.journal().len();
    let logout = logins.logout(&config, Path::new("/")).await.unwrap();
    assert!(logout.removed);
    let why = "the MCP server is disabled by managed requirements (policy)".to_owned();
    assert_eq!(logout.revocation, Some(Revocation::Failed { why }));
    let probe = logins.probe(&config, Path::new("/"), &cancel).await;
    assert!(matches!(probe, LoginProbe::Unknown(_)));
    assert_eq!(auth.journal().len(), n_before);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_fails_the_start_and_the_login_in_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = http("co", "https://mcp.localhost/mcp");
    config.expand_env = true;
    if let McpTransport::StreamableHttp(transport) = &mut config.transport {
        transport.http = Some(PeerHttp {
            ca_file: Some("${DIR:-pki}/ca.pem".into()),
            ..PeerHttp::default()
        });
    }
    let why = "`http.ca_file` of MCP server 'co' is not usable: `/pki/ca.pem` cannot be read: no such file or directory";
    let mut world = World::start([config.clone()]);
    world.ready(None).await.unwrap();
    assert_eq!(
        world.stop().await,
        [format!("MCP server `co` failed to start: {why}")]
    );
    let logins = logins(folder.path());
    let cancel = CancellationToken::new();
    let failure = logins.begin(LoginSpec::new(config), Path::new("/"), &cancel);
    assert_eq!(failure.await.unwrap_err().to_string(), why);
}

fn world_of(config: &McpServerConfig, logins: &McpAuth) -> World {
    World::start_with([config.clone()], |settings| {
        settings.auth = Some(logins.clone());
    })
}

/// The server of a provider and the entry for it.
fn provider(settings: AuthSettings) -> (FakeAuth, McpServerConfig) {
    let auth = FakeAuth::start(settings);
    let config = http("oa", &auth.mcp_url());
    (auth, config)
}

const NOT_LOGGED_IN: &str = "The oa MCP server is not logged in. Run `codex mcp login oa`.";

#[tokio::test]
async fn a_server_that_failed_for_want_of_a_login_is_started_once_somebody_has_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let (auth, config) = provider(AuthSettings::default());
    let mut world = world_of(&config, &logins(folder.path()));
    world.ready(None).await.unwrap();
    assert_eq!(world.next_notice().await, NOT_LOGGED_IN);
    let ServerState::Failed(failure) = world.handle.statuses().remove(0).state else {
        panic!("it cannot work without a login");
    };
    let wanted = failure.wanted_login().expect("a login would help");
    assert_eq!(wanted.command(), "codex mcp login oa");
    let absent = world.handle.absent(&world.handle.catalog());
    assert_eq!(absent[0].why, NOT_LOGGED_IN);
    let error = world.call("oa", "whoami", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::NotLoggedIn { .. }), "{error:?}");
    assert_eq!(error.to_string(), NOT_LOGGED_IN);

    // Another program, with a store of its own on the same files.
    log_in(&logins(folder.path()), &config, str::to_owned).await;
    let n_asked = auth.requests("/mcp").len();
    // Nobody asks for the server's tools: nothing happens by itself.
    assert!(world.flat_names().is_empty());
    assert_eq!(auth.requests("/mcp").len(), n_asked);
    wait_for_store(&world).await;
    assert_eq!(world.flat_names(), ["mcp__oa__whoami"]);
    let outcome = world.call("oa", "whoami", json!({})).await.unwrap();
    assert_eq!(text_of(&outcome), "ada");
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

/// Asks until the store may be looked at again, which is every two seconds.
async fn wait_for_store(world: &World) {
    let mut again = tokio::time::interval(Duration::from_millis(50));
    let looked = async {
        while world.handle.catalog().servers().is_empty() {
            again.tick().await;
            let retried = world.handle.retry_logins(None, &world.cancel);
            retried.await.unwrap();
        }
    };
    let looked = tokio::time::timeout(LIMIT, looked);
    looked.await.expect("the login is found");
}

#[tokio::test]
async fn a_login_made_by_another_program_heals_a_running_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (auth, config) = provider(AuthSettings::default());
    let elsewhere = logins(folder.path());
    log_in(&elsewhere, &config, str::to_owned).await;
    let mut world = world_of(&config, &logins(folder.path()));
    world.ready(None).await.unwrap();
    // The provider forgets everything: neither the token nor its renewal is taken.
    auth.end_access_tokens();
    auth.end_refresh_tokens();
    let error = world.call("oa", "whoami", json!({})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "MCP server `oa` wants a login. Run `codex mcp login oa`."
    );
    let CallError::Connection(ConnectionError::LoginRequired { wanted, .. }) = error else {
        panic!("{error:?}");
    };
    // A frontend starts from the refusal and asks the server nothing.
    let spec = LoginSpec {
        refusal: wanted.map(|wanted| *wanted),
        ..LoginSpec::new(config.clone())
    };
    let n_asked = auth.requests("/mcp").len();
    finish(&elsewhere, spec, str::to_owned).await;
    assert_eq!(auth.requests("/mcp").len(), n_asked);

    let mut again = tokio::time::interval(Duration::from_millis(50));
    let healed = async {
        loop {
            again.tick().await;
            if let Ok(outcome) = world.call("oa", "whoami", json!({})).await {
                return text_of(&outcome);
            }
        }
    };
    let healed = tokio::time::timeout(LIMIT, healed);
    assert_eq!(healed.await.expect("the login is found"), "ada");
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn more_scopes_are_named_with_the_command_that_asks_for_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (auth, mut config) = provider(AuthSettings {
        call_scope: Some("c".to_owned()),
        ..AuthSettings::default()
    });
    config.scopes = Some(vec!["a".to_owned(), "b".to_owned()]);
    let logins = logins(folder.path());
    log_in(&logins, &config, str::to_owned).await;
    let mut world = world_of(&config, &logins);
    world.ready(None).await.unwrap();
    for _ in 0..2 {
        let error = world.call("oa", "whoami", json!({})).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "MCP server `oa` wants more scopes. Run `codex mcp login oa --scopes a,b,c`."
        );
    }
    // Consent is never replaced by a renewal.
    assert_eq!(auth.requests("/token").len(), 1);
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_required_server_without_a_login_fails_the_start_with_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (_auth, config) = provider(AuthSettings::default());
    let mut world = world_of(&config.required(), &logins(folder.path()));
    let error = world.ready(None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("required MCP servers failed to initialize: oa: {NOT_LOGGED_IN}")
    );
    assert_eq!(
        error.hints(),
        [] as [&str; 0],
        "the sentence has the command"
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_server_that_wants_the_login_only_for_its_tools_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let server = FakeHttp::new().start();
    server.fault("tools/list", HttpFault::Status(401));
    let config = http("oa", &server.url());
    let mut world = world_of(&config, &logins(folder.path()));
    world.ready(None).await.unwrap();
    assert_eq!(world.stop().await, [NOT_LOGGED_IN]);
}

#[tokio::test]
async fn two_servers_with_one_url_have_a_login_each() {
    let folder = tempfile::tempdir().unwrap();
    let (auth, config) = provider(AuthSettings::default());
    let other = http("other", &auth.mcp_url());
    let logins = logins(folder.path());
    log_in(&logins, &config, str::to_owned).await;
    let mut world = World::start_with([config.clone(), other.clone()], |settings| {
        settings.auth = Some(logins.clone());
    });
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__oa__whoami"]);
    assert_eq!(
        world.stop().await,
        ["The other MCP server is not logged in. Run `codex mcp login other`."]
    );
    log_in(&logins, &other, str::to_owned).await;
    // The end of one is not the end of the other.
    assert!(
        logins
            .logout(&config, Path::new("/"))
            .await
            .unwrap()
            .removed
    );
    let mut world = world_of(&other, &logins);
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__other__whoami"]);
    world.stop().await;
}

#[tokio::test]
async fn a_client_secret_that_is_given_now_beats_the_one_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (auth, mut config) = provider(AuthSettings::default());
    auth.register("me", Some("new-hush"), &[]);
    if let McpTransport::StreamableHttp(transport) = &mut config.transport {
        transport.oauth = Some(OAuthConfig {
            client_id: Some("me".to_owned()),
            ..OAuthConfig::default()
        });
    }
    let (logins, cancel) = (logins(folder.path()), CancellationToken::new());
    let kept = logins.keep_client_secret(&config, Secret::new("old-hush"));
    kept.await.unwrap();
    let given = LoginSpec {
        client_secret: Some(Secret::new("new-hush")),
        ..LoginSpec::new(config.clone())
    };
    // The second login finds in the store what the first was given.
    for spec in [given, LoginSpec::new(config)] {
        auth.approve_device();
        let code = logins.begin_device(spec, Path::new("/"), &cancel);
        code.await.unwrap().finish(LIMIT, &cancel).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_gone_takes_no_login_of_a_server_with_a_longer_name() {
    let folder = tempfile::tempdir().unwrap();
    let (auth, config) = provider(AuthSettings::default());
    let longer = http("oa|x", &auth.mcp_url());
    let logins = logins(folder.path());
    log_in(&logins, &config, str::to_owned).await;
    log_in(&logins, &longer, str::to_owned).await;
    assert!(logins.forget(&name("oa")).await.unwrap());
    let logout = logins.logout(&longer, Path::new("/")).await.unwrap();
    assert!(logout.removed);
    let logout = logins.logout(&config, Path::new("/")).await.unwrap();
    assert!(!logout.removed);
}

#[tokio::test]
async fn a_server_that_nobody_answers_for_is_told_in_one_sentence() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/mcp", free.local_addr().unwrap());
    drop(free);
    let mut world = World::start([http("gone", &url)]);
    world.ready(None).await.unwrap();
    assert_eq!(
        world.stop().await,
        ["The gone MCP server could not be reached: connection refused"]
    );
}

#[tokio::test]
async fn a_changed_url_gets_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let (_auth, config) = provider(AuthSettings::default());
    let logins = logins(folder.path());
    log_in(&logins, &config, str::to_owned).await;
    let thief = FakeHttp::new().require_bearer("any").start();
    let moved = http("oa", &thief.url());
    let mut world = world_of(&moved, &logins);
    world.ready(None).await.unwrap();
    assert_eq!(world.stop().await, [NOT_LOGGED_IN]);
    let seen = thief.seen();
    assert!(!seen.is_empty());
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization").is_none())
    );
    // Back at the old address the login is there as it was.
    let mut world = world_of(&config, &logins);
    world.ready(None).await.unwrap();
    assert_eq!(world.stop().await, [] as [&str; 0]);
}
