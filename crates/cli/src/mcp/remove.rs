//! `codex mcp remove`: takes one entry out of the user's file. Removing what is not there is fine.

use clap::Args;
use codex_config::{ConfigFile, LayerSource};
use codex_protocol::ServerName;
use codex_runtime::Loaded;

use super::add::Scope;
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name of the server
    name: String,
    /// File to write
    #[arg(long, value_name = "SCOPE", default_value = "user")]
    scope: Scope,
}

pub(super) fn run(args: &RemoveArgs, loaded: &Loaded) -> Result<u8, CliError> {
    if args.scope == Scope::Project {
        return Err(CliError::not_available("codex mcp remove --scope project"));
    }
    let name = ServerName::from_config(&args.name);
    // Nothing to remove from: no lock file appears for it.
    let removed = if loaded.home.config_file().exists() {
        let mut file = ConfigFile::open(&loaded.home)?;
        let removed = file.remove_mcp_server(&name)?;
        file.save()?;
        removed
    } else {
        false
    };
    if removed {
        crate::print(&format!("Removed global MCP server '{name}'.\n"))?;
        return Ok(0);
    }
    let elsewhere = loaded
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
    crate::print(&format!("No MCP server named '{name}' found.\n"))?;
    let names = loaded.config.mcp_servers.keys().map(ServerName::as_str);
    if let Some(near) = codex_utils_fuzzy_match::nearest(&args.name, names) {
        crate::say(&format!("hint: did you mean `{near}`?"))?;
    }
    Ok(0)
}
