//! `codex mcp list`: every configured server, without starting or asking any.

use clap::Args;
use codex_config::{McpServerConfig, McpTransport};
use codex_runtime::Loaded;

use super::view;
use crate::error::CliError;
use crate::mask::Secrets;
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
}

pub(super) fn run(args: &ListArgs, loaded: &Loaded) -> Result<u8, CliError> {
    let servers: Vec<&McpServerConfig> = loaded.config.mcp_servers.values().collect();
    let secrets = Secrets::from_flag(args.show_secrets);
    let text = if args.json {
        pretty(
            &servers
                .iter()
                .map(|server| view::list_json(server, secrets))
                .collect::<Vec<_>>(),
        )?
    } else if servers.is_empty() {
        NOTHING.to_owned()
    } else {
        tables(&servers, secrets)
    };
    crate::print(&text)?;
    Ok(0)
}

fn tables(servers: &[&McpServerConfig], secrets: Secrets) -> String {
    let (mut stdio_rows, mut http_rows) = (Vec::new(), Vec::new());
    for server in servers {
        let name = server.name.to_string();
        let (status, auth) = (
            view::status_words(server),
            view::auth_words(view::auth_status(server)).to_owned(),
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
