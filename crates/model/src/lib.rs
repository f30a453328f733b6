//! The model behind one trait: [`ModelBackend`] turns a [`Prompt`] into a stream of [`ModelEvent`].
//!
//! [`ResponsesApi`] talks to a provider, [`Replay`] reads a recording, [`Recorder`] writes one around
//! any other backend. Retries, limits and error texts of the provider live here and nowhere else, so
//! that the engine sees either events or one [`ModelError`] that says it all.
//! **Absent on purpose:** config files, the process environment, login, printing. Settings arrive
//! resolved in [`ProviderSettings`]; the rules that choose among several sources of a key or an
//! address are the pure functions of [`KeyCandidates`] and [`base_url`].

mod delay;
mod error;
mod event;
mod identity;
mod key;
mod prompt;
mod provider;
mod recorder;
mod recording;
mod redact;
mod refusal;
mod replay;
mod responses;
mod retry;

use std::fmt;

use codex_host::Secret;
use tokio_util::sync::CancellationToken;

pub use error::{ErrorOrigin, ModelError};
pub use event::{ModelEvent, ModelStream, Retrying};
pub use identity::ClientIdentity;
pub use key::{
    Address, AuthProvider, CommandKey, EnvKey, Freshness, KeyCandidates, KeyError, ProviderKey,
};
pub use prompt::{CallStatus, ItemOrigin, Prompt, PromptItem};
pub use provider::{OPENAI_BASE_URL, ProviderSettings, ToolDialect, base_url};
pub use recorder::{RecordError, RecordSettings, Recorder};
pub use redact::RedactionRules;
pub use replay::{Replay, ReplayContext, ReplayError};
pub use responses::ResponsesApi;
pub use retry::RetryBudget;

/// Something that answers prompts.
pub trait ModelBackend: fmt::Debug + Send + Sync {
    /// Asks the model. The stream ends after [`ModelEvent::Completed`],
    /// [`ModelEvent::Interrupted`] or an error; nothing happens until it is polled, and dropping it
    /// or cancelling `cancel` ends any wait at once.
    ///
    /// `budget` is `RetryBudget::default()`, except after [`ModelEvent::Interrupted`]: then it is
    /// the one that came with the event.
    fn stream(&self, prompt: Prompt, budget: RetryBudget, cancel: CancellationToken)
    -> ModelStream;

    /// Returns the secrets that became known while it ran, such as a key that a program printed.
    fn learned_secrets(&self) -> Vec<Secret> {
        Vec::new()
    }

    /// Ends the run: a recording is completed, a replay is checked for responses that nobody asked
    /// for. Returns notices for people. To be called once, after the last turn, also when it failed.
    fn finish(&self) -> Result<Vec<String>, ModelError> {
        Ok(Vec::new())
    }
}
