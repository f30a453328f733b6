//! What we sent to prove who we are, so that a server that sends it back does not get it shown.
//!
//! Kept per connection: a login's token changes while it lasts, and an error may name an earlier one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codex_host::Secret;
use http::HeaderValue;
use serde_json::Value;

/// A value shorter than this is a word, not a secret.
const MIN_SECRET: usize = 8;

/// So many tokens of a login are remembered: with hourly renewals those of more than a day.
const MAX_TOKENS: usize = 32;

/// Our own secrets on one connection.
#[derive(Debug, Default)]
pub(crate) struct OwnSecrets(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    configured: Vec<Secret>,
    tokens: VecDeque<Secret>,
}

impl OwnSecrets {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what each request of the connection carries.
    pub(crate) fn configured(&self, secrets: impl IntoIterator<Item = Secret>) {
        let secrets = secrets.into_iter().filter(is_long);
        self.lock().configured.extend(secrets);
    }

    /// Remembers the token of one request, given as the value of `Authorization`.
    pub(crate) fn sent(&self, authorization: &HeaderValue) {
        let Some((_, token)) = authorization
            .to_str()
            .ok()
            .and_then(|it| it.split_once(' '))
        else {
            return;
        };
        let token = Secret::new(token);
        let mut known = self.lock();
        if !is_long(&token) || known.tokens.contains(&token) {
            return;
        }
        if known.tokens.len() == MAX_TOKENS {
            known.tokens.pop_front();
        }
        known.tokens.push_back(token);
    }

    /// Takes our secrets out of a server's words.
    pub(crate) fn redacted(&self, words: &str) -> String {
        let known = self.lock();
        let mut secrets: Vec<&Secret> = known.configured.iter().chain(&known.tokens).collect();
        // One may begin with another: the rest of the longer one must not be left standing.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets.into_iter().fold(words.to_owned(), |words, secret| {
            words.replace(secret.expose(), "[redacted]")
        })
    }

    /// The same for every text within a JSON value.
    pub(crate) fn redact(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redacted(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.redact(value)),
            Value::Object(map) => map.values_mut().for_each(|value| self.redact(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn is_long(secret: &Secret) -> bool {
    secret.expose().len() >= MIN_SECRET
}
