//! What a check found, as data.

use std::time::Duration;

use codex_config::{McpServerConfig, McpTransport};
use serde_json::{Map, Value};

use super::super::live;
use crate::mask::Secrets;

/// One step of a check. The order is the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StepId {
    Config,
    Policy,
    Environment,
    Connect,
    Auth,
    Handshake,
    Catalog,
}

impl StepId {
    pub(crate) const ALL: [Self; 7] = [
        Self::Config,
        Self::Policy,
        Self::Environment,
        Self::Connect,
        Self::Auth,
        Self::Handshake,
        Self::Catalog,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Policy => "policy",
            Self::Environment => "environment",
            Self::Connect => "connect",
            Self::Auth => "auth",
            Self::Handshake => "handshake",
            Self::Catalog => "catalog",
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Config => live::EXIT_CONFIG,
            Self::Policy => live::EXIT_POLICY,
            Self::Environment => live::EXIT_ENVIRONMENT,
            Self::Connect => live::EXIT_CONNECT,
            Self::Auth => live::EXIT_AUTH,
            Self::Handshake => live::EXIT_PROTOCOL,
            Self::Catalog => live::EXIT_CATALOG,
        }
    }
}

/// How a step, or a whole server, came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Warning,
    Fail,
    Skip,
}

impl Status {
    /// Returns the word of the JSON output.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// One step, done or skipped.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: StepId,
    pub(crate) status: Status,
    pub(crate) summary: String,
    pub(crate) details: Map<String, Value>,
    pub(crate) warnings: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) took: Duration,
}

impl Step {
    pub(crate) fn new(id: StepId, status: Status, summary: impl Into<String>) -> Self {
        Self {
            id,
            status,
            summary: summary.into(),
            details: Map::new(),
            warnings: Vec::new(),
            hints: Vec::new(),
            took: Duration::ZERO,
        }
    }

    pub(crate) fn ok(id: StepId, summary: impl Into<String>) -> Self {
        Self::new(id, Status::Ok, summary)
    }

    /// `kind` is the word by which programs know the failure; it stays what it is.
    pub(crate) fn fail(id: StepId, kind: &'static str, summary: impl Into<String>) -> Self {
        Self::new(id, Status::Fail, summary).detail("kind", kind)
    }

    pub(crate) fn skip(id: StepId) -> Self {
        Self::new(id, Status::Skip, "")
    }

    pub(crate) fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn hints(mut self, hints: Vec<String>) -> Self {
        self.hints.extend(hints);
        self
    }

    pub(crate) fn took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// Adds what is odd; an ok step becomes a warning by it.
    pub(crate) fn warn(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        if !self.warnings.is_empty() && self.status == Status::Ok {
            self.status = Status::Warning;
        }
        self
    }
}

/// One server, checked.
#[derive(Debug)]
pub(crate) struct ServerReport {
    pub(crate) server: McpServerConfig,
    pub(crate) steps: Vec<Step>,
}

impl ServerReport {
    pub(crate) fn new(server: &McpServerConfig) -> Self {
        Self {
            server: server.clone(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Fills up with skipped steps.
    pub(crate) fn finished(mut self) -> Self {
        let done = self.steps.len();
        let rest = StepId::ALL.into_iter().skip(done);
        self.steps.extend(rest.map(Step::skip));
        self
    }

    pub(crate) fn failed(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.status == Status::Fail)
    }

    pub(crate) fn status(&self) -> Status {
        let has = |status| self.steps.iter().any(|step| step.status == status);
        if self.failed().is_some() {
            Status::Fail
        } else if self
            .steps
            .last()
            .is_none_or(|last| last.status == Status::Skip)
        {
            Status::Skip
        } else if has(Status::Warning) {
            Status::Warning
        } else {
            Status::Ok
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.failed()
            .map_or(live::EXIT_OK, |step| step.id.exit_code())
    }

    /// Returns the command with its arguments, or the URL.
    pub(crate) fn place(&self) -> String {
        match &self.server.transport {
            McpTransport::Stdio(stdio) => {
                let words = std::iter::once(&stdio.command).chain(&stdio.args);
                words.cloned().collect::<Vec<_>>().join(" ")
            }
            McpTransport::StreamableHttp(http) => Secrets::Masked.url(&http.url),
        }
    }
}

/// Returns the exit code of the whole command: the smallest of those that failed.
pub(crate) fn exit_code(reports: &[ServerReport]) -> u8 {
    let codes = reports.iter().map(ServerReport::exit_code);
    codes
        .filter(|code| *code != live::EXIT_OK)
        .min()
        .unwrap_or(live::EXIT_OK)
}
