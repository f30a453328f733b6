//! `configRequirements/read`.

use codex_app_server_protocol::{ConfigRequirements, ConfigRequirementsReadResponse};
use codex_config::{Feature, Requirements};

/// Tells what the machine requires.
pub(crate) fn read(requirements: &Requirements) -> ConfigRequirementsReadResponse {
    if requirements.sources().is_empty() {
        return ConfigRequirementsReadResponse { requirements: None };
    }
    let pinned = requirements.features().filter_map(|(feature, on)| {
        let row = Feature::table().iter().find(|row| row.feature == feature)?;
        Some((row.key.to_owned(), on))
    });
    let pinned: std::collections::BTreeMap<String, bool> = pinned.collect();
    let names = requirements.mcp().names();
    let problems = requirements.problems().iter();
    ConfigRequirementsReadResponse {
        requirements: Some(ConfigRequirements {
            allowed_approval_policies: requirements.allowed_approval_policies().map(<[_]>::to_vec),
            allowed_sandbox_modes: requirements.allowed_sandbox_modes().map(<[_]>::to_vec),
            feature_requirements: (!pinned.is_empty()).then_some(pinned),
            allowed_mcp_servers: names.map(|names| names.map(str::to_owned).collect()),
            problems: problems.map(ToString::to_string).collect(),
        }),
    }
}
