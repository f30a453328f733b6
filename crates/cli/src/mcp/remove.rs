//! `codex mcp remove`: takes one entry out of the user's file. Removing what is not there is fine.

use clap::Args;
use codex_config::{ConfigFile, LayerSource, McpServerConfig, McpTransport};
use codex_mcp::{KeyringPatience, StaticToken};
use codex_protocol::ServerName;

use super::add::Scope;
use super::live::LiveContext;
use super::login::auth_of;
use super::logout::lines;
use crate::error::CliError;
use crate::mask::printable;

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name of the server
    name: String,
    /// File to write
    #[arg(long, value_name = "SCOPE", default_value = "user")]
    scope: Scope,
    /// Keep the stored login
    #[arg(long)]
    keep_credentials: bool,
}

pub(super) async fn run(args: RemoveArgs, mut context: LiveContext<'_>) -> Result<u8, CliError> {
    if args.scope == Scope::Project {
        return Err(CliError::not_available("codex mcp remove --scope project"));
    }
    let name = ServerName::from_config(&args.name);
    // Nothing to remove from: no lock file appears for it.
    let (removed, entry) = if context.home.config_file().exists() {
        let mut file = ConfigFile::open(&context.home)?;
        let entry = file.mcp_server(&name);
        let removed = file.remove_mcp_server(&name)?;
        file.save()?;
        (removed, entry)
    } else {
        (false, None)
    };
    if removed {
        writeln!(context.out, "Removed global MCP server '{name}'.")?;
        context.out.flush()?;
        if let Some(entry) = entry.filter(|_| !args.keep_credentials) {
            remove_login(&entry, &mut context).await?;
        }
        return Ok(0);
    }
    let elsewhere = context
        .config
        .mcp_servers
        .get(&name)
        .and_then(|server| server.source.as_ref());
    if let Some(origin) = elsewhere.filter(|origin| origin.layer != LayerSource::SessionFlags) {
        let place = origin
            .file()
            .map_or_else(|| origin.to_string(), ToString::to_string);
        return Err(CliError::new(format!(
            "MCP server '{name}' is configured in {place}, which this command does not change."
        )));
    }
    writeln!(context.out, "No MCP server named '{name}' found.")?;
    let names = context.config.mcp_servers.keys().map(ServerName::as_str);
    if let Some(near) = codex_utils_fuzzy_match::nearest(&args.name, names) {
        writeln!(context.err, "hint: did you mean `{near}`?")?;
    }
    Ok(0)
}

/// Ends the login that the entry had; a login that cannot be ended is told and is no failure, for the
/// entry is gone all the same.
async fn remove_login(
    entry: &McpServerConfig,
    context: &mut LiveContext<'_>,
) -> Result<(), CliError> {
    let McpTransport::StreamableHttp(http) = &entry.transport else {
        return Ok(());
    };
    if StaticToken::of(http).is_some() {
        return Ok(());
    }
    let auth = auth_of(context, KeyringPatience::WithUser);
    let logout = match auth.remove(entry, context.cwd.as_path()).await {
        Ok(logout) => logout,
        Err(error) => {
            let why = printable(&error.sentence());
            writeln!(
                context.err,
                "warning: the stored login was not removed: {why}"
            )?;
            return Ok(());
        }
    };
    if logout.removed_client && !logout.removed {
        writeln!(context.err, "note: removed the stored client")?;
    }
    if logout.removed {
        writeln!(context.err, "note: removed the stored login")?;
        for line in lines(&logout) {
            writeln!(context.err, "{}", printable(&line))?;
        }
    }
    for (why, _) in &logout.left {
        let why = printable(why);
        writeln!(
            context.err,
            "warning: a copy of the login may be left: {why}"
        )?;
    }
    Ok(())
}
