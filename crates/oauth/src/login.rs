//! A login with a browser, in two phases: an address to open, then the tokens.
//!
//! [`LoginRequest::begin`] listens first, because registration needs the redirect URI and the URI
//! needs the port. [`PendingLogin::finish`] waits for the callback or for the pasted callback URL,
//! whichever comes first, and exchanges the code. Nothing is stored here: only after
//! [`crate::LoginStore::save`] the old login is gone.

use std::sync::Arc;
use std::time::Duration;

use codex_host::Secret;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::callback::{
    Arrival, Binding, CallbackListener, Expected, Page, Reply, Verdict, Waiting, judge_target,
};
use crate::discovery::resource_parameter;
use crate::dpop::DpopNeed;
use crate::exchange::{Client, TokenAnswer, request_tokens};
use crate::fetch::Fetcher;
use crate::form::Form;
use crate::pkce::{self, NoRandomness, Pkce};
use crate::registration::Ladder;
use crate::{
    CallbackError, CallbackSettings, ClientRecord, ClientSettings, Discovery, DpopKey, OAuthTokens,
    RegistrationError, ScopeChoice, ScopeWish, Scopes, ServerKey, Services, StoredLogin,
    TokenRequestError, choose_scopes,
};

/// How long a port may still be held by the login that this one ends.
const HANDOVER: Duration = Duration::from_secs(2);

/// The usual limit of [`PendingLogin::finish`].
pub const CALLBACK_LIMIT: Duration = Duration::from_secs(300);

/// One login, with everything decided that the config can say.
#[derive(Debug, Clone)]
pub struct LoginRequest {
    /// The server.
    pub key: ServerKey,
    /// What [`crate::discover`] found for it.
    pub discovery: Discovery,
    /// What the user said about scopes.
    pub scopes: ScopeWish,
    /// What the config says about the client.
    pub client: ClientSettings,
    /// The client of an earlier login, from [`crate::LoginStore::load_client`].
    pub known_client: Option<ClientRecord>,
    /// `oauth_resource`: the `resource` parameter instead of the server's URL.
    pub resource: Option<String>,
    /// Where the browser comes back to.
    pub callback: CallbackSettings,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The authorization server has no page for a browser.
    #[error("the authorization server has no `authorization_endpoint`")]
    NoBrowserLogin,
    /// Nobody can wait for the callback.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// There is no client id.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The machine gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The provider said no.
    #[error("{0}")]
    Provider(String),
    /// The answer names another issuer than the one that was asked.
    #[error("the authorization response came from another issuer")]
    OtherIssuer,
    /// The code was not exchanged.
    #[error("{0}")]
    Token(#[from] TokenRequestError),
    /// Nobody came.
    #[error("timed out waiting for OAuth callback")]
    Timeout,
    /// The caller gave up.
    #[error("the login was cancelled")]
    Cancelled,
    /// Another login of the same server began in this process.
    #[error("superseded by a newer login")]
    Superseded,
}

/// A pasted text is no callback URL of this login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasteError {
    /// A code alone proves nothing.
    #[error("this is not the whole callback URL; copy it from the browser's address bar")]
    NotAUrl,
    /// Another path, query or state.
    #[error("this is not the callback URL of this login")]
    NotOurs,
    /// The login has ended.
    #[error("the login has ended already")]
    Ended,
}

impl LoginError {
    /// Returns what to do now.
    pub fn hints(&self, key: &ServerKey) -> Vec<String> {
        match self {
            Self::Registration(error) => error.hints(key.name.as_str(), &key.url),
            Self::NoBrowserLogin => vec![
                "set `oauth.grant = \"client_credentials\"` for a login without a user".to_owned(),
            ],
            Self::Callback(CallbackError::Listen { .. }) => {
                vec![
                    "end the program that has the port, or set another `oauth.callback_port`"
                        .to_owned(),
                ]
            }
            _ => Vec::new(),
        }
    }
}

impl From<NoRandomness> for LoginError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// Takes the callback URL that a user copied. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct CallbackPaste {
    expected: std::sync::Arc<std::sync::Mutex<Expected>>,
    sender: mpsc::Sender<Verdict>,
}

