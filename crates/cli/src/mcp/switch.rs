//! `codex mcp enable` and `codex mcp disable`: one key of one entry, where the entry is.
//!
//! What cannot have an effect is not written: a layer above that decides, and requirements that refuse,
//! are named instead, and so is an entry that the file to write would not have. Enabling a server of a
//! project's file approves it as it stands.

use clap::Args;
use codex_config::{
    ConfigFile, Enablement, LayerSource, McpApprovals, McpServerConfig, OffReason, Origin,
    ProjectMcpTrust,
};
use codex_host::AbsPath;
use codex_protocol::ServerName;
use codex_runtime::{Invocation, Loaded};

use super::live::{find_server, hints_of_off};
use super::scope::{Scope, layer_of, open_project};
use crate::error::CliError;
use crate::mask::printable;

#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    /// Name of the server
    name: String,
    /// File to write; by default the one that has the server
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Scope>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
}

impl Switch {
    fn word(self) -> &'static str {
        match self {
            Self::On => "enabled",
            Self::Off => "disabled",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::On => "Enabled",
            Self::Off => "Disabled",
        }
    }
}

pub(super) fn run(args: &SwitchArgs, to: Switch, invocation: Invocation) -> Result<u8, CliError> {
    let loaded = crate::load(invocation.clone())?;
    let server = find_server(&loaded.config, &loaded.layers, &args.name)?;
    let shown = printable(server.name.as_str());
    if to == Switch::On {
        refuse_policy(server)?;
    }
    let target = target(&loaded, server, args.scope);
    refuse_layer_above(&loaded, server, &target)?;
    refuse_empty_entry(&loaded, server, &target)?;
    let needs_approval = to == Switch::On
        && args.scope == Some(Scope::Project)
        && matches!(
            server.enablement,
            Enablement::Off(OffReason::NotApproved { .. })
        );
    let is_on = configured(&loaded, server);
    if is_on == (to == Switch::On) && !needs_approval {
        if let Enablement::Off(reason @ OffReason::NotApproved { .. }) = &server.enablement {
            let why = reason.text().unwrap_or_default();
            let text = format!("MCP server '{shown}' is {}.", printable(&why));
            return Err(CliError::new(text).hints(hints_of_off(&server.name, reason)));
        }
        crate::print(&format!("MCP server '{shown}' is already {}.\n", to.word()))?;
        return Ok(0);
    }
    if is_on != (to == Switch::On) {
        write(&loaded, &server.name, &target, to)?;
    }
    if to == Switch::On && args.scope == Some(Scope::Project) {
        approve(&server.name, invocation.clone())?;
    }
    crate::print(&format!("{} MCP server '{shown}'.\n", to.done()))?;
    if to == Switch::On {
        tell_still_off(&server.name, invocation)?;
    }
    Ok(0)
}

fn refuse_policy(server: &McpServerConfig) -> Result<(), CliError> {
    let Enablement::Off(OffReason::Requirements { source, why, .. }) = &server.enablement else {
        return Ok(());
    };
    let name = printable(server.name.as_str());
    let text = format!("MCP server '{name}' is disabled by requirements ({source}).");
    Err(CliError::new(printable(&text)).hint(printable(why)))
}

/// What turned the server off besides the key turns it off still.
fn tell_still_off(name: &ServerName, invocation: Invocation) -> Result<(), CliError> {
    let loaded = invocation.load()?;
    let server = loaded.config.mcp_servers.get(name);
    let Some(Enablement::Off(reason)) = server.map(|server| &server.enablement) else {
        return Ok(());
    };
    let text = format!("warning: `{name}` is still off: {}", reason.why());
    crate::say(&printable(&text))?;
    for hint in hints_of_off(name, reason) {
        crate::say(&printable(&format!("hint: {hint}")))?;
    }
    Ok(())
}

/// The file that has the server, of those that are ours to edit; else the user's.
fn target(loaded: &Loaded, server: &McpServerConfig, scope: Option<Scope>) -> AbsPath {
    let name = server.name.as_str();
    let project = || loaded.layers.project_file_of(name).cloned();
    match scope {
        Some(Scope::User) => loaded.home.config_file(),
        Some(Scope::Project) => project().unwrap_or_else(|| loaded.project.config_file()),
        None => project()
            .or_else(|| profile_file_of(loaded, name).cloned())
            .unwrap_or_else(|| loaded.home.config_file()),
    }
}

