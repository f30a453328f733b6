//! The table of a suite of attempts: printed, and handed to `cargo xtask test`, which shows it.

use std::path::Path;

/// Where `cargo xtask test` wants the tables.
const REPORTS: &str = "CODEX_ESCAPE_REPORTS";

pub(crate) struct Table {
    text: String,
    widths: Vec<usize>,
}

impl Table {
    pub(crate) fn new(columns: &[String]) -> Self {
        let mut table = Self {
            text: String::new(),
            widths: columns.iter().map(|name| name.len().max(9)).collect(),
        };
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        table.row("attempt", &names);
        table
    }

    pub(crate) fn row(&mut self, attempt: &str, cells: &[&str]) {
        let mut line = format!("{attempt:38}");
        for (cell, width) in cells.iter().zip(&self.widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        println!("{}", line.trim_end());
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// The last line is what counts.
    pub(crate) fn finish(mut self, suite: &str, result: &str) {
        println!("{result}");
        self.text.push_str(result);
        self.text.push('\n');
        if let Some(folder) = std::env::var_os(REPORTS) {
            let file = Path::new(&folder).join(format!("{suite}.txt"));
            std::fs::write(file, self.text).unwrap();
        }
    }
}
