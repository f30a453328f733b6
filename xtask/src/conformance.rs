//! The official MCP conformance suite drives our client layer, scenario by scenario.
//!
//! `xtask/conformance.txt` lists what applies, one `SCENARIO REVISION` a line. The client is the
//! example `mcp-conformance-client` of codex-mcp. A scenario passes when the client exits with 0
//! and the suite records neither a failure nor a warning, and at least one check that it made. A run of
//! all also compares the list with the suite's own, and searches what the client printed for secrets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Error, Result, bail, ensure};
use codex_test_support::SecretSearch;
use serde_json::Value;

use crate::parts::{Part, node};
use crate::{step, workspace};

const BUILD_LIMIT: Duration = Duration::from_secs(1200);
const SCENARIO_LIMIT: Duration = Duration::from_secs(90);

#[derive(Debug, clap::Args)]
pub(crate) struct ConformanceArgs {
    /// Only scenarios whose line contains this text
    filter: Option<String>,
}

/// Runs the listed scenarios and prints the count.
pub(crate) fn run(args: &ConformanceArgs) -> Result<()> {
    let npm = Part::Npm.install()?;
    let summary = run_with(&npm, args.filter.as_deref().unwrap_or_default())?;
    println!("{summary}");
    Ok(())
}

/// As [`run`], for an installed part; returns the count as a sentence.
pub(crate) fn run_with(npm: &Path, filter: &str) -> Result<String> {
    let scenarios = list(filter)?;
    let suite = Suite {
        npm: npm.to_owned(),
        client: build_client()?,
        out: tempfile::tempdir()?,
    };
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    // Two at a time: some scenarios wait for seconds, and none needs a whole core.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let verdict = suite.run(scenario);
                    let mark = if verdict.is_ok() { "ok    " } else { "FAILED" };
                    println!("  {mark} {} {}", scenario.name, scenario.revision);
                    if let Err(why) = verdict {
                        let line = format!("{} {}: {why:#}", scenario.name, scenario.revision);
                        failed
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .push(line);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_default();
    let n_passed = scenarios.len() - failed.len();
    let count = format!(
        "conformance: {n_passed} of {} scenarios pass",
        scenarios.len()
    );
    // What was typed as a filter runs a part of the list; the list itself is judged with the whole.
    if filter.is_empty() {
        failed.extend(suite.unlisted(&scenarios)?);
        failed.extend(search(suite.out.path()).err().map(|why| format!("{why:#}")));
    }
    ensure!(failed.is_empty(), "{count}\n{}", failed.join("\n"));
    Ok(count)
}

#[derive(Debug, PartialEq, Eq)]
struct Scenario {
    name: String,
    revision: String,
}

fn list(filter: &str) -> Result<Vec<Scenario>> {
    let path = workspace::root().join("xtask/conformance.txt");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut scenarios = Vec::new();
    for line in text.lines().filter(|line| line.contains(filter)) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        match (words.next(), words.next(), words.next()) {
            (Some(name), Some(revision), None) => scenarios.push(Scenario { name, revision }),
            _ => bail!("xtask/conformance.txt: `{line}` is not `SCENARIO REVISION`"),
        }
    }
    ensure!(
        !scenarios.is_empty(),
        "no scenario of xtask/conformance.txt contains `{filter}`"
    );
    Ok(scenarios)
}

/// Reads the client scenarios from what the suite's `list` prints: `  - NAME [REVISION,REVISION]`.
fn offered(text: &str) -> Vec<Scenario> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("Client scenarios"));
    let lines = lines
        .skip(1)
        .map_while(|line| line.trim_start().strip_prefix("- "));
    let pairs = lines.filter_map(|line| line.strip_suffix(']')?.split_once(" ["));
    let scenario = |name: &str, revision: &str| Scenario {
        name: name.to_owned(),
        revision: revision.trim().to_owned(),
    };
    pairs
        .flat_map(|(name, revisions)| revisions.split(',').map(move |it| scenario(name, it)))
        .collect()
}

fn differences(offered: &[Scenario], listed: &[Scenario]) -> Vec<String> {
    let beyond = |these: &[Scenario], those: &[Scenario], why: &str| {
        let only = these.iter().filter(|it| !those.contains(it));
        only.map(|it| format!("{} {}: {why}", it.name, it.revision))
            .collect::<Vec<_>>()
    };
    let mut found = beyond(offered, listed, "xtask/conformance.txt lacks it");
    found.extend(beyond(listed, offered, "the suite has it no more"));
    found
}

