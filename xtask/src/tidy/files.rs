//! Heads, words and links of the repository's own files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::rows;

/// What no source file says. Split, so that this file does not say it either.
const WORDS: &[(&str, &str, &str)] = &[
    ("#[allow", "(", "use `#[expect(lint, reason = \"…\")]`"),
    ("#![allow", "(", "use `#![expect(lint, reason = \"…\")]`"),
    ("#[igno", "re", "a test runs, or it is not there"),
    ("todo", "!(", "say clearly what is not there yet"),
    ("unimplemented", "!(", "say clearly what is not there yet"),
    ("FIX", "ME", "fix it, or open an issue"),
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut named = Vec::new();
    let machine_paths = machine_paths(root);
    for file in tracked(root)? {
        // Binary files hold no words; a file that was deleted but not committed is not read.
        let Ok(text) = std::fs::read_to_string(root.join(&file)) else {
            continue;
        };
        let name = file.to_string_lossy().into_owned();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {
                findings.extend(source(&name, &text));
                let (rows, odd) = rows::find(&name, &text);
                named.extend(rows);
                findings.extend(odd);
            }
            Some("md") => findings.extend(links(root, &file, &text)),
            _ => {}
        }
        findings.extend(lock_file(&name, &text));
        if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<< ")) {
            findings.push(format!("{name}:{} is an unsolved merge", line + 1));
        }
        for path in &machine_paths {
            if let Some(line) = line_of(&text, path) {
                findings.push(format!(
                    "{name}:{line} holds `{path}`, a path of this machine"
                ));
            }
        }
    }
    let rows = std::fs::read_to_string(root.join(rows::FILE))?;
    findings.extend(rows::check(&rows, &named));
    Ok(findings)
}

/// What git knows, and what it would take in.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("cannot start git")?;
    ensure!(output.status.success(), "git ls-files failed");
    let names = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .collect())
}

fn source(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(format!("{name} has no `//!` head that says its one job"));
    }
    for (start, end, advice) in WORDS {
        if let Some(line) = line_of(text, &format!("{start}{end}")) {
            findings.push(format!("{name}:{line} says `{start}{end}`: {advice}"));
        }
    }
    findings
}

/// Lock files name no registry but the public one of Rust.
fn lock_file(name: &str, text: &str) -> Option<String> {
    if name.ends_with("package-lock.json") {
        let line = line_of(text, "\"resolved\"")?;
        return Some(format!(
            "{name}:{line} names a registry; make it with --omit-lockfile-registry-resolved"
        ));
    }
    if name.ends_with("Cargo.lock") {
        let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        let other = |line: &&str| line.starts_with("source = ") && *line != public;
        return text
            .lines()
            .find(other)
            .map(|line| format!("{name} has another {line}"));
    }
    None
}

/// The folder of this checkout and the user's home: true here, and on no other machine.
fn machine_paths(root: &Path) -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    [root.to_string_lossy().into_owned(), home]
        .into_iter()
        .filter(|path| path.len() > 2)
        .map(|path| format!("{}/", path.trim_end_matches('/')))
        .collect()
}

/// Relative links of Markdown lead somewhere.
fn links(root: &Path, file: &Path, text: &str) -> Vec<String> {
    let folder = root
        .join(file)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let mut findings = Vec::new();
    for piece in text.split("](").skip(1) {
        let target = piece.split([')', '#', ' ']).next().unwrap_or_default();
        let leads_out = target.contains("://") || target.starts_with("mailto:");
        if !target.is_empty() && !leads_out && !folder.join(target).exists() {
            findings.push(format!(
                "{} links to `{target}`, which is not there",
                file.display()
            ));
        }
    }
    findings
}

fn line_of(text: &str, needle: &str) -> Option<usize> {
    Some(text[..text.find(needle)?].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::{lock_file, source};

    #[test]
    fn a_file_without_a_head_is_found() {
        assert!(source("a.rs", "fn main() {}")[0].contains("no `//!` head"));
        assert!(source("a.rs", "//! Its one job.\n").is_empty());
    }

    #[test]
    fn a_forbidden_word_is_found_with_its_line() {
        let text = format!("//! Head.\n\n{}(dead_code)]", "#[allow");
        assert!(source("a.rs", &text)[0].starts_with("a.rs:3 says"));
    }

    #[test]
    fn a_lock_file_names_no_registry() {
        assert!(lock_file("x/package-lock.json", "{\"resolved\": \"x\"}").is_some());
        assert!(lock_file("x/package-lock.json", "{\"integrity\": \"x\"}").is_none());
        assert!(lock_file("Cargo.lock", "source = \"registry+https://x/\"").is_some());
    }
}
