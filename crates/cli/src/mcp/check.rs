//! `codex mcp check [NAME]`: what works and what does not, step by step, with a stable exit code.
//!
//! The steps of all servers run side by side; the output is in the order of names. A server is started
//! as a run would start it, and nothing is logged in to.

mod catalog;
mod report;
mod show;
mod steps;

use std::time::Duration;

use clap::Args;
use codex_config::McpServerConfig;
use codex_runtime::Loaded;
use futures_util::future::join_all;

use super::live::{LiveContext, find_server, interrupted};
use crate::error::CliError;
use crate::mask::printable;
use crate::table::pretty;
use steps::Checker;

/// What to tell a user without servers.
const NOTHING_CONFIGURED: &str =
    "No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.\n";

/// Arguments of `codex mcp check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Server to check; all of them when left out
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Limit of each server's start [default: its startup_timeout_sec]
    #[arg(long, value_name = "SECS", value_parser = super::call::parse_seconds)]
    timeout: Option<Duration>,
}

/// Runs the verb; returns the exit code.
pub(super) async fn run(
    args: CheckArgs,
    loaded: &Loaded,
    context: LiveContext<'_>,
) -> Result<u8, CliError> {
    let config = context.config;
    let servers: Vec<&McpServerConfig> = match &args.name {
        Some(name) => vec![find_server(config, context.layers, name)?],
        None => config.mcp_servers.values().collect(),
    };
    if servers.is_empty() && !args.json {
        context.out.write_all(NOTHING_CONFIGURED.as_bytes())?;
        return Ok(0);
    }
    let checker = Checker {
        context: &context,
        layers: &loaded.layers,
        policy: loaded.config.requirements.mcp(),
        timeout: args.timeout,
        is_named: args.name.is_some(),
    };
    let checks = servers.iter().map(|server| checker.check(server));
    let reports = join_all(checks).await;
    let text = match args.json {
        true => pretty(&show::json(&reports))?,
        false => show::text(&reports, loaded.env.get("HOME")),
    };
    context.out.write_all(text.as_bytes())?;
    context.out.flush()?;
    if context.cancel.is_cancelled() {
        return Err(interrupted());
    }
    Ok(report::exit_code(&reports))
}

/// Makes one line of several: the first line, and the last one when it says more.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.as_slice() {
        [] => String::new(),
        [only] => printable(only),
        [first, .., last] => format!("{} … {}", printable(first), printable(last)),
    }
}
