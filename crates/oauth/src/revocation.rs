//! The end of a login at the server: RFC 7009, best effort.

use std::time::Duration;

use codex_host::Secret;
use jiff::Timestamp;
use tokio::time::timeout;
use url::Url;

use crate::exchange::Client;
use crate::fetch::Fetcher;
use crate::foreign::client_of;
use crate::form::Form;
use crate::registration::describe;
use crate::{AuthMethod, ClientSettings, OAuthTokens, Services};

/// For the whole of it.
const LIMIT: Duration = Duration::from_secs(5);

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

/// Revokes the tokens of a login, the refresh token first: at most 5 s.
pub async fn revoke(
    tokens: &OAuthTokens,
    client: &ClientSettings,
    services: &Services,
) -> Revocation {
    match timeout(LIMIT, revoke_unlimited(tokens, client, services)).await {
        Ok(revocation) => revocation,
        Err(_) => Revocation::Failed {
            why: format!("no answer within {LIMIT:?}"),
        },
    }
}

async fn revoke_unlimited(
    tokens: &OAuthTokens,
    settings: &ClientSettings,
    services: &Services,
) -> Revocation {
    let login = &tokens.login;
    let record = match &tokens.client {
        Some(client) => client.clone(),
        None => match client_of(tokens, settings, services).await {
            Ok(client) => client,
            Err(error) => {
                let why = error.to_string();
                return Revocation::Failed { why };
            }
        },
    };
    let Some(endpoint) = &record.revocation_endpoint else {
        return Revocation::NotOffered;
    };
    let revoker = Revoker {
        fetcher: Fetcher::for_record(services, &login.key, settings).await,
        endpoint,
        clients: ways(Client::of(&record, settings)),
        now: services.clock.now(),
    };
    let access_token = Some(&login.access_token).filter(|token| !token.is_empty());
    let all = [
        ("refresh_token", login.refresh_token.as_ref()),
        ("access_token", access_token),
    ];
    // The access token is tried also when the refresh token failed: each that ends is a gain.
    let mut failure = None;
    for (hint, token) in all {
        let Some(token) = token else { continue };
        if let Err(why) = revoker.end(hint, token).await {
            failure.get_or_insert(why);
        }
    }
    match failure {
        Some(why) => Revocation::Failed { why },
        None => Revocation::Revoked {
            issuer: record.issuer,
        },
    }
}

/// Where tokens end, and in which ways we can say who asks for it.
struct Revoker<'a> {
    fetcher: Fetcher,
    endpoint: &'a Url,
    clients: Vec<Client<'a>>,
    now: Timestamp,
}

impl Revoker<'_> {
    async fn end(&self, hint: &'static str, token: &Secret) -> Result<(), String> {
        let mut refusal = None;
        for client in &self.clients {
            let form = Form::default()
                .with("token", token.expose())
                .with("token_type_hint", hint);
            let form = client.prove(form, self.now);
            let form = form.map_err(|error| error.to_string())?;
            let posted = self.fetcher.post_form(self.endpoint, &form, LIMIT).await;
            match posted.map_err(|error| error.message)? {
                posted if posted.is_success() => return Ok(()),
                // A server may know one kind of token only; that one is gone.
                posted if posted.json["error"] == "unsupported_token_type" => return Ok(()),
                posted if matches!(posted.status, 400 | 401) => {
                    refusal.get_or_insert(describe(&posted));
                }
                posted => return Err(describe(&posted)),
            }
        }
        Err(refusal.unwrap_or_default())
    }
}

/// The ways in which a client can say who it is, that of the token endpoint first. canaille, for one,
/// gives a secret to a public client and wants it here and nowhere else.
fn ways(client: Client<'_>) -> Vec<Client<'_>> {
    let has_unused_secret = client.method == AuthMethod::None && client.secret.is_some();
    let with_secret = has_unused_secret.then(|| Client {
        method: AuthMethod::ClientSecretBasic,
        ..client.clone()
    });
    std::iter::once(client).chain(with_secret).collect()
}
