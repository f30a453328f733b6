//! Which provider answers, where it is, and which key it gets.
//!
//! The order of keys and the choice of an address are rules of `codex-model`; here config and
//! environment are only brought together.

use std::path::Path;
use std::sync::Arc;

use codex_config::{Config, Feature, ModelProviderConfig, WireApi};
use codex_host::{Env, Secret};
use codex_model::{
    Address, AuthProvider, ClientIdentity, CommandKey, EnvKey, KeyCandidates, ProviderSettings,
    ToolDialect, base_url,
};
use url::Url;

use crate::Loaded;

const OPENAI: &str = "openai";
const DEFAULT_MODEL: &str = "gpt-5.5";
/// Built-in ids of local servers.
const LOCAL: [&str; 2] = ["ollama", "lmstudio"];

/// Why the model side cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// `model_provider` names nothing.
    #[error("Model provider `{id}` not found")]
    NotFound {
        /// What it names.
        id: String,
        /// What it could name.
        defined: Vec<String>,
    },
    /// There is no default for this provider.
    #[error("no model is configured for model provider `{0}`")]
    NoModel(String),
    /// The address is none.
    #[error("{key} is not an absolute http(s) URL")]
    Address {
        /// Where the address was given.
        key: String,
    },
    /// Something that this version does not have.
    #[error("{0} is not available yet")]
    NotAvailable(String),
}

impl ProviderError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { id, defined } => {
                let near = codex_utils_fuzzy_match::nearest(id, defined.iter().map(String::as_str));
                let defined: Vec<String> = defined.iter().map(|id| format!("`{id}`")).collect();
                let near = near.map(|near| format!("did you mean `{near}`?"));
                near.into_iter()
                    .chain([
                        format!("defined are {}", defined.join(", ")),
                        format!("another one is added as [model_providers.{id}] in config.toml"),
                    ])
                    .collect()
            }
            Self::NoModel(_) => {
                vec!["pass one with `-m MODEL`, or set `model` in config.toml".to_owned()]
            }
            Self::Address { .. } | Self::NotAvailable(_) => Vec::new(),
        }
    }
}

/// The provider of a run, and what there is to say about it.
#[derive(Debug)]
pub(crate) struct ChosenProvider {
    pub(crate) settings: ProviderSettings,
    pub(crate) notices: Vec<String>,
}

impl Loaded {
    /// Returns where the model of a run would be asked.
    pub fn provider_address(&self) -> Result<Url, ProviderError> {
        // Nobody is asked, so it does not matter who we are.
        let identity = ClientIdentity {
            originator: String::new(),
            user_agent: String::new(),
        };
        let chosen = provider(&self.config, &self.env, &self.cwd, identity)?;
        Ok(chosen.settings.base_url)
    }
}

/// Returns the id of the configured provider.
pub(crate) fn provider_id(config: &Config) -> &str {
    config.model_provider.as_deref().unwrap_or(OPENAI)
}

/// Returns the model: the typed one, the configured one, or the default of the built-in provider.
pub(crate) fn model(typed: Option<&str>, config: &Config) -> Result<String, ProviderError> {
    match (typed.or(config.model.as_deref()), provider_id(config)) {
        // An empty name is a variable that a script left unset, and no wish for the default.
        (Some(""), id) => Err(ProviderError::NoModel(id.to_owned())),
        (Some(model), _) => Ok(model.to_owned()),
        (None, OPENAI) => Ok(DEFAULT_MODEL.to_owned()),
        (None, id) => Err(ProviderError::NoModel(id.to_owned())),
    }
}

/// Resolves the provider of a run.
pub(crate) fn provider(
    config: &Config,
    env: &Env,
    cwd: &Path,
    identity: ClientIdentity,
) -> Result<ChosenProvider, ProviderError> {
    let id = provider_id(config);
    let mut chosen = match config.model_providers.get(id) {
        None if id == OPENAI => built_in(config, env, identity)?,
        None if LOCAL.contains(&id) => {
            return Err(ProviderError::NotAvailable(format!(
                "model provider `{id}`"
            )));
        }
        None => {
            let configured = config.model_providers.keys().cloned();
            return Err(ProviderError::NotFound {
                id: id.to_owned(),
                defined: std::iter::once(OPENAI.to_owned())
                    .chain(configured)
                    .collect(),
            });
        }
        Some(provider) => {
            let keys = keys(provider, env, cwd);
            configured(id, provider, env, keys, identity)?
        }
    };
    chosen.settings.unbounded_connection_retries =
        config.features.enabled(Feature::UnboundedConnectionRetries);
    Ok(chosen)
}

