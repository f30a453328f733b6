//! A form to a token endpoint, with the proof of who we are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::Secret;
use http::HeaderValue;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::exchange::plain_text;

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
    basic: Option<Basic>,
}

/// `Authorization: Basic`, and the secret within it, as it is and as it is sent.
#[derive(Clone)]
struct Basic {
    value: Secret,
    secret: Secret,
    encoded: Secret,
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
        self.basic = Some(Basic {
            value: Secret::new(STANDARD.encode(pair)),
            secret: secret.clone(),
            encoded: Secret::new(encoded(secret.expose())),
        });
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
    ///
    /// What cannot be seen is taken out first: a secret with an invisible letter in it would pass.
    pub(crate) fn redacted(&self, words: &str) -> String {
        let fields = self.fields.iter();
        let fields = fields.filter(|(name, _)| SECRETS.contains(name));
        let basic = self.basic.iter();
        let mut secrets: Vec<&str> = fields
            .map(|(_, secret)| secret.expose())
            .chain(basic.flat_map(|basic| {
                [&basic.value, &basic.secret, &basic.encoded].map(Secret::expose)
            }))
            .filter(|secret| !secret.is_empty())
            .collect();
        // One may begin with another: the rest of the longer one must not be left standing.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let words = plain_text(words, usize::MAX);
        secrets
            .into_iter()
            .fold(words, |words, secret| words.replace(secret, "[redacted]"))
    }

    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let text = format!("Basic {}", self.basic.as_ref()?.value.expose());
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
