//! Why there is no answer.

use codex_protocol::{TurnError, TurnErrorKind};

/// Why there is no answer: one sentence for people, the rest as data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// Where it went wrong.
    pub origin: ErrorOrigin,
    /// What kind of failure it is, as frontends tell them apart.
    pub kind: TurnErrorKind,
    /// One sentence; no key or token is in it.
    pub message: String,
    /// What the user can do now.
    pub hints: Vec<String>,
}

/// Where it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// Before any request: a key or a setting is missing, the request is too large.
    Local,
    /// No answer was received.
    Connection,
    /// The provider refused, with this status.
    Refused(u16),
    /// The answer broke off or could not be read.
    Stream,
    /// The provider reported a failure within the answer.
    Provider,
    /// The caller cancelled.
    Cancelled,
    /// A recording cannot answer, or does not fit.
    Replay,
}

impl ModelError {
    /// Makes an error without hints.
    pub fn new(origin: ErrorOrigin, kind: TurnErrorKind, message: impl Into<String>) -> Self {
        Self {
            origin,
            kind,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Makes the error of a caller who cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorOrigin::Cancelled, TurnErrorKind::Other, "interrupted")
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Whether the caller cancelled; such an error is not shown.
    pub fn is_cancelled(&self) -> bool {
        self.origin == ErrorOrigin::Cancelled
    }

    /// Whether a shorter conversation may succeed: compact once and ask once more.
    pub fn wants_compaction(&self) -> bool {
        self.kind == TurnErrorKind::ContextWindowExceeded
    }
}

impl From<ModelError> for TurnError {
    fn from(error: ModelError) -> Self {
        Self {
            message: error.message,
            kind: error.kind,
            hints: error.hints,
        }
    }
}
