//! A login from a server's entry to its stored tokens.

use std::path::Path;
use std::time::Duration;

use codex_config::{Enablement, HttpTransport, McpServerConfig, McpTransport, OffReason};
use codex_credentials::SecretStore;
use codex_host::Secret;
use codex_oauth::{
    CallbackPaste, ClientKind, ClientRecord, ClientSettings, DeviceError, DeviceLogin,
    DeviceRequest, Discovery, DiscoveryError, LoginError, LoginRequest, OAuthTokens, PendingLogin,
    RegistrationError, Rung, ScopeWish, Scopes, ServerKey, Services, StoreError, TokenError,
};
use codex_protocol::ServerName;
use codex_rmcp_client::{ConnectError, LoginWanted, ServerEndpoint};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::ask::{Asking, FirstAnswer};
use super::{McpAuth, StaticToken, Unattended, key, settings};
use crate::error::{github_sentence, is_github};
use crate::resolve::{EndpointError, resolve_endpoint};

/// One login, whoever asks for it.
#[derive(Debug, Clone)]
pub struct LoginSpec {
    /// The server.
    pub server: McpServerConfig,
    /// The scopes that were asked for; otherwise those of the config, of the server, or none.
    pub scopes: Option<Vec<String>>,
    /// Which way of registration is allowed.
    pub registration: Rung,
    /// The secret of a client that was registered by hand, when it is given now; it is kept with the
    /// login and not in the config.
    pub client_secret: Option<Secret>,
    /// What [`McpAuth::probe`] found, so that it is not asked for again.
    pub discovery: Option<Box<Discovery>>,
    /// The refusal that a running connection got: the login starts from it and asks no further.
    pub refusal: Option<LoginWanted>,
}

impl LoginSpec {
    /// Makes the login that the config describes.
    pub fn new(server: McpServerConfig) -> Self {
        Self {
            server,
            scopes: None,
            registration: Rung::default(),
            client_secret: None,
            discovery: None,
            refusal: None,
        }
    }
}

/// What a server is found to want.
#[derive(Debug)]
pub enum LoginProbe {
    /// A login, at this authorization server.
    Login(Box<Discovery>),
    /// No login.
    Open,
    /// Something answers there that is no MCP server and speaks of no login; the sentence says what.
    NotMcp(String),
    /// It could not be found out; the sentence says why.
    Unknown(String),
}

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailure {
    /// A program on this machine.
    #[error("OAuth login is only supported for streamable HTTP servers.")]
    NotHttp,
    /// The entry has a token already.
    #[error("MCP server '{server}' uses {}; there is nothing to log in to.", token)]
    StaticToken {
        /// The server.
        server: ServerName,
        /// The token.
        token: StaticToken,
    },
    /// An administrator turned the server off.
    #[error("the MCP server is disabled by managed requirements ({by})")]
    Requirements {
        /// Where they stand.
        by: String,
        /// What they say about it.
        why: String,
    },
    /// A project brought the server, and the user did not approve it.
    #[error("MCP server '{server}' is not approved ({file})")]
    NotApproved {
        /// The server.
        server: ServerName,
        /// The project's file.
        file: String,
    },
    /// The entry cannot be used here.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The server wants none.
    #[error("MCP server '{0}' does not ask for a login.")]
    NotAsked(ServerName),
    /// Something answers there that is no MCP server.
    #[error(transparent)]
    NotMcp(ConnectError),
    /// Its tokens come without a user, so nobody is sent to a page.
    #[error("MCP server '{0}' is configured for a login that needs nobody.")]
    Unattended(ServerName),
    /// The server did not say what it wants.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its authorization server is not known.
    #[error("cannot log in to MCP server '{server}': {error}")]
    Discovery {
        /// The server.
        server: ServerName,
        /// Why.
        error: DiscoveryError,
    },
    /// GitHub offers none to us.
    #[error("{}", github_sentence(server, url))]
    GitHub {
        /// The server.
        server: ServerName,
        /// Its URL.
        url: String,
    },
    /// The browser login failed.
    #[error("{error}")]
    Login {
        /// Whose login.
        key: ServerKey,
        /// Why.
        error: LoginError,
    },
    /// The device login failed.
    #[error("{0}")]
    Device(#[from] DeviceError),
    /// A program's own login gives no token.
    #[error("{0}")]
    Token(Box<TokenError>),
    /// The login could not be stored.
    #[error("the login cannot be stored: {}", .0.sentence())]
    Store(#[from] StoreError),
    /// The caller gave up.
    #[error("the login was cancelled")]
    Cancelled,
}

impl LoginFailure {
    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Endpoint(error) => error.hints(),
            Self::Connect(error) | Self::NotMcp(error) => error.hints(),
            Self::Login { key, error } => error.hints(key),
            Self::Device(DeviceError::NotOffered) => {
                vec!["`--no-browser` logs in with a browser on another machine".to_owned()]
            }
            Self::Store(error) => error.hints(),
            Self::NotApproved { server, .. } => {
                vec![format!(
                    "`codex mcp enable {server} --scope project` approves it as it stands"
                )]
            }
            Self::Requirements { why, .. } => vec![why.clone()],
            Self::NotHttp
            | Self::StaticToken { .. }
            | Self::NotAsked(_)
            | Self::Unattended(_)
            | Self::Discovery { .. }
            | Self::GitHub { .. }
            | Self::Device(_)
            | Self::Token(_)
            | Self::Cancelled => Vec::new(),
        }
    }
}

