//! The renewal of a login as a transaction between processes.
//!
//! Lock, read again, ask, store, use. A refresh token may work only once: whoever asks with one that
//! another process has used already ends the login for both. So the store is read again under the
//! lock, and the new token is on disk before anybody uses it. Whatever fails on the way leaves the
//! record as it was, except the one answer that says the login is over. Asking and storing happen in
//! a process of their own where there is one (`deputy.rs`): SIGKILL may hit us between the two.

use std::time::Duration;

use codex_host::Secret;
use codex_http::HttpClient;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::exchange::{Client, Dpop, TokenAnswer, request_tokens};
use crate::fetch::Fetcher;
use crate::foreign::{NoClient, client_of};
use crate::form::Form;
use crate::store::KeyLock;
use crate::{
    AccessToken, ClientKind, ClientRecord, ClientSettings, LoginStore, OAuthTokens, Scopes,
    ServerKey, Services, StoreError, TokenRequestError,
};

const LOCK_LIMIT: Duration = Duration::from_secs(20);

/// Why a login was not renewed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RefreshError {
    /// There is no login, or none that can be renewed: the user must log in.
    #[error("a new login is needed: {why}")]
    LoginRequired {
        /// Why.
        why: String,
        /// Whether there was one.
        had_login: bool,
    },
    /// It did not work now; the login is untouched.
    #[error("{why}")]
    Transient {
        /// Why.
        why: String,
        /// The wait that the server asked for.
        after: Option<Duration>,
    },
    /// The server refused for a reason that no login heals.
    #[error("{0}")]
    Refused(String),
    /// The store cannot be read.
    #[error("{0}")]
    Store(String),
}

/// A login that is good now.
#[derive(Debug, Clone)]
pub struct Renewed {
    /// The login.
    pub tokens: OAuthTokens,
    /// Set when the new tokens could not be stored. They work in this process and are lost after it.
    pub unsaved: Option<Unsaved>,
}

/// Why tokens are not in the store, and what is there in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// Why.
    pub why: String,
    /// The refresh token that they came for. Once the store has another one or none, somebody has
    /// logged in again or out, and these tokens are nobody's any more.
    pub replaced: Option<Secret>,
}

impl Renewed {
    /// Whether these tokens are still to be stored over what the store has now.
    pub(crate) fn replaces(&self, stored: Option<&OAuthTokens>) -> bool {
        let unsaved = self.unsaved.as_ref();
        unsaved
            .zip(stored)
            .is_some_and(|(unsaved, stored)| stored.login.refresh_token == unsaved.replaced)
    }
}

/// Renews one login. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct RefreshTransaction {
    key: ServerKey,
    store: LoginStore,
    client: ClientSettings,
    services: Services,
    /// Whether a deputy has begun, so that our end does not stop the renewal.
    at_deputy: watch::Sender<bool>,
}

impl RefreshTransaction {
    /// Makes the transaction of one server.
    pub fn new(
        key: ServerKey,
        store: LoginStore,
        client: ClientSettings,
        services: Services,
    ) -> Self {
        Self {
            key,
            store,
            client,
            services,
            at_deputy: watch::Sender::new(false),
        }
    }

    /// Returns whose login this is.
    pub fn key(&self) -> &ServerKey {
        &self.key
    }

    pub(crate) fn store(&self) -> &LoginStore {
        &self.store
    }

    pub(crate) fn client(&self) -> &ClientSettings {
        &self.client
    }

    /// Says that a deputy has begun, or has ended.
    #[cfg(unix)]
    pub(crate) fn set_at_deputy(&self, is_at_deputy: bool) {
        self.at_deputy.send_replace(is_at_deputy);
    }

    /// Waits until a deputy has begun: one may decline or not start, and then all is done here.
    pub(crate) async fn begun_by_deputy(&self) {
        // It cannot fail while `self` holds the sender.
        let _ = self.at_deputy.subscribe().wait_for(|it| *it).await;
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.services.http
    }

    pub(crate) fn version(&self) -> &str {
        &self.services.version
    }

