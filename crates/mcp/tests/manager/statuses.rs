//! What is known about each login, and what asking costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use codex_config::{Enablement, McpServerConfig, McpTransport, OAuthConfig, OAuthGrant, OffReason};
use codex_mcp::{AuthState, McpAuth};
use codex_protocol::{McpAuthStatus, ServerName};
use codex_test_support::{AuthSettings, FakeAuth, FakeHttp};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::login::{log_in, logins};
use crate::support::{LIMIT, http, name};

async fn status(logins: &McpAuth, server: &McpServerConfig) -> (McpAuthStatus, AuthState) {
    let servers = BTreeMap::from([(server.name.clone(), server.clone())]);
    let cancel = CancellationToken::new();
    let mut reports = logins
        .statuses(&servers, Path::new("/"), LIMIT, &cancel)
        .await;
    let report = reports.remove(&server.name).unwrap();
    (report.status, report.detail.state)
}

// Contract-oauth 11, row by row, and the order of the evidence.
#[tokio::test]
async fn every_status_is_decided_by_its_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let logins = logins(folder.path());
    let open = FakeHttp::new().start();
    let auth = FakeAuth::start(AuthSettings::default());
    let broken = FakeAuth::start(AuthSettings {
        metadata: json!({"code_challenge_methods_supported": null}),
        ..AuthSettings::default()
    });
    let stdio = McpServerConfig::stdio(name("stdio"), "prog");
    let mut off = http("off", &auth.mcp_url());
    off.enablement = Enablement::Off(OffReason::User);
    let mut fixed = http("fixed", &auth.mcp_url());
    let mut machine = http("machine", &auth.mcp_url());
    if let McpTransport::StreamableHttp(transport) = &mut fixed.transport {
        transport.bearer_token_env_var = Some("TOKEN".to_owned());
    }
    if let McpTransport::StreamableHttp(transport) = &mut machine.transport {
        transport.oauth = Some(OAuthConfig {
            grant: Some(OAuthGrant::ClientCredentials),
            ..OAuthConfig::default()
        });
    }
    let rows = [
        (stdio, McpAuthStatus::Unsupported, AuthState::None),
        (off, McpAuthStatus::Unsupported, AuthState::None),
        (fixed, McpAuthStatus::BearerToken, AuthState::Static),
        (machine, McpAuthStatus::OAuth, AuthState::LoggedIn),
    ];
    for (server, word, state) in rows {
        assert_eq!(
            status(&logins, &server).await,
            (word, state),
            "{}",
            server.name
        );
    }
    assert_eq!(auth.journal(), [] as [&str; 0], "none of them is asked");

    let rows = [
        (
            http("open", &open.url()),
            McpAuthStatus::Unsupported,
            AuthState::None,
        ),
        (
            http("oa", &auth.mcp_url()),
            McpAuthStatus::NotLoggedIn,
            AuthState::NotLoggedIn,
        ),
        (
            http("broken", &broken.mcp_url()),
            McpAuthStatus::Unknown,
            AuthState::Unknown,
        ),
        (
            http("gone", "http://127.0.0.1:1/mcp"),
            McpAuthStatus::Unknown,
            AuthState::Unknown,
        ),
    ];
    for (server, word, state) in rows {
        assert_eq!(
            status(&logins, &server).await,
            (word, state),
            "{}",
            server.name
        );
    }
}

#[tokio::test]
async fn a_stored_login_is_judged_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let logins = logins(folder.path());
    let auth = FakeAuth::start(AuthSettings {
        token_life: 0,
        ..AuthSettings::default()
    });
    let server = http("oa", &auth.mcp_url());
    log_in(&logins, &server, str::to_owned).await;
    let n_asked = auth.journal().len();
    let renewable = (McpAuthStatus::OAuth, AuthState::ExpiredRefreshable);
    assert_eq!(status(&logins, &server).await, renewable);

    let file = folder.path().join(".credentials.json");
    let change = |field: &str, value: serde_json::Value| {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
        for record in all.as_object_mut().unwrap().values_mut() {
            record[field] = value.clone();
        }
        std::fs::write(&file, all.to_string()).unwrap();
    };
    change("refresh_token", json!(null));
    let over = (McpAuthStatus::NotLoggedIn, AuthState::Expired);
    assert_eq!(status(&logins, &server).await, over);
    change("expires_at", json!(null));
    let unlimited = (McpAuthStatus::OAuth, AuthState::LoggedIn);
    assert_eq!(status(&logins, &server).await, unlimited);
    assert_eq!(auth.journal().len(), n_asked);
}

/// Takes connections and says nothing; counts them.
async fn silent_server() -> (String, Arc<AtomicUsize>, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let n_taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_taken);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut held = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            held.push(stream);
        }
    });
    (url, n_taken, tasks)
}

#[tokio::test]
async fn silent_servers_cost_the_limit_once_and_sixteen_are_asked_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let logins = logins(folder.path());
    let (url, n_taken, _tasks) = silent_server().await;
    let servers: BTreeMap<ServerName, McpServerConfig> = (0..20)
        .map(|n| http(&format!("s{n}"), &url))
        .map(|server| (server.name.clone(), server))
        .collect();
    let (limit, cancel) = (Duration::from_millis(500), CancellationToken::new());
    let begin = Instant::now();
    let reports = logins
        .statuses(&servers, Path::new("/"), limit, &cancel)
        .await;
    assert!(begin.elapsed() < 3 * limit, "{:?}", begin.elapsed());
    assert_eq!(reports.len(), 20);
    for report in reports.values() {
        assert_eq!(report.status, McpAuthStatus::Unknown);
        let why = report.detail.why.as_deref();
        assert_eq!(
            why,
            Some("the server was not asked, or gave no answer in time")
        );
    }
    assert_eq!(n_taken.load(Ordering::Relaxed), 16);
}
