//! `docs/requirements.schema.json`, for those who write policies: made from the raw structs of the rules.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use super::{described, features, like_toml, words};
use crate::requirements::raw::{RawIdentity, RawServerRule};

/// Returns the schema of the whole file.
pub(super) fn requirements_schema() -> Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(like_toml));
    let mut generator = settings.into_generator();
    let allowlist = generator.subschema_for::<BTreeMap<String, RawIdentity>>();
    let servers = generator.subschema_for::<BTreeMap<String, RawServerRule>>();
    let approvals = words::<codex_protocol::AskForApproval>(&mut generator);
    let sandboxes = words::<codex_protocol::SandboxMode>(&mut generator);
    let list = |words| json!({ "type": "array", "minItems": 1, "items": words });
    let mut root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Codex requirements",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "mcp_server_allowlist": described(allowlist.into(), "The MCP servers that may run."),
            "mcp_servers": described(servers.into(), "The same, in the spelling of config.toml."),
            "features": described(features(), "Features that nobody can change."),
            "allowed_approval_policies": described(
                list(approvals),
                "Values that `approval_policy` may have; another one becomes the first of them.",
            ),
            "allowed_sandbox_modes": described(
                list(sandboxes),
                "Values that `sandbox_mode` may have; another one becomes the first of them.",
            ),
        },
        "definitions": generator.take_definitions(true),
    });
    root.sort_all_objects();
    root
}
