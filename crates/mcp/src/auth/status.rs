//! What is known about the login of each server, in the order of the evidence: off, a static token,
//! the store, and only then a question to the server.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use codex_config::{Enablement, McpServerConfig, McpTransport};
use codex_credentials::Backend;
use codex_http::{Limits, Request};
use codex_oauth::{Challenge, DiscoveryError, DiscoveryRequest, OAuthTokens, ServerKey, discover};
use codex_protocol::{McpAuthStatus, ServerName};
use codex_rmcp_client::ServerEndpoint;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{McpAuth, StaticToken, TokenSupply, Unattended, key, pinned_issuer};
use crate::resolve::resolve_endpoint;

/// So many servers are asked at once.
const MAX_PROBES: usize = 16;

/// What is known about one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthReport {
    /// The word for people and programs.
    pub status: McpAuthStatus,
    /// Why.
    pub detail: AuthDetail,
}

/// What the status was decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthDetail {
    /// The state in one word.
    pub state: AuthState,
    /// Where the login is stored.
    pub backend: Option<Backend>,
    /// When its access token ends, if it is known.
    pub expires_at: Option<Timestamp>,
    /// Whether it can be renewed.
    pub refreshable: bool,
    /// Who issued it.
    pub issuer: Option<String>,
    /// What it grants.
    pub scopes: Vec<String>,
    /// Why nothing is known.
    pub why: Option<String>,
}

/// The state of a login in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthState {
    /// Good.
    LoggedIn,
    /// Its access token has ended and can be renewed.
    ExpiredRefreshable,
    /// It has ended.
    Expired,
    /// The server refused it.
    Refused,
    /// There is none, and there could be.
    NotLoggedIn,
    /// A static token.
    Static,
    /// No login is wanted.
    None,
    /// Nobody knows.
    Unknown,
}

