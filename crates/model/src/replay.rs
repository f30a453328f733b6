//! A backend that answers from a recording and never from anything else.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::{ModelBackend, ModelStream, Prompt, RetryBudget};

/// What is filled in for the marks of a recording.
#[derive(Debug, Clone)]
pub struct ReplayContext {
    /// Stands for `<<cwd>>`.
    pub cwd: PathBuf,
    /// Stands for `<<home>>`.
    pub home: Option<PathBuf>,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[error("cannot replay `{}`: {why}", path.display())]
pub struct ReplayError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Answers from a recording.
#[derive(Debug)]
pub struct Replay {}

impl Replay {
    /// Reads and checks the whole file.
    pub fn open(path: &Path, context: ReplayContext) -> Result<Self, ReplayError> {
        let _ = (path, context);
        todo!()
    }

    /// Returns the model of the recording.
    pub fn model(&self) -> &str {
        todo!()
    }

    /// Returns the id of the recording's provider.
    pub fn provider(&self) -> &str {
        todo!()
    }

    /// Returns the recorded prompt of the user: what to send when the caller gives none.
    pub fn prompt(&self) -> Option<&str> {
        todo!()
    }
}

impl ModelBackend for Replay {
    fn stream(&self, _: Prompt, _: RetryBudget, _: CancellationToken) -> ModelStream {
        todo!()
    }
}
