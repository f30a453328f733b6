//! Who we are to an authorization server, and how we prove it at its token endpoint.

use std::fmt;

use codex_host::Secret;
use url::Url;

pub use crate::jwt::{SigningKey, SigningKeyError};

/// How a client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// It names itself: a public client.
    None,
    /// The secret goes into `Authorization: Basic`.
    ClientSecretBasic,
    /// The secret goes into the form.
    ClientSecretPost,
    /// A signed assertion goes into the form (RFC 7523).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Reads the spelling of the registries; what we do not speak is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::None,
            Self::ClientSecretBasic,
            Self::ClientSecretPost,
            Self::PrivateKeyJwt,
        ]
        .into_iter()
        .find(|method| method.as_str() == text)
    }

    /// Returns the spelling of the registries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A client that the user registered by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreRegistered {
    /// The client id.
    pub client_id: String,
    /// Its secret, if it is a confidential client.
    pub secret: Option<Secret>,
}

/// Which rung of the ladder a login takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rung {
    /// The first that fits.
    #[default]
    Auto,
    /// A client id metadata document only.
    MetadataDocument,
    /// Dynamic registration only.
    Dynamic,
}

/// What the config says about the client of one server.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// `oauth.client_id` and its secret.
    pub pre_registered: Option<PreRegistered>,
    /// `oauth.token_endpoint_auth_method`.
    pub auth_method: Option<AuthMethod>,
    /// `oauth.client_metadata_url`.
    pub metadata_url: Option<Url>,
    /// `--oauth-client-registration`.
    pub rung: Rung,
    /// The key of `oauth.private_key_file`, for `private_key_jwt`.
    pub signing_key: Option<SigningKey>,
    /// `oauth.authorization_server_issuer`.
    pub pinned_issuer: Option<String>,
}

/// Chooses how a client proves itself when neither config nor registration say it: with a secret
/// basic if the server lists it or nothing, else post; without one `none`.
pub(crate) fn method_of_metadata(listed: &[String], has_secret: bool) -> AuthMethod {
    let lists = |method: AuthMethod| listed.iter().any(|known| known == method.as_str());
    if !has_secret {
        AuthMethod::None
    } else if listed.is_empty() || lists(AuthMethod::ClientSecretBasic) {
        AuthMethod::ClientSecretBasic
    } else {
        AuthMethod::ClientSecretPost
    }
}
