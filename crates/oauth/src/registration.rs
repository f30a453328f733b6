//! How a login gets a client id: the first rung that fits.
//!
//! Registered by hand, a metadata document, dynamic registration; else the user is told exactly what
//! to register. A client belongs to one issuer: it is never shown to another.

use codex_host::Secret;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use crate::client_auth::method_of_metadata;
use crate::exchange::plain_text;
use crate::fetch::{Fetcher, POST_LIMIT, Posted};
use crate::metadata::ServerMetadata;
use crate::{AuthMethod, ClientKind, ClientRecord, ClientSettings, Rung, Scopes};

/// Why a login has no client id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// No rung is there: the user has to register a client.
    #[error("{issuer} registers no clients by itself.")]
    NoWay {
        /// The authorization server.
        issuer: String,
        /// What to register there.
        redirect_uri: String,
        /// Whether the port of that URI changes from login to login.
        is_port_free: bool,
        /// What each rung that was tried said.
        tried: Vec<String>,
    },
    /// The server refused to register us.
    #[error("{issuer} did not register this client: {why}")]
    Refused {
        /// The authorization server.
        issuer: String,
        /// Its answer.
        why: String,
        /// What to register there by hand.
        redirect_uri: String,
        /// The server publishes nothing about a login, so that its address was a guess.
        is_guessed: bool,
    },
    /// The configured client was registered at another server.
    #[error("the client id in the config belongs to {known}, but the server now trusts {found}")]
    OtherIssuer {
        /// The issuer of the earlier login.
        known: String,
        /// The issuer of today.
        found: String,
    },
    /// The chosen rung is not there.
    #[error("{0}")]
    WrongRung(String),
}

impl RegistrationError {
    /// Returns what to do now; `server_name` and `server_url` complete the command.
    pub fn hints(&self, server_name: &str, server_url: &str) -> Vec<String> {
        match self {
            Self::Refused { is_guessed: true, .. } => vec![
                "the server publishes nothing about a login; one that takes a token or an API key wants it in an environment variable:".to_owned(),
                format!("  codex mcp add {server_name} --url {server_url} --bearer-token-env-var <VARIABLE>"),
            ],
            Self::NoWay { redirect_uri, .. } | Self::Refused { redirect_uri, .. } => {
                let mut hints = vec![
                    "register a public client (authorization code, PKCE S256) with exactly this redirect URI:".to_owned(),
                    format!("  {redirect_uri}"),
                    format!("then run `codex mcp add {server_name} --url {server_url} --oauth-client-id <CLIENT_ID>`"),
                ];
                if let Self::NoWay { is_port_free: true, .. } = self {
                    hints.push("set `oauth.callback_port` when the provider compares ports".to_owned());
                }
                hints
            }
            Self::OtherIssuer { .. } => vec![
                "register a client at the new server and set `oauth.client_id`, or pin the old one with `oauth.authorization_server_issuer`".to_owned(),
            ],
            Self::WrongRung(_) => vec!["leave `--oauth-client-registration` out".to_owned()],
        }
    }
}

/// What the ladder needs to know.
pub(crate) struct Ladder<'a> {
    pub(crate) server: &'a ServerMetadata,
    pub(crate) settings: &'a ClientSettings,
    /// The client of an earlier login.
    pub(crate) known: Option<&'a ClientRecord>,
    /// `None` for a grant without redirect.
    pub(crate) redirect_uri: Option<&'a str>,
    /// The same as a user would register it by hand.
    pub(crate) to_register: &'a str,
    pub(crate) is_port_free: bool,
    pub(crate) scopes: &'a Scopes,
    pub(crate) grants: &'a [&'static str],
    pub(crate) now: Timestamp,
}

