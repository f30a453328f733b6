//! What loading has to say, as data: each frontend prints it once, in its own way.

use crate::Origin;

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something the user configured does not work.
    Error,
    /// Something is probably not as meant.
    Warning,
    /// Something will go away; the text tells what to do instead.
    Deprecated,
    /// Something that is good to know.
    Note,
}

/// One sentence (or two lines) about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// The sentence; further lines tell what to do.
    pub message: String,
    /// Where it comes from.
    pub origin: Option<Origin>,
}

impl Notice {
    /// Makes one.
    pub fn new(severity: Severity, message: impl Into<String>, origin: Option<Origin>) -> Self {
        Self {
            severity,
            message: message.into(),
            origin,
        }
    }

    /// Returns the word that stands before the message on stderr: `warning`, `deprecated`, `note`.
    pub fn prefix(&self) -> &'static str {
        match self.severity {
            Severity::Error | Severity::Warning => "warning",
            Severity::Deprecated => "deprecated",
            Severity::Note => "note",
        }
    }
}
