//! Why a command failed, and how that is told: one sentence, its causes, what to do now.

use std::fmt;

use codex_config::EditError;
use codex_runtime::LoadError;

/// The command failed: not found, refused, trouble with a file.
const FAILED: u8 = 1;
/// The command line was not understood.
const USAGE: u8 = 2;

/// A failed command.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ends with this exit code.
    Failed(u8),
    /// In the layout of clap's own errors.
    Usage,
    /// Whoever reads us has what it wanted.
    ReaderGone,
}

impl CliError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::of(Kind::Failed(FAILED), message)
    }

    /// Ends with an exit code of its own.
    pub(crate) fn with_code(code: u8, message: impl Into<String>) -> Self {
        Self::of(Kind::Failed(code), message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::of(Kind::Usage, message)
    }

    /// What the reference has and we have not, yet.
    pub(crate) fn not_available(what: &str) -> Self {
        Self::new(format!("{what} is not available yet"))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub(crate) fn hints(mut self, hints: Vec<String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// Adds what is near, when something is.
    pub(crate) fn did_you_mean<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        match codex_utils_fuzzy_match::nearest(word, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed(code) => code,
            Kind::Usage => USAGE,
            Kind::ReaderGone => 0,
        }
    }

    fn of(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Ends with this exit code instead.
    pub(crate) fn and_code(mut self, code: u8) -> Self {
        self.kind = Kind::Failed(code);
        self
    }

    /// Takes an error with all its sources.
    pub(crate) fn chain(error: &dyn std::error::Error, hints: &[String]) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Self {
            causes: causes.map(ToString::to_string).collect(),
            hints: hints.to_vec(),
            ..Self::new(error.to_string())
        }
    }
}

/// The whole text for stderr; empty when there is nothing to say.
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::ReaderGone => return Ok(()),
            Kind::Failed(_) if self.message.is_empty() => return Ok(()),
            Kind::Failed(_) => writeln!(f, "Error: {}", self.message)?,
            Kind::Usage => writeln!(f, "error: {}", self.message)?,
        }
        if !self.causes.is_empty() {
            writeln!(f, "\nCaused by:")?;
        }
        for (number, cause) in self.causes.iter().enumerate() {
            let (first, rest) = match self.causes.len() {
                1 => ("    ".to_owned(), "    "),
                _ => (format!("{number:>5}: "), "       "),
            };
            let cause = cause.trim_end().replace('\n', &format!("\n{rest}"));
            writeln!(f, "{first}{cause}")?;
        }
        if self.kind == Kind::Usage {
            writeln!(f)?;
        }
        for hint in &self.hints {
            writeln!(f, "hint: {hint}")?;
        }
        if self.kind == Kind::Usage {
            if !self.hints.is_empty() {
                writeln!(f)?;
            }
            writeln!(f, "For more information, try '--help'.")?;
        }
        Ok(())
    }
}

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> Self {
        Self::chain(&error, error.hints())
    }
}

impl From<EditError> for CliError {
    fn from(error: EditError) -> Self {
        let hints = error.hints();
        match &error {
            EditError::Config(config) => {
                let mut told = Self::new("failed to load configuration").hints(hints);
                told.causes =
                    std::iter::successors(Some(config as &dyn std::error::Error), |cause| {
                        cause.source()
                    })
                    .map(ToString::to_string)
                    .collect();
                told
            }
            EditError::Lock(_)
            | EditError::Write(_)
            | EditError::Changed(_)
            | EditError::Version { .. }
            | EditError::LeadsOut(_)
            | EditError::Shape { .. } => Self::chain(&error, &hints),
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::of(Kind::ReaderGone, "");
        }
        let mut told = Self::new("cannot write the result");
        told.causes.push(error.to_string());
        told
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn with_causes(causes: &[&str]) -> String {
        let mut error = CliError::new("failed to load configuration").hint("do this");
        error.causes = causes.iter().map(|cause| (*cause).to_owned()).collect();
        error.to_string()
    }

    #[test]
    fn one_cause_is_indented_and_more_are_numbered() {
        assert_snapshot!(with_causes(&[]), @r"
        Error: failed to load configuration
        hint: do this
        ");
        assert_snapshot!(with_causes(&["f:1:2: what\n  |\n1 | x"]), @r"
        Error: failed to load configuration

        Caused by:
            f:1:2: what
              |
            1 | x
        hint: do this
        ");
        assert_snapshot!(with_causes(&["a", "b\nc"]), @r"
        Error: failed to load configuration

        Caused by:
            0: a
            1: b
               c
        hint: do this
        ");
    }

    #[test]
    fn a_usage_error_ends_like_those_of_clap() {
        let error = CliError::usage("`http://h` is a URL").hint("use --url");
        assert_eq!(error.exit_code(), 2);
        assert_snapshot!(error, @r"
        error: `http://h` is a URL

        hint: use --url

        For more information, try '--help'.
        ");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let error = CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!((error.exit_code(), error.to_string()), (0, String::new()));
    }
}