/// A login that waits for the user's browser.
#[derive(Debug)]
pub struct ServerLogin {
    wait: LoginWait,
    pending: PendingLogin,
}

/// A login that waits for the user to enter a code somewhere.
#[derive(Debug)]
pub struct DeviceCode {
    wait: LoginWait,
    pending: DeviceLogin,
}

/// What both kinds of login do at their end.
#[derive(Debug)]
struct LoginWait {
    auth: McpAuth,
    key: ServerKey,
    client_secret: Option<Secret>,
}

/// A login that is stored.
#[derive(Debug)]
pub struct LoginOutcome {
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
}

/// Everything that both kinds of login start from.
struct Ground {
    key: ServerKey,
    services: Services,
    discovery: Discovery,
    scopes: ScopeWish,
    client: ClientSettings,
    known_client: Option<ClientRecord>,
    resource: Option<String>,
}

impl McpAuth {
    /// Asks a server whether it wants a login, and where. The caller limits the time.
    pub async fn probe(
        &self,
        server: &McpServerConfig,
        cwd: &Path,
        cancel: &CancellationToken,
    ) -> LoginProbe {
        let asking = Asking {
            auth: self,
            server,
            cwd,
            is_interactive: true,
            cancel,
        };
        let found = async {
            http_of(server)?;
            let services = self.services(server, cwd)?;
            let answer = asking.ask(&services).await?;
            asking.discover(answer, &services).await
        };
        match found.await {
            Ok(discovery) => LoginProbe::Login(Box::new(discovery)),
            Err(LoginFailure::NotAsked(_)) => LoginProbe::Open,
            Err(LoginFailure::NotMcp(error)) => LoginProbe::NotMcp(error.to_string()),
            Err(error) => LoginProbe::Unknown(error.to_string()),
        }
    }

    /// Begins a login with a browser: the store is tested, the server asked, the client registered.
    pub async fn begin(
        &self,
        spec: LoginSpec,
        cwd: &Path,
        cancel: &CancellationToken,
    ) -> Result<ServerLogin, LoginFailure> {
        let http = http_of(&spec.server)?.clone();
        let secret = spec.client_secret.clone();
        let ground = self.ground(spec, cwd, true, cancel).await?;
        let (key, services) = (ground.key.clone(), ground.services);
        let request = LoginRequest {
            key: ground.key,
            discovery: ground.discovery,
            scopes: ground.scopes,
            client: ground.client,
            known_client: ground.known_client,
            resource: ground.resource,
            callback: settings::callback(&http, &self.0.settings),
        };
        let pending = request.begin(&services, cancel).await;
        let pending = pending.map_err(|error| login_failure(&key, error))?;
        let wait = LoginWait {
            auth: self.clone(),
            key,
            client_secret: secret,
        };
        Ok(ServerLogin { wait, pending })
    }

