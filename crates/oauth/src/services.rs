//! What every step needs: the network, the time and our name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use codex_host::Clock;
use codex_http::HttpClient;
use tokio_util::sync::CancellationToken;

use crate::dpop::{DpopKey, Nonces, Prover};
use crate::{Deputy, ServerKey};

/// The newest MCP revision that we speak; metadata requests carry it.
pub(crate) const NEWEST_REVISION: &str = "2026-07-28";

/// The outside world of this crate. Cloning is cheap; one per process, since logins of the same
/// server find each other in it.
#[derive(Debug, Clone)]
pub struct Services {
    /// The network.
    pub http: HttpClient,
    /// The time, for expiry and assertions.
    pub clock: Clock,
    /// Our version, for `User-Agent: codex-mcp-client/<version>`.
    pub version: String,
    /// Who renews where our death does not reach; without one it is done here.
    pub deputy: Option<Deputy>,
    /// The logins under way; one that has ended is gone from here by itself.
    running: Arc<Mutex<HashMap<ServerKey, Weak<CancellationToken>>>>,
    pub(crate) nonces: Nonces,
}

impl Services {
    /// Takes a client and the machine's clock.
    pub fn new(http: HttpClient, version: impl Into<String>) -> Self {
        Self {
            http,
            clock: Clock::system(),
            version: version.into(),
            deputy: None,
            running: Arc::default(),
            nonces: Nonces::default(),
        }
    }

    /// The same for a server that is reached in a way of its own; logins still find each other.
    #[must_use]
    pub fn over(&self, http: HttpClient) -> Self {
        Self {
            http,
            ..self.clone()
        }
    }

    /// Signs the proofs of a token that is bound to this key.
    pub(crate) fn prover(&self, key: &DpopKey) -> Prover {
        Prover {
            key: key.clone(),
            nonces: self.nonces.clone(),
            clock: self.clock,
        }
    }

    /// Begins a login of a server, which holds the token as long as it is under way, and ends an
    /// older one. Says whether there was one.
    pub(crate) fn supersede(&self, key: &ServerKey) -> (Arc<CancellationToken>, bool) {
        let token = Arc::new(CancellationToken::new());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, login| login.strong_count() > 0);
        let older = running.insert(key.clone(), Arc::downgrade(&token));
        let older = older.and_then(|older| older.upgrade());
        if let Some(older) = &older {
            older.cancel();
        }
        (token, older.is_some())
    }
}

#[cfg(test)]
mod tests {
    use codex_host::Env;
    use codex_protocol::ServerName;

    use super::*;

    #[test]
    fn a_login_that_has_ended_is_superseded_by_none() {
        let services = Services::new(HttpClient::from_env(Env::default()), "0");
        let key = ServerKey::new(ServerName::from_config("a"), "http://127.0.0.1/mcp");
        let (first, had_older) = services.supersede(&key);
        assert!(!had_older);
        let (second, had_older) = services.supersede(&key);
        assert!(had_older && first.is_cancelled() && !second.is_cancelled());
        drop((first, second));
        let (_third, had_older) = services.supersede(&key);
        assert!(!had_older);
        assert_eq!(services.running.lock().unwrap().len(), 1);
    }
}
