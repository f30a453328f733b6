//! Coverage-guided fuzzing with libFuzzer, on the stable compiler: the targets of `fuzz/`.
//!
//! Not part of `cargo xtask test`: fuzzing ends when time is up, not when it is done. Each target gets
//! a corpus folder in the cache; what crashed it lies there too and is named.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{step, workspace};

const BUILD_LIMIT: Duration = Duration::from_secs(1800);
/// Each target with the folder of `fuzz/seeds` that it begins with.
const TARGETS: [(&str, &str); 4] = [
    ("config_load", "config"),
    ("config_edit", "config"),
    ("requirements", "requirements"),
    ("patch", "patch"),
];

/// What `cargo fuzz` passes too, without a sanitizer: our crates hold no unsafe code to sanitize.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// Only this target
    target: Option<String>,
    /// How long each target runs
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    seconds: u64,
}

/// Builds the targets and runs one after the other; the first crash ends it.
pub(crate) fn run(args: &FuzzArgs) -> Result<()> {
    let wanted =
        |(name, _): &&(&str, &str)| args.target.as_deref().is_none_or(|only| only == *name);
    let targets: Vec<_> = TARGETS.iter().filter(wanted).collect();
    let names = TARGETS.map(|(name, _)| name).join(", ");
    ensure!(!targets.is_empty(), "the targets are {names}");
    let host = host()?;
    let folder = workspace::target()?.join("fuzz");
    let mut build = workspace::cargo();
    build.args([
        "build",
        "--release",
        "--quiet",
        "--target",
        &host,
        "--manifest-path",
    ]);
    build.arg(workspace::root().join("fuzz/Cargo.toml"));
    build
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", COVERAGE);
    step::run("building the fuzz targets", &mut build, BUILD_LIMIT)?;
    for (target, seeds) in targets {
        let corpus = workspace::cache()?.join("fuzz").join(target);
        std::fs::create_dir_all(&corpus)?;
        let mut command = Command::new(folder.join(&host).join("release").join(target));
        command.current_dir(&corpus).arg(&corpus);
        command.arg(workspace::root().join("fuzz/seeds").join(seeds));
        command.arg(format!("-max_total_time={}", args.seconds));
        command.args([
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-verbosity=1",
        ]);
        command.arg(format!("-artifact_prefix={}/", corpus.display()));
        let limit = Duration::from_secs(args.seconds + 120);
        let (status, text) = step::capture(target, &mut command, limit)?;
        let said: Vec<&str> = text.lines().collect();
        ensure!(
            status.success(),
            "{target}: {status}\n{}",
            said[said.len().saturating_sub(40)..].join("\n")
        );
        let stats = said
            .iter()
            .filter(|line| line.starts_with("stat::") || line.starts_with("Done"));
        println!(
            "{target}: clean\n{}",
            stats.copied().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(())
}

/// Named, so that build scripts are built without the coverage flags.
fn host() -> Result<String> {
    let mut command = Command::new("rustc");
    command.arg("-vV");
    let (_, text) = step::capture("rustc -vV", &mut command, Duration::from_secs(60))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say its host")
}
