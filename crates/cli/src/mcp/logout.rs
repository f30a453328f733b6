//! `codex mcp logout`: the login is revoked and deleted, and what could not be done is said.

use clap::Args;
use codex_config::{McpServerConfig, McpTransport};
use codex_mcp::{KeyringPatience, Logout, McpAuth, Revocation};
use codex_protocol::ServerName;

use super::live::{self, LiveContext};
use super::login::auth_of;
use crate::error::CliError;
use crate::mask::printable;

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// Name of the server
    name: String,
}

pub(super) async fn run(args: LogoutArgs, mut context: LiveContext<'_>) -> Result<u8, CliError> {
    let auth = auth_of(&context, KeyringPatience::WithUser);
    let name = ServerName::from_config(&args.name);
    let shown = printable(&args.name);
    let Some(server) = context.config.mcp_servers.get(&name).cloned() else {
        // The entry may be gone while its login is still in the file.
        let removed = auth
            .forget(&name)
            .await
            .map_err(|error| CliError::new(error.sentence()).hints(error.hints()))?;
        if removed {
            writeln!(context.out, "Removed OAuth credentials for '{shown}'.")?;
            return Ok(live::EXIT_OK);
        }
        let names = context.config.mcp_servers.keys().map(ServerName::as_str);
        return Err(CliError::new(format!(
            "No MCP server named '{shown}' found in configuration."
        ))
        .did_you_mean(&args.name, names));
    };
    if let McpTransport::Stdio(_) = &server.transport {
        return Err(CliError::new(
            "OAuth logout is only supported for streamable_http transports.",
        ));
    }
    let logout = log_out(&auth, &server, &mut context).await?;
    let outcome = match logout.removed {
        true => format!("Removed OAuth credentials for '{shown}'."),
        false => format!("No OAuth credentials stored for '{shown}'."),
    };
    match logout.left.into_iter().next() {
        None => {
            writeln!(context.out, "{outcome}")?;
            Ok(live::EXIT_OK)
        }
        Some((why, hints)) => {
            if logout.removed {
                writeln!(context.out, "{outcome}")?;
            }
            Err(
                CliError::new("the keyring could not be reached; a copy may be left there")
                    .cause(why)
                    .hints(hints),
            )
        }
    }
}

/// Logs out and says what the authorization server made of it.
pub(crate) async fn log_out(
    auth: &McpAuth,
    server: &McpServerConfig,
    context: &mut LiveContext<'_>,
) -> Result<Logout, CliError> {
    let logout = auth.logout(server, context.cwd.as_path()).await;
    let logout = logout.map_err(|error| CliError::new(error.sentence()).hints(error.hints()))?;
    for line in lines(&logout) {
        writeln!(context.err, "{}", printable(&line))?;
    }
    Ok(logout)
}

/// What there is to say beside the outcome.
pub(crate) fn lines(logout: &Logout) -> Vec<String> {
    let mut lines = Vec::new();
    match &logout.revocation {
        Some(Revocation::Revoked { issuer }) => lines.push(format!("note: revoked at {issuer}")),
        Some(Revocation::Failed { why }) => {
            let end = match logout.expires_at {
                Some(time) => format!("; the token expires at {time}"),
                None => String::new(),
            };
            lines.push(format!("warning: not revoked: {why}{end}"));
        }
        Some(Revocation::NotOffered) => {
            lines.push("note: not revoked: the server offers no revocation".to_owned());
        }
        None => {}
    }
    if logout.removed || !logout.left.is_empty() {
        lines.extend(logout.notes.iter().map(|note| format!("note: {note}")));
    }
    lines
}
