//! What the config says about a login, as the crate below wants it.

use std::path::Path;

use codex_config::{HttpTransport, McpOAuthSettings, McpServerConfig, TokenEndpointAuthMethod};
use codex_host::Secret;
use codex_oauth::{AuthMethod, CallbackSettings, ClientSettings, PreRegistered, SigningKey};
use url::Url;

use super::McpAuth;
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
    let secret = match &own.client_secret_env_var {
        Some(variable) => {
            let value = auth
                .0
                .env
                .get(variable)
                .ok_or_else(|| EndpointError::MissingEnv {
                    server: server.name.clone(),
                    variable: variable.clone(),
                })?;
            Some(Secret::new(value.trim()))
        }
        None => own.client_secret.clone(),
    };
    let signing_key = match &own.private_key_file {
        Some(path) => {
            let pem = read_key(&cwd.join(path));
            let pem = pem.map_err(|why| bad("oauth.private_key_file", why))?;
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
        auth_method: own.token_endpoint_auth_method.map(|method| match method {
            TokenEndpointAuthMethod::ClientSecretBasic => AuthMethod::ClientSecretBasic,
            TokenEndpointAuthMethod::ClientSecretPost => AuthMethod::ClientSecretPost,
            TokenEndpointAuthMethod::None => AuthMethod::None,
            TokenEndpointAuthMethod::PrivateKeyJwt => AuthMethod::PrivateKeyJwt,
        }),
        metadata_url,
        signing_key,
        ..ClientSettings::default()
    })
}

fn read_key(path: &Path) -> Result<Secret, String> {
    let told = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > MAX_KEY_FILE {
        return Err(format!("`{}` is too large for a key", path.display()));
    }
    Ok(Secret::new(std::fs::read_to_string(path).map_err(told)?))
}
