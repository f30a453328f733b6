//! The two documents of discovery: of the resource (RFC 9728) and of the authorization server
//! (RFC 8414, OpenID Connect Discovery).
//!
//! Only what is used is read, with its type; an optional field of a wrong type counts as absent, a
//! needed one makes the document unusable. The rules of what may be believed are in `discovery`.

use serde_json::Value;
use url::Url;

use crate::Scopes;

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A needed field is absent or of a wrong type.
    #[error("`{0}` is missing or has a wrong type")]
    Field(&'static str),
    /// An endpoint is no URL.
    #[error("`{0}` is not a URL")]
    NotAUrl(&'static str),
}

/// What a resource says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// The resource, as it stands.
    pub resource: String,
    /// Its authorization servers, as they stand; never empty.
    pub authorization_servers: Vec<String>,
    /// The scopes that it knows.
    pub scopes_supported: Scopes,
    /// Whether it takes nothing but tokens that are bound to a key (RFC 9449).
    pub requires_bound_tokens: bool,
    /// With which algorithms it takes them.
    pub dpop_algorithms: Vec<String>,
}

impl ResourceMetadata {
    pub(crate) fn read(document: &Value) -> Result<Self, MetadataError> {
        let resource = document["resource"].as_str();
        let authorization_servers = strings(&document["authorization_servers"]);
        if authorization_servers.is_empty() {
            return Err(MetadataError::Field("authorization_servers"));
        }
        Ok(Self {
            resource: resource.ok_or(MetadataError::Field("resource"))?.to_owned(),
            authorization_servers,
            scopes_supported: strings(&document["scopes_supported"]).iter().collect(),
            requires_bound_tokens: document["dpop_bound_access_tokens_required"] == true,
            dpop_algorithms: strings(&document["dpop_signing_alg_values_supported"]),
        })
    }
}

/// What an authorization server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMetadata {
    /// Its name, as it stands.
    pub issuer: String,
    /// Where the browser goes; a server for machines only has none.
    pub authorization_endpoint: Option<Url>,
    /// Where tokens come from.
    pub token_endpoint: Url,
    /// Where clients register themselves (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// Where a device code comes from (RFC 8628).
    pub device_authorization_endpoint: Option<Url>,
    /// Where tokens end (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// Its scopes for all its resources.
    pub scopes_supported: Scopes,
    /// How it wants PKCE; `None` when it does not say.
    pub code_challenge_methods: Option<Vec<String>>,
    /// How clients prove themselves at the token endpoint; empty when it does not say.
    pub token_auth_methods: Vec<String>,
    /// With which algorithms it binds tokens to keys (RFC 9449).
    pub dpop_algorithms: Vec<String>,
    /// Whether a URL may be a client id (client id metadata documents).
    pub takes_client_metadata_url: bool,
    /// Whether it names itself in every authorization response (RFC 9207).
    pub names_itself: bool,
    /// Nothing is published: the endpoints are where 2025-03-26 puts them, if there are any.
    pub is_guessed: bool,
}

impl ServerMetadata {
    pub(crate) fn read(document: &Value) -> Result<Self, MetadataError> {
        let issuer = document["issuer"].as_str();
        let methods = &document["code_challenge_methods_supported"];
        let yes = |name: &str| document[name].as_bool() == Some(true);
        Ok(Self {
            issuer: issuer.ok_or(MetadataError::Field("issuer"))?.to_owned(),
            authorization_endpoint: url(document, "authorization_endpoint")?,
            token_endpoint: url(document, "token_endpoint")?
                .ok_or(MetadataError::Field("token_endpoint"))?,
            registration_endpoint: url(document, "registration_endpoint")?,
            device_authorization_endpoint: url(document, "device_authorization_endpoint")?,
            revocation_endpoint: url(document, "revocation_endpoint")?,
            scopes_supported: strings(&document["scopes_supported"]).iter().collect(),
            code_challenge_methods: methods.is_array().then(|| strings(methods)),
            token_auth_methods: strings(&document["token_endpoint_auth_methods_supported"]),
            dpop_algorithms: strings(&document["dpop_signing_alg_values_supported"]),
            takes_client_metadata_url: yes("client_id_metadata_document_supported"),
            names_itself: yes("authorization_response_iss_parameter_supported"),
            is_guessed: false,
        })
    }

    /// Makes up the endpoints of 2025-03-26 for a server that publishes nothing.
    pub(crate) fn legacy(server_url: &Url) -> Self {
        let at = |path: &str| {
            let mut url = server_url.clone();
            url.set_path(path);
            url.set_query(None);
            url.set_fragment(None);
            url
        };
        Self {
            issuer: server_url.origin().ascii_serialization(),
            authorization_endpoint: Some(at("/authorize")),
            token_endpoint: at("/token"),
            registration_endpoint: Some(at("/register")),
            device_authorization_endpoint: None,
            revocation_endpoint: None,
            scopes_supported: Scopes::default(),
            code_challenge_methods: None,
            token_auth_methods: Vec::new(),
            dpop_algorithms: Vec::new(),
            takes_client_metadata_url: false,
            names_itself: false,
            is_guessed: true,
        }
    }

    /// Returns every endpoint with its name in the document.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        let optional = [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("registration_endpoint", &self.registration_endpoint),
            (
                "device_authorization_endpoint",
                &self.device_authorization_endpoint,
            ),
            ("revocation_endpoint", &self.revocation_endpoint),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, url)| Some((name, url.as_ref()?)));
        [("token_endpoint", &self.token_endpoint)]
            .into_iter()
            .chain(optional)
    }
}

fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().into_iter().flatten();
    values
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn url(document: &Value, name: &'static str) -> Result<Option<Url>, MetadataError> {
    match document[name].as_str() {
        Some(text) => match text.parse() {
            Ok(url) => Ok(Some(url)),
            Err(_) => Err(MetadataError::NotAUrl(name)),
        },
        None => Ok(None),
    }
}
