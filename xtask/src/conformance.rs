//! The official MCP conformance suite drives our client layer, scenario by scenario.
//!
//! `xtask/conformance.txt` lists what applies, one `SCENARIO REVISION` a line. The client is the
//! example `mcp-conformance-client` of codex-mcp. A scenario passes when the client exits with 0
//! and the suite records neither a failure nor a warning, and at least one check that it made.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
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
    let failed = failed.into_inner().unwrap_or_default();
    let n_passed = scenarios.len() - failed.len();
    let count = format!(
        "conformance: {n_passed} of {} scenarios pass",
        scenarios.len()
    );
    ensure!(failed.is_empty(), "{count}\n{}", failed.join("\n"));
    Ok(count)
}

#[derive(Debug)]
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
    fn run(&self, scenario: &Scenario) -> Result<()> {
        let out = self.out.path().join(format!(
            "{}@{}",
            scenario.name.replace('/', "_"),
            scenario.revision
        ));
        let script = self
            .npm
            .join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
        let mut command = Command::new(node(&self.npm));
        command
            .arg(script)
            .arg("client")
            .arg("--command")
            .arg(&self.client);
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
    for entry in std::fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            n_checks += judge(&path)?;
        } else if path.file_name().is_some_and(|name| name == "checks.json") {
            let checks: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            for check in checks.as_array().into_iter().flatten() {
                let status = check["status"].as_str().unwrap_or("?");
                // A scenario that never came to its point skips its checks.
                n_checks += usize::from(status != "SKIPPED");
                if matches!(status, "FAILURE" | "WARNING" | "?") {
                    let id = check["id"]
                        .as_str()
                        .or(check["name"].as_str())
                        .unwrap_or("?");
                    let why = check["errorMessage"]
                        .as_str()
                        .or(check["description"].as_str());
                    bail!("check `{id}` is {status}: {}", why.unwrap_or_default());
                }
            }
        }
    }
    Ok(n_checks)
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
