//! `codex mcp login` and `logout`: judged like everywhere, and then said not to be there yet.

use clap::Args;
use codex_config::McpTransport;
use codex_runtime::Loaded;

use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Name of the server
    name: String,
    /// Print the URL instead of opening a browser
    #[arg(long)]
    no_browser: bool,
    /// Scopes to ask for
    #[arg(long, value_name = "SCOPE,SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// Name of the server
    name: String,
}

pub(super) fn login(args: &LoginArgs, loaded: &Loaded) -> Result<u8, CliError> {
    // The flags are part of the command line; nothing can be done with them yet.
    let _ = (args.no_browser, &args.scopes);
    let server = super::find(loaded, &args.name, "")?;
    match &server.transport {
        McpTransport::Stdio(_) => Err(CliError::new(
            "OAuth login is only supported for streamable HTTP servers.",
        )),
        McpTransport::StreamableHttp(http) => match &http.bearer_token_env_var {
            Some(variable) => Err(CliError::new(format!(
                "MCP server '{}' uses a bearer token from `{variable}`; there is nothing to log in to.",
                server.name
            ))),
            None => Err(CliError::not_available("codex mcp login")
                .hint("a server that takes a token works with bearer_token_env_var = \"NAME\"")),
        },
    }
}

pub(super) fn logout(args: &LogoutArgs, loaded: &Loaded) -> Result<u8, CliError> {
    let server = super::find(loaded, &args.name, " in configuration")?;
    match &server.transport {
        McpTransport::Stdio(_) => Err(CliError::new(
            "OAuth logout is only supported for streamable_http transports.",
        )),
        McpTransport::StreamableHttp(_) => Err(CliError::not_available("codex mcp logout")),
    }
}