    /// Returns the token as requests carry it.
    pub(crate) fn access_token(&self, tokens: &OAuthTokens) -> AccessToken {
        let client = tokens.client.as_ref();
        let key = client.and_then(|client| client.dpop_key.as_ref());
        let prover = key.map(|key| self.services.prover(key));
        AccessToken::of(tokens.login.access_token.clone(), prover)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// Renews the login, unless somebody else did: a stored token that is valid and is not `stale`
    /// (the one that was due or refused) is returned without a request.
    ///
    /// `held` is an earlier renewal that could not be stored; it counts as long as the store has the
    /// login that it renewed. Do not drop the future: between answer and store that loses the login.
    pub async fn run(
        &self,
        stale: &Secret,
        held: Option<Renewed>,
    ) -> Result<Renewed, RefreshError> {
        let lock = self
            .store
            .lock(&self.key, LOCK_LIMIT)
            .await
            .map_err(lock_failed)?;
        let stored = self.store.load(&self.key).await.map_err(store_failed)?;
        let is_news = |tokens: &OAuthTokens| {
            tokens.login.access_token != *stale && tokens.is_valid(self.now())
        };
        let held = held.filter(|held| held.replaces(stored.as_ref()));
        if let Some(held) = &held
            && is_news(&held.tokens)
        {
            // Its caller was gone before it could use them.
            return Ok(self.store_late(&lock, held.clone()).await);
        }
        let (mut tokens, replaced) = match (held, stored) {
            (Some(held), _) => (held.tokens, held.unsaved.and_then(|it| it.replaced)),
            (None, Some(tokens)) if is_news(&tokens) => {
                let unsaved = None;
                return Ok(Renewed { tokens, unsaved });
            }
            (None, Some(tokens)) => {
                let replaced = tokens.login.refresh_token.clone();
                (tokens, replaced)
            }
            (None, None) => return Err(login_required("there is none", false)),
        };
        let Some(sent) = tokens.login.refresh_token.clone() else {
            return Err(login_required("it cannot be renewed", true));
        };
        self.complete(&mut tokens).await?;
        let mut renewed = self.exchange_somewhere(&lock, tokens).await?;
        // What was sent may itself never have reached the store.
        if let Some(unsaved) = &mut renewed.unsaved
            && unsaved.replaced.as_ref() == Some(&sent)
        {
            unsaved.replaced = replaced;
        }
        Ok(renewed)
    }

    async fn exchange_somewhere(
        &self,
        lock: &KeyLock,
        tokens: OAuthTokens,
    ) -> Result<Renewed, RefreshError> {
        if let Some(deputy) = &self.services.deputy
            && let Some(outcome) = deputy.exchange(self, lock, &tokens).await
        {
            return outcome;
        }
        self.exchange(lock, tokens).await
    }

    /// Stores what could not be stored before, unless somebody has logged in again or out.
    pub(crate) async fn save_held(&self, held: Renewed, limit: Duration) -> Result<(), StoreError> {
        let lock = self.store.lock(&self.key, limit).await?;
        let stored = self.store.load(&self.key).await?;
        if held.replaces(stored.as_ref()) {
            self.store.save(&lock, &held.tokens).await?;
        }
        Ok(())
    }

    async fn store_late(&self, lock: &KeyLock, held: Renewed) -> Renewed {
        let Renewed { tokens, unsaved } = held;
        let saved = self.store.save(lock, &tokens).await;
        let unsaved = unsaved.filter(|_| saved.is_err());
        Renewed { tokens, unsaved }
    }

    /// Asks with these tokens and stores what comes: the part that must not be cut in two.
    pub(crate) async fn exchange(
        &self,
        lock: &KeyLock,
        tokens: OAuthTokens,
    ) -> Result<Renewed, RefreshError> {
        match self.ask(&tokens).await {
            Ok(answer) => Ok(self.keep(lock, tokens, answer).await),
            Err(TokenRequestError::Denied { code, .. }) if code == "invalid_grant" => {
                self.after_invalid_grant(lock, tokens).await
            }
            Err(TokenRequestError::Denied { code, .. }) if code == "invalid_client" => {
                Err(self.after_invalid_client(lock, tokens).await)
            }
            Err(error) => Err(sorted(error)),
        }
    }

    /// Adds the client record that another program's login has not.
    async fn complete(&self, tokens: &mut OAuthTokens) -> Result<(), RefreshError> {
        let has_endpoint = |client: &ClientRecord| client.token_endpoint.is_some();
        if tokens.client.as_ref().is_some_and(has_endpoint) {
            return Ok(());
        }
        let found = client_of(tokens, &self.client, &self.services).await;
        tokens.client = Some(found.map_err(|error| match error {
            NoClient::Refused(why) => RefreshError::Refused(why),
            NoClient::NotNow(why) => RefreshError::Transient { why, after: None },
            NoClient::OtherIssuer => login_required(&error.to_string(), true),
        })?);
        Ok(())
    }

    /// Sends the refresh token. Without `scope`: what was granted stays granted, and asking for
    /// what was requested but not granted is refused by strict servers.
    async fn ask(&self, tokens: &OAuthTokens) -> Result<TokenAnswer, TokenRequestError> {
        let unusable = |why: &str| TokenRequestError::Client(why.to_owned());
        let refresh_token = tokens.login.refresh_token.as_ref();
        let refresh_token = refresh_token.ok_or_else(|| unusable("there is no refresh token"))?;
        let record = tokens.client.as_ref();
        let record = record.ok_or_else(|| unusable("the client is unknown"))?;
        let endpoint = record.token_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| unusable("the token endpoint is unknown"))?;
        let fetcher = Fetcher::for_record(&self.services, &self.key, &self.client).await;
        let resource = match &record.resource {
            Some(resource) => resource.clone(),
            None => crate::discovery::canonical(&self.key.url),
        };
        let form = Form::grant("refresh_token")
            .with("refresh_token", refresh_token.expose())
            .with("resource", &resource);
        let key = record.dpop_key.as_ref();
        // What was bound stays bound.
        let dpop = key.map(|key| Dpop {
            prover: self.services.prover(key),
            is_required: true,
        });
        let client = Client::of(record, &self.client).bound_to(dpop);
        let now = self.now();
        match request_tokens(&fetcher, endpoint, form.clone(), &client, now).await {
            // Only what nobody has seen may be sent twice.
            Err(TokenRequestError::Network {
                is_unsent: true, ..
            }) => request_tokens(&fetcher, endpoint, form, &client, now).await,
            answer => answer,
        }
    }

