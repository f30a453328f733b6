//! Logins of MCP servers: where config, store and network meet.
//!
//! [`McpAuth`] is one per process. A connection takes its token source from it, a frontend its logins
//! ([`McpAuth::probe`], [`McpAuth::begin`], [`McpAuth::logout`]) and what is known about them
//! ([`McpAuth::statuses`]). Every login is one [`LoginSpec`], whoever starts it. Nothing is printed and
//! no browser is opened here: a frontend shows the URL. Nothing is read before a server needs it.

mod ask;
mod inspect;
mod login;
mod logout;
#[cfg(test)]
mod remedies;
mod settings;
mod status;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codex_config::{CredentialsStore, HttpAuth, HttpTransport, McpOAuthSettings};
use codex_config::{McpServerConfig, McpTransport};
use codex_credentials::{KeyringBackend, SecretStore, StorePolicy, StoreSettings};
use codex_host::{Clock, CodexHome, Env, Secret};
use codex_http::HttpClient;
use codex_oauth::{
    AuthMethod, ClientKind, ClientRecord, LoginStore, RefreshTransaction, Scopes, ServerKey,
    Services, StoreError, StoredTokenSource, TokenSource, UnattendedLogin, UnattendedSource,
};
use codex_rmcp_client::ServerEndpoint;
use tokio::sync::mpsc;

use crate::resolve::{EndpointError, http_client, resolve_endpoint};

pub use codex_credentials::Backend as CredentialsBackend;
#[cfg(unix)]
pub use codex_oauth::serve_renewal;
pub use codex_oauth::{
    CallbackPaste, Deputy, LoginQuestion, PasteError, Revocation, Rung as RegistrationRung,
    TraceStep,
};
pub use inspect::{LoginGround, LoginInspection};
pub use login::{DeviceCode, LoginFailure, LoginOutcome, LoginProbe, LoginSpec, ServerLogin};
pub use logout::Logout;
pub use settings::{StaticToken, Unattended, redirect_uri_to_register};
pub use status::{AuthDetail, AuthReport, AuthState};

/// Whether a person is there, who may have to unlock a keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyringPatience {
    /// A run: nobody may sit there.
    Run,
    /// A login or logout: the desktop may ask to unlock.
    WithUser,
}

/// Everything that logins need. Cloning is cheap.
#[derive(Clone)]
pub struct McpAuth(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    store: LoginStore,
    services: Services,
    settings: McpOAuthSettings,
    env: Env,
    frontend: Option<mpsc::Sender<LoginQuestion>>,
}

impl McpAuth {
    /// Takes what the process has; nothing is read and nothing connected yet.
    pub fn new(
        home: CodexHome,
        settings: McpOAuthSettings,
        env: Env,
        http: HttpClient,
        version: &str,
        patience: KeyringPatience,
    ) -> Self {
        let store = StoreSettings {
            policy: match settings.credentials_store {
                CredentialsStore::Auto => StorePolicy::Auto,
                CredentialsStore::File => StorePolicy::File,
                CredentialsStore::Keyring => StorePolicy::Keyring,
            },
            home,
            keyring: KeyringBackend::system(&env),
            keyring_limit: match patience {
                KeyringPatience::Run => SecretStore::IN_A_RUN,
                KeyringPatience::WithUser => SecretStore::WITH_A_USER,
            },
        };
        Self(Arc::new(Inner {
            store: LoginStore::open(store, Clock::system()),
            services: Services::new(http, version),
            settings,
            env,
            frontend: None,
        }))
    }

    /// Sends the logins that a running server needs to a frontend that can ask for them.
    #[must_use]
    pub fn asking(&self, frontend: mpsc::Sender<LoginQuestion>) -> Self {
        let mut inner = (*self.0).clone();
        inner.frontend = Some(frontend);
        Self(Arc::new(inner))
    }

    /// Renews logins in a process that goes on when ours is killed.
    #[must_use]
    pub fn renewing_through(&self, deputy: Option<Deputy>) -> Self {
        let mut inner = (*self.0).clone();
        inner.services.deputy = deputy;
        Self(Arc::new(inner))
    }

    /// Tests that a login could be stored and read back; returns where, or why not.
    pub async fn test_store(&self) -> Result<CredentialsBackend, String> {
        let tested = self.0.store.logins().test().await;
        tested.map_err(|error| StoreError::from(error).sentence())
    }