    /// Begins a login by device code.
    pub async fn begin_device(
        &self,
        spec: LoginSpec,
        cwd: &Path,
        cancel: &CancellationToken,
    ) -> Result<DeviceCode, LoginFailure> {
        let secret = spec.client_secret.clone();
        let ground = self.ground(spec, cwd, false, cancel).await?;
        let (key, services) = (ground.key.clone(), ground.services);
        let request = DeviceRequest {
            key: ground.key,
            discovery: ground.discovery,
            scopes: ground.scopes,
            client: ground.client,
            known_client: ground.known_client,
            resource: ground.resource,
        };
        let pending = request.begin(&services, cancel).await;
        let pending = pending.map_err(|error| match error {
            DeviceError::Registration(error) => {
                login_failure(&key, LoginError::Registration(error))
            }
            error => LoginFailure::Device(error),
        })?;
        let wait = LoginWait {
            auth: self.clone(),
            key,
            client_secret: secret,
        };
        Ok(DeviceCode { wait, pending })
    }

    async fn ground(
        &self,
        spec: LoginSpec,
        cwd: &Path,
        is_interactive: bool,
        cancel: &CancellationToken,
    ) -> Result<Ground, LoginFailure> {
        let server = &spec.server;
        let http = http_of(server)?;
        if Unattended::of(http).is_some() {
            return Err(LoginFailure::Unattended(server.name.clone()));
        }
        let mut client = settings::client(server, http, self, cwd)?;
        client.rung = spec.registration;
        if let (Some(pre), Some(secret)) = (&mut client.pre_registered, &spec.client_secret) {
            pre.secret = Some(secret.clone());
        }
        // Nobody is sent to a browser for tokens that could not be kept.
        let tested = self.0.store.logins().test().await;
        tested.map_err(StoreError::from)?;
        let services = self.services(server, cwd)?;
        let asking = Asking {
            auth: self,
            server,
            cwd,
            is_interactive,
            cancel,
        };
        let discovery = match spec.discovery {
            Some(discovery) => *discovery,
            None => {
                let answer = match &spec.refusal {
                    Some(wanted) => FirstAnswer {
                        url: url_of(self, server, cwd)?,
                        refusal: Some(wanted.challenge.clone()),
                        not_mcp: None,
                    },
                    None => asking.ask(&services).await?,
                };
                asking.discover(answer, &services).await?
            }
        };
        let key = key(server, http);
        // A record that cannot be read is replaced by this login.
        let mut known_client = self.0.store.load_client(&key).await.ok().flatten();
        if let Some(known) = &mut known_client
            && known.issuer.is_empty()
        {
            // A secret that was given before any login belongs to the first issuer.
            known.issuer.clone_from(&discovery.server.issuer);
        }
        if let (Some(known), Some(pre)) = (&mut known_client, &client.pre_registered)
            && known.client_id == pre.client_id
            && spec.client_secret.is_some()
        {
            // What is given now beats what was kept before.
            known.client_secret.clone_from(&spec.client_secret);
        }
        Ok(Ground {
            key,
            services,
            discovery,
            scopes: ScopeWish {
                explicit: match (&spec.scopes, &spec.refusal) {
                    (Some(scopes), _) => Some(Scopes::from_iter(scopes)),
                    // A step-up asks for the union of the old and the new.
                    (None, Some(wanted)) => wanted.scopes.clone(),
                    (None, None) => None,
                },
                configured: server.scopes.as_ref().map(Scopes::from_iter),
            },
            client,
            known_client,
            resource: http.oauth_resource.clone(),
        })
    }
}

impl ServerLogin {
    /// Returns the address to open; always http or https.
    pub fn authorization_url(&self) -> &Url {
        self.pending.authorization_url()
    }

