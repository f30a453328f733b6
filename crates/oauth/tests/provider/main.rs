//! Logins against an authorization server that nobody here wrote: the certified npm oidc-provider,
//! with dynamic registration, PKCE, resource indicators, `iss`, rotation and reuse detection.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on must stop where it is; its second run finds its orders in the environment and answers on stdout"
)]

mod browser;
mod race;

use std::path::Path;
use std::time::Duration;

use browser::Browser;
use codex_credentials::{KeyringBackend, SecretStore, StorePolicy, StoreSettings};
use codex_host::{AbsPath, Clock, CodexHome, Env};
use codex_http::{HttpClient, Request};
use codex_oauth::{
    CallbackSettings, Challenge, ClientSettings, DeviceRequest, Discovery, DiscoveryRequest,
    LoginRequest, LoginStore, OAuthTokens, PendingLogin, RefreshTransaction, Revocation, ScopeWish,
    ServerKey, Services, discover, revoke,
};
use codex_protocol::ServerName;
use codex_test_support::{PartServer, RealParts};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(30);

struct World {
    provider: PartServer,
    services: Services,
    key: ServerKey,
    home: tempfile::TempDir,
    cancel: CancellationToken,
}

impl World {
    fn start() -> Option<Self> {
        let parts = RealParts::find()?;
        let provider = parts.oidc_server(&serde_json::Value::Null);
        let name = ServerName::from_config("ev");
        Some(Self {
            key: ServerKey::new(name, provider.word(1)),
            provider,
            services: Services::new(HttpClient::from_env(Env::default()), "0.0.0-test"),
            home: tempfile::tempdir().unwrap(),
            cancel: CancellationToken::new(),
        })
    }

    async fn discovery(&self) -> Discovery {
        let url: url::Url = self.key.url.parse().unwrap();
        let response = self.services.http.send(Request::get(url.clone())).await;
        let challenge = Challenge::from_headers(&response.unwrap().headers);
        let request = DiscoveryRequest::after_401(url, challenge);
        discover(&request, &self.services, &self.cancel)
            .await
            .unwrap()
    }

    async fn pending(&self) -> PendingLogin {
        let request = LoginRequest {
            key: self.key.clone(),
            discovery: self.discovery().await,
            scopes: ScopeWish::default(),
            client: ClientSettings::default(),
            known_client: None,
            resource: None,
            callback: CallbackSettings::default(),
        };
        request.begin(&self.services, &self.cancel).await.unwrap()
    }

    async fn log_in(&self) -> OAuthTokens {
        let pending = self.pending().await;
        let url = pending.authorization_url().to_string();
        let page = tokio::task::spawn_blocking(move || Browser::default().open(&url));
        let tokens = pending.finish(LONG, &self.cancel).await.unwrap();
        let body = page.await.unwrap().body;
        assert_eq!(body, "Authentication complete. You may close this window.");
        tokens
    }

    async fn save(&self, tokens: &OAuthTokens) {
        let store = self.store();
        let lock = store.lock(&self.key, LONG).await.unwrap();
        store.save(&lock, tokens).await.unwrap();
    }

    /// Opens the store as another process would.
    fn store(&self) -> LoginStore {
        store_in(self.home.path())
    }

    fn refresh(&self) -> RefreshTransaction {
        let (key, services) = (self.key.clone(), self.services.clone());
        RefreshTransaction::new(key, self.store(), ClientSettings::default(), services)
    }

    /// Asks the protected address whether it takes the token: then it misses a session.
    async fn is_taken(&self, tokens: &OAuthTokens) -> bool {
        let request = Request::get(self.key.url.parse().unwrap());
        let request = request.bearer(&tokens.login.access_token).unwrap();
        let status = self.services.http.send(request).await.unwrap().status;
        assert!(matches!(status.as_u16(), 401 | 404), "{status}");
        status == 404
    }
}

fn store_in(home: &Path) -> LoginStore {
    let settings = StoreSettings {
        policy: StorePolicy::File,
        home: CodexHome::at(AbsPath::new(home).unwrap()),
        keyring: KeyringBackend::system(&Env::default()),
        keyring_limit: SecretStore::IN_A_RUN,
    };
    LoginStore::open(settings, Clock::system())
}

#[tokio::test]
async fn a_whole_login_by_browser_renewal_and_revocation() {
    let Some(world) = World::start() else { return };
    let first = world.log_in().await;
    assert_eq!(first.login.scopes.to_string(), "mcp:tools");
    assert!(world.is_taken(&first).await);
    world.save(&first).await;

    let refresh = world.refresh();
    let second = refresh
        .run(&first.login.access_token, None)
        .await
        .unwrap()
        .tokens;
    assert_ne!(second.login.refresh_token, first.login.refresh_token);
    assert!(world.is_taken(&second).await);

    let revocation = revoke(&second, &ClientSettings::default(), &world.services).await;
    assert!(
        matches!(revocation, Revocation::Revoked { .. }),
        "{revocation:?}"
    );
    assert!(!world.is_taken(&second).await);
}

#[tokio::test]
async fn a_login_by_paste_back() {
    let Some(world) = World::start() else { return };
    let pending = world.pending().await;
    let url = pending.authorization_url().to_string();
    let stop = pending.redirect_uri().to_owned();
    let browser = tokio::task::spawn_blocking(move || Browser::default().address_at(&url, &stop));
    pending
        .paste()
        .submit(&browser.await.unwrap())
        .await
        .unwrap();
    let tokens = pending.finish(LONG, &world.cancel).await.unwrap();
    assert!(world.is_taken(&tokens).await);
}

#[tokio::test]
async fn a_login_by_device_code() {
    let Some(world) = World::start() else { return };
    let request = DeviceRequest {
        key: world.key.clone(),
        discovery: world.discovery().await,
        scopes: ScopeWish::default(),
        client: ClientSettings::default(),
        known_client: None,
        resource: None,
    };
    let login = request.begin(&world.services, &world.cancel).await.unwrap();
    let approve = login.verification_uri.replace("/device", "/approve");
    let approve = format!("{approve}?user_code={}", login.user_code);
    let page = tokio::task::spawn_blocking(move || Browser::default().open(&approve));
    assert_eq!(page.await.unwrap().body, "approved");
    let tokens = login.finish(LONG, &world.cancel).await.unwrap();
    assert!(world.is_taken(&tokens).await);
}
