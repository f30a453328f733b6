//! A program's own login: the client credentials grant, for machines without a user.

use std::sync::Arc;

use crate::source::BoxFuture;
use crate::{
    AccessToken, ClientSettings, Discovery, Rejection, Retry, Scopes, ServerKey, Services,
    TokenError, TokenSource,
};

/// What the grant needs.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// The server.
    pub key: ServerKey,
    /// `oauth.client_id`, its secret or its key.
    pub client: ClientSettings,
    /// The scopes of the config.
    pub scopes: Option<Scopes>,
    /// `oauth_resource`.
    pub resource: Option<String>,
    /// `oauth.authorization_server_issuer`.
    pub pinned_issuer: Option<String>,
    /// What discovery found, when it was made already.
    pub discovery: Option<Discovery>,
}

/// Tokens that are asked for when they are due and kept in memory only.
#[derive(Debug)]
pub struct ClientCredentialsSource {
    grant: ClientCredentials,
    services: Services,
}

impl ClientCredentialsSource {
    /// Makes the source; nothing is asked for yet.
    pub fn new(grant: ClientCredentials, services: Services) -> Arc<Self> {
        Arc::new(Self { grant, services })
    }
}

impl TokenSource for ClientCredentialsSource {
    fn token(&self) -> BoxFuture<'_, Result<Option<AccessToken>, TokenError>> {
        let _ = (&self.grant, &self.services);
        todo!()
    }

    fn rejected<'a>(
        &'a self,
        _sent: Option<&'a AccessToken>,
        _rejection: &'a Rejection,
    ) -> BoxFuture<'a, Retry> {
        todo!()
    }
}
