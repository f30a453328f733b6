//! The client of a login that another program made: what that does not say, the server does.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client_auth::method_of_metadata;
use crate::{
    ClientKind, ClientRecord, ClientSettings, DiscoveryError, DiscoveryRequest, OAuthTokens,
    Services, discover,
};

/// For finding it.
const LIMIT: Duration = Duration::from_secs(3);

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClient {
    /// A document breaks a rule, or there is none.
    #[error("{0}")]
    Refused(String),
    /// It did not work now.
    #[error("{0}")]
    NotNow(String),
    /// What belongs to one issuer goes to no other.
    #[error("the server trusts another issuer now")]
    OtherIssuer,
}

/// Finds the client of a login at the authorization server that its MCP server trusts.
pub(crate) async fn client_of(
    tokens: &OAuthTokens,
    settings: &ClientSettings,
    services: &Services,
) -> Result<ClientRecord, NoClient> {
    let login = &tokens.login;
    let server_url = login.key.url.parse();
    let server_url =
        server_url.map_err(|_| NoClient::Refused("the server's URL is no URL".to_owned()))?;
    let bound = tokens.client.as_ref().map(|client| &client.issuer);
    // A secret that was given before any login belongs to the first issuer.
    let bound = bound.filter(|issuer| !issuer.is_empty());
    let known_issuer = login.issuer.as_ref().or(bound).cloned();
    let request = DiscoveryRequest {
        pinned_issuer: settings.pinned_issuer.clone(),
        known_issuer: known_issuer.clone(),
        is_interactive: false,
        ..DiscoveryRequest::after_401(server_url, None)
    };
    let cancel = CancellationToken::new();
    let server = match timeout(LIMIT, discover(&request, services, &cancel)).await {
        Ok(Ok(discovery)) => discovery.server,
        Ok(Err(error @ (DiscoveryError::Refused { .. } | DiscoveryError::Unsupported { .. }))) => {
            return Err(NoClient::Refused(error.to_string()));
        }
        Ok(Err(error)) => return Err(NoClient::NotNow(error.to_string())),
        Err(_) => return Err(NoClient::NotNow(format!("no metadata within {LIMIT:?}"))),
    };
    if known_issuer.is_some_and(|known| known != server.issuer) {
        return Err(NoClient::OtherIssuer);
    }
    let configured = settings.pre_registered.as_ref();
    let configured = configured.filter(|client| client.client_id == login.client_id);
    let has_secret = configured.is_some_and(|client| client.secret.is_some());
    let found = ClientRecord {
        issuer: server.issuer,
        client_id: login.client_id.clone(),
        client_secret: None,
        kind: match configured {
            Some(_) => ClientKind::PreRegistered,
            None => ClientKind::Dynamic,
        },
        auth_method: method_of_metadata(&server.token_auth_methods, has_secret),
        redirect_uri: None,
        token_endpoint: Some(server.token_endpoint),
        revocation_endpoint: server.revocation_endpoint,
        resource: None,
        scopes_requested: login.scopes.clone(),
        secret_expires_at: None,
        obtained_at: None,
        needs_login: false,
        dpop_key: None,
    };
    Ok(match tokens.client.clone() {
        Some(known) => ClientRecord {
            issuer: found.issuer,
            token_endpoint: found.token_endpoint,
            revocation_endpoint: found.revocation_endpoint,
            ..known
        },
        None => found,
    })
}
