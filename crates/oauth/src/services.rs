//! What every step needs: the network, the time and our name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    running: Arc<Mutex<HashMap<ServerKey, CancellationToken>>>,
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

    /// Begins a login of a server and ends an older one. Says whether there was one.
    pub(crate) fn supersede(&self, key: &ServerKey) -> (CancellationToken, bool) {
        let token = CancellationToken::new();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let older = running.insert(key.clone(), token.clone());
        if let Some(older) = &older {
            older.cancel();
        }
        (token, older.is_some())
    }
}
