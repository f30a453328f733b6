//! The renewal of a login as a transaction between processes.

use codex_host::Secret;

use crate::{ClientSettings, LoginStore, OAuthTokens, ServerKey, Services, TokenRequestError};

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
        /// When to try again.
        after: std::time::Duration,
    },
    /// The server refused for a reason that no login heals.
    #[error("{0}")]
    Refused(TokenRequestError),
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(String),
}

/// Renews one login: lock, read again, ask, store, use.
#[derive(Debug, Clone)]
pub struct RefreshTransaction {
    key: ServerKey,
    store: LoginStore,
    client: ClientSettings,
    services: Services,
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
        }
    }

    /// Returns whose login this is.
    pub fn key(&self) -> &ServerKey {
        &self.key
    }

    /// Renews the login, unless somebody else did: a stored token that is valid and is not `stale`
    /// (the one that was due or refused) is returned without a request.
    pub async fn run(&self, _stale: &Secret) -> Result<OAuthTokens, RefreshError> {
        todo!()
    }
}