/// Returns the dialect that a provider of this id is spoken to in, for a run that never asks it.
pub(crate) fn dialect(id: &str, config: &Config) -> ToolDialect {
    match config.model_providers.get(id) {
        Some(provider) => configured_dialect(provider),
        None if id == OPENAI => ToolDialect::OpenAi,
        None => ToolDialect::Plain,
    }
}

fn built_in(
    config: &Config,
    env: &Env,
    identity: ClientIdentity,
) -> Result<ChosenProvider, ProviderError> {
    let configured = config.openai_base_url.as_deref();
    let (url, address) = base_url(configured, env.non_empty("OPENAI_BASE_URL"));
    let key = if configured.is_some() {
        "openai_base_url"
    } else {
        "OPENAI_BASE_URL"
    };
    let mut settings = ProviderSettings::new(OPENAI, absolute(url, key)?, identity);
    settings.dialect = ToolDialect::OpenAi;
    settings.key = openai_keys(env, address).choose();
    Ok(ChosenProvider {
        settings,
        notices: Vec::new(),
    })
}

fn configured(
    id: &str,
    provider: &ModelProviderConfig,
    env: &Env,
    keys: KeyCandidates,
    identity: ClientIdentity,
) -> Result<ChosenProvider, ProviderError> {
    if provider.wire_api == WireApi::Chat {
        let what = format!("wire_api = \"chat\" (model provider `{id}`)");
        return Err(ProviderError::NotAvailable(what));
    }
    let key = format!("base_url of model provider `{id}`");
    let mut settings = ProviderSettings::new(id, absolute(&provider.base_url, &key)?, identity);
    let mut notices = Vec::new();
    settings.key = keys.choose();
    settings.query_params = provider
        .query_params
        .iter()
        .map(|(k, v)| (k.clone(), v.expose().to_owned()))
        .collect();
    settings.headers = headers(id, provider, env, &mut notices);
    if let Some(n_retries) = provider.request_max_retries {
        settings.request_max_retries = n_retries;
    }
    if let Some(n_retries) = provider.stream_max_retries {
        settings.stream_max_retries = n_retries;
    }
    if let Some(limit) = provider.stream_idle_timeout {
        settings.stream_idle_timeout = limit;
    }
    settings.dialect = configured_dialect(provider);
    Ok(ChosenProvider { settings, notices })
}

fn configured_dialect(provider: &ModelProviderConfig) -> ToolDialect {
    match provider.tool_dialect {
        Some(codex_config::ToolDialect::Openai) => ToolDialect::OpenAi,
        Some(codex_config::ToolDialect::Plain) | None => ToolDialect::Plain,
    }
}

fn headers(
    id: &str,
    provider: &ModelProviderConfig,
    env: &Env,
    notices: &mut Vec<String>,
) -> Vec<(String, Secret)> {
    let literal = provider
        .http_headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let mut headers: Vec<(String, Secret)> = literal.collect();
    for (name, variable) in &provider.env_http_headers {
        match env.non_empty(variable) {
            Some(value) => headers.push((name.clone(), Secret::new(value))),
            None => notices.push(format!(
                "header `{name}` of model provider `{id}` is left out: \
                 environment variable `{variable}` is not set"
            )),
        }
    }
    headers
}

fn keys(provider: &ModelProviderConfig, env: &Env, cwd: &Path) -> KeyCandidates {
    let (_, address) = base_url(Some(&provider.base_url), env.non_empty("OPENAI_BASE_URL"));
    let env_key = provider.env_key.as_ref().map(|variable| EnvKey {
        variable: variable.clone(),
        value: env.non_empty(variable).map(Secret::new),
        instructions: provider.env_key_instructions.clone(),
    });
    let auth = provider.auth.as_ref().map(|auth| {
        let (args, env, cwd) = (auth.args.clone(), env.clone(), cwd.to_owned());
        let key = CommandKey::new(auth.command.clone(), args, auth.timeout, env, cwd);
        Arc::new(key) as Arc<dyn AuthProvider>
    });
    KeyCandidates {
        auth,
        configured_token: provider.experimental_bearer_token.clone(),
        env_key,
        uses_openai_auth: provider.requires_openai_auth,
        ..openai_keys(env, address)
    }
}

/// Looks up what `openai` and those that use its key may use. `codex login` stores none yet.
fn openai_keys(env: &Env, address: Address) -> KeyCandidates {
    KeyCandidates {
        uses_openai_auth: true,
        codex_api_key: env.non_empty("CODEX_API_KEY").map(Secret::new),
        openai_api_key: env.non_empty("OPENAI_API_KEY").map(Secret::new),
        address,
        ..KeyCandidates::default()
    }
}

fn absolute(text: &str, key: &str) -> Result<Url, ProviderError> {
    let refused = || ProviderError::Address {
        key: key.to_owned(),
    };
    let url = Url::parse(text).map_err(|_| refused())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests;