impl CallbackPaste {
    /// Hands over a pasted URL. Only its path, query and state count: host and port may differ.
    /// After an error the login goes on waiting.
    pub async fn submit(&self, text: &str) -> Result<(), PasteError> {
        let text = text.trim();
        // Taken as it stands: a parser would put the path right before it is compared.
        let after_scheme = text.split_once("://").map(|(_, rest)| rest);
        let target = after_scheme.and_then(|rest| Some(&rest[rest.find('/')?..]));
        let target = target.filter(|target| target.contains('?'));
        let target = target.ok_or(PasteError::NotAUrl)?;
        let target = target.split('#').next().unwrap_or_default();
        let verdict = {
            let expected = self.expected.lock();
            let expected = expected.unwrap_or_else(std::sync::PoisonError::into_inner);
            judge_target(target, &expected)
        };
        match verdict {
            Verdict::Invalid => Err(PasteError::NotOurs),
            verdict => self
                .sender
                .send(verdict)
                .await
                .map_err(|_| PasteError::Ended),
        }
    }
}

/// A login that waits for the user.
pub struct PendingLogin {
    authorization_url: Url,
    notes: Vec<String>,
    plan: Plan,
    waiting: Waiting,
    pasted: mpsc::Receiver<Verdict>,
    paste: mpsc::Sender<Verdict>,
    superseded: Arc<CancellationToken>,
}

/// Everything that stays the same until the tokens are there; never leaves memory.
struct Plan {
    key: ServerKey,
    discovery: Discovery,
    settings: ClientSettings,
    client: ClientRecord,
    redirect_uri: String,
    resource: String,
    scopes: ScopeChoice,
    pkce: Pkce,
    dpop_need: DpopNeed,
    dpop_key: Option<DpopKey>,
    services: Services,
}

impl LoginRequest {
    /// Listens, registers, and returns the address to open. A login of the same server that is
    /// under way in this process ends.
    pub async fn begin(
        self,
        services: &Services,
        cancel: &CancellationToken,
    ) -> Result<PendingLogin, LoginError> {
        tokio::select! {
            pending = self.begin_uncancelled(services) => pending,
            () = cancel.cancelled() => Err(LoginError::Cancelled),
        }
    }

    async fn begin_uncancelled(self, services: &Services) -> Result<PendingLogin, LoginError> {
        let server = &self.discovery.server;
        if server.authorization_endpoint.is_none() {
            return Err(LoginError::NoBrowserLogin);
        }
        let binding = self.callback.binding(&self.key.url, server.names_itself);
        let binding = binding.map_err(CallbackError::from)?;
        let (superseded, had_older) = services.supersede(&self.key);
        let listener = bind(&binding, had_older).await?;
        let redirect_uri = binding.redirect_uri(listener.port());
        let challenge = self.discovery.challenge.as_ref();
        let resource = self.discovery.resource.as_ref();
        let scopes = choose_scopes(&self.scopes, challenge, resource, server);
        let fetcher = Fetcher::new(services, self.discovery.rule);
        let ladder = Ladder {
            server,
            settings: &self.client,
            known: self.known_client.as_ref(),
            redirect_uri: Some(&redirect_uri),
            to_register: &binding.redirect_uri_to_register(),
            is_port_free: binding.is_port_free(),
            scopes: &scopes.scopes,
            grants: &["authorization_code", "refresh_token"],
            now: services.clock.now(),
        };
        let client = ladder.climb(&fetcher).await?;
        let resource = resource_parameter(self.resource.as_deref(), &self.discovery);
        let state = Secret::new(pkce::random::<16>()?);
        let waiting = listener.serve(expected(&redirect_uri, &binding, &state, &self.discovery));
        let dpop_need = DpopNeed::of(&self.discovery, challenge.map(|challenge| challenge.scheme));
        let dpop_key = dpop_need.key()?;
        let plan = Plan {
            dpop_need,
            dpop_key,
            key: self.key,
            discovery: self.discovery,
            settings: self.client,
            client,
            redirect_uri,
            resource,
            scopes,
            pkce: Pkce::new()?,
            services: services.clone(),
        };
        let (paste, pasted) = mpsc::channel(1);
        Ok(PendingLogin {
            authorization_url: plan.authorization_url(&state)?,
            notes: binding.notes,
            plan,
            waiting,
            pasted,
            paste,
            superseded,
        })
    }
}

