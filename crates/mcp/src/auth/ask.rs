//! What a server wants, asked before a login as a run would ask it, and where that leads.

use std::path::Path;
use std::time::Duration;

use codex_config::McpServerConfig;
use codex_oauth::{
    Challenge, Discovery, DiscoveryError, DiscoveryRequest, ServerKey, Services, discover,
};
use codex_rmcp_client::{
    ClientInfo, ConnectError, ConnectOptions, ElicitationSupport, McpClient, Probe, ServerEndpoint,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::login::{LoginFailure, http_of};
use super::{McpAuth, key, pinned_issuer};
use crate::resolve::resolve_endpoint;

/// How long a server may take to say what it wants before a login.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// The questions before one login.
pub(super) struct Asking<'a> {
    pub(super) auth: &'a McpAuth,
    pub(super) server: &'a McpServerConfig,
    pub(super) cwd: &'a Path,
    /// Whether a browser will be involved.
    pub(super) is_interactive: bool,
    pub(super) cancel: &'a CancellationToken,
}

/// What a server said to the first request.
pub(super) struct FirstAnswer {
    pub(super) url: Url,
    /// `Some` when it refused, with its challenge.
    pub(super) refusal: Option<Option<Challenge>>,
    /// What it answered in the place of MCP.
    pub(super) not_mcp: Option<ConnectError>,
}

impl Asking<'_> {
    /// Connects as a run would, without a token.
    pub(super) async fn ask(&self, services: &Services) -> Result<FirstAnswer, LoginFailure> {
        http_of(self.server)?;
        let name = &self.server.name;
        let resolved = resolve_endpoint(self.server, &self.auth.0.env, self.cwd)?;
        let ServerEndpoint::Http(mut endpoint) = resolved.endpoint else {
            return Err(LoginFailure::NotHttp);
        };
        if let Some(helper) = &resolved.headers_helper {
            endpoint.headers.extend(helper.run(name).await?);
        }
        let url = endpoint.url.clone();
        let options = ConnectOptions {
            server: name.clone(),
            client: ClientInfo::codex(&services.version),
            startup_timeout: ASK_LIMIT,
            probe: Probe::Modern,
            elicitation: ElicitationSupport::None,
            http: services.http.clone(),
        };
        let (events, _) = mpsc::channel(1);
        let endpoint = ServerEndpoint::Http(endpoint);
        let connecting = McpClient::connect(endpoint, options, events, self.cancel.clone());
        let (refusal, not_mcp) = match connecting.await {
            Ok(client) => {
                client.shutdown(Duration::from_secs(3)).await;
                (None, None)
            }
            Err(ConnectError::LoginRequired {
                status, challenge, ..
            }) => {
                let challenge = challenge.as_deref().and_then(Challenge::from_text);
                let is_refusal = status == 401 || challenge.is_some();
                (is_refusal.then_some(challenge), None)
            }
            Err(
                error @ (ConnectError::Unreachable { .. }
                | ConnectError::BrokenAnswer { .. }
                | ConnectError::Timeout { .. }),
            ) => return Err(error.into()),
            Err(ConnectError::Cancelled { .. }) => return Err(LoginFailure::Cancelled),
            // It answers, and not with MCP: its documents may still say what it wants.
            Err(error) => (None, Some(error)),
        };
        Ok(FirstAnswer {
            url,
            refusal,
            not_mcp,
        })
    }

    /// Finds the authorization server from the answer to what a run would send first.
    pub(super) async fn discover(
        &self,
        answer: FirstAnswer,
        services: &Services,
    ) -> Result<Discovery, LoginFailure> {
        let http = http_of(self.server)?;
        let request = DiscoveryRequest {
            server_url: answer.url,
            saw_401: answer.refusal.is_some(),
            challenge: answer.refusal.flatten(),
            pinned_issuer: pinned_issuer(http),
            known_issuer: self.auth.known_issuer(&key(self.server, http)).await,
            is_interactive: self.is_interactive,
            is_issuer: false,
        };
        match discover(&request, services, self.cancel).await {
            Ok(discovery) => Ok(discovery),
            Err(DiscoveryError::Unsupported { .. }) => Err(match answer.not_mcp {
                Some(error) => LoginFailure::NotMcp(error),
                None => LoginFailure::NotAsked(self.server.name.clone()),
            }),
            Err(DiscoveryError::Cancelled) => Err(LoginFailure::Cancelled),
            Err(error) => Err(LoginFailure::Discovery {
                server: self.server.name.clone(),
                error,
            }),
        }
    }
}

impl McpAuth {
    /// The issuer of the login that is stored, if there is one.
    pub(super) async fn known_issuer(&self, key: &ServerKey) -> Option<String> {
        let tokens = self.0.store.load(key).await.ok().flatten()?;
        let client = tokens.client.map(|client| client.issuer);
        tokens.login.issuer.or(client)
    }
}
