//! One check, and all of them as JSON.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Version of the JSON form.
const SCHEMA_VERSION: u64 = 1;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Warning,
    Fail,
    /// It could not be done.
    Skip,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fail => "fail",
            Self::Skip => "skipped",
        }
    }
}

/// Where a check stands on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Environment,
    Configuration,
    Updates,
    Connectivity,
    Background,
}

impl Category {
    /// In the order of the screen.
    pub(crate) const ALL: [Self; 5] = [
        Self::Environment,
        Self::Configuration,
        Self::Updates,
        Self::Connectivity,
        Self::Background,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Environment => "Environment",
            Self::Configuration => "Configuration",
            Self::Updates => "Updates",
            Self::Connectivity => "Connectivity",
            Self::Background => "Background Server",
        }
    }
}

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) id: &'static str,
    pub(crate) category: Category,
    pub(crate) status: Status,
    pub(crate) summary: String,
    /// Each a text or a list of texts.
    pub(crate) details: Map<String, Value>,
    pub(crate) remediation: Option<String>,
    pub(crate) took: Duration,
}

impl Check {
    pub(crate) fn new(id: &'static str, category: Category) -> Self {
        Self {
            id,
            category,
            status: Status::Ok,
            summary: String::new(),
            details: Map::new(),
            remediation: None,
            took: Duration::ZERO,
        }
    }

    pub(crate) fn ok(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Sets how it came out, unless it came out worse before.
    pub(crate) fn status(mut self, status: Status, summary: impl Into<String>) -> Self {
        self.status = status;
        self.summary = summary.into();
        self
    }

    pub(crate) fn detail(mut self, key: &str, text: impl Into<String>) -> Self {
        self.details
            .insert(key.to_owned(), Value::String(text.into()));
        self
    }

    pub(crate) fn list(mut self, key: &str, texts: Vec<String>) -> Self {
        if !texts.is_empty() {
            self.details.insert(key.to_owned(), json!(texts));
        }
        self
    }

    pub(crate) fn remedy(mut self, what: impl Into<String>) -> Self {
        self.remediation = Some(what.into());
        self
    }
}

/// Runs a check and notes how long it took.
pub(crate) fn timed(check: impl FnOnce() -> Check) -> Check {
    let begin = Instant::now();
    let check = check();
    Check {
        took: begin.elapsed(),
        ..check
    }
}

/// Returns the worst status; what was skipped does not count.
pub(crate) fn overall(checks: &[Check]) -> Status {
    let has = |status| checks.iter().any(|check| check.status == status);
    if has(Status::Fail) {
        Status::Fail
    } else if has(Status::Warning) {
        Status::Warning
    } else {
        Status::Ok
    }
}

/// Returns all checks for programs.
pub(crate) fn json(checks: &[Check], now: i64) -> Value {
    let checks_json: Map<String, Value> = checks
        .iter()
        .map(|check| {
            let object = json!({
                "id": check.id,
                "category": check.category.title().to_ascii_lowercase().replace(' ', "_"),
                "status": check.status.word(),
                "summary": check.summary,
                "details": check.details,
                "remediation": check.remediation,
                "durationMs": u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX),
            });
            (check.id.to_owned(), object)
        })
        .collect();
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "generatedAt": format!("{now}s since unix epoch"),
        "overallStatus": overall(checks).word(),
        "codexVersion": env!("CARGO_PKG_VERSION"),
        "checks": checks_json,
    })
}