    /// Returns what the stores had to say since the last call, one sentence each.
    pub fn take_notices(&self) -> Vec<String> {
        let stores = [self.0.store.logins(), self.0.store.clients()];
        let mut texts: Vec<String> = Vec::new();
        for notice in stores.into_iter().flat_map(SecretStore::take_notices) {
            let text = notice.text();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// Fetches a token of a login without a user once, to say whether it works.
    pub async fn try_unattended(
        &self,
        server: &McpServerConfig,
        cwd: &Path,
    ) -> Result<(), LoginFailure> {
        login::http_of(server)?;
        let Some(TokenSupply::Unattended(source)) = self.source(server, cwd)? else {
            return Err(LoginFailure::NotAsked(server.name.clone()));
        };
        match source.token().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(LoginFailure::NotAsked(server.name.clone())),
            Err(error) => Err(LoginFailure::Token(Box::new(error))),
        }
    }

    /// Keeps the secret of a client that was registered by hand until its first login.
    pub async fn keep_client_secret(
        &self,
        server: &McpServerConfig,
        secret: Secret,
    ) -> Result<(), StoreError> {
        let McpTransport::StreamableHttp(http) = &server.transport else {
            return Ok(());
        };
        let Some(client_id) = http
            .oauth
            .as_ref()
            .and_then(|oauth| oauth.client_id.clone())
        else {
            return Ok(());
        };
        let key = key(server, http);
        let lock = self.0.store.lock(&key, SecretStore::LOCK_LIMIT).await?;
        let client = ClientRecord {
            // Not known yet: the first login binds it.
            issuer: String::new(),
            client_id,
            client_secret: Some(secret),
            kind: ClientKind::PreRegistered,
            auth_method: AuthMethod::ClientSecretBasic,
            redirect_uri: None,
            token_endpoint: None,
            revocation_endpoint: None,
            resource: None,
            scopes_requested: Scopes::default(),
            secret_expires_at: None,
            needs_login: false,
            dpop_key: None,
            obtained_at: None,
        };
        self.0.store.save_client(&lock, &client).await
    }

    /// What the requests of this server's login go over.
    fn services(&self, server: &McpServerConfig, cwd: &Path) -> Result<Services, EndpointError> {
        let inner = &self.0;
        let http = http_client(server, &inner.env, cwd, &inner.services.http)?;
        Ok(inner.services.over(http))
    }

    /// Makes the token source of a server without a static token; `None` for all others.
    pub(crate) fn source(
        &self,
        server: &McpServerConfig,
        cwd: &Path,
    ) -> Result<Option<TokenSupply>, EndpointError> {
        let McpTransport::StreamableHttp(http) = &server.transport else {
            return Ok(None);
        };
        if StaticToken::of(http).is_some() || matches!(http.auth, Some(HttpAuth::Chatgpt)) {
            return Ok(None);
        }
        let client = settings::client(server, http, self, cwd)?;
        let services = self.services(server, cwd)?;
        let Some(grant) = settings::unattended_grant(server, http, self, cwd)? else {
            let (key, store) = (key(server, http), self.0.store.clone());
            let refresh = RefreshTransaction::new(key, store, client, services);
            let source = StoredTokenSource::new(refresh, self.0.frontend.clone());
            return Ok(Some(TokenSupply::Stored(source)));
        };
        let mut key = key(server, http);
        // Nothing is stored under it, and what is asked needs the address that its variables make.
        if server.expand_env
            && let ServerEndpoint::Http(endpoint) =
                resolve_endpoint(server, &self.0.env, cwd)?.endpoint
        {
            key.url = endpoint.url.into();
        }
        let login = UnattendedLogin {
            key,
            grant,
            client,
            scopes: server.scopes.as_ref().map(Scopes::from_iter),
            resource: http.oauth_resource.clone(),
        };
        let source = UnattendedSource::new(login, services);
        Ok(Some(TokenSupply::Unattended(source)))
    }
}

impl fmt::Debug for McpAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("McpAuth")
    }
}

/// The tokens of one server, for as long as its task lives.
#[derive(Debug, Clone)]
pub(crate) enum TokenSupply {
    /// Of a login that a person made.
    Stored(Arc<StoredTokenSource>),
    /// Of a login that needs nobody.
    Unattended(Arc<UnattendedSource>),
}

impl TokenSupply {
    pub(crate) fn source(&self) -> Arc<dyn TokenSource> {
        match self {
            Self::Stored(source) => Arc::clone(source) as Arc<dyn TokenSource>,
            Self::Unattended(source) => Arc::clone(source) as Arc<dyn TokenSource>,
        }
    }

    /// Returns what the user should know since the last call.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        match self {
            Self::Stored(source) => source.take_warnings(),
            Self::Unattended(_) => Vec::new(),
        }
    }

    /// Lets a renewal under way end, so that its token reaches the store.
    pub(crate) async fn settle(&self, limit: Duration) {
        match self {
            Self::Stored(source) => source.settle(limit).await,
            Self::Unattended(_) => {}
        }
    }
}

/// Under which key the login of a server is stored: by the URL as it is written in the config.
fn key(server: &McpServerConfig, http: &HttpTransport) -> ServerKey {
    ServerKey::new(server.name.clone(), http.url.clone())
}

fn pinned_issuer(http: &HttpTransport) -> Option<String> {
    let oauth = http.oauth.as_ref()?;
    oauth.authorization_server_issuer.clone()
}