/// The file of the profile, when it says something about a server.
fn profile_file_of<'l>(loaded: &'l Loaded, name: &str) -> Option<&'l AbsPath> {
    let mut layers = loaded.layers.server_layers(name).into_iter();
    layers.find_map(|source| match source {
        LayerSource::Profile { file, .. } if *file != loaded.home.config_file() => Some(file),
        _ => None,
    })
}

fn enabled_places(loaded: &Loaded, server: &McpServerConfig) -> Vec<Origin> {
    let path = ["mcp_servers", server.name.as_str(), "enabled"];
    loaded.layers.places(&path)
}

/// Refuses to write what a higher layer says otherwise.
fn refuse_layer_above(
    loaded: &Loaded,
    server: &McpServerConfig,
    target: &AbsPath,
) -> Result<(), CliError> {
    let decides = enabled_places(loaded, server).into_iter().next();
    let own = layer_of(loaded, target)
        .cloned()
        .unwrap_or_else(|| LayerSource::User {
            file: target.clone(),
        });
    match decides.filter(|origin| origin.layer > own) {
        None => Ok(()),
        Some(origin) => {
            let name = printable(server.name.as_str());
            let text = format!(
                "`enabled` of MCP server '{name}' is set by {origin}, which is above {target}."
            );
            Err(CliError::new(printable(&text)))
        }
    }
}

/// Refuses to write the one key into a file that is read without what has the server: alone it would
/// be a broken entry.
fn refuse_empty_entry(
    loaded: &Loaded,
    server: &McpServerConfig,
    target: &AbsPath,
) -> Result<(), CliError> {
    let layers = loaded.layers.server_layers(server.name.as_str());
    let comes_with_target = |source: &&LayerSource| match source {
        LayerSource::SessionFlags => false,
        LayerSource::Profile { .. } => layer_of(loaded, target) == Some(*source),
        LayerSource::System { .. }
        | LayerSource::User { .. }
        | LayerSource::Project { .. }
        | LayerSource::ManagedHome { .. }
        | LayerSource::ManagedMachine { .. }
        | LayerSource::ManagedPreferences => true,
    };
    let (false, Some(source)) = (layers.iter().any(comes_with_target), layers.first()) else {
        return Ok(());
    };
    let name = printable(server.name.as_str());
    let text = format!(
        "MCP server '{name}' is configured in {source} only; an entry in {target} would be incomplete."
    );
    Err(CliError::new(printable(&text)))
}

/// What the layers say, whatever else turned the server off.
fn configured(loaded: &Loaded, server: &McpServerConfig) -> bool {
    let path = ["mcp_servers", server.name.as_str(), "enabled"];
    loaded.layers.value(&path).as_deref() != Some("false")
}

fn write(loaded: &Loaded, name: &ServerName, target: &AbsPath, to: Switch) -> Result<(), CliError> {
    let mut file = if *target == loaded.home.config_file() {
        ConfigFile::open(&loaded.home)?
    } else if profile_file_of(loaded, name.as_str()) == Some(target) {
        ConfigFile::open_project(&loaded.home, target.clone(), None)?
    } else {
        open_project(loaded, target.clone())?
    };
    let path = ["mcp_servers", name.as_str(), "enabled"];
    let own = layer_of(loaded, target);
    let mut places = loaded.layers.places(&path).into_iter();
    let is_set_below = places.any(|origin| own.is_none_or(|own| origin.layer < *own));
    file.set_mcp_server_enabled(
        name,
        match to {
            Switch::Off => Some(false),
            Switch::On if is_set_below => Some(true),
            Switch::On => None,
        },
    )?;
    // What is left of an entry that was made for this one key.
    if to == Switch::On && file.mcp_server_keys(name).is_empty() {
        file.remove_mcp_server(name)?;
    }
    file.save()?;
    Ok(())
}

/// Approves the server as it stands in the files now.
fn approve(name: &ServerName, invocation: Invocation) -> Result<(), CliError> {
    let loaded = invocation.load()?;
    let file = loaded.layers.project_file_of(name.as_str());
    let (Some(file), Some(server)) = (file, loaded.config.mcp_servers.get(name)) else {
        return Ok(());
    };
    McpApprovals::approve(&loaded.home, server, &file.to_string())
        .map_err(|error| CliError::new(error.to_string()))?;
    if loaded.config.project_mcp_trust == ProjectMcpTrust::Project {
        crate::say(
            "note: approvals count with `project_mcp_trust = \"entry\"`; now every server of a trusted project runs",
        )?;
    }
    Ok(())
}
