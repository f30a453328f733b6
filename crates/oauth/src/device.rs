//! Logins without a browser on this machine: the device code grant (RFC 8628).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    ClientRecord, ClientSettings, Discovery, OAuthTokens, RegistrationError, ScopeWish, ServerKey,
    Services, TokenRequestError,
};

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
    /// The client of an earlier login.
    pub known_client: Option<ClientRecord>,
    /// `oauth_resource`.
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
    /// The token endpoint failed.
    #[error("{0}")]
    Token(#[from] TokenRequestError),
    /// The caller gave up.
    #[error("the login was cancelled")]
    Cancelled,
}

/// A code that waits for the user.
#[derive(Debug)]
pub struct DeviceLogin {
    /// Where to enter the code.
    pub verification_uri: String,
    /// The code.
    pub user_code: String,
    /// An address that holds the code already.
    pub verification_uri_complete: Option<String>,
}

impl DeviceRequest {
    /// Asks for a code.
    pub async fn begin(
        self,
        _services: &Services,
        _cancel: &CancellationToken,
    ) -> Result<DeviceLogin, DeviceError> {
        todo!()
    }
}

impl DeviceLogin {
    /// Asks at the server's pace until the user has entered the code, at most `limit`.
    pub async fn finish(
        self,
        _limit: Duration,
        _cancel: &CancellationToken,
    ) -> Result<OAuthTokens, DeviceError> {
        todo!()
    }
}
