//! Logins without a user: tokens that are asked for when they are due and kept in memory only.
//!
//! A grant says what is shown to the server's token endpoint: the client itself, an assertion that
//! somebody else signed (workload identity, RFC 7523), or one that an identity provider grants for
//! this server. There is no refresh token; when a token is due, another one is asked for. An
//! assertion that was refused is not shown again, and no other grant is tried instead of it; after
//! any other failure the next try waits.

use std::sync::Arc;
use std::time::Duration;

use codex_host::Secret;
use jiff::SignedDuration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::client_auth::method_of_metadata;
use crate::discovery::resource_parameter;
use crate::dpop::DpopNeed;
use crate::enterprise::{GrantRequest, IdentityProvider};
use crate::exchange::{Client, TokenAnswer, request_tokens};
use crate::fetch::Fetcher;
use crate::form::Form;
use crate::fresh_file::FreshFile;
use crate::source::BoxFuture;
use crate::{
    AccessToken, AuthMethod, Challenge, ClientSettings, Discovery, DiscoveryError,
    DiscoveryRequest, DpopKey, Rejection, Retry, Scopes, ServerKey, Services, TokenError,
    TokenRequestError, TokenSource, choose_scopes, discover, jwt,
};

const MAX_SKEW: SignedDuration = SignedDuration::from_secs(30);

/// What proves that a token may be given.
#[derive(Debug, Clone)]
pub enum UnattendedGrant {
    /// The client itself (RFC 6749, 4.4).
    ClientCredentials,
    /// An assertion about this workload that its platform keeps in a file.
    AssertionFile(FreshFile),
    /// An assertion that the client signs with its own key.
    OwnAssertion,
    /// What the identity provider of the enterprise grants for this server.
    Enterprise(IdentityProvider),
}

/// What a login without a user needs.
#[derive(Debug, Clone)]
pub struct UnattendedLogin {
    /// The server.
    pub key: ServerKey,
    /// What is shown to the token endpoint.
    pub grant: UnattendedGrant,
    /// `oauth.client_id`, its secret or its key, and the issuer that the config names.
    pub client: ClientSettings,
    /// The scopes of the config.
    pub scopes: Option<Scopes>,
    /// `oauth_resource`.
    pub resource: Option<String>,
}

/// The tokens of a login without a user.
#[derive(Debug)]
pub struct UnattendedSource {
    login: UnattendedLogin,
    services: Services,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    discovery: Option<Discovery>,
    current: Option<TokenAnswer>,
    /// The key that tokens are bound to; it lives as long as they do.
    dpop_key: Option<DpopKey>,
    /// What the server asked for in its last refusal.
    challenge: Option<Challenge>,
    /// The proof that was refused last, and why.
    refused: Option<(Secret, String)>,
    /// Why the last try failed, until it may be made again.
    failure: Option<NoToken>,
    back_off: BackOff,
}

impl State {
    /// Whether a challenge names another document than the one that discovery started from.
    fn names_elsewhere(&self, challenge: Option<&Challenge>) -> bool {
        let document = |challenge: Option<&Challenge>| {
            challenge.and_then(|challenge| challenge.resource_metadata.clone())
        };
        let known = self.discovery.as_ref();
        known.is_some_and(|known| document(known.challenge.as_ref()) != document(challenge))
    }

    /// Forgets what was learnt from the server and how it went.
    fn forget_server(&mut self) {
        self.discovery = None;
        self.failure = None;
        self.back_off = BackOff::default();
    }
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub(crate) enum NoToken {
    /// It was refused, or we lack what it takes.
    Refused(String),
    /// It did not work now.
    NotNow {
        why: String,
        /// The wait that the server asked for.
        after: Option<Duration>,
    },
}

impl NoToken {
    /// Puts words before the reason.
    pub(crate) fn of(self, what: &str) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("{what}: {why}")),
            Self::NotNow { why, after } => Self::NotNow {
                why: format!("{what}: {why}"),
                after,
            },
        }
    }

    fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused(_) => None,
            Self::NotNow { after, .. } => *after,
        }
    }
}

impl From<TokenRequestError> for NoToken {
    fn from(error: TokenRequestError) -> Self {
        match error.is_transient() {
            true => Self::NotNow {
                why: error.to_string(),
                after: error.retry_after(),
            },
            false => Self::Refused(error.to_string()),
        }
    }
}

