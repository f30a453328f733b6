//! `codex mcp pins NAME`: what a server changed about its tools since they were pinned.
//!
//! The server is asked now, and what is approved is the very list that was shown.

use std::time::Duration;

use clap::Args;
use codex_mcp::{Drift, ElicitationPolicy, PinnedTools, ToolPins};
use codex_protocol::ServerName;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::live::{EXIT_OK, LiveContext, LiveServers, find_server, interrupted};
use crate::error::CliError;
use crate::mask::printable;
use crate::table::pretty;

/// Something differs and was not approved.
const EXIT_DIFFERS: u8 = 1;
/// Longest time to compare two texts; a hostile one is then compared less closely.
const DIFF_LIMIT: Duration = Duration::from_millis(500);

/// Arguments of `codex mcp pins`.
#[derive(Debug, Args)]
pub(crate) struct PinsArgs {
    /// Server to ask
    name: String,
    /// Accept the tools as they are now
    #[arg(long)]
    approve: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Limit of the server's start [default: its startup_timeout_sec]
    #[arg(long, value_name = "SECS", value_parser = super::call::parse_seconds)]
    timeout: Option<Duration>,
}

/// Runs the verb; returns the exit code.
pub(super) async fn run(args: PinsArgs, context: LiveContext<'_>) -> Result<u8, CliError> {
    let server = find_server(context.config, context.layers, &args.name)?.clone();
    if !server.pin_tools {
        let name = &server.name;
        return Err(
            CliError::new(format!("the tools of MCP server '{name}' are not pinned"))
                .hint(format!("set pin_tools = true in [mcp_servers.{name}]")),
        );
    }
    let name = server.name.clone();
    let policy = ElicitationPolicy::Decline("`mcp pins` does not ask");
    let live = LiveServers::start(&context, [server], args.timeout, policy);
    // Its failure is read from its state below; the notices would say the same twice.
    let _ = live.handle.ready(None, &context.cancel).await;
    live.handle.listed(&name, &context.cancel).await;
    let failure = live.failures().pop();
    let catalog = live.handle.catalog();
    live.stop().await;
    if context.cancel.is_cancelled() {
        return Err(interrupted());
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let pinned = catalog.server(&name).and_then(|tools| tools.pinned.clone());
    let pinned = pinned.ok_or_else(|| CliError::new("the server listed no tools"))?;
    settle(&args, &name, &pinned, context)
}

/// Shows the drift, and approves it when that is asked for.
fn settle(
    args: &PinsArgs,
    name: &ServerName,
    pinned: &PinnedTools,
    context: LiveContext<'_>,
) -> Result<u8, CliError> {
    let pins = ToolPins::of(&context.home);
    let drift = pinned.drift.as_ref();
    let drift = drift.map_err(|error| {
        CliError::new(error.to_string())
            .hint("repair the file, or remove it to pin the tools of every server anew")
    })?;
    let n_tools = pinned.tools.len();
    let mut text = match args.json {
        true => pretty(&drift.iter().map(json_of).collect::<Vec<_>>())?,
        false => drift.iter().map(text_of).collect(),
    };
    let is_approved = args.approve && !drift.is_empty();
    if is_approved {
        let approved = pins.approve(name, &pinned.tools, pinned.instructions.as_deref());
        approved.map_err(|error| CliError::new(error.to_string()))?;
    }
    if !args.json {
        let s = if n_tools == 1 { "" } else { "s" };
        let n_differing = drift.iter().filter(|drift| drift.tool().is_some()).count();
        text.push_str(&match (n_differing, is_approved) {
            (0, false) if !drift.is_empty() => String::new(),
            (0, false) => {
                format!("The {n_tools} tool{s} of '{name}' are those that were pinned.\n")
            }
            (_, true) => format!("Approved the {n_tools} tool{s} of '{name}'.\n"),
            (1, false) => format!("1 of the tools of '{name}' differs from what was pinned.\n"),
            (n, false) => format!("{n} of the tools of '{name}' differ from what was pinned.\n"),
        });
        if drift.len() > n_differing {
            text.push_str(&match is_approved {
                true => format!("Approved the instructions of '{name}'.\n"),
                false => format!("The instructions of '{name}' differ from what was pinned.\n"),
            });
        }
    }
    context.out.write_all(text.as_bytes())?;
    context.out.flush()?;
    match drift.is_empty() || is_approved {
        true => Ok(EXIT_OK),
        false => {
            let hint = format!(
                "hint: `codex mcp pins {name} --approve` accepts the tools as they are now"
            );
            writeln!(context.err, "{hint}")?;
            Ok(EXIT_DIFFERS)
        }
    }
}

fn text_of(drift: &Drift) -> String {
    let head = format!(
        "{}: {}\n",
        printable(drift.tool().unwrap_or("instructions")),
        printable(&drift.what())
    );
    let body = match drift {
        Drift::Changed { before, after, .. } | Drift::Instructions { before, after } => {
            diff(before, after)
        }
        Drift::New { after, .. } => diff("", after),
        Drift::Renamed { .. } | Drift::Removed { .. } => String::new(),
    };
    head + &body
}

/// Lines that went and came, with what stands around them.
fn diff(before: &str, after: &str) -> String {
    let diff = TextDiff::configure()
        .timeout(DIFF_LIMIT)
        .diff_lines(before, after);
    let mut text = String::new();
    for group in diff.grouped_ops(2) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = printable(change.value().trim_end_matches('\n'));
            text.push_str(format!("  {sign} {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn json_of(drift: &Drift) -> Value {
    let parsed = |text: &String| serde_json::from_str::<Value>(text).unwrap_or_default();
    let (change, from, before, after) = match drift {
        Drift::Changed { before, after, .. } => {
            ("changed", None, Some(parsed(before)), Some(parsed(after)))
        }
        Drift::Renamed { from, .. } => ("renamed", Some(from), None, None),
        Drift::New { after, .. } => ("new", None, None, Some(parsed(after))),
        Drift::Removed { .. } => ("removed", None, None, None),
        Drift::Instructions { before, after } => {
            let text = |text: &String| Some(Value::from(text.as_str()));
            ("instructions", None, text(before), text(after))
        }
    };
    json!({"tool": drift.tool(), "change": change, "from": from, "before": before, "after": after})
}
