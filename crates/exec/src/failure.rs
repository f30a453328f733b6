//! A failure that ends the run, in the words that people and programs get.

use std::error::Error;

/// Why a run ended before its turn could, with the exit code 1.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) lead: Lead,
}

/// How the sentence begins on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    /// With `Error: `.
    Error,
    /// With itself: a few sentences of the reference have no lead, and scripts compare them.
    Nothing,
}

impl Failure {
    /// Takes an error with everything below it.
    pub(crate) fn of(error: &dyn Error, hints: Vec<String>) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self {
            message: error.to_string(),
            causes,
            hints,
            lead: Lead::Error,
        }
    }

    /// Makes a failure of one sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            lead: Lead::Error,
        }
    }

    /// Says what the user can do now.
    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hints.push(hint.to_owned());
        self
    }

    /// Makes a failure whose sentence is the whole line.
    pub(crate) fn bare(message: impl Into<String>) -> Self {
        Self {
            lead: Lead::Nothing,
            ..Self::new(message)
        }
    }

    /// Returns everything but the hints in one line, as `--json` tells it.
    pub(crate) fn sentence(&self) -> String {
        let parts = std::iter::once(&self.message).chain(&self.causes);
        parts.map(String::as_str).collect::<Vec<_>>().join(": ")
    }
}