impl From<DiscoveryError> for NoToken {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Unknown { .. } | DiscoveryError::Cancelled => Self::NotNow {
                why: error.to_string(),
                after: None,
            },
            DiscoveryError::Refused { .. } | DiscoveryError::Unsupported { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl UnattendedSource {
    /// Makes the source; nothing is asked for yet.
    pub fn new(login: UnattendedLogin, services: Services) -> Arc<Self> {
        Arc::new(Self {
            login,
            services,
            state: Mutex::default(),
        })
    }

    /// Says what is missing here, without asking anybody.
    pub async fn check(&self) -> Result<(), String> {
        match self.proof().await {
            Ok(_) => Ok(()),
            Err(NoToken::Refused(why) | NoToken::NotNow { why, .. }) => Err(why),
        }
    }

    async fn next_token(&self) -> Result<AccessToken, TokenError> {
        let mut state = self.state.lock().await;
        let now = self.services.clock.now();
        let mut usable = None;
        if let Some(current) = &state.current {
            let begin = current.obtained_at.unwrap_or(now);
            let is_due = current.expires_at.is_some_and(|end| {
                let skew = MAX_SKEW.min(end.duration_since(begin) / 10);
                end.duration_since(now) <= skew
            });
            let token = self.access_token(current, state.dpop_key.as_ref());
            if !is_due {
                return Ok(token);
            }
            let is_over = current.expires_at.is_some_and(|end| end <= now);
            usable = Some(token).filter(|_| !is_over);
        }
        let server = self.login.key.name.clone();
        match (self.ask(&mut state).await, usable) {
            (Ok(answer), _) => {
                let token = self.access_token(&answer, state.dpop_key.as_ref());
                state.current = Some(answer);
                Ok(token)
            }
            (Err(_), Some(token)) => Ok(token),
            (Err(NoToken::Refused(why)), None) => Err(TokenError::Refused { server, why }),
            (Err(NoToken::NotNow { why, .. }), None) => Err(TokenError::NotNow { server, why }),
        }
    }

    fn access_token(&self, answer: &TokenAnswer, key: Option<&DpopKey>) -> AccessToken {
        let key = key.filter(|_| answer.is_bound);
        let prover = key.map(|key| self.services.prover(key));
        AccessToken::of(answer.access_token.clone(), prover)
    }

    async fn ask(&self, state: &mut State) -> Result<TokenAnswer, NoToken> {
        let proof = self.proof().await?;
        if let (Some(proof), Some((refused, why))) = (&proof, &state.refused)
            && proof == refused
        {
            return Err(NoToken::Refused(why.clone()));
        }
        if let Some(failure) = &state.failure
            && state.back_off.is_waiting()
        {
            return Err(failure.clone());
        }
        let outcome = self.ask_with(proof.as_ref(), state).await;
        let refused = state.refused.as_ref().map(|(proof, _)| proof);
        match &outcome {
            Ok(_) => (state.failure, state.back_off) = (None, BackOff::default()),
            // Another proof may be shown at once.
            Err(_) if proof.is_some() && proof.as_ref() == refused => {}
            Err(error) => {
                state.back_off.failed(error.after());
                state.failure = Some(error.clone());
            }
        }
        outcome
    }

    async fn ask_with(
        &self,
        proof: Option<&Secret>,
        state: &mut State,
    ) -> Result<TokenAnswer, NoToken> {
        let discovery = match state.discovery.take() {
            Some(discovery) => discovery,
            None => self.discover(state.challenge.clone()).await?,
        };
        let discovery = state.discovery.insert(discovery);
        let challenge = state.challenge.as_ref().or(discovery.challenge.as_ref());
        let need = DpopNeed::of(discovery, challenge.map(|challenge| challenge.scheme));
        if state.dpop_key.is_none() {
            let made = need.key();
            state.dpop_key = made.map_err(|error| NoToken::Refused(error.to_string()))?;
        }
        let dpop = need.dpop(state.dpop_key.as_ref(), &self.services);
        let client = self.client(discovery)?.bound_to(dpop);
        let exchange = self.exchange(proof, &client, discovery, challenge);
        let outcome = exchange.await;
        if let (Err(NoToken::Refused(why)), Some(proof)) = (&outcome, proof) {
            state.refused = Some((proof.clone(), why.clone()));
        }
        outcome
    }

    /// Reads what somebody else has signed; `None` when the client speaks for itself.
    async fn proof(&self) -> Result<Option<Secret>, NoToken> {
        let file = match &self.login.grant {
            UnattendedGrant::ClientCredentials | UnattendedGrant::OwnAssertion => return Ok(None),
            UnattendedGrant::AssertionFile(file) => file,
            UnattendedGrant::Enterprise(provider) => &provider.id_token,
        };
        let read = file.read().await;
        read.map(Some)
            .map_err(|error| NoToken::Refused(error.to_string()))
    }

    async fn exchange(
        &self,
        proof: Option<&Secret>,
        client: &Client<'_>,
        discovery: &Discovery,
        challenge: Option<&Challenge>,
    ) -> Result<TokenAnswer, NoToken> {
        let login = &self.login;
        let server = &discovery.server;
        let wish = crate::ScopeWish {
            explicit: None,
            configured: login.scopes.clone(),
        };
        let scopes = choose_scopes(&wish, challenge, discovery.resource.as_ref(), server);
        // There is nobody who could be offline.
        let scopes: Scopes = scopes
            .scopes
            .iter()
            .filter(|it| *it != "offline_access")
            .collect();
        let scope = scopes.to_string();
        let scope = Some(scope.as_str()).filter(|text| !text.is_empty());
        let resource = resource_parameter(login.resource.as_deref(), discovery);
        let now = self.services.clock.now();
        let assertion = match (&login.grant, proof) {
            (UnattendedGrant::ClientCredentials, _) => None,
            (UnattendedGrant::OwnAssertion, _) | (_, None) => {
                let key = login.client.signing_key.as_ref();
                let key = key.ok_or_else(|| refused("`jwt_bearer` needs a private key"))?;
                let signed = jwt::client_assertion(key, client.client_id, &server.issuer, now);
                Some(signed.map_err(|error| NoToken::Refused(error.to_string()))?)
            }
            (UnattendedGrant::AssertionFile(_), Some(proof)) => Some(proof.clone()),
            (UnattendedGrant::Enterprise(provider), Some(id_token)) => {
                let request = GrantRequest {
                    id_token,
                    audience: &server.issuer,
                    resource: &resource,
                    scope,
                };
                Some(provider.grant(&request, &self.services).await?)
            }
        };
        let form = match &assertion {
            None => Form::grant("client_credentials"),
            Some(assertion) => Form::grant(jwt::BEARER_GRANT).with("assertion", assertion.expose()),
        };
        let form = form.with_some("scope", scope).with("resource", &resource);
        let fetcher = Fetcher::new(&self.services, discovery.rule);
        Ok(request_tokens(&fetcher, &server.token_endpoint, form, client, now).await?)
    }

    fn client<'a>(&'a self, discovery: &'a Discovery) -> Result<Client<'a>, NoToken> {
        let settings = &self.login.client;
        let is_own_word = matches!(self.login.grant, UnattendedGrant::ClientCredentials);
        let Some(registered) = &settings.pre_registered else {
            return match self.login.grant {
                // Who the workload is, its assertion says (RFC 7521, 4.1).
                UnattendedGrant::AssertionFile(_) => Ok(Client::anonymous()),
                _ => Err(refused("this grant needs `oauth.client_id`")),
            };
        };
        let secret = registered.secret.as_ref();
        let key = settings.signing_key.as_ref();
        let listed = &discovery.server.token_auth_methods;
        let method = match (settings.auth_method, key, secret) {
            (Some(method), ..) => method,
            (None, Some(_), None) if is_own_word => AuthMethod::PrivateKeyJwt,
            (None, _, secret) => method_of_metadata(listed, secret.is_some()),
        };
        Ok(Client {
            client_id: &registered.client_id,
            secret,
            method,
            signing_key: key,
            issuer: &discovery.server.issuer,
            dpop: None,
        })
    }

    async fn discover(&self, challenge: Option<Challenge>) -> Result<Discovery, NoToken> {
        let server_url = self.login.key.url.parse();
        let server_url = server_url.map_err(|_| refused("the server's URL is no URL"))?;
        let request = DiscoveryRequest {
            pinned_issuer: self.login.client.pinned_issuer.clone(),
            is_interactive: false,
            ..DiscoveryRequest::after_401(server_url, challenge)
        };
        Ok(discover(&request, &self.services, &CancellationToken::new()).await?)
    }

    async fn after(&self, sent: Option<&AccessToken>, rejection: &Rejection) -> Retry {
        let mut state = self.state.lock().await;
        let current = state.current.as_ref();
        if let (Some(current), Some(sent)) = (current, sent)
            && current.access_token != sent.token
        {
            return Retry::Again;
        }
        let challenge = rejection.challenge.as_ref();
        let wants_more = challenge.is_some_and(Challenge::wants_more_scope);
        if rejection.is_repeat || (rejection.status == 403 && !wants_more) {
            let status = rejection.status;
            return Retry::Refused(format!(
                "the server does not accept a fresh token of this client (HTTP {status})"
            ));
        }
        // Another token, with the scopes that are wanted now.
        state.current = None;
        if rejection.challenge.is_some() {
            if rejection.status == 401 && state.names_elsewhere(challenge) {
                state.forget_server();
            }
            state.challenge = rejection.challenge.clone();
        }
        Retry::Again
    }
}

fn refused(why: &str) -> NoToken {
    NoToken::Refused(why.to_owned())
}

impl TokenSource for UnattendedSource {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        Box::pin(async move { self.next_token().await.map(Some) })
    }

    fn rejected<'a>(
        &'a self,
        sent: Option<&'a AccessToken>,
        rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        Box::pin(self.after(sent, rejection))
    }
}
