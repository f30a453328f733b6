//! A provider, resolved: no name of an environment variable is left in it.

use std::fmt;
use std::time::Duration;

use codex_host::Secret;
use url::Url;

use crate::{Address, ClientIdentity, ProviderKey};

/// Address of the built-in provider `openai`.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// More retries than this are cut to it, whatever the config says.
const MAX_RETRIES: u32 = 10;

/// Everything that [`crate::ResponsesApi`] needs to know about its provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Id of the provider in config.
    pub id: String,
    /// Absolute http(s) URL; a trailing `/` does not matter.
    pub base_url: Url,
    /// Where the key comes from.
    pub key: ProviderKey,
    /// `http_headers` and the set ones of `env_http_headers`. They win over our own, except
    /// `accept` and `content-type`.
    pub headers: Vec<(String, Secret)>,
    /// Appended to each URL.
    pub query_params: Vec<(String, String)>,
    /// Retries of requests; above 10 counts as 10.
    pub request_max_retries: u32,
    /// Retries of answers that broke off; above 10 counts as 10.
    pub stream_max_retries: u32,
    /// Longest silence before the headers and within the answer.
    pub stream_idle_timeout: Duration,
    /// Feature `unbounded_connection_retries`: an unreachable provider is tried until cancelled.
    pub unbounded_connection_retries: bool,
    /// How tools are offered; the engine reads this, the client does not.
    pub dialect: ToolDialect,
    /// Who we say we are.
    pub identity: ClientIdentity,
}

/// How tools are offered to a provider (contract-model-api 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolDialect {
    /// Namespaces, custom tools, hosted search: the built-in `openai`, whatever its address.
    OpenAi,
    /// Function tools with flat names: everybody else.
    Plain,
}

impl ProviderSettings {
    /// Makes settings with the defaults of the contract: no key, 4 and 5 retries, 300 s of silence,
    /// plain dialect.
    pub fn new(id: impl Into<String>, base_url: Url, identity: ClientIdentity) -> Self {
        Self {
            id: id.into(),
            base_url,
            key: ProviderKey::None,
            headers: Vec::new(),
            query_params: Vec::new(),
            request_max_retries: 4,
            stream_max_retries: 5,
            stream_idle_timeout: Duration::from_secs(300),
            unbounded_connection_retries: false,
            dialect: ToolDialect::Plain,
            identity,
        }
    }

    /// Returns the URL of an endpoint below the base URL, with the query parameters.
    pub fn endpoint(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        if !self.query_params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query_params);
        }
        url
    }

    pub(crate) fn retry_limits(&self) -> crate::retry::RetryLimits {
        crate::retry::RetryLimits {
            requests: self.request_max_retries.min(MAX_RETRIES),
            streams: self.stream_max_retries.min(MAX_RETRIES),
            unbounded_connection: self.unbounded_connection_retries,
        }
    }
}

// Query values and user info may be secrets: only names are shown.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query: Vec<_> = self.query_params.iter().map(|(name, _)| name).collect();
        f.debug_struct("ProviderSettings")
            .field("id", &self.id)
            .field("base_url", &codex_http::shown_url(&self.base_url))
            .field("key", &self.key)
            .field("headers", &self.headers)
            .field("query_params", &query)
            .field("retries", &self.retry_limits())
            .field("stream_idle_timeout", &self.stream_idle_timeout)
            .field("dialect", &self.dialect)
            .field("identity", &self.identity)
            .finish()
    }
}

/// Chooses the address of the built-in provider: `openai_base_url` of config, then the variable
/// `OPENAI_BASE_URL`, then the built-in one. Empty values count as absent.
pub fn base_url<'a>(configured: Option<&'a str>, env: Option<&'a str>) -> (&'a str, Address) {
    let set = |value: Option<&'a str>| value.filter(|value| !value.trim().is_empty());
    match (set(configured), set(env)) {
        (Some(url), _) if is_built_in(url) => (OPENAI_BASE_URL, Address::BuiltIn),
        (None, Some(url)) if is_built_in(url) => (OPENAI_BASE_URL, Address::BuiltIn),
        // The user named the same address twice: it is the one of the variable.
        (Some(url), Some(env)) if same(url, env) => (url, Address::FromEnv),
        (Some(url), _) => (url, Address::Other),
        (None, Some(url)) => (url, Address::FromEnv),
        (None, None) => (OPENAI_BASE_URL, Address::BuiltIn),
    }
}

fn is_built_in(url: &str) -> bool {
    same(url, OPENAI_BASE_URL)
}

fn same(left: &str, right: &str) -> bool {
    left.trim_end_matches('/') == right.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base: &str) -> ProviderSettings {
        let identity = ClientIdentity::new("codex_exec", None, "1", "os", "");
        ProviderSettings::new("p", Url::parse(base).unwrap(), identity)
    }

    #[test]
    fn a_trailing_slash_of_the_base_does_not_matter() {
        for base in ["http://h/v1", "http://h/v1/", "http://h/v1//"] {
            assert_eq!(
                settings(base).endpoint("responses").as_str(),
                "http://h/v1/responses"
            );
        }
        assert_eq!(
            settings("http://h").endpoint("responses").as_str(),
            "http://h/responses"
        );
    }

    #[test]
    fn query_parameters_are_appended_and_escaped() {
        let mut settings = settings("http://h/v1?a=1");
        settings.query_params = vec![("api-version".to_owned(), "2025 x".to_owned())];
        assert_eq!(
            settings.endpoint("responses").as_str(),
            "http://h/v1/responses?a=1&api-version=2025+x"
        );
    }

    #[test]
    fn config_wins_over_the_variable_and_the_variable_over_the_built_in_address() {
        assert_eq!(
            base_url(Some("http://c"), Some("http://e")),
            ("http://c", Address::Other)
        );
        assert_eq!(
            base_url(None, Some("http://e")),
            ("http://e", Address::FromEnv)
        );
        assert_eq!(
            base_url(None, Some("")),
            (OPENAI_BASE_URL, Address::BuiltIn)
        );
        assert_eq!(base_url(None, None), (OPENAI_BASE_URL, Address::BuiltIn));
        let spelled = "https://api.openai.com/v1/";
        assert_eq!(
            base_url(Some(spelled), None),
            (OPENAI_BASE_URL, Address::BuiltIn)
        );
        assert_eq!(
            base_url(Some("http://e/"), Some("http://e")),
            ("http://e/", Address::FromEnv)
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut settings = settings("http://u:hunter2@h/v1?k=hunter2");
        settings.key = ProviderKey::Fixed(Secret::new("hunter2"));
        settings.headers = vec![("x".to_owned(), Secret::new("hunter2"))];
        settings.query_params = vec![("q".to_owned(), "hunter2".to_owned())];
        let shown = format!("{settings:?}");
        assert!(shown.contains("x") && shown.contains("\"q\""), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn no_more_than_ten_retries_are_configured() {
        let mut settings = settings("http://h");
        settings.request_max_retries = 1000;
        settings.stream_max_retries = 2;
        let limits = settings.retry_limits();
        assert_eq!((limits.requests, limits.streams), (10, 2));
    }
}
