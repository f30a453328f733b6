//! The end of a login at the server: RFC 7009.

use crate::{ClientSettings, OAuthTokens, Services};

/// What became of the tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The server ended them.
    Revoked {
        /// The issuer.
        issuer: String,
    },
    /// The server offers no revocation.
    NotOffered,
    /// It did not work; they end by themselves.
    Failed {
        /// Why.
        why: String,
    },
}

/// Revokes the tokens of a login: at most 5 s, best effort.
pub async fn revoke(
    _tokens: &OAuthTokens,
    _client: &ClientSettings,
    _services: &Services,
) -> Revocation {
    todo!()
}
