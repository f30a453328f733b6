//! A login with a browser, in two phases: an address to open, then the tokens.
//!
//! [`LoginRequest::begin`] listens first, because registration needs the redirect URI and the URI
//! needs the port. [`PendingLogin::finish`] waits for the callback or for the pasted callback URL,
//! whichever comes first, and exchanges the code. Nothing is stored here: only after
//! [`crate::LoginStore::save`] the old login is gone.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    CallbackError, CallbackSettings, ClientRecord, ClientSettings, Discovery, OAuthTokens,
    RegistrationError, ScopeWish, ServerKey, Services, TokenRequestError,
};

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

/// Takes the callback URL that a user copied. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct CallbackPaste {
    _private: (),
}

impl CallbackPaste {
    /// Hands over a pasted URL. Only its path, query and state count: host and port may differ.
    /// After an error the login goes on waiting.
    pub async fn submit(&self, _text: &str) -> Result<(), PasteError> {
        todo!()
    }
}

/// A login that waits for the user.
#[derive(Debug)]
pub struct PendingLogin {
    authorization_url: Url,
    redirect_uri: String,
    notes: Vec<String>,
}

impl LoginRequest {
    /// Listens, registers, and returns the address to open.
    pub async fn begin(
        self,
        _services: &Services,
        _cancel: &CancellationToken,
    ) -> Result<PendingLogin, LoginError> {
        todo!()
    }
}

impl PendingLogin {
    /// Returns the address to open; always http or https.
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// Returns the redirect URI that was sent.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns what the user should know before the browser opens.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the slot for a pasted callback URL.
    pub fn paste(&self) -> CallbackPaste {
        todo!()
    }

    /// Waits for the callback, at most `limit`, and exchanges the code.
    pub async fn finish(
        self,
        _limit: Duration,
        _cancel: &CancellationToken,
    ) -> Result<OAuthTokens, LoginError> {
        todo!()
    }
}
