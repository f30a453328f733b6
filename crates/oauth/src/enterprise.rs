//! Enterprise-managed authorization: the identity provider of the enterprise decides.
//!
//! The user's id token is exchanged there for a grant that holds for one MCP server (RFC 8693, an
//! "identity assertion JWT authorization grant"); that grant buys a token at the server's own
//! authorization server, whose pages nobody opens.

use codex_host::Secret;
use tokio_util::sync::CancellationToken;

use crate::client_auth::method_of_metadata;
use crate::exchange::{Client, ask, refusal};
use crate::fetch::Fetcher;
use crate::form::Form;
use crate::fresh_file::FreshFile;
use crate::unattended::NoToken;
use crate::{ClientSettings, DiscoveryRequest, Services, discover};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// The identity provider, as the config describes it.
#[derive(Debug, Clone)]
pub struct IdentityProvider {
    /// Its issuer.
    pub issuer: String,
    /// Who we are there.
    pub client: ClientSettings,
    /// Where the user's id token lies.
    pub id_token: FreshFile,
}

/// What a grant is asked for.
#[derive(Debug)]
pub(crate) struct GrantRequest<'a> {
    /// Who the user is.
    pub(crate) id_token: &'a Secret,
    /// The issuer of the authorization server that the grant is for.
    pub(crate) audience: &'a str,
    /// The MCP server.
    pub(crate) resource: &'a str,
    pub(crate) scope: Option<&'a str>,
}

impl IdentityProvider {
    /// Exchanges the id token for a grant. Asked anew each time: what the provider allowed an hour
    /// ago it may forbid now.
    pub(crate) async fn grant(
        &self,
        request: &GrantRequest<'_>,
        services: &Services,
    ) -> Result<Secret, NoToken> {
        let issuer = crate::exchange::plain_text(&self.issuer, 200);
        let outcome = self.ask(request, services).await;
        outcome.map_err(|error| error.of(&format!("the identity provider `{issuer}`")))
    }

    async fn ask(
        &self,
        request: &GrantRequest<'_>,
        services: &Services,
    ) -> Result<Secret, NoToken> {
        let asked = DiscoveryRequest::of_issuer(&self.issuer);
        let asked = asked.ok_or_else(|| NoToken::Refused("its issuer is no URL".to_owned()))?;
        let found = discover(&asked, services, &CancellationToken::new()).await?;
        let registered = self.client.pre_registered.as_ref();
        let registered = registered
            .ok_or_else(|| NoToken::Refused("it needs a `client_id` of ours".to_owned()))?;
        let secret = registered.secret.as_ref();
        let listed = &found.server.token_auth_methods;
        let method = self.client.auth_method;
        let client = Client {
            client_id: &registered.client_id,
            secret,
            method: method.unwrap_or_else(|| method_of_metadata(listed, secret.is_some())),
            signing_key: self.client.signing_key.as_ref(),
            issuer: &found.server.issuer,
            dpop: None,
        };
        let form = Form::grant(EXCHANGE)
            .with("requested_token_type", ID_JAG)
            .with("subject_token", request.id_token.expose())
            .with("subject_token_type", ID_TOKEN)
            .with("audience", request.audience)
            .with("resource", request.resource)
            .with_some("scope", request.scope);
        let now = services.clock.now();
        let fetcher = Fetcher::new(services, found.rule);
        let endpoint = &found.server.token_endpoint;
        let posted = ask(&fetcher, endpoint, &form, &client, now).await?;
        if let Some(error) = refusal(&posted, now) {
            return Err(error.into());
        }
        let grant = posted.json["access_token"].as_str();
        let grant = grant.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
        match (posted.json["issued_token_type"].as_str(), grant) {
            (Some(ID_JAG), Some(grant)) if !grant.is_empty() => Ok(Secret::new(grant)),
            _ => Err(NoToken::Refused(
                "its answer holds no grant for an MCP server".to_owned(),
            )),
        }
    }
}