impl AuthState {
    /// Returns the word of the JSON output.
    pub fn word(self) -> &'static str {
        match self {
            Self::LoggedIn => "logged_in",
            Self::ExpiredRefreshable => "expired_refreshable",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::NotLoggedIn => "not_logged_in",
            Self::Static => "static",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

impl AuthReport {
    fn of(status: McpAuthStatus, state: AuthState) -> Self {
        Self {
            status,
            detail: AuthDetail {
                state,
                backend: None,
                expires_at: None,
                refreshable: false,
                issuer: None,
                scopes: Vec::new(),
                why: None,
            },
        }
    }

    fn unknown(why: impl Into<String>) -> Self {
        let mut report = Self::of(McpAuthStatus::Unknown, AuthState::Unknown);
        report.detail.why = Some(why.into());
        report
    }

    fn of_login(tokens: &OAuthTokens, backend: Backend, now: Timestamp) -> Self {
        let is_valid = tokens.is_valid(now);
        let refreshable = tokens.login.refresh_token.is_some();
        let client = tokens.client.as_ref();
        let is_refused = client.is_some_and(|client| client.needs_login);
        let state = match (is_refused, is_valid, refreshable) {
            (true, _, _) => AuthState::Refused,
            (false, true, _) => AuthState::LoggedIn,
            (false, false, true) => AuthState::ExpiredRefreshable,
            (false, false, false) => AuthState::Expired,
        };
        let status = match state {
            AuthState::LoggedIn | AuthState::ExpiredRefreshable => McpAuthStatus::OAuth,
            _ => McpAuthStatus::NotLoggedIn,
        };
        let issuer = client.map(|client| client.issuer.clone());
        Self {
            status,
            detail: AuthDetail {
                state,
                backend: Some(backend),
                expires_at: tokens.login.expires_at,
                refreshable,
                issuer: tokens.login.issuer.clone().or(issuer),
                scopes: tokens.login.scopes.iter().map(str::to_owned).collect(),
                why: None,
            },
        }
    }
}

impl McpAuth {
    /// Decides from what is known here, and asks no server: `unknown` where only one could tell.
    pub async fn local_status(&self, server: &McpServerConfig, cwd: &Path) -> AuthReport {
        match self.known(server, cwd).await {
            Ok(report) => report,
            Err(_) => AuthReport::of(McpAuthStatus::Unknown, AuthState::Unknown),
        }
    }

    /// Decides for many servers side by side. Servers without evidence here are asked, all of them
    /// within `limit`; what is not known then is `unknown`. Zero asks none.
    pub async fn statuses(
        &self,
        servers: &BTreeMap<ServerName, McpServerConfig>,
        cwd: &Path,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> BTreeMap<ServerName, AuthReport> {
        let deadline = Instant::now() + limit;
        let mut reports = BTreeMap::new();
        let mut to_ask = Vec::new();
        for (name, server) in servers {
            match self.known(server, cwd).await {
                Ok(report) => {
                    reports.insert(name.clone(), report);
                }
                Err(key) if !limit.is_zero() => to_ask.push((server, key)),
                Err(_) => {}
            }
        }
        let mut waiting = to_ask.into_iter();
        let mut probes = FuturesUnordered::new();
        loop {
            while probes.len() < MAX_PROBES
                && let Some((server, key)) = waiting.next()
            {
                let probe = self.ask_server(server, key, cwd, cancel);
                probes.push(async move { (server.name.clone(), probe.await) });
            }
            match timeout_at(deadline, probes.next()).await {
                Ok(Some((name, report))) => {
                    reports.insert(name, report);
                }
                Ok(None) | Err(_) => break,
            }
        }
        drop(probes);
        for name in servers.keys() {
            reports.entry(name.clone()).or_insert_with(|| {
                AuthReport::unknown("the server was not asked, or gave no answer in time")
            });
        }
        reports
    }

    /// What can be decided without asking the server; the key of the login otherwise.
    async fn known(&self, server: &McpServerConfig, cwd: &Path) -> Result<AuthReport, ServerKey> {
        let McpTransport::StreamableHttp(http) = &server.transport else {
            return Ok(AuthReport::of(McpAuthStatus::Unsupported, AuthState::None));
        };
        if !matches!(server.enablement, Enablement::On) {
            return Ok(AuthReport::of(McpAuthStatus::Unsupported, AuthState::None));
        }
        if StaticToken::of(http).is_some() {
            return Ok(AuthReport::of(
                McpAuthStatus::BearerToken,
                AuthState::Static,
            ));
        }
        if Unattended::of(http).is_some() {
            return Ok(self.unattended_status(server, cwd).await);
        }
        let key = key(server, http);
        let stored = match self.0.store.logins().load(&key.store_key()).await {
            Ok(loaded) => loaded.found.map(|found| found.backend),
            Err(error) => return Ok(AuthReport::unknown(error.to_string())),
        };
        let Some(backend) = stored else {
            return Err(key);
        };
        match self.0.store.load(&key).await {
            Ok(Some(tokens)) => {
                let now = self.0.services.clock.now();
                Ok(AuthReport::of_login(&tokens, backend, now))
            }
            Ok(None) => Err(key),
            Err(error) => Ok(AuthReport::unknown(error.sentence())),
        }
    }

    /// A login without a user counts as made when everything is there that it takes.
    async fn unattended_status(&self, server: &McpServerConfig, cwd: &Path) -> AuthReport {
        let checked = match self.source(server, cwd) {
            Ok(Some(TokenSupply::Unattended(source))) => source.check().await,
            Ok(Some(TokenSupply::Stored(_)) | None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        match checked {
            Ok(()) => AuthReport::of(McpAuthStatus::OAuth, AuthState::LoggedIn),
            Err(why) => {
                let mut report = AuthReport::of(McpAuthStatus::NotLoggedIn, AuthState::NotLoggedIn);
                report.detail.why = Some(why);
                report
            }
        }
    }

    /// Asks one server: a GET that is closed at the headers, and then its documents.
    async fn ask_server(
        &self,
        server: &McpServerConfig,
        key: ServerKey,
        cwd: &Path,
        cancel: &CancellationToken,
    ) -> AuthReport {
        let resolved = match resolve_endpoint(server, &self.0.env, cwd) {
            Ok(resolved) => resolved,
            Err(error) => return AuthReport::unknown(error.to_string()),
        };
        let services = match self.services(server, cwd) {
            Ok(services) => services,
            Err(error) => return AuthReport::unknown(error.to_string()),
        };
        let (ServerEndpoint::Http(endpoint), McpTransport::StreamableHttp(http)) =
            (resolved.endpoint, &server.transport)
        else {
            return AuthReport::of(McpAuthStatus::Unsupported, AuthState::None);
        };
        let mut request = Request::get(endpoint.url.clone());
        request.headers = endpoint.headers.clone();
        request
            .headers
            .insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        request.limits = Limits {
            idle: None,
            ..Limits::default()
        };
        let (status, challenge) = match services.http.send(request).await {
            Ok(response) => (response.status, Challenge::from_headers(&response.headers)),
            Err(error) => return AuthReport::unknown(error.to_string()),
        };
        if status.is_server_error() {
            return AuthReport::unknown(format!("the server answered HTTP {}", status.as_u16()));
        }
        let request = DiscoveryRequest {
            server_url: endpoint.url,
            saw_401: status == StatusCode::UNAUTHORIZED || challenge.is_some(),
            challenge,
            pinned_issuer: pinned_issuer(http),
            known_issuer: self.known_issuer(&key).await,
            is_interactive: true,
            is_issuer: false,
        };
        match discover(&request, &services, cancel).await {
            Ok(discovery) => {
                let mut report = AuthReport::of(McpAuthStatus::NotLoggedIn, AuthState::NotLoggedIn);
                report.detail.issuer = Some(discovery.server.issuer);
                report
            }
            Err(DiscoveryError::Unsupported { .. }) => {
                AuthReport::of(McpAuthStatus::Unsupported, AuthState::None)
            }
            Err(error) => AuthReport::unknown(error.to_string()),
        }
    }
}
