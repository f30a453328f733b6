//! Every check and every suite, in the order in which a mistake shows soonest.
//!
//! A suite that cannot run (no npm, no network, no Python) is named as left out at the end; under
//! CI that is a failure. Each step has a time limit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail, ensure};
use codex_test_support::SecretSearch;

use crate::parts::{Installed, Part};
use crate::{cases, conformance, step, tidy, workspace};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Leave out what needs an installed part (real servers, conformance)
    #[arg(long)]
    offline: bool,
    /// Only this step: fmt, clippy, tidy, suites, docs, conformance
    #[arg(long, value_name = "STEP")]
    only: Option<String>,
}

/// Runs all steps; goes on after a failure, so that one run tells everything.
pub(crate) fn run(args: &TestArgs) -> Result<()> {
    let mut report = Report {
        only: args.only.clone(),
        ..Report::default()
    };
    let parts = if args.offline {
        None
    } else {
        Some(Installed::for_tests()?)
    };
    report.step("fmt", || {
        step::run(
            "cargo fmt",
            workspace::cargo().args(["fmt", "--all", "--check"]),
            MINUTE,
        )
    });
    report.step("tidy", tidy::run);
    report.step("clippy", || {
        let mut command = workspace::cargo();
        command.args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]);
        step::run("cargo clippy", &mut command, 30 * MINUTE)
    });
    report.step_saying("suites", || suites(parts.as_ref()));
    report.step("docs", || {
        let mut command = workspace::cargo();
        command.args(["test", "--workspace", "--doc", "--quiet"]);
        step::run("cargo test --doc", &mut command, 10 * MINUTE)
    });
    name_what_is_left_out(&mut report, parts.as_ref());
    if let Some(parts) = parts.filter(|parts| parts.has(Part::Npm)) {
        report.step_saying("conformance", || {
            conformance::run_with(&parts.folder.join(Part::Npm.name()), "")
        });
    }
    report.finish()
}

/// Unit tests and whole commands, with the real servers when they are installed. Says what became
/// of the attempts to get out of the sandbox.
fn suites(parts: Option<&Installed>) -> Result<String> {
    // Programs that tests start must be there before the first of them asks.
    let mut build = workspace::cargo();
    build.args(["build", "--workspace", "--bins", "--examples", "--quiet"]);
    step::run("cargo build", &mut build, 30 * MINUTE)?;
    let mut command = workspace::cargo();
    let has_nextest = has_nextest();
    if has_nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(["--profile", "searched"]);
        command.args(["--status-level", "fail", "--final-status-level", "fail"]);
    } else {
        command.args(["test", "--workspace", "--no-fail-fast"]);
        command.args(["--lib", "--bins", "--tests"]);
    }
    let found = parts.filter(|parts| parts.has(Part::Npm) && parts.has(Part::Python));
    match found {
        Some(parts) => command.env("CODEX_TEST_PARTS", &parts.folder),
        None => command.env_remove("CODEX_TEST_PARTS"),
    };
    if parts.is_none_or(|parts| !parts.missing.is_empty()) {
        // The tests themselves refuse to be left out under CI; the report names them below.
        command.env_remove("CI");
    }
    // A snapshot that differs is a failure, not a file beside the sources.
    command.env("INSTA_UPDATE", "no");
    let transcripts = tempfile::tempdir()?;
    command.env("CODEX_TEST_TRANSCRIPTS", transcripts.path());
    let reports = tempfile::tempdir()?;
    command.env("CODEX_ESCAPE_REPORTS", reports.path());
    let mut outcome = step::run("the suites", &mut command, 30 * MINUTE);
    if found.is_some() {
        outcome = outcome.and(cases::print(transcripts.path()));
    }
    let outcome = outcome.and(show_escapes(reports.path()));
    // Also after a failure: what it printed is the more likely to hold a secret.
    let report = workspace::root().join("target/nextest/searched/junit.xml");
    let searched = search(transcripts.path(), has_nextest.then_some(report));
    match (outcome, searched) {
        (outcome, Ok(sentence)) => outcome.inspect(|_| eprintln!("{sentence}")),
        (Ok(_), Err(why)) => Err(why),
        (Err(error), Err(why)) => Err(error.context(why)),
    }
}

/// Shows the tables of the escape suites, and returns their results.
fn show_escapes(reports: &Path) -> Result<String> {
    let entries: Result<Vec<_>, _> = reports.read_dir()?.collect();
    let mut tables: Vec<PathBuf> = entries?.iter().map(std::fs::DirEntry::path).collect();
    tables.sort();
    let mut results = Vec::new();
    for table in tables {
        let text = std::fs::read_to_string(table)?;
        eprintln!("\n{text}");
        results.extend(text.lines().last().map(str::to_owned));
    }
    let are_missing = results.is_empty() && cfg!(target_os = "linux");
    ensure!(!are_missing, "no suite has tried to get out of the sandbox");
    Ok(results.join("; "))
}

