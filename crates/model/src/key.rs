//! Which key a request carries, and where it comes from.
//!
//! The order of contract-model-api 2 is [`KeyCandidates::choose`], a pure function: whoever maps
//! config to [`crate::ProviderSettings`] gathers the candidates and asks it.

mod command;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use codex_host::Secret;

pub use command::CommandKey;

/// Where the key of a provider comes from, decided.
#[derive(Debug, Clone)]
pub enum ProviderKey {
    /// No key: requests have no `authorization`.
    None,
    /// A key that does not change.
    Fixed(Secret),
    /// A key that is fetched, and fetched anew after a 401.
    Source(Arc<dyn AuthProvider>),
    /// A key was expected and is not there: the turn fails before any request.
    Missing(KeyError),
}

/// Fetches a key that can change: an `auth` command, a stored login (`codex-login` will be one).
pub trait AuthProvider: fmt::Debug + Send + Sync {
    /// Returns the key. With [`Freshness::Renewed`] the last one was refused with a 401.
    fn key(
        &self,
        freshness: Freshness,
    ) -> Pin<Box<dyn Future<Output = Result<Secret, KeyError>> + Send + '_>>;
}

/// Whether the key of an earlier request will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Any key that was not refused.
    Any,
    /// A new one: the last was refused.
    Renewed,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyError {
    /// One sentence.
    pub message: String,
    /// What the user can do now.
    pub hints: Vec<String>,
}

/// Everything that may give a key, looked up but not chosen from.
#[derive(Debug, Clone, Default)]
pub struct KeyCandidates {
    /// `experimental_bearer_token`.
    pub configured_token: Option<Secret>,
    /// `auth = {command, …}`.
    pub auth: Option<Arc<dyn AuthProvider>>,
    /// `env_key` with the value of its variable.
    pub env_key: Option<EnvKey>,
    /// The provider is `openai`, or has `requires_openai_auth = true`.
    pub uses_openai_auth: bool,
    /// Variable `CODEX_API_KEY`.
    pub codex_api_key: Option<Secret>,
    /// The key that `codex login` stored.
    pub stored_api_key: Option<Secret>,
    /// Variable `OPENAI_API_KEY`.
    pub openai_api_key: Option<Secret>,
    /// Where requests go.
    pub address: Address,
}

/// `env_key` of a provider.
#[derive(Debug, Clone)]
pub struct EnvKey {
    /// Name of the variable.
    pub variable: String,
    /// Its value, when it is set.
    pub value: Option<Secret>,
    /// `env_key_instructions`.
    pub instructions: Option<String>,
}

/// Where requests go, as far as a key depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Address {
    /// [`crate::OPENAI_BASE_URL`].
    BuiltIn,
    /// The value of the variable `OPENAI_BASE_URL`.
    FromEnv,
    /// Anything else.
    #[default]
    Other,
}

impl KeyCandidates {
    /// Chooses: configured token, `auth`, `env_key`, `CODEX_API_KEY`, stored key, `OPENAI_API_KEY`.
    ///
    /// `OPENAI_API_KEY` goes only to the built-in address or the one of `OPENAI_BASE_URL`: it is a
    /// variable of many programs, and another address in config may be anybody's. Empty values count
    /// as absent.
    pub fn choose(self) -> ProviderKey {
        let usable = |key: Option<Secret>| key.filter(|key| !key.is_empty());
        if let Some(token) = usable(self.configured_token) {
            return ProviderKey::Fixed(token);
        }
        if let Some(source) = self.auth {
            return ProviderKey::Source(source);
        }
        if let Some(env_key) = self.env_key {
            return match usable(env_key.value) {
                Some(key) => ProviderKey::Fixed(key),
                None => ProviderKey::Missing(KeyError::unset(
                    &env_key.variable,
                    env_key.instructions.as_deref(),
                )),
            };
        }
        if !self.uses_openai_auth {
            return ProviderKey::None;
        }
        let general = usable(self.openai_api_key).filter(|_| self.address != Address::Other);
        let key = usable(self.codex_api_key)
            .or(usable(self.stored_api_key))
            .or(general);
        match (key, self.address) {
            (Some(key), _) => ProviderKey::Fixed(key),
            (None, Address::BuiltIn) => ProviderKey::Missing(KeyError::not_logged_in()),
            (None, Address::FromEnv | Address::Other) => ProviderKey::None,
        }
    }
}