    /// Stores what came, before anybody uses it.
    async fn keep(&self, lock: &KeyLock, old: OAuthTokens, answer: TokenAnswer) -> Renewed {
        let replaced = old.login.refresh_token.clone();
        let tokens = merged(old, answer);
        let saved = self.store.save(lock, &tokens).await;
        let unsaved = saved.err().map(|error| Unsaved {
            why: error.sentence(),
            replaced,
        });
        Renewed { tokens, unsaved }
    }

    /// The refresh token is used up. A program that does not lock may have put another one there;
    /// else the login is over, and the record says so and stays.
    async fn after_invalid_grant(
        &self,
        lock: &KeyLock,
        tokens: OAuthTokens,
    ) -> Result<Renewed, RefreshError> {
        let stored = self.store.load(&self.key).await.map_err(store_failed)?;
        if let Some(mut newer) = stored.filter(|stored| {
            stored.login.refresh_token.is_some()
                && stored.login.refresh_token != tokens.login.refresh_token
        }) {
            self.complete(&mut newer).await?;
            match self.ask(&newer).await {
                Ok(answer) => return Ok(self.keep(lock, newer, answer).await),
                Err(TokenRequestError::Denied { code, .. }) if code == "invalid_grant" => {
                    return Err(self.end(lock, newer).await);
                }
                Err(error) => return Err(sorted(error)),
            }
        }
        Err(self.end(lock, tokens).await)
    }

    async fn end(&self, lock: &KeyLock, mut tokens: OAuthTokens) -> RefreshError {
        tokens.login.refresh_token = None;
        if let Some(client) = &mut tokens.client {
            client.needs_login = true;
        }
        let saved = self.store.save(lock, &tokens).await;
        let why = match saved {
            Ok(()) => "the server no longer accepts the old one".to_owned(),
            Err(error) => format!(
                "the server no longer accepts the old one (not noted: {})",
                error.sentence()
            ),
        };
        login_required(&why, true)
    }

    /// The client is gone. One that registered itself does so again at the next login.
    async fn after_invalid_client(&self, lock: &KeyLock, mut tokens: OAuthTokens) -> RefreshError {
        let now = self.now();
        let Some(client) = &mut tokens.client else {
            return login_required("the server no longer knows this client", true);
        };
        if client.kind == ClientKind::PreRegistered {
            let id = &client.client_id;
            return RefreshError::Refused(format!(
                "the server does not accept the client `{id}` of `oauth.client_id`"
            ));
        }
        client.needs_login = true;
        client.secret_expires_at = Some(now);
        // When it cannot be written down, the next renewal fails in the same way and tries again.
        let _ = self.store.save(lock, &tokens).await;
        login_required("the server no longer knows this client", true)
    }
}

fn merged(mut tokens: OAuthTokens, answer: TokenAnswer) -> OAuthTokens {
    let login = &mut tokens.login;
    login.access_token = answer.access_token;
    login.expires_at = answer.expires_at;
    if let Some(refresh_token) = answer.refresh_token {
        login.refresh_token = Some(refresh_token);
    }
    if let Some(scopes) = answer.scopes.filter(|scopes: &Scopes| !scopes.is_empty()) {
        login.scopes = scopes;
    }
    if let Some(client) = &mut tokens.client {
        client.needs_login = false;
        client.obtained_at = answer.obtained_at;
    }
    tokens
}

fn sorted(error: TokenRequestError) -> RefreshError {
    let why = error.to_string();
    match &error {
        error if error.is_transient() => RefreshError::Transient {
            why,
            after: error.retry_after(),
        },
        _ => RefreshError::Refused(why),
    }
}

fn login_required(why: &str, had_login: bool) -> RefreshError {
    RefreshError::LoginRequired {
        why: why.to_owned(),
        had_login,
    }
}

fn lock_failed(error: StoreError) -> RefreshError {
    RefreshError::Transient {
        why: error.sentence(),
        after: None,
    }
}

fn store_failed(error: StoreError) -> RefreshError {
    RefreshError::Store(error.sentence())
}
