//! What is kept of a login, and how it is spelled on disk.
//!
//! Two records per server, because the program that users come from drops fields it does not know
//! and refuses a whole file for one entry that lacks a field: the *login* has exactly its fields, in
//! the shape of its file or of its keyring entry; the *client* has everything else that renewal,
//! revocation and the next login need. A login without a client record works.
//!
//! A token that is bound to a key stands with its key in the client record, and the login record has
//! none: a reader who knows nothing of keys would send it as a bearer token.

mod wire;

use std::fmt;

use codex_credentials::StoreKey;
use codex_host::Secret;
use codex_protocol::ServerName;
use jiff::Timestamp;
use url::Url;

use crate::{AuthMethod, DpopKey, Scopes};

pub use wire::RecordError;

/// Which login: a server by name and by the URL that the config has, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerKey {
    /// The server's name.
    pub name: ServerName,
    /// Its URL as configured.
    pub url: String,
}

impl ServerKey {
    /// Takes name and configured URL.
    pub fn new(name: ServerName, url: impl Into<String>) -> Self {
        let url = url.into();
        Self { name, url }
    }

    /// Returns the key of both records: `figma|4282f2a9112820d2`.
    pub fn store_key(&self) -> StoreKey {
        StoreKey::for_server(self.name.as_str(), &self.url)
    }
}

/// The tokens of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLogin {
    /// The server that they are for.
    pub key: ServerKey,
    /// Who issued them; old records do not say.
    pub issuer: Option<String>,
    /// To which client.
    pub client_id: String,
    /// What goes with each request.
    pub access_token: Secret,
    /// When that ends, if known.
    pub expires_at: Option<Timestamp>,
    /// What renews it; gone when the server refused it.
    pub refresh_token: Option<Secret>,
    /// What was granted.
    pub scopes: Scopes,
}

/// How a client id came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// The user registered it by hand.
    PreRegistered,
    /// It is the URL of a document.
    MetadataDocument,
    /// The server gave it to us.
    Dynamic,
}

/// What is known of the client that a login used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The authorization server that it belongs to. It is never shown to another.
    pub issuer: String,
    /// The client id.
    pub client_id: String,
    /// The secret that a registration gave; a configured one stays in the config.
    pub client_secret: Option<Secret>,
    /// How it came about.
    pub kind: ClientKind,
    /// How it proves itself at the token endpoint.
    pub auth_method: AuthMethod,
    /// The redirect URI that it is registered with.
    pub redirect_uri: Option<String>,
    /// Where tokens come from.
    pub token_endpoint: Option<Url>,
    /// Where they end.
    pub revocation_endpoint: Option<Url>,
    /// The `resource` parameter of the login.
    pub resource: Option<String>,
    /// What was asked for so far.
    pub scopes_requested: Scopes,
    /// When the secret ends, if it does.
    pub secret_expires_at: Option<Timestamp>,
    /// When the current access token came, in whole milliseconds: tells its lifetime.
    pub obtained_at: Option<Timestamp>,
    /// Whether the server refused to renew: a new login is needed.
    pub needs_login: bool,
    /// The key that the tokens are bound to, if they are.
    pub dpop_key: Option<DpopKey>,
}

/// A login as a whole: what [`crate::LoginStore`] reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthTokens {
    /// The tokens.
    pub login: StoredLogin,
    /// The client; absent for a login that another program made.
    pub client: Option<ClientRecord>,
}

impl ClientRecord {
    /// Whether this may be the client of a login: the same id, and of the same issuer as far as
    /// both say it. One whose secret was given before any login belongs to the first.
    pub(crate) fn may_be_of(&self, login: &StoredLogin) -> bool {
        let issuer = login.issuer.as_ref();
        self.client_id == login.client_id
            && (self.issuer.is_empty() || issuer.is_none_or(|issuer| *issuer == self.issuer))
    }
}

impl OAuthTokens {
    /// Whether the access token can be sent now.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.login.expires_at.is_none_or(|end| end > now) && !self.login.access_token.is_empty()
    }

    /// Whether a token can be had without the user: it is valid, or it can be renewed.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        let is_refused = self
            .client
            .as_ref()
            .is_some_and(|client| client.needs_login);
        (self.is_valid(now) && !is_refused) || self.login.refresh_token.is_some()
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.store_key().as_str())
    }
}