impl Ladder<'_> {
    /// Climbs to the first rung that holds.
    pub(crate) async fn climb(&self, fetcher: &Fetcher) -> Result<ClientRecord, RegistrationError> {
        let rung = self.settings.rung;
        if rung == Rung::Auto
            && let Some(client) = self.pre_registered()?
        {
            return Ok(client);
        }
        let mut tried = Vec::new();
        if rung != Rung::Dynamic {
            match self.metadata_document() {
                Ok(client) => return Ok(client),
                Err(why) if rung == Rung::MetadataDocument => {
                    return Err(RegistrationError::WrongRung(why));
                }
                Err(why) => tried.push(why),
            }
        }
        if let Some(client) = self.known_again() {
            return Ok(client);
        }
        match &self.server.registration_endpoint {
            Some(endpoint) => self.register(fetcher, endpoint).await,
            None if rung == Rung::Dynamic => Err(RegistrationError::WrongRung(format!(
                "{} has no dynamic registration.",
                plain_text(&self.server.issuer, 200)
            ))),
            None => {
                tried.push("it has no `registration_endpoint`".to_owned());
                Err(RegistrationError::NoWay {
                    issuer: plain_text(&self.server.issuer, 200),
                    redirect_uri: self.to_register.to_owned(),
                    is_port_free: self.is_port_free,
                    tried,
                })
            }
        }
    }

    fn pre_registered(&self) -> Result<Option<ClientRecord>, RegistrationError> {
        let Some(client) = &self.settings.pre_registered else {
            return Ok(None);
        };
        if let Some(known) = self.known
            && known.kind == ClientKind::PreRegistered
            && known.client_id == client.client_id
            && known.issuer != self.server.issuer
        {
            return Err(RegistrationError::OtherIssuer {
                known: plain_text(&known.issuer, 200),
                found: plain_text(&self.server.issuer, 200),
            });
        }
        let stored = self
            .known
            .filter(|known| known.client_id == client.client_id);
        let stored = stored.and_then(|known| known.client_secret.clone());
        let has_secret = client.secret.is_some() || stored.is_some();
        let key = self
            .settings
            .signing_key
            .as_ref()
            .map(|_| AuthMethod::PrivateKeyJwt);
        let listed = &self.server.token_auth_methods;
        let method = self.settings.auth_method.or(key.filter(|_| !has_secret));
        let method = method.unwrap_or_else(|| method_of_metadata(listed, has_secret));
        Ok(Some(ClientRecord {
            client_secret: stored,
            ..self.record(&client.client_id, ClientKind::PreRegistered, method)
        }))
    }

    fn metadata_document(&self) -> Result<ClientRecord, String> {
        let Some(url) = &self.settings.metadata_url else {
            return Err("no `oauth.client_metadata_url` is configured".to_owned());
        };
        if !self.server.takes_client_metadata_url {
            return Err("it takes no client id metadata documents".to_owned());
        }
        let listed = &self.server.token_auth_methods;
        if !listed.is_empty() && !listed.iter().any(|method| method == "none") {
            return Err("it takes no public clients".to_owned());
        }
        Ok(self.record(url.as_str(), ClientKind::MetadataDocument, AuthMethod::None))
    }

    /// Returns the stored registration when it still fits.
    fn known_again(&self) -> Option<ClientRecord> {
        let known = self.known?;
        let is_alive = known.secret_expires_at.is_none_or(|end| end > self.now);
        let fits = known.kind == ClientKind::Dynamic
            && known.issuer == self.server.issuer
            && known.redirect_uri.as_deref() == self.redirect_uri
            && self
                .settings
                .auth_method
                .is_none_or(|method| method == known.auth_method)
            && is_alive;
        fits.then(|| ClientRecord {
            client_secret: known.client_secret.clone(),
            secret_expires_at: known.secret_expires_at,
            ..self.record(&known.client_id, ClientKind::Dynamic, known.auth_method)
        })
    }

    async fn register(
        &self,
        fetcher: &Fetcher,
        endpoint: &Url,
    ) -> Result<ClientRecord, RegistrationError> {
        let method = self.method_to_ask_for();
        let mut posted = self
            .post(fetcher, endpoint, method, Some(self.scopes))
            .await?;
        let is_about_scope = matches!(
            posted.json["error"].as_str(),
            Some("invalid_scope" | "invalid_client_metadata")
        );
        if !posted.is_success() && is_about_scope && !self.scopes.is_empty() {
            // Some servers register only scopes of their own list; the login asks for its own anyway.
            posted = self.post(fetcher, endpoint, method, None).await?;
        }
        let json = &posted.json;
        let Some(client_id) = json["client_id"].as_str().filter(|_| posted.is_success()) else {
            return Err(self.refused(describe(&posted)));
        };
        let secret = json["client_secret"]
            .as_str()
            .filter(|text| !text.is_empty());
        // What the answer says counts (RFC 7591, 3.2.1), also when it gives a secret with `none`.
        let method = match json["token_endpoint_auth_method"].as_str() {
            Some(text) => AuthMethod::parse(text)
                .ok_or_else(|| self.refused(format!("it wants `{}`", plain_text(text, 60))))?,
            None if secret.is_some() && method == AuthMethod::None => {
                method_of_metadata(&self.server.token_auth_methods, true)
            }
            None => method,
        };
        let end = json["client_secret_expires_at"]
            .as_i64()
            .filter(|end| *end > 0);
        Ok(ClientRecord {
            client_secret: secret.map(Secret::new),
            secret_expires_at: end.and_then(|end| Timestamp::from_second(end).ok()),
            ..self.record(client_id, ClientKind::Dynamic, method)
        })
    }

    async fn post(
        &self,
        fetcher: &Fetcher,
        endpoint: &Url,
        method: AuthMethod,
        scopes: Option<&Scopes>,
    ) -> Result<Posted, RegistrationError> {
        let body = self.body(method, scopes);
        let posted = fetcher.post_json(endpoint, &body, POST_LIMIT).await;
        posted.map_err(|error| self.refused(error.message))
    }

    fn body(&self, method: AuthMethod, scopes: Option<&Scopes>) -> Value {
        let mut body = json!({
            "client_name": "Codex",
            "redirect_uris": self.redirect_uri.as_slice(),
            "grant_types": self.grants,
            "response_types": if self.redirect_uri.is_some() { vec!["code"] } else { vec![] },
            "token_endpoint_auth_method": method.as_str(),
            "application_type": "native",
        });
        if let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) {
            body["scope"] = scopes.to_string().into();
        }
        body
    }

    /// `none` if it is listed or nothing is, else basic, else post.
    fn method_to_ask_for(&self) -> AuthMethod {
        let listed = &self.server.token_auth_methods;
        let lists = |method: AuthMethod| listed.iter().any(|known| known == method.as_str());
        match self.settings.auth_method {
            Some(method) => method,
            None if listed.is_empty() || lists(AuthMethod::None) => AuthMethod::None,
            None if lists(AuthMethod::ClientSecretBasic) => AuthMethod::ClientSecretBasic,
            None => AuthMethod::ClientSecretPost,
        }
    }

    fn record(&self, client_id: &str, kind: ClientKind, auth_method: AuthMethod) -> ClientRecord {
        ClientRecord {
            issuer: self.server.issuer.clone(),
            client_id: client_id.to_owned(),
            client_secret: None,
            kind,
            auth_method,
            redirect_uri: self.redirect_uri.map(str::to_owned),
            token_endpoint: Some(self.server.token_endpoint.clone()),
            revocation_endpoint: self.server.revocation_endpoint.clone(),
            resource: None,
            scopes_requested: Scopes::default(),
            secret_expires_at: None,
            obtained_at: None,
            needs_login: false,
            dpop_key: None,
        }
    }

    fn refused(&self, why: String) -> RegistrationError {
        RegistrationError::Refused {
            issuer: plain_text(&self.server.issuer, 200),
            why,
            redirect_uri: self.to_register.to_owned(),
            is_guessed: self.server.is_guessed,
        }
    }
}

/// Says what an endpoint answered instead of what was asked for.
pub(crate) fn describe(posted: &Posted) -> String {
    let status = posted.status;
    let field = |name: &str, max| posted.json[name].as_str().map(|text| plain_text(text, max));
    match (field("error", 100), field("error_description", 300)) {
        (Some(code), Some(words)) => format!("HTTP {status}, `{code}`: {words}"),
        (Some(code), None) => format!("HTTP {status}, `{code}`"),
        (None, _) => format!("HTTP {status}"),
    }
}
