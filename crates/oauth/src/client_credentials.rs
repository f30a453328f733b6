//! A program's own login: the client credentials grant, for machines without a user.
//!
//! There is no refresh token and nothing is stored: when a token is due, another one is asked for.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::client_auth::method_of_metadata;
use crate::discovery::resource_parameter;
use crate::exchange::{Client, TokenAnswer, request_tokens};
use crate::fetch::Fetcher;
use crate::form::Form;
use crate::source::BoxFuture;
use crate::{
    AccessToken, AuthMethod, Challenge, ClientSettings, Discovery, DiscoveryRequest, Rejection,
    Retry, Scopes, ServerKey, Services, TokenError, TokenSource, choose_scopes, discover,
};

const MAX_SKEW: SignedDuration = SignedDuration::from_secs(30);

/// What the grant needs.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// The server.
    pub key: ServerKey,
    /// `oauth.client_id`, its secret or its key.
    pub client: ClientSettings,
    /// The scopes of the config.
    pub scopes: Option<Scopes>,
    /// `oauth_resource`.
    pub resource: Option<String>,
    /// `oauth.authorization_server_issuer`.
    pub pinned_issuer: Option<String>,
    /// What discovery found, when it was made already.
    pub discovery: Option<Discovery>,
}

/// Tokens that are asked for when they are due and kept in memory only.
#[derive(Debug)]
pub struct ClientCredentialsSource {
    grant: ClientCredentials,
    services: Services,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    discovery: Option<Discovery>,
    current: Option<TokenAnswer>,
    /// What the server asked for in its last refusal.
    challenge: Option<Challenge>,
}

impl ClientCredentialsSource {
    /// Makes the source; nothing is asked for yet.
    pub fn new(grant: ClientCredentials, services: Services) -> Arc<Self> {
        let state = State {
            discovery: grant.discovery.clone(),
            ..State::default()
        };
        Arc::new(Self {
            grant,
            services,
            state: Mutex::new(state),
        })
    }

    async fn next_token(&self) -> Result<AccessToken, TokenError> {
        let mut state = self.state.lock().await;
        let now = self.services.clock.now();
        if let Some(current) = &state.current {
            let begin = current.obtained_at.unwrap_or(now);
            let is_due = current.expires_at.is_some_and(|end| {
                let skew = MAX_SKEW.min(end.duration_since(begin) / 10);
                end.duration_since(now) <= skew
            });
            if !is_due {
                return Ok(AccessToken::bearer(current.access_token.clone()));
            }
        }
        let answer = self
            .ask(&mut state)
            .await
            .map_err(|why| TokenError::NotNow {
                server: self.grant.key.name.clone(),
                why,
            })?;
        let token = AccessToken::bearer(answer.access_token.clone());
        state.current = Some(answer);
        Ok(token)
    }

    async fn ask(&self, state: &mut State) -> Result<TokenAnswer, String> {
        let grant = &self.grant;
        let Some(registered) = &grant.client.pre_registered else {
            return Err("`client_credentials` needs `oauth.client_id`".to_owned());
        };
        let discovery = match state.discovery.take() {
            Some(discovery) => discovery,
            None => self.discover(state.challenge.clone()).await?,
        };
        let discovery = state.discovery.insert(discovery);
        let server = &discovery.server;
        let secret = registered.secret.as_ref();
        let key = grant.client.signing_key.as_ref();
        let method = match (grant.client.auth_method, key, secret) {
            (Some(method), ..) => method,
            (None, Some(_), None) => AuthMethod::PrivateKeyJwt,
            (None, _, secret) => method_of_metadata(&server.token_auth_methods, secret.is_some()),
        };
        let wish = crate::ScopeWish {
            explicit: None,
            configured: grant.scopes.clone(),
        };
        let challenge = state.challenge.as_ref().or(discovery.challenge.as_ref());
        let scopes = choose_scopes(&wish, challenge, discovery.resource.as_ref(), server);
        // There is nobody who could be offline.
        let scopes: Scopes = scopes
            .scopes
            .iter()
            .filter(|it| *it != "offline_access")
            .collect();
        let text = scopes.to_string();
        let resource = resource_parameter(grant.resource.as_deref(), &grant.key, discovery);
        let form = Form::grant("client_credentials")
            .with_some("scope", Some(text.as_str()).filter(|text| !text.is_empty()))
            .with("resource", &resource);
        let client = Client {
            client_id: &registered.client_id,
            secret,
            method,
            signing_key: key,
            issuer: &server.issuer,
        };
        let fetcher = Fetcher::new(&self.services, discovery.rule);
        let now = self.services.clock.now();
        let answer = request_tokens(&fetcher, &server.token_endpoint, form, &client, now).await;
        answer.map_err(|error| error.to_string())
    }

    async fn discover(&self, challenge: Option<Challenge>) -> Result<Discovery, String> {
        let server_url = self.grant.key.url.parse();
        let server_url = server_url.map_err(|_| "the server's URL is no URL".to_owned())?;
        let request = DiscoveryRequest {
            pinned_issuer: self.grant.pinned_issuer.clone(),
            is_interactive: false,
            ..DiscoveryRequest::after_401(server_url, challenge)
        };
        let found = discover(&request, &self.services, &CancellationToken::new()).await;
        found.map_err(|error| error.to_string())
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
            state.challenge = rejection.challenge.clone();
        }
        Retry::Again
    }
}

impl TokenSource for ClientCredentialsSource {
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
