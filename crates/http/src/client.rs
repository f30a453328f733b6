//! The client: one pool, made when the first request needs it.

use std::time::Duration;

use codex_host::Env;

use crate::{HttpError, Request, Response};

/// How to reach the network.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, also in lower case) and CA
    /// files (`SSL_CERT_FILE`, `SSL_CERT_DIR`) come from here.
    pub env: Env,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
}

impl HttpSettings {
    /// Takes proxies and CA files from `env`; connecting may take 10 s.
    pub fn from_env(env: Env) -> Self {
        Self {
            env,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// A pool of connections. Cloning is cheap and shares the pool.
#[derive(Debug, Clone)]
pub struct HttpClient {
    #[expect(dead_code, reason = "skeleton")]
    settings: HttpSettings,
}

impl HttpClient {
    /// Makes a client. Nothing is read or built before the first request.
    pub fn new(settings: HttpSettings) -> Self {
        Self { settings }
    }

    /// Makes a client for `env` with the usual limits.
    pub fn from_env(env: Env) -> Self {
        Self::new(HttpSettings::from_env(env))
    }

    /// Sends a request and returns when the headers of the response are there, whatever its
    /// status. Dropping the future cancels.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let _ = request;
        todo!()
    }
}
