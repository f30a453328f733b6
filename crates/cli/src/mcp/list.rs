//! `codex mcp list`: every configured server. None is started; those whose login cannot be judged from
//! here are asked, all of them within one limit.

use std::time::Duration;

use clap::Args;
use codex_config::{Enablement, LayerStack, McpServerConfig, McpTransport, OffReason};
use codex_mcp::{AuthReport, KeyringPatience};

use super::call::parse_seconds;
use super::live::{self, LiveContext};
use super::login::auth_of;
use super::{scope, view};
use crate::error::CliError;
use crate::mask::{Secrets, printable};
use crate::table::{pretty, table};

const NOTHING: &str = "No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.\n";

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show configured values of variables and headers
    #[arg(long)]
    show_secrets: bool,
    /// Limit of all questions to servers together; 0 asks none
    #[arg(long, value_name = "SECS", default_value = "3", value_parser = parse_limit)]
    timeout: Duration,
}

pub(super) async fn run(
    args: ListArgs,
    layers: &LayerStack,
    context: LiveContext<'_>,
) -> Result<u8, CliError> {
    // One sentence, however many files there are.
    let unused = layers
        .disabled()
        .iter()
        .find(|layer| layer.has_mcp_servers());
    if let Some(layer) = unused {
        for line in scope::why_unused(layer) {
            writeln!(context.err, "{line}")?;
        }
    }
    let servers = &context.config.mcp_servers;
    let reports = auth_of(&context, KeyringPatience::Run)
        .statuses(
            servers,
            context.cwd.as_path(),
            args.timeout,
            &context.cancel,
        )
        .await;
    let servers: Vec<(&McpServerConfig, &AuthReport)> = servers
        .values()
        .filter_map(|server| Some((server, reports.get(&server.name)?)))
        .collect();
    let secrets = Secrets::from_flag(args.show_secrets);
    let text = if args.json {
        pretty(
            &servers
                .iter()
                .map(|(server, report)| view::list_json(server, report, secrets))
                .collect::<Vec<_>>(),
        )?
    } else if servers.is_empty() {
        NOTHING.to_owned()
    } else {
        tables(&servers, secrets)
    };
    context.out.write_all(text.as_bytes())?;
    for (server, _) in &servers {
        if let Enablement::Off(reason @ OffReason::NotApproved { .. }) = &server.enablement {
            for hint in live::hints_of_off(&server.name, reason) {
                writeln!(context.err, "hint: {}", printable(&hint))?;
            }
        }
    }
    Ok(0)
}

fn tables(servers: &[(&McpServerConfig, &AuthReport)], secrets: Secrets) -> String {
    let (mut stdio_rows, mut http_rows) = (Vec::new(), Vec::new());
    for (server, report) in servers {
        let name = server.name.to_string();
        let (status, auth) = (
            view::status_words(server),
            view::auth_words(report.status).to_owned(),
        );
        match &server.transport {
            McpTransport::Stdio(stdio) => stdio_rows.push([
                name,
                stdio.command.clone(),
                stdio.args.join(" "),
                view::env_words(stdio, secrets),
                stdio
                    .cwd
                    .as_ref()
                    .map(|cwd| cwd.display().to_string())
                    .unwrap_or_default(),
                status,
                auth,
            ]),
            McpTransport::StreamableHttp(http) => http_rows.push([
                name,
                secrets.url(&http.url),
                http.bearer_token_env_var.clone().unwrap_or_default(),
                status,
                auth,
            ]),
        }
    }
    let mut kinds = Vec::new();
    if !stdio_rows.is_empty() {
        kinds.push(table(
            ["Name", "Command", "Args", "Env", "Cwd", "Status", "Auth"],
            &stdio_rows,
        ));
    }
    if !http_rows.is_empty() {
        kinds.push(table(
            ["Name", "Url", "Bearer Token Env Var", "Status", "Auth"],
            &http_rows,
        ));
    }
    kinds.join("\n")
}

/// Like every limit, and zero too: it asks no server at all.
fn parse_limit(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<f64>() {
        Ok(0.0) => Ok(Duration::ZERO),
        Ok(_) | Err(_) => parse_seconds(text),
    }
}
