//! `codex mcp get`: one server in full, without starting or asking it.

use std::time::Duration;

use clap::Args;
use codex_config::{LayerSource, McpServerConfig, McpTransport};
use codex_mcp::KeyringPatience;
use codex_protocol::ToolApprovalMode;
use codex_runtime::Loaded;

use super::live::{self, LiveContext};
use super::login::auth_of;
use super::{explain, view};
use crate::error::CliError;
use crate::mask::{Secrets, printable};
use crate::table::pretty;

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Name of the server
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show configured values of variables and headers
    #[arg(long)]
    show_secrets: bool,
    /// Tell where each setting comes from and what the server gets
    #[arg(long)]
    explain: bool,
}

pub(super) async fn run(
    args: GetArgs,
    loaded: &Loaded,
    context: LiveContext<'_>,
) -> Result<u8, CliError> {
    let server = live::find_server(context.config, context.layers, &args.name)?;
    let secrets = Secrets::from_flag(args.show_secrets);
    let report = match args.json || args.explain {
        true => {
            let auth = auth_of(&context, KeyringPatience::Run);
            Some(auth.local_status(server, context.cwd.as_path()).await)
        }
        false => None,
    };
    let explained = report.as_ref().filter(|_| args.explain);
    let rows = explained.map(|report| explain::rows(server, loaded, secrets, report));
    let text = match (args.json, &report) {
        (true, Some(report)) => {
            let mut object = view::get_json(server, report, secrets);
            if let Some(rows) = &rows {
                object["explain"] = explain::json(rows);
            }
            pretty(&object)?
        }
        _ if rows.is_none() && !server.is_enabled() => one_line(server),
        _ => {
            text(server, secrets, &remove_words(server, loaded))
                + &rows.map_or(String::new(), |rows| explain::text(&rows))
        }
    };
    context.out.write_all(text.as_bytes())?;
    Ok(0)
}

/// A server that is off, in short.
fn one_line(server: &McpServerConfig) -> String {
    let name = printable(server.name.as_str());
    format!("{name} ({})\n", printable(&view::status_words(server)))
}

/// The command that takes the entry away where it is.
fn remove_words(server: &McpServerConfig, loaded: &Loaded) -> String {
    let is_of_user = |layer: &&LayerSource| matches!(layer, LayerSource::User { .. });
    let layers = loaded.layers.server_layers(server.name.as_str());
    let is_of_project = loaded
        .layers
        .project_file_of(server.name.as_str())
        .is_some();
    let scope = match is_of_project && !layers.iter().any(is_of_user) {
        true => " --scope project",
        false => "",
    };
    format!("codex mcp remove {}{scope}", server.name)
}

fn text(server: &McpServerConfig, secrets: Secrets, remove: &str) -> String {
    let mut text = match server.is_enabled() {
        true => format!("{}\n", printable(server.name.as_str())),
        false => one_line(server),
    };
    let mut line = |key: &str, value: &str| {
        let value = if value.is_empty() {
            "-".to_owned()
        } else {
            printable(value)
        };
        text.push_str(&format!("  {key}: {value}\n"));
    };
    line("enabled", &server.is_enabled().to_string());
    if let Some(tools) = &server.tools.enabled {
        line("enabled_tools", &tools.join(", "));
    }
    if !server.tools.disabled.is_empty() {
        line("disabled_tools", &server.tools.disabled.join(", "));
    }
    match &server.transport {
        McpTransport::Stdio(stdio) => {
            line("transport", "stdio");
            line("command", &stdio.command);
            line("args", &stdio.args.join(" "));
            line(
                "cwd",
                &stdio
                    .cwd
                    .as_ref()
                    .map(|cwd| cwd.display().to_string())
                    .unwrap_or_default(),
            );
            line("env", &view::env_words(stdio, secrets));
        }
        McpTransport::StreamableHttp(http) => {
            line("transport", "streamable_http");
            line("url", &secrets.url(&http.url));
            line(
                "bearer_token_env_var",
                http.bearer_token_env_var.as_deref().unwrap_or_default(),
            );
            line("http_headers", &view::header_words(http, secrets));
            let from_env = http
                .env_http_headers
                .iter()
                .map(|(name, variable)| format!("{name}={variable}"));
            line("env_http_headers", &from_env.collect::<Vec<_>>().join(", "));
            line(
                "http_headers_helper",
                http.http_headers_helper.as_deref().unwrap_or_default(),
            );
        }
    }
    if let Some(limit) = server.startup_timeout {
        line("startup_timeout_sec", &seconds(limit));
    }
    if let Some(limit) = server.tool_timeout {
        line("tool_timeout_sec", &seconds(limit));
    }
    if let Some(mode) = server.default_tools_approval_mode {
        line("default_tools_approval_mode", mode_word(mode));
    }
    line("remove", remove);
    text
}

/// Whole seconds have no fraction.
fn seconds(limit: Duration) -> String {
    limit.as_secs_f64().to_string()
}

fn mode_word(mode: ToolApprovalMode) -> &'static str {
    match mode {
        ToolApprovalMode::Auto => "auto",
        ToolApprovalMode::Prompt => "prompt",
        ToolApprovalMode::Writes => "writes",
        ToolApprovalMode::Approve => "approve",
    }
}
