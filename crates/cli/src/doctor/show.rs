//! The checks on the screen.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::report::{Category, Check, Status};
use crate::mask::printable;

/// How much is shown of each check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// One line each.
    Rows,
    /// The details of what is not ok, too.
    Problems,
    /// All details.
    Everything,
}

/// How the screen looks.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) depth: Depth,
    pub(crate) colours: bool,
    pub(crate) ascii: bool,
}

/// Lays the checks out for people.
pub(crate) fn text(checks: &[Check], look: &Look) -> String {
    let dot = if look.ascii { "-" } else { "·" };
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("Codex Doctor v{version} {dot} {os}-{arch}\n");
    let notes = checks.iter().filter_map(|check| {
        let remedy = check.remediation.as_ref()?;
        Some(format!(
            "  {} {}: {}\n",
            mark(check.status, look),
            check.id,
            shown(remedy, look)
        ))
    });
    let notes: String = notes.collect();
    if !notes.is_empty() {
        text.push_str(&format!("\nNotes\n{notes}"));
    }
    let width = checks
        .iter()
        .map(|check| check.id.width())
        .max()
        .unwrap_or(0);
    for category in Category::ALL {
        let mut rows = checks
            .iter()
            .filter(|check| check.category == category)
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        text.push_str(&format!("\n{}\n", category.title()));
        for check in rows {
            let summary = shown(&check.summary, look);
            let row = format!(
                "  {} {:<width$}  {summary}",
                mark(check.status, look),
                check.id
            );
            text.push_str(row.trim_end());
            text.push('\n');
            let wanted = match look.depth {
                Depth::Rows => false,
                Depth::Problems => matches!(check.status, Status::Warning | Status::Fail),
                Depth::Everything => true,
            };
            if wanted {
                text.push_str(&details(check, look));
            }
        }
    }
    text.push_str(&format!("\n{}\n", counts(checks, dot)));
    text
}

fn details(check: &Check, look: &Look) -> String {
    let mut text = String::new();
    for (key, value) in &check.details {
        let lines: Vec<&str> = match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            value => value.as_str().into_iter().collect(),
        };
        // The key once; what belongs to it stands below.
        let key = format!("{}:", shown(key, look));
        for (index, line) in lines.iter().flat_map(|text| text.lines()).enumerate() {
            let (key, width) = (if index == 0 { key.as_str() } else { "" }, key.width());
            text.push_str(&format!("         {key:<width$} {}\n", shown(line, look)));
        }
    }
    text
}

fn counts(checks: &[Check], dot: &str) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let words = [
        (count(Status::Ok), "ok"),
        match count(Status::Warning) {
            1 => (1, "warning"),
            n_warnings => (n_warnings, "warnings"),
        },
        (count(Status::Fail), "failed"),
        (count(Status::Skip), "skipped"),
    ];
    let words = words.map(|(number, word)| format!("{number} {word}"));
    words.join(&format!(" {dot} "))
}

fn mark(status: Status, look: &Look) -> String {
    let (mark, colour) = match status {
        Status::Ok => ("[ok]", 32),
        Status::Warning => ("[!!]", 33),
        Status::Fail => ("[XX]", 31),
        Status::Skip => ("[--]", 2),
    };
    match look.colours {
        true => format!("\x1b[{colour}m{mark}\x1b[0m"),
        false => mark.to_owned(),
    }
}

fn shown(text: &str, look: &Look) -> String {
    let text = printable(text);
    match look.ascii {
        true => text
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_is_not_counted_in_the_plural() {
        let check = |status| Check::new("a", Category::Environment).status(status, "");
        let one = [check(Status::Warning), check(Status::Skip)];
        assert_eq!(counts(&one, "-"), "0 ok - 1 warning - 0 failed - 1 skipped");
        let two = [check(Status::Warning), check(Status::Warning)];
        assert_eq!(
            counts(&two, "-"),
            "0 ok - 2 warnings - 0 failed - 0 skipped"
        );
    }
}
