//! What the config says about a login, as the crate below wants it.

use std::path::Path;

use codex_config::{
    HttpAuth, HttpTransport, McpOAuthSettings, McpServerConfig, OAuthGrant, TokenEndpointAuthMethod,
};
use codex_host::{NamedSecretError, Readers, Secret, read_named_secret};
use codex_oauth::{
    AuthMethod, CallbackSettings, ClientSettings, FreshFile, IdentityProvider, PreRegistered,
    SigningKey, UnattendedGrant,
};
use url::Url;

use super::{McpAuth, pinned_issuer};
use crate::resolve::EndpointError;

/// The largest key file.
const MAX_KEY_FILE: u64 = 64 * 1024;

/// A token that the config names, so that there is nothing to log in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaticToken {
    /// `bearer_token_env_var`: the variable.
    Variable(String),
    /// An `Authorization` header.
    Header,
}

impl StaticToken {
    /// Finds the static token of a server.
    pub fn of(http: &HttpTransport) -> Option<Self> {
        if let Some(variable) = &http.bearer_token_env_var {
            return Some(Self::Variable(variable.clone()));
        }
        let mut names = http.http_headers.keys().chain(http.env_http_headers.keys());
        names
            .any(|name| name.eq_ignore_ascii_case("authorization"))
            .then_some(Self::Header)
    }
}

impl std::fmt::Display for StaticToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(variable) => write!(f, "a bearer token from `{variable}`"),
            Self::Header => f.write_str("an `Authorization` header"),
        }
    }
}

/// A login that needs nobody: how its tokens come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattended {
    /// `oauth.grant = "client_credentials"`.
    ClientCredentials,
    /// `oauth.grant = "jwt_bearer"`.
    Assertion,
    /// `auth = "ema_auth"`.
    Enterprise,
}

impl Unattended {
    /// Finds the way that the config chose, if it chose one.
    pub fn of(http: &HttpTransport) -> Option<Self> {
        if http.auth == Some(HttpAuth::EmaAuth) {
            return Some(Self::Enterprise);
        }
        match http.oauth.as_ref()?.grant? {
            OAuthGrant::ClientCredentials => Some(Self::ClientCredentials),
            OAuthGrant::JwtBearer => Some(Self::Assertion),
            OAuthGrant::AuthorizationCode | OAuthGrant::DeviceCode => None,
        }
    }
}

