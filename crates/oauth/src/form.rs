//! A form to a token endpoint, with the proof of who we are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::Secret;
use http::HeaderValue;
use url::form_urlencoded::{Serializer, byte_serialize};

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
