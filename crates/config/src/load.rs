//! From files and flags to [`Config`].
//!
//! Read the layers, merge them, take out what is read entry by entry (`mcp_servers`, `features`), read
//! the rest as one struct. A fault in an optional setting is said and the setting ignored; a fault in a
//! security key, or in a flag typed for this run, is fatal.

use std::collections::BTreeMap;

use codex_host::{AbsPath, CodexHome, Env};
use codex_protocol::ServerName;
use toml_edit::Value as TomlValue;

use crate::config_raw::{NOT_YET_KEYS, QUIET_KEYS, RawConfig, SECURITY_KEYS};
use crate::de::{self, DeError, Found, UnknownKey};
use crate::features;
use crate::layers::LayerStack;
use crate::mcp::entry;
use crate::report::{self, Fault, Faults};
use crate::sources::{self, Sources};
use crate::system::SystemPaths;
use crate::tree::{self, Node};
use crate::{
    Config, ConfigError, Constrained, Constraint, Enablement, Feature, McpApprovals,
    McpServerConfig, Notice, OffReason, Project, ProjectMcpTrust, Requirements, Severity, convert,
    loosened,
};

/// What follows from a fault in an optional setting.
const IGNORED: &str = "The setting is ignored.";

/// What loading needs; nothing else is looked at.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Holds the user's file.
    pub home: CodexHome,
    /// The directory of the session; it decides the project layers.
    pub cwd: AbsPath,
    /// Where the machine's settings are.
    pub system: SystemPaths,
    /// The environment that a policy sees a server's variables in.
    pub env: Env,
    /// `-c`, `--enable`, `--disable` in the order typed.
    pub overrides: Vec<CliOverride>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--strict-config`: the first fault is fatal.
    pub strict: bool,
    /// `--ignore-user-config`: the user's file is not read.
    pub ignore_user_config: bool,
}

impl LoadRequest {
    /// Asks for all settings without any flag.
    pub fn new(home: CodexHome, cwd: AbsPath, system: SystemPaths) -> Self {
        Self {
            home,
            cwd,
            system,
            env: Env::default(),
            overrides: Vec::new(),
            profile: None,
            strict: false,
            ignore_user_config: false,
        }
    }
}

/// One flag that changes a setting for this run.
#[derive(Debug, Clone)]
pub enum CliOverride {
    /// `-c key.path=value`, uncut.
    Set(String),
    /// The same from a program that has a value already: `key.path` and the value.
    Value(String, TomlValue),
    /// `--enable FEATURE`.
    Enable(String),
    /// `--disable FEATURE`.
    Disable(String),
}

/// The result of loading.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What there is to say about them, in order.
    pub notices: Vec<Notice>,
    /// Where they come from.
    pub layers: LayerStack,
    /// Where the run stands.
    pub project: Project,
}

/// Reads every layer and merges them. Blocks; reads at most one small file per layer.
pub fn load(request: &LoadRequest) -> Result<Loaded, ConfigError> {
    let Sources {
        mut layers,
        project,
        requirements,
        mut notices,
    } = sources::read(request)?;
    let oddities = layers.merge();
    notices.extend(
        oddities
            .iter()
            .map(|oddity| report::oddity(&layers, oddity)),
    );
    notices.extend(loosened::notice(&layers));
    let mut merged = layers.merged().clone();
    let mut faults = Faults::new(&layers, request.strict);
    let mut unknown = Vec::new();

    let features = features::resolve(&mut merged, &layers, &mut notices);
    check_features(&mut merged, &mut unknown, &mut faults)?;
    let mut mcp_servers: BTreeMap<ServerName, McpServerConfig> = BTreeMap::new();
    if let Some(table) = take_table(&mut merged, "mcp_servers", &layers)? {
        for item in &table.0 {
            let read = entry::read(item, &layers, &mut unknown);
            if let Some(fault) = read.fault {
                let off = format!("MCP server `{}` is off until this is repaired.", item.key);
                faults.add(Fault::from(fault).so(off), Severity::Warning)?;
            }
            mcp_servers.insert(ServerName::from_config(&item.key), read.server);
        }
    }
    let raw = read_root(merged, &layers, &mut unknown, &mut faults)?;
    let unknown = sort_out_known(unknown, &layers, &mut notices);
    for key in &unknown {
        if let [table, name, ..] = key.found.path.as_slice()
            && table == "mcp_servers"
            && let Some(server) = mcp_servers.get_mut(&ServerName::from_config(name))
        {
            server.warnings.push(report::entry_warning(&layers, key));
        }
    }
    faults.unknown_keys(unknown)?;
    notices.extend(faults.into_notices()?);
    let is_broken = |server: &McpServerConfig| {
        matches!(
            &server.enablement,
            Enablement::Off(OffReason::Invalid { .. })
        )
    };
    for server in mcp_servers.values().filter(|server| !is_broken(server)) {
        let path = [
            "mcp_servers",
            server.name.as_str(),
            "oauth",
            "client_secret",
        ];
        notices.extend(report::stored_secret(&layers, &path));
    }

    let bases = convert::Bases {
        home: request.home.path(),
        cwd: &request.cwd,
        layers: &layers,
    };
    let mut config = convert::config(raw, &bases, &mut notices)?;
    config.features = features;
    if config.project_mcp_trust == ProjectMcpTrust::Entry {
        turn_off_unapproved(&mut mcp_servers, &layers, request, &mut notices);
    }
    config.mcp_servers = Constrained::free(mcp_servers);
    notices.extend(config.require(requirements, &request.env));
    if !config.suppress_unstable_features_warning {
        notices.extend(features::unstable(
            &config.features,
            &request.home.config_file().to_string(),
        ));
    }
    Ok(Loaded {
        config,
        notices,
        layers,
        project,
    })
}

impl Config {
    /// Lets requirements hold for these settings and returns what there is to say about it. `env` is
    /// where the variables of servers come from.
    ///
    /// What earlier requirements turned off or replaced stays so.
    pub fn require(&mut self, requirements: Requirements, env: &Env) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.features.pin(&requirements, &mut notices);
        let (policy, env) = (requirements.mcp().clone(), env.clone());
        let constraint = Constraint::normalize(move |servers| policy.apply(servers, &env));
        let servers = self.mcp_servers.value().clone();
        self.mcp_servers = Constrained::new(servers, constraint).unwrap_or_default();
        self.approval_policy = requirements.approval_policy(*self.approval_policy, &mut notices);
        self.sandbox_mode = requirements.sandbox_mode(*self.sandbox_mode, &mut notices);
        notices.extend(requirements.notices());
        self.requirements = requirements;
        notices
    }
}

/// Turns off the servers of project files that were not approved as they stand.
fn turn_off_unapproved(
    servers: &mut BTreeMap<ServerName, McpServerConfig>,
    layers: &LayerStack,
    request: &LoadRequest,
    notices: &mut Vec<Notice>,
) {
    let approvals = McpApprovals::read(&request.home).unwrap_or_else(|error| {
        notices.push(Notice::new(Severity::Error, error.to_string(), None));
        McpApprovals::default()
    });
    for server in servers.values_mut().filter(|server| server.is_enabled()) {
        if let Some(file) = layers.project_file_of(server.name.as_str())
            && !approvals.holds(server, &file.to_string())
        {
            server.enablement = Enablement::Off(OffReason::NotApproved { file: file.clone() });
        }
    }
}

fn take_table(
    merged: &mut Node,
    key: &str,
    layers: &LayerStack,
) -> Result<Option<tree::Table>, ConfigError> {
    let Some(entry) = merged.unset(&[key]) else {
        return Ok(None);
    };
    match entry.node.value {
        tree::NodeValue::Table(table) => Ok(Some(table)),
        _ => {
            let found = Found {
                at: entry.key_at,
                path: vec![key.to_owned()],
            };
            let fault = Fault::new(found, "invalid type: expected a table");
            Err(report::fatal(layers, &fault))
        }
    }
}

/// Collects what is left of `[features]` after the known rows were read.
fn check_features(
    merged: &mut Node,
    unknown: &mut Vec<UnknownKey>,
    faults: &mut Faults<'_>,
) -> Result<(), ConfigError> {
    let Some(entry) = merged.unset(&["features"]) else {
        return Ok(());
    };
    let Some(table) = entry.node.as_table() else {
        let found = Found {
            at: entry.key_at,
            path: vec!["features".to_owned()],
        };
        let fault = Fault::new(found, "invalid type: expected a table");
        return faults.add(fault, Severity::Error);
    };
    for item in &table.0 {
        let path = vec!["features".to_owned(), item.key.clone()];
        if Feature::from_key(&item.key).is_none() {
            unknown.push(UnknownKey {
                found: Found {
                    at: item.key_at,
                    path,
                },
                siblings: features::KEYS,
            });
        } else if item.node.as_bool().is_none() {
            let found = Found {
                at: item.node.at,
                path,
            };
            let fault = Fault::new(found, "invalid type: expected a boolean");
            faults.add(fault.so(IGNORED), Severity::Error)?;
        }
    }
    Ok(())
}

/// Reads the top level; an optional setting with a fault is taken out and the rest is read again.
fn read_root(
    mut merged: Node,
    layers: &LayerStack,
    unknown: &mut Vec<UnknownKey>,
    faults: &mut Faults<'_>,
) -> Result<RawConfig, ConfigError> {
    loop {
        let mut seen = Vec::new();
        let DeError { message, found } = match de::read::<RawConfig>(&merged, &[], &mut seen) {
            Ok(raw) => {
                unknown.append(&mut seen);
                return Ok(raw);
            }
            Err(error) => error,
        };
        let Some(found) = found.filter(|found| !found.path.is_empty()) else {
            return Err(ConfigError::Invalid {
                text: message,
                origin: None,
                hints: Vec::new(),
            });
        };
        let security = found
            .path
            .first()
            .is_some_and(|key| SECURITY_KEYS.contains(&key.as_str()));
        let removed = merged.unset(&found.path).is_some();
        // What a lower layer says about it holds.
        if let Some(lower) = layers.below(found.at, &found.path) {
            merged.set(&found.path, lower.clone());
        }
        let fault = Fault::new(found, message);
        if security || !removed {
            return Err(faults.fatal(fault));
        }
        faults.add(fault.so(IGNORED), Severity::Error)?;
    }
}

/// Takes keys out of the unknown ones that we know by name although nothing here uses them.
fn sort_out_known(
    unknown: Vec<UnknownKey>,
    layers: &LayerStack,
    notices: &mut Vec<Notice>,
) -> Vec<UnknownKey> {
    let is_root =
        |key: &UnknownKey, list: &[&str]| key.found.path.len() == 1 && list.contains(&key.key());
    let mut really_unknown = Vec::new();
    for key in unknown {
        if is_root(&key, NOT_YET_KEYS) {
            let origin = layers.place(key.found.at);
            let text = format!(
                "`{}` is not available yet and has no effect ({origin})",
                key.key()
            );
            notices.push(Notice::new(Severity::Warning, text, Some(origin)));
        } else if !is_root(&key, QUIET_KEYS) {
            really_unknown.push(key);
        }
    }
    really_unknown
}

#[cfg(test)]
mod tests;
