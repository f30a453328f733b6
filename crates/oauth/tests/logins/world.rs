//! One user, one server, one store.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use codex_credentials::{KeyringBackend, SecretStore, StorePolicy, StoreSettings};
use codex_host::{AbsPath, Clock, CodexHome, Env};
use codex_http::{HttpClient, Request};
use codex_oauth::{
    CallbackSettings, Challenge, ClientSettings, Discovery, DiscoveryError, DiscoveryRequest,
    LoginError, LoginRequest, LoginStore, OAuthTokens, PendingLogin, RefreshTransaction, ScopeWish,
    ServerKey, Services, discover,
};
use codex_protocol::ServerName;
use codex_test_support::{AuthSettings, BrowserPage, FakeAuth, browser_follow};
use tokio_util::sync::CancellationToken;

/// Far more than anything here needs.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) auth: FakeAuth,
    pub(crate) home: tempfile::TempDir,
    pub(crate) services: Services,
    pub(crate) store: LoginStore,
    pub(crate) key: ServerKey,
    pub(crate) client: ClientSettings,
    pub(crate) cancel: CancellationToken,
}

pub(crate) async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.unwrap()
}

impl World {
    pub(crate) fn new(settings: AuthSettings) -> Self {
        let auth = FakeAuth::start(settings);
        let home = tempfile::tempdir().unwrap();
        let services = Services::new(HttpClient::from_env(Env::default()), "0.0.0-test");
        Self {
            key: ServerKey::new(ServerName::from_config("figma"), auth.mcp_url()),
            store: store_at(&home),
            auth,
            home,
            services,
            client: ClientSettings::default(),
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn plain() -> Self {
        Self::new(AuthSettings::default())
    }

    /// Asks the server as a connection does and takes its challenge.
    pub(crate) async fn challenge(&self) -> Option<Challenge> {
        let request = Request::get(self.key.url.parse().unwrap());
        let response = limited(self.services.http.send(request)).await.unwrap();
        assert_eq!(response.status.as_u16(), 401);
        Challenge::from_headers(&response.headers)
    }

    pub(crate) async fn try_discover(&self) -> Result<Discovery, DiscoveryError> {
        let server_url = self.key.url.parse().unwrap();
        let request = DiscoveryRequest::after_401(server_url, self.challenge().await);
        limited(discover(&request, &self.services, &self.cancel)).await
    }

    pub(crate) async fn request(&self) -> LoginRequest {
        LoginRequest {
            key: self.key.clone(),
            discovery: self.try_discover().await.unwrap(),
            scopes: ScopeWish::default(),
            client: self.client.clone(),
            known_client: self.store.load_client(&self.key).await.unwrap(),
            resource: None,
            callback: CallbackSettings::default(),
        }
    }

    pub(crate) async fn begin(&self, request: LoginRequest) -> Result<PendingLogin, LoginError> {
        limited(request.begin(&self.services, &self.cancel)).await
    }

    pub(crate) async fn pending(&self) -> PendingLogin {
        let request = self.request().await;
        self.begin(request).await.unwrap()
    }

    /// Lets a browser open the address, and waits for the end of both.
    pub(crate) async fn finish(
        &self,
        pending: PendingLogin,
    ) -> (Result<OAuthTokens, LoginError>, BrowserPage) {
        let url = pending.authorization_url().to_string();
        let browser = tokio::task::spawn_blocking(move || browser_follow(&url));
        let outcome = limited(pending.finish(LONG, &self.cancel)).await;
        (outcome, limited(browser).await.unwrap())
    }

    pub(crate) async fn save(&self, tokens: &OAuthTokens) {
        let lock = self.store.lock(&self.key, LONG).await.unwrap();
        self.store.save(&lock, tokens).await.unwrap();
    }

    /// Deletes the login, as another process would.
    pub(crate) async fn log_out(&self) {
        let store = store_at(&self.home);
        let lock = store.lock(&self.key, LONG).await.unwrap();
        assert!(store.delete(&lock).await.had_login);
    }

    /// Logs in by browser and stores the login.
    pub(crate) async fn log_in(&self) -> OAuthTokens {
        let (outcome, _) = self.finish(self.pending().await).await;
        let tokens = outcome.unwrap();
        self.save(&tokens).await;
        tokens
    }

    pub(crate) async fn stored(&self) -> OAuthTokens {
        self.store.load(&self.key).await.unwrap().unwrap()
    }

    pub(crate) fn refresh(&self) -> RefreshTransaction {
        let (key, store) = (self.key.clone(), store_at(&self.home));
        RefreshTransaction::new(key, store, self.client.clone(), self.services.clone())
    }
}

/// Lets the time of waits go on by this much, in a moment.
pub(crate) async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// As long as it lives, a directory stands where the file of logins should be: nothing can be
/// read or written. Then the file is back as it was.
pub(crate) struct Blocked {
    file: PathBuf,
    kept: PathBuf,
}

impl Blocked {
    pub(crate) fn new(world: &World) -> Self {
        let file = world.home.path().join(".credentials.json");
        let kept = world.home.path().join("kept");
        std::fs::rename(&file, &kept).unwrap();
        std::fs::create_dir(&file).unwrap();
        Self { file, kept }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.file).unwrap();
        std::fs::rename(&self.kept, &self.file).unwrap();
    }
}

/// Opens the store as another process would.
pub(crate) fn store_at(home: &tempfile::TempDir) -> LoginStore {
    let settings = StoreSettings {
        policy: StorePolicy::File,
        home: CodexHome::at(AbsPath::new(home.path()).unwrap()),
        keyring: KeyringBackend::system(&Env::default()),
        keyring_limit: SecretStore::IN_A_RUN,
    };
    LoginStore::open(settings, Clock::system())
}

/// Gets an address on a thread that may block.
pub(crate) async fn get(url: String) -> BrowserPage {
    limited(tokio::task::spawn_blocking(move || {
        codex_test_support::browser_get(&url)
    }))
    .await
    .unwrap()
}
