//! `codex mcp remove`: takes one entry out of the user's file. Removing what is not there is fine.

use clap::Args;
use codex_config::{Enablement, LayerSource, McpServerConfig, McpTransport, OffReason};
use codex_host::AbsPath;
use codex_mcp::{KeyringPatience, StaticToken, ToolPins};
use codex_protocol::ServerName;
use codex_runtime::Loaded;

use super::live::LiveContext;
use super::login::auth_of;
use super::logout::lines;
use super::scope::{self, Scope, layer_of};
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

pub(super) async fn run(
    args: RemoveArgs,
    loaded: &Loaded,
    mut context: LiveContext<'_>,
) -> Result<u8, CliError> {
    let name = ServerName::from_config(&args.name);
    let nested = loaded.layers.project_file_of(name.as_str());
    let target = match (args.scope, nested) {
        (Scope::Project, Some(file)) => file.clone(),
        (Scope::Project, None) | (Scope::User, _) => args.scope.file(loaded),
    };
    // Nothing to remove from: no lock file appears for it.
    let (removed, entry) = if target.exists() {
        let mut file = match args.scope {
            Scope::User => args.scope.open(loaded)?,
            Scope::Project => scope::open_project(loaded, target.clone())?,
        };
        let entry = file.mcp_server(&name);
        let removed = file.remove_mcp_server(&name)?;
        file.save()?;
        (removed, entry)
    } else {
        (false, None)
    };
    let own = layer_of(loaded, &target);
    let layers = loaded.layers.server_layers(name.as_str()).into_iter();
    let others: Vec<&LayerSource> = layers
        .filter(|source| Some(*source) != own && **source != LayerSource::SessionFlags)
        .collect();
    if removed {
        let word = args.scope.word();
        writeln!(context.out, "Removed {word} MCP server '{name}'.")?;
        context.out.flush()?;
        for source in &others {
            writeln!(
                context.err,
                "note: '{name}' is still configured in {source}"
            )?;
        }
        if is_on_again(&name, loaded, &others) {
            writeln!(
                context.err,
                "note: '{name}' is on again: the removed entry had turned it off; `codex mcp disable {name}` turns it off"
            )?;
        }
        if others.is_empty() {
            forget_pins(&name, &mut context)?;
        }
        let is_shared = entry
            .as_ref()
            .is_some_and(|entry| has_same_url(entry, loaded, &target));
        if let Some(entry) = entry.filter(|_| !args.keep_credentials && !is_shared) {
            remove_login(&judged(entry, loaded, &target), &mut context).await?;
        }
        return Ok(0);
    }
    if let Some(source) = others.first() {
        let error = CliError::new(format!(
            "MCP server '{name}' is configured in {source}, which this command does not change."
        ));
        return Err(match source {
            LayerSource::Project { .. } => error.hint(format!(
                "`codex mcp remove {name} --scope project` removes it there"
            )),
            LayerSource::Profile {
                name: profile,
                file,
            } => error.hint(format!(
                "`codex mcp disable {name} -p {profile}` turns it off there; to remove it, edit {file}"
            )),
            LayerSource::User { .. } => {
                error.hint(format!("`codex mcp remove {name}` removes it there"))
            }
            _ => error.hint(format!("`codex mcp disable {name}` turns it off for you")),
        });
    }
    writeln!(context.out, "No MCP server named '{name}' found.")?;
    let names = context.config.mcp_servers.keys().map(ServerName::as_str);
    if let Some(near) = codex_utils_fuzzy_match::nearest(&args.name, names) {
        writeln!(context.err, "hint: did you mean `{near}`?")?;
    }
    Ok(0)
}

/// Returns whether a server that was off runs with the layers that are left.
fn is_on_again(name: &ServerName, loaded: &Loaded, others: &[&LayerSource]) -> bool {
    let merged = loaded.config.mcp_servers.get(name);
    let was_off =
        merged.is_some_and(|server| matches!(server.enablement, Enablement::Off(OffReason::User)));
    let path = ["mcp_servers", name.as_str(), "enabled"];
    let left = loaded.layers.layers().iter().rev();
    let mut left = left.filter(|layer| others.contains(&&layer.source));
    let is_off = left.find_map(|layer| layer.bool_at(&path)) == Some(false);
    was_off && !others.is_empty() && !is_off
}

/// Returns whether another layer has the server at the same address, so that its login stays of use.
fn has_same_url(entry: &McpServerConfig, loaded: &Loaded, target: &AbsPath) -> bool {
    let McpTransport::StreamableHttp(http) = &entry.transport else {
        return false;
    };
    let path = ["mcp_servers", entry.name.as_str(), "url"];
    let mut others = loaded.layers.layers().iter().filter(|layer| {
        layer.source.file() != Some(target) && layer.source != LayerSource::SessionFlags
    });
    others.any(|layer| layer.text_at(&path) == Some(&http.url))
}

/// Takes the pins of the tools away: a server that is added under this name later is another one.
fn forget_pins(name: &ServerName, context: &mut LiveContext<'_>) -> Result<(), CliError> {
    match ToolPins::of(&context.home).forget(name) {
        Ok(true) => writeln!(context.err, "note: removed the pins of its tools")?,
        Ok(false) => {}
        Err(error) => {
            let why = printable(&error.to_string());
            writeln!(context.err, "warning: its pins were not removed: {why}")?;
        }
    }
    Ok(())
}

/// Turns an entry off that no run would reach, so that no login is revoked through it either.
fn judged(mut entry: McpServerConfig, loaded: &Loaded, target: &AbsPath) -> McpServerConfig {
    let merged = loaded.config.mcp_servers.get(&entry.name);
    if let Some(merged) = merged
        && let Enablement::Off(OffReason::Requirements { .. } | OffReason::NotApproved { .. }) =
            &merged.enablement
    {
        entry.enablement = merged.enablement.clone();
    }
    if scope::unused(loaded, target).is_some() {
        let file = target.clone();
        entry.enablement = Enablement::Off(OffReason::NotApproved { file });
    }
    let policy = loaded.config.requirements.mcp();
    policy.apply_to(&mut entry, &loaded.env);
    entry
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
