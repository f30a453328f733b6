//! A check on the screen and as JSON.

use serde_json::{Value, json};

use super::super::view;
use super::one_line;
use super::report::{ServerReport, Status, Step, exit_code};
use crate::mask::printable;

/// Version of the JSON form.
const SCHEMA_VERSION: u64 = 1;

/// Lays out the reports for people.
pub(crate) fn text(reports: &[ServerReport], home: Option<&str>) -> String {
    let mut text = String::new();
    for report in reports {
        text.push_str(&server(report, home));
    }
    let failed = reports
        .iter()
        .filter(|report| report.status() == Status::Fail)
        .count();
    text.push_str(&format!("{failed} of {} servers failed\n", reports.len()));
    text
}

fn server(report: &ServerReport, home: Option<&str>) -> String {
    let mut text = format!(
        "{}  {}",
        printable(report.server.name.as_str()),
        printable(&report.place())
    );
    if let Some(origin) = &report.server.source {
        let layer = origin.layer.word();
        let place = origin
            .file()
            .map(|file| format!(", {}:{}", short(&file.to_string(), home), origin.line));
        text.push_str(&format!("  ({layer}{})", place.unwrap_or_default()));
    }
    text.push('\n');
    for step in &report.steps {
        text.push_str(&line(step));
    }
    for step in &report.steps {
        for warning in &step.warnings {
            text.push_str(&format!("  warning: {}\n", one_line(warning)));
        }
    }
    for step in &report.steps {
        for hint in &step.hints {
            text.push_str(&format!("  hint: {}\n", one_line(hint)));
        }
    }
    text
}

fn line(step: &Step) -> String {
    let word = match step.status {
        Status::Ok => "ok",
        Status::Warning => "warn",
        Status::Fail => "fail",
        Status::Skip => "skip",
    };
    let line = format!(
        "  {word:<4}  {:<11}  {}",
        step.id.word(),
        one_line(&step.summary)
    );
    format!("{}\n", line.trim_end())
}

/// Shortens the user's home to `~`.
fn short(file: &str, home: Option<&str>) -> String {
    let inside = home
        .filter(|home| !home.is_empty())
        .and_then(|home| file.strip_prefix(home.trim_end_matches('/')))
        .filter(|rest| rest.starts_with('/'));
    match inside {
        Some(rest) => format!("~{rest}"),
        None => file.to_owned(),
    }
}

/// Returns the whole report for programs.
pub(crate) fn json(reports: &[ServerReport]) -> Value {
    let servers: Vec<Value> = reports
        .iter()
        .map(|report| {
            json!({
                "name": report.server.name.as_str(),
                "status": report.status().word(),
                "exit_code": report.exit_code(),
                "source": view::source(&report.server),
                "steps": report.steps.iter().map(step_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "exit_code": exit_code(reports),
        "servers": servers,
    })
}

fn step_json(step: &Step) -> Value {
    let mut details = step.details.clone();
    if !step.warnings.is_empty() {
        details.insert("warnings".to_owned(), json!(step.warnings));
    }
    let hint = (!step.hints.is_empty()).then(|| step.hints.join("; "));
    json!({
        "id": step.id.word(),
        "status": step.status.word(),
        "summary": step.summary,
        "details": details,
        "hint": hint,
        "duration_ms": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
    })
}
