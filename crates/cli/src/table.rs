//! Tables and JSON on stdout.

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::error::CliError;
use crate::mask::printable;

/// Lays out rows: each column as wide as its widest cell, the last one too, two spaces between.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        row.clone().map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                printable(&cell)
            }
        })
    }));
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            text.push_str(if column == 0 { "" } else { "  " });
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.width()));
        }
        text.push('\n');
    }
    text
}

/// Returns pretty JSON with a newline at its end.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value);
    Ok(text.map_err(|error| CliError::new(error.to_string()))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_control_characters_keep_the_columns() {
        let rows = [
            ["日本".to_owned(), "x".to_owned()],
            ["a\u{1b}[2J".to_owned(), String::new()],
        ];
        assert_eq!(
            table(["A", "B"], &rows),
            "A         B\n日本      x\na\\x1b[2J  -\n"
        );
    }
}