/// Searches what the suites left for secrets, and says what was searched.
fn search(transcripts: &Path, report: Option<PathBuf>) -> Result<String> {
    let secrets = SecretSearch::noted(transcripts).map_err(Error::msg)?;
    let mut files = SecretSearch::outputs(transcripts);
    let (n_outputs, n_secrets) = (files.len(), secrets.n_known());
    // A search that looks at nothing, or for nothing, proves nothing.
    ensure!(n_outputs > 0, "no output of codex was kept to be searched");
    ensure!(n_secrets > 0, "no secret was noted to be searched for");
    let tests = match report {
        Some(report) => {
            files.push(report);
            ", nor in what the tests printed"
        }
        None => "; what the tests printed is not kept without cargo-nextest",
    };
    secrets.search(&files).map_err(Error::msg)?;
    Ok(format!(
        "none of {n_secrets} known secrets and no marked one in the outputs of {n_outputs} runs{tests}"
    ))
}

fn has_nextest() -> bool {
    let mut command: Command = workspace::cargo();
    command.args(["nextest", "--version"]);
    step::capture("cargo nextest", &mut command, MINUTE).is_ok_and(|(status, _)| status.success())
}

fn name_what_is_left_out(report: &mut Report, parts: Option<&Installed>) {
    let Some(parts) = parts else {
        report
            .left_out
            .push("real servers and conformance: --offline".to_owned());
        return;
    };
    for missing in &parts.missing {
        let line = format!("{}: {}", missing.suites, missing.why);
        report.left_out.push(line);
    }
}

#[derive(Debug, Default)]
struct Report {
    only: Option<String>,
    lines: Vec<String>,
    left_out: Vec<String>,
    n_failed: usize,
}

impl Report {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.step_saying(name, || work().map(|()| String::new()));
    }

    /// Runs a step whose success has something to say.
    fn step_saying(&mut self, name: &str, work: impl FnOnce() -> Result<String>) {
        if self.only.as_deref().is_some_and(|only| only != name) {
            self.left_out.push(format!("{name}: --only"));
            return;
        }
        eprintln!("==> {name}");
        let start = Instant::now();
        let outcome = work();
        let seconds = start.elapsed().as_secs_f64();
        self.lines.push(match outcome {
            Ok(words) => format!("ok      {name:<12} {seconds:6.1} s  {words}"),
            Err(error) => {
                self.n_failed += 1;
                eprintln!("{error:#}");
                format!(
                    "FAILED  {name:<12} {seconds:6.1} s  {}",
                    first_line(&format!("{error:#}"))
                )
            }
        });
    }

    fn finish(self) -> Result<()> {
        println!("\n---- summary");
        for line in &self.lines {
            println!("{}", line.trim_end());
        }
        for left_out in &self.left_out {
            println!("LEFT OUT  {left_out}");
        }
        if self.n_failed > 0 {
            bail!("failed steps: {}", self.n_failed);
        }
        if workspace::is_ci() && !self.left_out.is_empty() {
            bail!("CI leaves nothing out");
        }
        println!("all is well");
        Ok(())
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test writes its own transcripts"
)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_tables_of_attempts_are_the_result() {
        let folder = tempfile::tempdir().unwrap();
        if cfg!(target_os = "linux") {
            assert!(show_escapes(folder.path()).is_err());
        }
        for (name, text) in [("b", "x\n2 attempts\n"), ("a", "x\n1 attempt\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(
            show_escapes(folder.path()).unwrap(),
            "1 attempt; 2 attempts"
        );
    }

    #[test]
    fn a_search_of_nothing_or_for_nothing_fails_and_a_finding_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let said = || match search(folder.path(), None) {
            Ok(sentence) => sentence,
            Err(why) => why.to_string(),
        };
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert_eq!(said(), "no output of codex was kept to be searched");
        write("outputs/1", "Nothing.");
        assert_eq!(said(), "no secret was noted to be searched for");
        write("secrets/1", "a-token-of-a-server");
        assert_eq!(
            said(),
            "none of 1 known secrets and no marked one in the outputs of 1 runs; \
             what the tests printed is not kept without cargo-nextest"
        );
        write("outputs/2", "it is a-token-of-a-server");
        assert!(said().ends_with("outputs/2 shows a secret: it is [SECRET]"));
    }
}
