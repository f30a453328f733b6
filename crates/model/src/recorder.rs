//! A backend that writes down what another one answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{ModelBackend, ModelStream, Prompt, RedactionRules, RetryBudget};

/// What a recording says about its run, and what must not stand in it.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// Version of this program.
    pub codex: String,
    /// When the run began.
    pub created_at: jiff::Timestamp,
    /// Slug of the model.
    pub model: String,
    /// Id of the provider.
    pub provider: String,
    /// Secrets of the run.
    pub redaction: RedactionRules,
    /// Becomes `<<cwd>>`.
    pub cwd: PathBuf,
    /// Becomes `<<home>>`.
    pub home: Option<PathBuf>,
}

/// Why a recording cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot record to `{}`: {why}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Writes down what another backend answers.
#[derive(Debug)]
pub struct Recorder {
    _inner: Arc<dyn ModelBackend>,
}

impl Recorder {
    /// Creates the file, which must not exist, and writes its first line.
    pub fn create(
        path: &Path,
        inner: Arc<dyn ModelBackend>,
        settings: RecordSettings,
    ) -> Result<Self, RecordError> {
        let _ = (path, inner, settings);
        todo!()
    }
}

impl ModelBackend for Recorder {
    fn stream(&self, _: Prompt, _: RetryBudget, _: CancellationToken) -> ModelStream {
        todo!()
    }
}
