//! The client of the Responses API: one POST per try, server-sent events back.
//!
//! [`ResponsesApi`] holds what is the same for every request; one answer with all its tries is a
//! [`session::Session`]. Nothing runs in the background: the stream works only while it is polled, so
//! dropping it closes the connection.

mod body;
mod headers;
mod reading;
mod session;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_host::{Clock, Secret};
use codex_http::{HttpClient, shown_url};
use futures_util::stream;
use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::retry::RetryLimits;
use crate::{ModelBackend, ModelStream, Prompt, ProviderKey, ProviderSettings, RetryBudget};
use session::Session;

/// So many fetched keys are remembered; each 401 fetches one.
const MAX_FETCHED: usize = 16;

/// Asks a provider that speaks the Responses API.
#[derive(Debug)]
pub struct ResponsesApi {
    shared: Arc<Shared>,
}

/// What every request of a provider has in common.
struct Shared {
    http: HttpClient,
    clock: Clock,
    url: Url,
    key: ProviderKey,
    /// Our own headers and the configured ones, or why those cannot be sent.
    headers: Result<HeaderMap, String>,
    /// Values that no message may show.
    secrets: Vec<Secret>,
    /// The newest keys that were fetched; no message may show them either.
    fetched: Mutex<VecDeque<Secret>>,
    limits: RetryLimits,
    idle: Duration,
    waits: Waits,
}

/// Whether waits between tries take their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Real,
    /// Tests look at the announced waits instead of sitting them out.
    #[cfg(test)]
    Skipped,
}

impl ResponsesApi {
    /// Makes a client. Nothing is resolved or contacted before the first stream is polled.
    pub fn new(settings: ProviderSettings, http: HttpClient, clock: Clock) -> Self {
        Self::with_waits(settings, http, clock, Waits::Real)
    }

    fn with_waits(
        settings: ProviderSettings,
        http: HttpClient,
        clock: Clock,
        waits: Waits,
    ) -> Self {
        let mut secrets: Vec<Secret> = settings.headers.iter().map(|(_, v)| v.clone()).collect();
        let in_query = settings
            .query_params
            .iter()
            .map(|(_, value)| Secret::new(value));
        secrets.extend(in_query);
        if let ProviderKey::Fixed(key) = &settings.key {
            secrets.push(key.clone());
        }
        let shared = Shared {
            http,
            clock,
            url: settings.endpoint("responses"),
            headers: headers::common(&settings),
            secrets,
            fetched: Mutex::default(),
            limits: settings.retry_limits(),
            idle: settings.stream_idle_timeout,
            key: settings.key,
            waits,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Shared {
    /// Keeps a fetched key among the secrets.
    fn remember(&self, key: &Secret) {
        let mut fetched = self.lock_fetched();
        if fetched.contains(key) {
            return;
        }
        if fetched.len() == MAX_FETCHED {
            fetched.pop_front();
        }
        fetched.push_back(key.clone());
    }

    fn fetched(&self) -> Vec<Secret> {
        self.lock_fetched().iter().cloned().collect()
    }

    /// A list whose writer panicked is still the list.
    fn lock_fetched(&self) -> MutexGuard<'_, VecDeque<Secret>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The address may carry a token in its query.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("url", &shown_url(&self.url))
            .field("limits", &self.limits)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl ModelBackend for ResponsesApi {
    fn stream(
        &self,
        prompt: Prompt,
        budget: RetryBudget,
        cancel: CancellationToken,
    ) -> ModelStream {
        let session = Session::new(self.shared.clone(), prompt, budget, cancel);
        ModelStream::new(stream::unfold(session, |mut session| async move {
            session.next().await.map(|event| (event, session))
        }))
    }

    fn learned_secrets(&self) -> Vec<Secret> {
        self.shared.fetched()
    }
}

#[cfg(test)]
mod tests;
