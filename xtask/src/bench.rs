//! Ours against the published npm binary, in one interleaved run.
//!
//! Both get the same machine, the same scripted provider and the same MCP servers, turn by turn
//! (ours, theirs, theirs, ours, …), so that a busy moment hits both. Printed are medians, ratios
//! and the bar of each row. Everything is local; the reference is installed on demand.
//!
//! - `launcher`: starts one program and reads its peak memory and CPU from the kernel.
//! - `subject`: one of the two programs with its home; `sample` is one run.
//! - `rows`: what is measured.
//! - `network`: who is contacted that nobody asked for.

pub(crate) mod launcher;
mod network;
mod rows;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::parts::{Part, reference_binary};
use crate::{step, workspace};
use rows::{Limits, Row};
use subject::{Flavour, Sample, Subject};

const BUILD_LIMIT: Duration = Duration::from_secs(1800);

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Rounds of each row; the heavy rows take a third of it
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only rows whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measure this program instead of a fresh release build
    #[arg(long, value_name = "PROGRAM")]
    ours: Option<PathBuf>,
    /// Do not compare, and install nothing
    #[arg(long)]
    alone: bool,
}

/// Builds the release, measures every row and prints the table.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    let bench = Bench::prepare(args)?;
    let wanted = |name: &str| args.only.as_deref().is_none_or(|text| name.contains(text));
    println!(
        "{:<38} {:>11} {:>11} {:>7}  bar",
        "row (medians)", "theirs", "ours", "ratio"
    );
    let mut n_missed = 0;
    if wanted("binary size") {
        n_missed += bench.binary_size()?;
    }
    for row in rows::all() {
        if wanted(row.name) {
            n_missed += bench.measure(&row, args.rounds)?;
        }
    }
    if wanted("network") {
        n_missed += network::report(&bench.ours, bench.theirs.as_ref())?;
    }
    let floor = launcher::floor()?;
    println!(
        "\nno memory figure can be below {}, the launcher's own",
        mib(floor)
    );
    match n_missed {
        0 => println!("every bar is held"),
        n_missed => println!("bars missed: {n_missed}"),
    }
    Ok(())
}

struct Bench {
    ours: Subject,
    theirs: Option<Subject>,
}

impl Bench {
    fn prepare(args: &BenchArgs) -> Result<Self> {
        let program = match &args.ours {
            Some(program) => std::path::absolute(program)?,
            None => {
                let mut build = workspace::cargo();
                build.args(["build", "--release", "--quiet", "-p", "codex-cli"]);
                step::run("building the release", &mut build, BUILD_LIMIT)?;
                workspace::target()?.join("release/codex")
            }
        };
        // Apart from the product: features of one must not leak into the other.
        let mut build = workspace::cargo();
        build.args([
            "build",
            "--release",
            "--quiet",
            "-p",
            "codex-test-support",
            "--bins",
        ]);
        step::run("building the fake servers", &mut build, BUILD_LIMIT)?;
        let theirs = match args.alone {
            true => None,
            false => match reference() {
                Ok(program) => Some(Subject::new("theirs", program, Flavour::Reference)?),
                Err(error) => {
                    println!("without a comparison: {error:#}\n");
                    None
                }
            },
        };
        Ok(Self {
            ours: Subject::new("ours", program, Flavour::Ours)?,
            theirs,
        })
    }

    fn binary_size(&self) -> Result<usize> {
        let size = |subject: &Subject| Some(subject.program.metadata().ok()?.len() as f64);
        let theirs = self.theirs.as_ref().and_then(size);
        let ours = size(&self.ours).unwrap_or_default();
        Ok(print_line(
            "binary size",
            theirs,
            ours,
            mb,
            Some(25e6),
            None,
        ))
    }

    fn measure(&self, row: &Row, rounds: usize) -> Result<usize> {
        let rounds = if row.heavy {
            rounds.div_ceil(3)
        } else {
            rounds
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // One round warms caches and homes up and does not count.
        for round in 0..=rounds {
            let mut both = vec![(&self.ours, &mut ours)];
            both.extend(self.theirs.as_ref().map(|subject| (subject, &mut theirs)));
            if round % 2 == 1 {
                both.reverse();
            }
            for (subject, samples) in both {
                let sample = (row.run)(subject)?;
                if round > 0 {
                    samples.push(sample);
                }
            }
        }
        Ok(print_row(row.name, &row.limits, &ours, &theirs))
    }
}

fn reference() -> Result<PathBuf> {
    reference_binary(&Part::Reference.install()?)
}

/// A figure of a sample, its name, how it is shown, and its two kinds of bar.
type Column = (
    &'static str,
    fn(&Sample) -> Option<f64>,
    fn(f64) -> String,
    Option<f64>,
    Option<f64>,
);

fn print_row(name: &str, limits: &Limits, ours: &[Sample], theirs: &[Sample]) -> usize {
    let columns: [Column; 4] = [
        (
            "peak memory",
            |s| Some(s.peak_memory),
            mib,
            limits.memory,
            None,
        ),
        ("CPU", |s| Some(s.cpu), ms, limits.cpu, limits.cpu_ratio),
        (
            "first request",
            |s| s.first_request,
            ms,
            None,
            limits.first_request_ratio,
        ),
        ("wall", |s| Some(s.wall), ms, None, limits.wall_ratio),
    ];
    let mut n_missed = 0;
    for (column, figure, show, absolute, ratio) in columns {
        let Some(own) = median(ours.iter().filter_map(figure)) else {
            continue;
        };
        let other = median(theirs.iter().filter_map(figure));
        n_missed += print_line(
            &format!("{name}: {column}"),
            other,
            own,
            show,
            absolute,
            ratio,
        );
    }
    n_missed
}

/// Prints one line and returns 1 when its bar is missed.
fn print_line(
    name: &str,
    theirs: Option<f64>,
    ours: f64,
    show: fn(f64) -> String,
    most: Option<f64>,
    most_ratio: Option<f64>,
) -> usize {
    let ratio = theirs.map(|theirs| ours / theirs);
    let missed = most.is_some_and(|most| ours > most)
        || most_ratio
            .zip(ratio)
            .is_some_and(|(most, ratio)| ratio > most);
    let bar = match (most, most_ratio) {
        (Some(most), _) => format!("<= {}", show(most)),
        (None, Some(most)) => format!("<= {most:.2}"),
        (None, None) => String::new(),
    };
    let judged = most.is_some() || (most_ratio.is_some() && ratio.is_some());
    let verdict = match (judged, missed) {
        (false, _) => "",
        (true, false) => "  held",
        (true, true) => "  MISSED",
    };
    let theirs = theirs.map_or_else(|| "-".to_owned(), show);
    let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    println!(
        "{name:<38} {theirs:>11} {:>11} {ratio:>7}  {bar}{verdict}",
        show(ours)
    );
    usize::from(missed)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1024.0 / 1024.0)
}

fn mb(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

fn ms(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
