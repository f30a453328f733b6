//! What there is to say about the settings, each sentence once as long as it holds.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_app_server_protocol::{
    ConfigWarning, DeprecationNotice, Position, ServerNotification, TextRange,
};
use codex_config::{ConfigError, Notice, Origin, Severity};
use codex_runtime::LoadError;

/// More notices than this at once are counted, not told.
const MAX_NOTICES: usize = 100;

/// Remembers what was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings {
    told: Arc<Mutex<HashSet<String>>>,
}

impl Warnings {
    /// Returns what is new among the notices of settings that were loaded; what no longer holds may be
    /// told again when it comes back.
    pub(crate) fn of_loaded(&self, notices: &[Notice]) -> Vec<ServerNotification> {
        let told = self.told();
        *self.lock() = notices
            .iter()
            .map(|notice| notice.message.clone())
            .collect();
        let mut fresh: Vec<ServerNotification> = notices
            .iter()
            .filter(|notice| !told.contains(&notice.message))
            .map(notification)
            .collect();
        if fresh.len() > MAX_NOTICES {
            let n_more = fresh.len() - MAX_NOTICES;
            fresh.truncate(MAX_NOTICES);
            fresh.push(warning(&format!("... and {n_more} more"), None));
        }
        fresh
    }

    /// Returns what was told and holds.
    pub(crate) fn told(&self) -> HashSet<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that newer settings cannot be used.
pub(crate) fn not_used(why: &str, error: Option<&LoadError>) -> Notice {
    let origin = match error {
        Some(LoadError::Config(ConfigError::Invalid { origin, .. })) => origin.clone(),
        _ => None,
    };
    let message = format!("the changed configuration is not used: {why}");
    Notice::new(Severity::Warning, message, origin)
}

/// Joins an error and its causes.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Tells one notice.
pub(crate) fn notification(notice: &Notice) -> ServerNotification {
    match notice.severity {
        Severity::Deprecated => {
            let (summary, details) = split(&notice.message);
            ServerNotification::DeprecationNotice(DeprecationNotice { summary, details })
        }
        Severity::Error | Severity::Warning | Severity::Note => {
            warning(&notice.message, notice.origin.as_ref())
        }
    }
}

fn warning(text: &str, origin: Option<&Origin>) -> ServerNotification {
    let (summary, details) = split(text);
    let file = origin.and_then(Origin::file);
    let at = origin.filter(|_| file.is_some()).map(|origin| Position {
        line: origin.line,
        column: origin.column,
    });
    ServerNotification::ConfigWarning(ConfigWarning {
        summary,
        details,
        path: file.map(ToString::to_string),
        range: at.map(|at| TextRange { start: at, end: at }),
    })
}

/// The first line is the sentence; what follows tells more.
fn split(text: &str) -> (String, Option<String>) {
    match text.split_once('\n') {
        Some((summary, details)) => (summary.to_owned(), Some(details.to_owned())),
        None => (text.to_owned(), None),
    }
}
