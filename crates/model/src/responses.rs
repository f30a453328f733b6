//! The client of the Responses API.

use tokio_util::sync::CancellationToken;

use crate::{ModelBackend, ModelStream, Prompt, ProviderSettings, RetryBudget};

/// Asks a provider that speaks the Responses API.
///
/// Made by `ResponsesApi::new(settings: ProviderSettings, http: codex_http::HttpClient)`.
#[derive(Debug)]
pub struct ResponsesApi {
    _settings: ProviderSettings,
}

impl ModelBackend for ResponsesApi {
    fn stream(&self, _: Prompt, _: RetryBudget, _: CancellationToken) -> ModelStream {
        todo!()
    }
}