/// Searches what our client printed for the secrets that the suite noted beside it.
fn search(out: &Path) -> Result<()> {
    let mut secrets = SecretSearch::default();
    let mut printed = Vec::new();
    for file in files(out) {
        match file.file_name().and_then(|name| name.to_str()) {
            Some("checks.json") => {
                secrets.learn(&serde_json::from_slice(&std::fs::read(&file)?)?);
            }
            Some("stdout.txt" | "stderr.txt") => printed.push(file),
            _ => {}
        }
    }
    ensure!(
        secrets.n_known() > 0 && !printed.is_empty(),
        "the suite kept no secret, or no output, to be searched"
    );
    secrets.search(&printed).map_err(Error::msg)
}

/// Returns every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

fn build_client() -> Result<PathBuf> {
    const NAME: &str = "mcp-conformance-client";
    let mut command = workspace::cargo();
    command.args(["build", "--quiet", "-p", "codex-mcp", "--example", NAME]);
    step::run("building the conformance client", &mut command, BUILD_LIMIT)?;
    Ok(workspace::target()?.join("debug/examples").join(NAME))
}

#[derive(Debug)]
struct Suite {
    npm: PathBuf,
    client: PathBuf,
    out: tempfile::TempDir,
}

impl Suite {
    fn command(&self) -> Command {
        let script = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
        let mut command = Command::new(node(&self.npm));
        command.arg(self.npm.join(script));
        command
    }

    /// Names what the suite has and our list lacks, and what our list has beyond it.
    fn unlisted(&self, listed: &[Scenario]) -> Result<Vec<String>> {
        let mut command = self.command();
        command.arg("list");
        let (status, text) = step::capture("the list of the suite", &mut command, SCENARIO_LIMIT)?;
        ensure!(status.success(), "{status}\n{}", tail(&text));
        let offered = offered(&text);
        ensure!(!offered.is_empty(), "the suite lists no client scenario");
        Ok(differences(&offered, listed))
    }

    fn run(&self, scenario: &Scenario) -> Result<()> {
        let out = self.out.path().join(format!(
            "{}@{}",
            scenario.name.replace('/', "_"),
            scenario.revision
        ));
        let mut command = self.command();
        command.arg("client").arg("--command").arg(&self.client);
        command.args(["--scenario", &scenario.name]);
        // Extensions belong to no revision.
        if scenario.revision != "extension" {
            command.args(["--spec-version", &scenario.revision]);
        }
        command.arg("-o").arg(&out);
        let (status, text) = step::capture("the suite", &mut command, SCENARIO_LIMIT)?;
        ensure!(status.success(), "{status}\n{}", tail(&text));
        let n_checks = judge(&out).with_context(|| tail(&text))?;
        ensure!(n_checks > 0, "the suite made no check\n{}", tail(&text));
        Ok(())
    }
}

/// Reads every `checks.json` below a folder; returns how many checks were made.
fn judge(folder: &Path) -> Result<usize> {
    let mut n_checks = 0;
    let files = files(folder).into_iter();
    for path in files.filter(|path| path.ends_with("checks.json")) {
        let checks: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for check in checks.as_array().into_iter().flatten() {
            let status = check["status"].as_str().unwrap_or("?");
            // A scenario that never came to its point skips its checks.
            n_checks += usize::from(status != "SKIPPED");
            if matches!(status, "FAILURE" | "WARNING" | "?") {
                let id = check["id"].as_str().or(check["name"].as_str());
                let why = check["errorMessage"]
                    .as_str()
                    .or(check["description"].as_str());
                let (id, why) = (id.unwrap_or("?"), why.unwrap_or_default());
                bail!("check `{id}` is {status}: {why}");
            }
        }
    }
    Ok(n_checks)
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Server scenarios:\n  - ping [2025-11-25]\n\n\
                        Client scenarios (test against a client):\n  - initialize [2025-06-18,2025-11-25]\n  \
                        - auth/dpop [extension]\n\nAuthorization server scenarios:\n  - grant [2025-11-25]\n";

    fn scenario(name: &str, revision: &str) -> Scenario {
        let (name, revision) = (name.to_owned(), revision.to_owned());
        Scenario { name, revision }
    }

    #[test]
    fn the_list_is_all_that_the_suite_has_for_clients_and_no_more() {
        let offered = offered(LIST);
        let expected = [
            scenario("initialize", "2025-06-18"),
            scenario("initialize", "2025-11-25"),
            scenario("auth/dpop", "extension"),
        ];
        assert_eq!(offered, expected);
        assert!(differences(&offered, &expected).is_empty());
        let ours = [scenario("initialize", "2025-11-25"), scenario("gone", "x")];
        assert_eq!(
            differences(&expected, &ours),
            [
                "initialize 2025-06-18: xtask/conformance.txt lacks it",
                "auth/dpop extension: xtask/conformance.txt lacks it",
                "gone x: the suite has it no more",
            ]
        );
    }
}