/// Returns the redirect URI to register for a client of this server; the sentence says what is wrong
/// with the configured one.
pub fn redirect_uri_to_register(
    http: &HttpTransport,
    all: &McpOAuthSettings,
) -> Result<String, String> {
    match callback(http, all).binding(&http.url, false) {
        Ok(binding) => Ok(binding.redirect_uri_to_register()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where the browser comes back to.
pub(super) fn callback(http: &HttpTransport, all: &McpOAuthSettings) -> CallbackSettings {
    let own = http.oauth.as_ref();
    CallbackSettings {
        url: own
            .and_then(|own| own.callback_url.clone())
            .or_else(|| all.callback_url.clone()),
        port: own.and_then(|own| own.callback_port).or(all.callback_port),
    }
}

/// Who we are to the authorization server of this server.
pub(super) fn client(
    server: &McpServerConfig,
    http: &HttpTransport,
    auth: &McpAuth,
    cwd: &Path,
) -> Result<ClientSettings, EndpointError> {
    let bad = |key: &'static str, why: String| EndpointError::BadOAuth {
        server: server.name.clone(),
        key,
        why,
    };
    let own = http.oauth.as_ref();
    let metadata_url = own.and_then(|own| own.client_metadata_url.as_ref()).or(auth
        .0
        .settings
        .client_metadata_url
        .as_ref());
    let metadata_url = match metadata_url {
        Some(text) => Some(
            Url::parse(text)
                .map_err(|error| bad("oauth.client_metadata_url", error.to_string()))?,
        ),
        None => None,
    };
    let Some(own) = own else {
        return Ok(ClientSettings {
            metadata_url,
            ..ClientSettings::default()
        });
    };
    let secret = secret(
        server,
        auth,
        own.client_secret_env_var.as_ref(),
        own.client_secret.as_ref(),
    )?;
    let signing_key = match &own.private_key_file {
        Some(path) => {
            let path = cwd.join(path);
            // Who reads it is this client, for as long as the key is registered.
            let pem = read_named_secret(&path, MAX_KEY_FILE, Readers::OwnerOnly);
            let told = |error: NamedSecretError| format!("`{}` {error}", path.display());
            let pem = pem.map_err(|error| bad("oauth.private_key_file", told(error)))?;
            let key = SigningKey::from_pem(&pem);
            Some(key.map_err(|error| bad("oauth.private_key_file", error.to_string()))?)
        }
        None => None,
    };
    Ok(ClientSettings {
        pre_registered: own
            .client_id
            .clone()
            .map(|client_id| PreRegistered { client_id, secret }),
        auth_method: own.token_endpoint_auth_method.map(auth_method),
        metadata_url,
        signing_key,
        pinned_issuer: pinned_issuer(http),
        ..ClientSettings::default()
    })
}

/// What a login without a user shows to the token endpoint; `None` for a login that a user makes.
pub(super) fn unattended_grant(
    server: &McpServerConfig,
    http: &HttpTransport,
    auth: &McpAuth,
    cwd: &Path,
) -> Result<Option<UnattendedGrant>, EndpointError> {
    let own = http.oauth.as_ref();
    let assertion_file = own.and_then(|own| own.assertion_file.as_ref());
    Ok(match Unattended::of(http) {
        None => None,
        Some(Unattended::ClientCredentials) => Some(UnattendedGrant::ClientCredentials),
        Some(Unattended::Assertion) => Some(match assertion_file {
            Some(path) => {
                let file = FreshFile::new("oauth.assertion_file", cwd.join(path));
                UnattendedGrant::AssertionFile(file)
            }
            None => UnattendedGrant::OwnAssertion,
        }),
        Some(Unattended::Enterprise) => {
            let provider = identity_provider(server, auth)?;
            Some(UnattendedGrant::Enterprise(provider))
        }
    })
}

fn identity_provider(
    server: &McpServerConfig,
    auth: &McpAuth,
) -> Result<IdentityProvider, EndpointError> {
    let bad = |why: &str| EndpointError::BadOAuth {
        server: server.name.clone(),
        key: "auth = \"ema_auth\"",
        why: why.to_owned(),
    };
    let settings = &auth.0.settings;
    let idp = settings.identity_provider.as_ref();
    let idp = idp.ok_or_else(|| {
        bad("it needs `issuer`, `client_id` and `id_token_file` in `[mcp_enterprise_managed_auth.idp]`")
    })?;
    let id_token = idp
        .id_token_file
        .as_ref()
        .ok_or_else(|| bad("it needs `id_token_file` in `[mcp_enterprise_managed_auth.idp]`"))?;
    let variable = idp.client_secret_env_var.as_ref();
    let secret = secret(server, auth, variable, idp.client_secret.as_ref())?;
    Ok(IdentityProvider {
        issuer: idp.issuer.clone(),
        client: ClientSettings {
            pre_registered: Some(PreRegistered {
                client_id: idp.client_id.clone(),
                secret,
            }),
            auth_method: idp.token_endpoint_auth_method.map(auth_method),
            ..ClientSettings::default()
        },
        id_token: FreshFile::new("mcp_enterprise_managed_auth.idp.id_token_file", id_token),
    })
}

/// The secret of a client: from the variable that the config names, else from the config itself.
fn secret(
    server: &McpServerConfig,
    auth: &McpAuth,
    variable: Option<&String>,
    written: Option<&Secret>,
) -> Result<Option<Secret>, EndpointError> {
    let Some(variable) = variable else {
        return Ok(written.cloned());
    };
    let value = auth.0.env.get(variable);
    let value = value.ok_or_else(|| EndpointError::MissingEnv {
        server: server.name.clone(),
        variable: variable.clone(),
    })?;
    Ok(Some(Secret::new(value.trim())))
}

fn auth_method(method: TokenEndpointAuthMethod) -> AuthMethod {
    match method {
        TokenEndpointAuthMethod::ClientSecretBasic => AuthMethod::ClientSecretBasic,
        TokenEndpointAuthMethod::ClientSecretPost => AuthMethod::ClientSecretPost,
        TokenEndpointAuthMethod::None => AuthMethod::None,
        TokenEndpointAuthMethod::PrivateKeyJwt => AuthMethod::PrivateKeyJwt,
    }
}