    /// Returns what the user should know before the browser opens.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.pending.notes().to_vec();
        notes.extend(self.wait.auth.take_notices());
        notes
    }

    /// Returns the slot for a pasted callback URL.
    pub fn paste(&self) -> CallbackPaste {
        self.pending.paste()
    }

    /// Waits for the callback, exchanges the code and stores the tokens.
    pub async fn finish(
        self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<LoginOutcome, LoginFailure> {
        let Self { wait, pending } = self;
        let tokens = pending.finish(limit, cancel).await;
        let tokens = tokens.map_err(|error| login_failure(&wait.key, error))?;
        wait.store(tokens).await
    }
}

impl DeviceCode {
    /// Returns where to enter the code.
    pub fn verification_uri(&self) -> &str {
        &self.pending.verification_uri
    }

    /// Returns the code.
    pub fn user_code(&self) -> &str {
        &self.pending.user_code
    }

    /// Asks at the server's pace until the code was entered, and stores the tokens.
    pub async fn finish(
        self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<LoginOutcome, LoginFailure> {
        let Self { wait, pending } = self;
        let tokens = pending.finish(limit, cancel).await?;
        wait.store(tokens).await
    }
}

impl LoginWait {
    /// Writes the login under its lock; only then the old one is gone.
    async fn store(self, mut tokens: OAuthTokens) -> Result<LoginOutcome, LoginFailure> {
        if let Some(client) = &mut tokens.client
            && client.kind == ClientKind::PreRegistered
            && self.client_secret.is_some()
        {
            client.client_secret = self.client_secret;
        }
        let store = &self.auth.0.store;
        let lock = store.lock(&self.key, SecretStore::LOCK_LIMIT).await?;
        store.save(&lock, &tokens).await?;
        Ok(LoginOutcome {
            notes: self.auth.take_notices(),
        })
    }
}

/// Judges whether a server can be logged in to at all.
pub(super) fn http_of(server: &McpServerConfig) -> Result<&HttpTransport, LoginFailure> {
    let McpTransport::StreamableHttp(http) = &server.transport else {
        return Err(LoginFailure::NotHttp);
    };
    may_reach(server)?;
    match StaticToken::of(http) {
        Some(token) => Err(LoginFailure::StaticToken {
            server: server.name.clone(),
            token,
        }),
        None => Ok(http),
    }
}

/// Judges whether anything of a server's entry may be used to reach it. A server that its user turned
/// off may be logged in to before it is turned on.
pub(super) fn may_reach(server: &McpServerConfig) -> Result<(), LoginFailure> {
    match &server.enablement {
        Enablement::Off(OffReason::Requirements { source, why, .. }) => {
            Err(LoginFailure::Requirements {
                by: source.clone(),
                why: why.clone(),
            })
        }
        Enablement::Off(OffReason::NotApproved { file }) => Err(LoginFailure::NotApproved {
            server: server.name.clone(),
            file: file.to_string(),
        }),
        Enablement::On | Enablement::Off(OffReason::User | OffReason::Invalid { .. }) => Ok(()),
    }
}

fn url_of(auth: &McpAuth, server: &McpServerConfig, cwd: &Path) -> Result<Url, LoginFailure> {
    match resolve_endpoint(server, &auth.0.env, cwd)?.endpoint {
        ServerEndpoint::Http(endpoint) => Ok(endpoint.url),
        ServerEndpoint::Stdio(_) => Err(LoginFailure::NotHttp),
    }
}

/// Says the one thing that helps with GitHub, which registers no clients and knows none of ours.
fn login_failure(key: &ServerKey, error: LoginError) -> LoginFailure {
    let is_github = Url::parse(&key.url).is_ok_and(|url| is_github(&url));
    match error {
        LoginError::Cancelled => LoginFailure::Cancelled,
        LoginError::Registration(
            RegistrationError::NoWay { .. } | RegistrationError::Refused { .. },
        ) if is_github => LoginFailure::GitHub {
            server: key.name.clone(),
            url: key.url.clone(),
        },
        error => LoginFailure::Login {
            key: key.clone(),
            error,
        },
    }
}