impl KeyError {
    /// Makes an error of one sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
        }
    }

    fn unset(variable: &str, instructions: Option<&str>) -> Self {
        let mut message = format!("Missing environment variable: `{variable}`.");
        if let Some(instructions) = instructions {
            message.push(' ');
            message.push_str(instructions);
        }
        Self::new(message)
    }

    fn not_logged_in() -> Self {
        Self {
            message: "no API key for provider `openai`".to_owned(),
            hints: vec!["set OPENAI_API_KEY or CODEX_API_KEY to a key of the provider".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(address: Address) -> KeyCandidates {
        KeyCandidates {
            configured_token: Some(Secret::new("token")),
            auth: None,
            env_key: Some(EnvKey {
                variable: "PKEY".to_owned(),
                value: Some(Secret::new("env")),
                instructions: None,
            }),
            uses_openai_auth: true,
            codex_api_key: Some(Secret::new("codex")),
            stored_api_key: Some(Secret::new("stored")),
            openai_api_key: Some(Secret::new("openai")),
            address,
        }
    }

    fn chosen(candidates: KeyCandidates) -> String {
        match candidates.choose() {
            ProviderKey::None => "none".to_owned(),
            ProviderKey::Fixed(key) => key.expose().to_owned(),
            ProviderKey::Source(_) => "source".to_owned(),
            ProviderKey::Missing(error) => error.to_string(),
        }
    }

    #[test]
    fn keys_are_taken_in_the_order_of_the_contract() {
        let mut candidates = all(Address::BuiltIn);
        let mut order = Vec::new();
        order.push(chosen(candidates.clone()));
        candidates.configured_token = None;
        order.push(chosen(candidates.clone()));
        candidates.env_key = None;
        order.push(chosen(candidates.clone()));
        candidates.codex_api_key = Some(Secret::new(""));
        order.push(chosen(candidates.clone()));
        candidates.stored_api_key = None;
        order.push(chosen(candidates.clone()));
        candidates.openai_api_key = None;
        order.push(chosen(candidates));
        assert_eq!(
            order,
            [
                "token",
                "env",
                "codex",
                "stored",
                "openai",
                "no API key for provider `openai`"
            ]
        );
    }

    #[test]
    fn the_general_key_never_goes_to_a_foreign_address() {
        let only_general = |address| {
            chosen(KeyCandidates {
                uses_openai_auth: true,
                openai_api_key: Some(Secret::new("openai")),
                address,
                ..KeyCandidates::default()
            })
        };
        assert_eq!(only_general(Address::Other), "none");
        assert_eq!(only_general(Address::FromEnv), "openai");
    }

    #[test]
    fn another_provider_gets_no_key_of_openai() {
        let mut candidates = all(Address::Other);
        candidates.configured_token = None;
        candidates.env_key = None;
        candidates.uses_openai_auth = false;
        assert_eq!(chosen(candidates), "none");
    }

    #[test]
    fn an_unset_variable_is_named_with_its_instructions() {
        let unset = |value: Option<&str>| KeyCandidates {
            env_key: Some(EnvKey {
                variable: "PKEY".to_owned(),
                value: value.map(Secret::new),
                instructions: Some("Ask Bob.".to_owned()),
            }),
            ..KeyCandidates::default()
        };
        for value in [None, Some("")] {
            assert_eq!(
                chosen(unset(value)),
                "Missing environment variable: `PKEY`. Ask Bob."
            );
        }
    }
}