async fn bind(binding: &Binding, had_older: bool) -> Result<CallbackListener, CallbackError> {
    let first = CallbackListener::bind(binding).await;
    if first.is_ok() || !had_older {
        return first;
    }
    let again = timeout(HANDOVER, async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Ok(listener) = CallbackListener::bind(binding).await {
                return listener;
            }
        }
    });
    match again.await {
        Ok(listener) => Ok(listener),
        Err(_) => first,
    }
}

fn expected(
    redirect_uri: &str,
    binding: &Binding,
    state: &Secret,
    discovery: &Discovery,
) -> Expected {
    let after_scheme = redirect_uri.split_once("://").map_or("", |(_, rest)| rest);
    let target = after_scheme
        .find('/')
        .map_or("/", |start| &after_scheme[start..]);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let host = redirect_uri.parse::<Url>().ok();
    let host = host.and_then(|url| url.host_str().map(str::to_owned));
    let local = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
    Expected {
        path: path.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        hosts: binding
            .is_local()
            .then(|| local.into_iter().chain(host).collect()),
        state: state.clone(),
        issuer: discovery.server.issuer.clone(),
        names_itself: discovery.server.names_itself,
    }
}

impl Plan {
    fn authorization_url(&self, state: &Secret) -> Result<Url, LoginError> {
        let endpoint = self.discovery.server.authorization_endpoint.as_ref();
        let mut url = endpoint.ok_or(LoginError::NoBrowserLogin)?.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client.client_id)
            .append_pair("state", state.expose())
            .append_pair("code_challenge", &self.pkce.challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("redirect_uri", &self.redirect_uri);
        if !self.scopes.scopes.is_empty() {
            query.append_pair("scope", &self.scopes.scopes.to_string());
        }
        // OpenID Connect gives offline access only after consent.
        if self
            .scopes
            .scopes
            .contains_all(&Scopes::parse("offline_access"))
        {
            query.append_pair("prompt", "consent");
        }
        query.append_pair("resource", &self.resource);
        // The code is of use only to who has the key (RFC 9449, 10).
        if let Some(key) = &self.dpop_key {
            query.append_pair("dpop_jkt", &key.thumbprint());
        }
        drop(query);
        Ok(url)
    }

    async fn exchange(&self, code: &Secret) -> Result<OAuthTokens, TokenRequestError> {
        let now = self.services.clock.now();
        let form = Form::grant("authorization_code")
            .with("code", code.expose())
            .with("code_verifier", self.pkce.verifier.expose())
            .with("redirect_uri", &self.redirect_uri)
            .with("resource", &self.resource);
        let fetcher = Fetcher::new(&self.services, self.discovery.rule);
        let dpop = self.dpop_need.dpop(self.dpop_key.as_ref(), &self.services);
        let client = Client::of(&self.client, &self.settings).bound_to(dpop);
        let endpoint = &self.discovery.server.token_endpoint;
        let answer = request_tokens(&fetcher, endpoint, form, &client, now).await?;
        Ok(tokens(
            answer,
            self.key.clone(),
            ClientRecord {
                resource: Some(self.resource.clone()),
                scopes_requested: self.scopes.scopes.clone(),
                dpop_key: self.dpop_key.clone(),
                ..self.client.clone()
            },
        ))
    }
}

