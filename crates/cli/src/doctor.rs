//! `codex doctor`: what this machine and this configuration need to work, looked at from here.
//!
//! No server is started and nothing is logged in to; one command is, `true`, in a sandbox. Each check stands on its own: a config file that
//! cannot be read is one failed check, and the others still say what they know.

mod machine;
mod report;
mod sandbox;
mod settings;
mod show;

use std::io::{self, IsTerminal};

use clap::Args;
use codex_runtime::Invocation;
use codex_utils_cli::CliConfigOverrides;

use crate::error::CliError;
use crate::table::pretty;
use report::{Check, Status};
use show::{Depth, Look};

/// Arguments of `codex doctor`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the command line"
)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print one line for each check
    #[arg(long, conflicts_with = "all")]
    summary: bool,
    /// Print the details of every check, not only of those that are not ok
    #[arg(long)]
    all: bool,
    /// Run the checks of the network only
    #[arg(long)]
    network_only: bool,
    /// Print without colours
    #[arg(long)]
    no_color: bool,
    /// Print ASCII only
    #[arg(long)]
    ascii: bool,
    #[command(flatten)]
    pub(crate) overrides: CliConfigOverrides,
}

/// Runs the command; returns the exit code.
pub(crate) fn run(args: &DoctorArgs, invocation: Invocation) -> Result<u8, CliError> {
    let now = invocation.clock.now().as_second();
    let env = invocation.env.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let checks = runtime.block_on(checks(args, invocation));
    runtime.shutdown_background();
    let text = match args.json {
        true => pretty(&report::json(&checks, now))?,
        false => {
            let is_plain = args.no_color
                || env.non_empty("NO_COLOR").is_some()
                || env.get("TERM") == Some("dumb")
                || !io::stdout().is_terminal();
            let depth = match (args.summary, args.all) {
                (true, _) => Depth::Rows,
                (false, true) => Depth::Everything,
                (false, false) => Depth::Problems,
            };
            let look = Look {
                depth,
                colours: !is_plain,
                ascii: args.ascii,
            };
            show::text(&checks, &look)
        }
    };
    crate::print(&text)?;
    let has_failed = checks.iter().any(|check| check.status == Status::Fail);
    Ok(u8::from(has_failed))
}

async fn checks(args: &DoctorArgs, invocation: Invocation) -> Vec<Check> {
    let env = invocation.env.clone();
    let cwd = invocation.cwd.clone();
    let mut checks = vec![report::timed(|| machine::network(&env))];
    let (load, loaded) = settings::load(invocation);
    checks.push(settings::provider_reachability(loaded.as_ref()).await);
    if !args.network_only {
        checks.push(load);
        checks.push(sandbox::helpers(&env, &cwd).await);
        checks.extend(machine::not_applicable());
        checks.push(report::timed(machine::installation));
        checks.push(report::timed(|| machine::terminal(&env)));
        checks.push(report::timed(|| machine::git(&env, &cwd)));
        checks.push(report::timed(|| machine::state(&env)));
        checks.extend(settings::all(loaded.as_ref()).await);
    }
    checks.sort_by_key(|check| check.id);
    checks
}
