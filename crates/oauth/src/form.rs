//! A form to a token endpoint, with the proof of who we are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::Secret;
use http::HeaderValue;
use url::form_urlencoded::{Serializer, byte_serialize};

/// Fields whose values nobody may see, not even in the words of the server that got them.
const SECRETS: &[&str] = &[
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "refresh_token",
    "subject_token",
    "token",
];

/// A form. Its Debug shows names only: most values are secrets.
#[derive(Clone, Default)]
pub(crate) struct Form {
    fields: Vec<(&'static str, Secret)>,
    basic: Option<Secret>,
}

impl Form {
    pub(crate) fn grant(grant_type: &'static str) -> Self {
        Self::default().with("grant_type", grant_type)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, Secret::new(value)));
        self
    }

    pub(crate) fn with_some(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds `Authorization: Basic`, both halves form-encoded first (RFC 6749, 2.3.1).
    pub(crate) fn with_basic(mut self, client_id: &str, secret: &Secret) -> Self {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
        self.basic = Some(Secret::new(STANDARD.encode(pair)));
        self
    }

    pub(crate) fn body(&self) -> String {
        let pairs = self
            .fields
            .iter()
            .map(|(name, value)| (*name, value.expose()));
        Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// Takes the secrets of this form out of what its receiver said about it.
    pub(crate) fn redacted(&self, text: &str) -> String {
        let fields = self.fields.iter();
        let secrets = fields.filter(|(name, _)| SECRETS.contains(name));
        secrets.fold(text.to_owned(), |text, (_, secret)| {
            match secret.is_empty() {
                true => text,
                false => text.replace(secret.expose(), "[redacted]"),
            }
        })
    }

    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let text = format!("Basic {}", self.basic.as_ref()?.expose());
        HeaderValue::from_str(&text).ok()
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.fields.iter().map(|(name, _)| name))
            .finish()
    }
}
