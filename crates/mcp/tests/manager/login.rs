//! Servers that people log in to: from a login to a call, and what a session does without one.

use std::path::Path;

use codex_config::{CredentialsStore, McpOAuthSettings, McpServerConfig, McpTransport, PeerHttp};
use codex_host::{AbsPath, CodexHome, Env};
use codex_http::HttpClient;
use codex_mcp::{AuthState, KeyringPatience, LoginSpec, McpAuth, Revocation};
use codex_test_support::{AuthSettings, FakeAuth, browser_follow};
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

/// Logs in as a user does whose browser reaches the server at `direct`.
async fn log_in(logins: &McpAuth, server: &McpServerConfig, base: &str, direct: &str) {
    let cancel = CancellationToken::new();
    let login = logins.begin(LoginSpec::new(server.clone()), Path::new("/"), &cancel);
    let login = login.await.unwrap();
    let url = login.authorization_url().as_str().replace(base, direct);
    let browser = tokio::task::spawn_blocking(move || browser_follow(&url));
    login.finish(LIMIT, &cancel).await.unwrap();
    assert_eq!(browser.await.unwrap().status, 200);
}

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
            proxy: Some(front.proxy.clone()),
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
    log_in(&logins, &config, base, &direct).await;
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
    let why = "`http.ca_file` of MCP server 'co' is not usable: cannot read `/pki/ca.pem`: no such file or directory";
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