/// Makes the two records of a new login; the key in `client` is the one that was shown.
pub(crate) fn tokens(answer: TokenAnswer, key: ServerKey, client: ClientRecord) -> OAuthTokens {
    OAuthTokens {
        login: StoredLogin {
            key,
            issuer: Some(client.issuer.clone()),
            client_id: client.client_id.clone(),
            access_token: answer.access_token,
            expires_at: answer.expires_at,
            refresh_token: answer.refresh_token,
            scopes: answer
                .scopes
                .unwrap_or_else(|| client.scopes_requested.clone()),
        },
        client: Some(ClientRecord {
            obtained_at: answer.obtained_at,
            needs_login: false,
            dpop_key: client.dpop_key.filter(|_| answer.is_bound),
            ..client
        }),
    }
}

impl PendingLogin {
    /// Returns the address to open; always http or https.
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// Returns the redirect URI that was sent.
    pub fn redirect_uri(&self) -> &str {
        &self.plan.redirect_uri
    }

    /// Returns what the user should know before the browser opens.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the slot for a pasted callback URL.
    pub fn paste(&self) -> CallbackPaste {
        CallbackPaste {
            expected: Arc::clone(self.waiting.expected()),
            sender: self.paste.clone(),
        }
    }

    /// Waits for the callback, at most `limit`, and exchanges the code.
    pub async fn finish(
        mut self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<OAuthTokens, LoginError> {
        let superseded = Arc::clone(&self.superseded);
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(LoginError::Cancelled),
            () = superseded.cancelled() => Err(LoginError::Superseded),
            outcome = self.wait(Instant::now() + limit) => outcome,
        };
        match &outcome {
            // Nobody waits for a page then, and the next login wants the port.
            Err(LoginError::Cancelled | LoginError::Superseded) => drop(self.waiting),
            _ => self.waiting.close().await,
        }
        outcome
    }

    async fn wait(&mut self, deadline: Instant) -> Result<OAuthTokens, LoginError> {
        loop {
            let (verdict, reply) = tokio::select! {
                arrival = self.waiting.arrival() => match arrival {
                    Some(Arrival { verdict, reply }) => (verdict, Some(reply)),
                    None => return Err(LoginError::Cancelled),
                },
                Some(verdict) = self.pasted.recv() => (verdict, None),
                () = sleep_until(deadline) => return Err(LoginError::Timeout),
            };
            let answer = |page: Reply| {
                // A browser that left does not change the login.
                let _ = reply.map(|reply| reply.send(page));
            };
            match verdict {
                Verdict::Invalid => answer(Reply::Page(Page::invalid())),
                Verdict::OtherIssuer => {
                    answer(Reply::Page(Page::invalid()));
                    return Err(LoginError::OtherIssuer);
                }
                Verdict::Denied { code, .. }
                    if code == "invalid_scope" && self.plan.scopes.may_be_dropped() =>
                {
                    answer(Reply::Redirect(self.again_without_scopes()?));
                }
                Verdict::Denied { code, description } => {
                    let sentence = match description.is_empty() {
                        true => format!("OAuth provider returned `{code}`"),
                        false => format!("OAuth provider returned `{code}`: {description}"),
                    };
                    answer(Reply::Page(Page::denied(&sentence)));
                    return Err(LoginError::Provider(sentence));
                }
                Verdict::Code(code) => {
                    let outcome = self.plan.exchange(&code).await;
                    answer(Reply::Page(match &outcome {
                        Ok(_) => Page::complete(),
                        Err(_) => Page::failed(),
                    }));
                    return Ok(outcome?);
                }
            }
        }
    }

    /// Begins again in the same browser: scopes that a server named for another may be wrong here.
    fn again_without_scopes(&mut self) -> Result<Url, LoginError> {
        self.plan.scopes = ScopeChoice::none();
        let state = Secret::new(pkce::random::<16>()?);
        let url = self.plan.authorization_url(&state)?;
        let mut expected = self.waiting.expected().lock();
        let expected = expected.as_mut().map_err(|_| LoginError::Cancelled)?;
        expected.state = state;
        Ok(url)
    }
}

// The address holds `state`; whoever needs it asks for it by name.
impl std::fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingLogin")
            .field("key", &self.plan.key)
            .field("redirect_uri", &self.plan.redirect_uri)
            .finish_non_exhaustive()
    }
}
