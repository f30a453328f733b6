//! Logins without a browser on this machine: the device code grant (RFC 8628).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_host::Secret;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::discovery::resource_parameter;
use crate::dpop::DpopNeed;
use crate::exchange::{Client, plain_text, request_tokens};
use crate::fetch::{Fetcher, POST_LIMIT};
use crate::form::Form;
use crate::login::tokens;
use crate::registration::{Ladder, describe};
use crate::{
    ClientRecord, ClientSettings, Discovery, OAuthTokens, RegistrationError, ScopeWish, ServerKey,
    Services, TokenRequestError, choose_scopes,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pace of a server that names none, and what `slow_down` adds.
const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// The fastest pace, whatever the server says.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A login by device code.
#[derive(Debug, Clone)]
pub struct DeviceRequest {
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
}

/// Why a device login failed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The server has no such grant.
    #[error("the authorization server offers no login by device code")]
    NotOffered,
    /// There is no client id.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// The device endpoint gave no code.
    #[error("the device endpoint gave no code: {0}")]
    NoCode(String),
    /// The user said no.
    #[error("the login was denied")]
    Denied,
    /// The code is too old.
    #[error("the code expired before it was entered")]
    Expired,
    /// Nobody came in the time that the caller gave.
    #[error("the code was not entered in time")]
    Timeout,
    /// The token endpoint failed.
    #[error("{0}")]
    Token(#[from] TokenRequestError),
    /// The caller gave up.
    #[error("the login was cancelled")]
    Cancelled,
    /// Another login of the same server began in this process.
    #[error("superseded by a newer login")]
    Superseded,
}

/// A code that waits for the user.
pub struct DeviceLogin {
    /// Where to enter the code.
    pub verification_uri: String,
    /// The code.
    pub user_code: String,
    device_code: Secret,
    interval: Duration,
    expires: Instant,
    key: ServerKey,
    settings: ClientSettings,
    client: ClientRecord,
    discovery: Discovery,
    dpop_need: DpopNeed,
    resource: String,
    services: Services,
    superseded: Arc<CancellationToken>,
}

impl DeviceRequest {
    /// Registers if need be and asks for a code. A login of the same server that is under way in
    /// this process ends.
    pub async fn begin(
        self,
        services: &Services,
        cancel: &CancellationToken,
    ) -> Result<DeviceLogin, DeviceError> {
        tokio::select! {
            login = self.begin_uncancelled(services) => login,
            () = cancel.cancelled() => Err(DeviceError::Cancelled),
        }
    }

    async fn begin_uncancelled(self, services: &Services) -> Result<DeviceLogin, DeviceError> {
        let server = &self.discovery.server;
        let endpoint = server.device_authorization_endpoint.as_ref();
        let endpoint = endpoint.ok_or(DeviceError::NotOffered)?;
        let (superseded, _) = services.supersede(&self.key);
        let challenge = self.discovery.challenge.as_ref();
        let resource_metadata = self.discovery.resource.as_ref();
        let scopes = choose_scopes(&self.scopes, challenge, resource_metadata, server).scopes;
        let dpop_need = DpopNeed::of(&self.discovery, challenge.map(|challenge| challenge.scheme));
        let fetcher = Fetcher::new(services, self.discovery.rule);
        let ladder = Ladder {
            server,
            settings: &self.client,
            known: self.known_client.as_ref(),
            redirect_uri: None,
            to_register: "",
            is_port_free: false,
            scopes: &scopes,
            grants: &[GRANT, "refresh_token"],
            now: services.clock.now(),
        };
        let client = ladder.climb(&fetcher).await?;
        let resource = resource_parameter(self.resource.as_deref(), &self.discovery);
        let text = scopes.to_string();
        let form = Form::default()
            .with_some("scope", Some(text.as_str()).filter(|text| !text.is_empty()))
            .with("resource", &resource);
        let proven = Client::of(&client, &self.client).prove(form, services.clock.now())?;
        let posted = fetcher.post_form(endpoint, &proven, POST_LIMIT).await;
        let posted = posted.map_err(|error| DeviceError::NoCode(error.message))?;
        let text = |name: &str, max| posted.json[name].as_str().map(|text| plain_text(text, max));
        let (Some(device_code), Some(user_code), Some(verification_uri), true) = (
            posted.json["device_code"].as_str(),
            text("user_code", 100),
            text("verification_uri", 500).or_else(|| text("verification_url", 500)),
            posted.is_success(),
        ) else {
            return Err(DeviceError::NoCode(describe(&posted)));
        };
        let seconds = |value: &Value| value.as_u64().map(Duration::from_secs);
        let life = seconds(&posted.json["expires_in"]).unwrap_or(Duration::from_secs(300));
        Ok(DeviceLogin {
            verification_uri,
            user_code,
            device_code: Secret::new(device_code),
            interval: seconds(&posted.json["interval"])
                .unwrap_or(FIVE_SECONDS)
                .max(ONE_SECOND),
            expires: Instant::now() + life.min(Duration::from_secs(3600)),
            client: ClientRecord {
                resource: Some(resource.clone()),
                scopes_requested: scopes,
                dpop_key: dpop_need
                    .key()
                    .map_err(|error| DeviceError::NoCode(error.to_string()))?,
                ..client
            },
            key: self.key,
            settings: self.client,
            discovery: self.discovery,
            dpop_need,
            resource,
            services: services.clone(),
            superseded,
        })
    }
}

impl DeviceLogin {
    /// Asks at the server's pace until the user has entered the code, at most `limit`.
    pub async fn finish(
        self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<OAuthTokens, DeviceError> {
        let life = self.expires.saturating_duration_since(Instant::now());
        let (limit, end) = match life < limit {
            true => (life, DeviceError::Expired),
            false => (limit, DeviceError::Timeout),
        };
        tokio::select! {
            outcome = timeout(limit, self.poll()) => outcome.unwrap_or(Err(end)),
            () = self.superseded.cancelled() => Err(DeviceError::Superseded),
            () = cancel.cancelled() => Err(DeviceError::Cancelled),
        }
    }

    async fn poll(&self) -> Result<OAuthTokens, DeviceError> {
        let fetcher = Fetcher::new(&self.services, self.discovery.rule);
        let endpoint = &self.discovery.server.token_endpoint;
        let key = self.client.dpop_key.as_ref();
        let dpop = self.dpop_need.dpop(key, &self.services);
        let client = Client::of(&self.client, &self.settings).bound_to(dpop);
        let mut interval = self.interval;
        loop {
            sleep(interval).await;
            let form = Form::grant(GRANT)
                .with("device_code", self.device_code.expose())
                .with("resource", &self.resource);
            let now = self.services.clock.now();
            let error = match request_tokens(&fetcher, endpoint, form, &client, now).await {
                Ok(answer) => return Ok(tokens(answer, self.key.clone(), self.client.clone())),
                Err(error) => error,
            };
            match &error {
                TokenRequestError::Denied { code, .. } => match code.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => interval += FIVE_SECONDS,
                    "access_denied" => return Err(DeviceError::Denied),
                    "expired_token" => return Err(DeviceError::Expired),
                    _ => return Err(error.into()),
                },
                // The server is away for a moment; RFC 8628, 3.5 asks for a slower pace.
                TokenRequestError::Network { .. }
                | TokenRequestError::Status {
                    status: 429 | 500..,
                    ..
                } => interval *= 2,
                _ => return Err(error.into()),
            }
        }
    }
}

impl fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLogin")
            .field("key", &self.key)
            .field("verification_uri", &self.verification_uri)
            .finish_non_exhaustive()
    }
}
