//! `docs/config.schema.json`, by which editors complete and check the file: made from the raw structs.
//!
//! Only tests compile this, so that the program carries no schema. `cargo xtask write-config-schema`
//! runs the first of them with [`WRITE`] set, which writes the one of requirements too. The dialect is draft-07, which TOML editors understand.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::Stage;
use crate::config_raw::{NOT_YET_KEYS, QUIET_KEYS, RawApprovalPolicy, RawConfig, RawUpdatePlan};
use crate::features::Feature;
use crate::mcp::raw::{RawMcpServer, variant_names};
use crate::{EnvVar, EnvVarSource, ServerSandbox};

mod docs;
mod requirements;
mod rules;
mod tests;

/// Names the variable that lets the test of the committed file write it.
const WRITE: &str = "CODEX_WRITE_CONFIG_SCHEMA";

/// Returns the schema of the whole file.
fn config_schema() -> Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(like_toml));
    let mut generator = settings.into_generator();
    let servers = generator.subschema_for::<std::collections::BTreeMap<String, RawMcpServer>>();
    let mut root = Value::from(generator.into_root_schema_for::<RawConfig>());
    let properties = object(&mut root, "properties");
    properties.insert(
        "mcp_servers".to_owned(),
        described(servers.into(), "MCP servers by name."),
    );
    properties.insert("features".to_owned(), features());
    for key in QUIET_KEYS {
        let text = "A key of other programs that read this file; it has no effect here.";
        properties.insert((*key).to_owned(), json!({ "description": text }));
    }
    for key in NOT_YET_KEYS {
        let text = "Not available yet; it has no effect.";
        properties.insert((*key).to_owned(), json!({ "description": text }));
    }
    for (path, feature_key) in Feature::legacy_keys() {
        let text = format!("Use `[features].{feature_key}` instead.");
        let (parent, key, kind) = match path {
            [key] => (&mut root, key, json!("boolean")),
            // `[tools] web_search` may also be a table of its own settings.
            ["tools", key] => (
                &mut root["definitions"]["RawTools"],
                key,
                json!(["boolean", "object"]),
            ),
            path => panic!("no rule for the legacy key {path:?}"),
        };
        let old = json!({ "description": text, "type": kind, "deprecated": true });
        object(parent, "properties").insert((*key).to_owned(), old);
    }
    root["title"] = json!("Codex configuration");
    root.sort_all_objects();
    root
}

/// `[features]`: one switch a row, retired ones and older spellings marked.
fn features() -> Value {
    let mut rows = Map::new();
    for row in Feature::table() {
        let mut schema = json!({
            "type": "boolean",
            "description": format!("A feature; {}.", row.stage.as_str()),
            "default": row.default,
        });
        if matches!(row.stage, Stage::Deprecated | Stage::Removed) {
            schema["deprecated"] = json!(true);
        }
        rows.insert(row.key.to_owned(), schema);
        for alias in row.aliases() {
            let text = format!("Use `{}` instead.", row.key);
            let old = json!({ "type": "boolean", "description": text, "deprecated": true });
            rows.insert((*alias).to_owned(), old);
        }
    }
    json!({
        "type": "object",
        "description": "Switches for behaviour that is not decided yet.",
        "properties": rows,
        "additionalProperties": false,
    })
}

/// TOML has no null, and a key that nobody knows is most likely a slip.
fn like_toml(schema: &mut Schema) {
    if schema
        .get("default")
        .is_some_and(|default| default.is_null() || *default == json!({}))
    {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_slice() {
            // Beside a `$ref` draft-07 reads nothing else, so the description needs the wrapper.
            let only = only.clone();
            schema.remove("anyOf");
            schema.insert("allOf".to_owned(), json!([only]));
        }
    }
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// The schema of an enum of another crate: its words.
pub(crate) fn words<T: DeserializeOwned>(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": variant_names::<T>() })
}

/// The schema of `approve_when`: a table of arguments and their tests, or a list of such tables.
pub(crate) fn approve_when(_generator: &mut SchemaGenerator) -> Schema {
    let simple = json!({ "type": ["string", "number", "boolean"] });
    let test = json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": {
            "equals": described(simple.clone(), "This very value."),
            "one_of": described(
                json!({ "type": "array", "minItems": 1, "items": simple }),
                "One of these values.",
            ),
            "prefix": described(json!({ "type": "string", "minLength": 1 }), "Text that begins so."),
            "within": described(
                json!({ "type": "string", "pattern": "^/" }),
                "A path at or below this one, without `..`.",
            ),
            "min": described(json!({ "type": "number" }), "A number of at least this."),
            "max": described(json!({ "type": "number" }), "A number of at most this."),
            "absent": described(json!({ "const": true }), "Not given."),
        },
    });
    let arguments = json!({ "type": "object", "minProperties": 1, "additionalProperties": test });
    json_schema!({
        "anyOf": [arguments, { "type": "array", "minItems": 1, "items": arguments }],
    })
}

fn described(mut schema: Value, text: &str) -> Value {
    schema["description"] = json!(text);
    schema
}

fn object<'a>(parent: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    parent[key]
        .as_object_mut()
        .expect("schemars made an object")
}

impl JsonSchema for EnvVar {
    fn schema_name() -> Cow<'static, str> {
        "EnvVar".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<EnvVarSource>();
        json_schema!({
            "description": "A name, or a table that says where its value comes from.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "name": { "description": "Its name.", "type": "string" },
                        "source": described(source.into(), "Where its value comes from."),
                    },
                    "required": ["name"],
                },
            ],
        })
    }
}

impl JsonSchema for ServerSandbox {
    fn schema_name() -> Cow<'static, str> {
        "ServerSandbox".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let mode = json!({ "type": "string", "enum": ["read-only", "workspace-write"] });
        let roots = json!({ "type": "array", "items": { "type": "string" } });
        let network = json!({ "type": "boolean", "default": false });
        json_schema!({
            "description": "A mode, or a table with it.",
            "anyOf": [
                mode,
                {
                    "type": "object",
                    "properties": {
                        "mode": described(mode.clone(), "What it may write."),
                        "writable_roots": described(roots, "Further directories that it may write."),
                        "network_access": described(network, "It may use the network."),
                    },
                    "required": ["mode"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl JsonSchema for RawApprovalPolicy {
    fn schema_name() -> Cow<'static, str> {
        "ApprovalPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = words::<codex_protocol::AskForApproval>(generator);
        json_schema!({ "anyOf": [words, { "type": "object" }] })
    }
}

impl JsonSchema for RawUpdatePlan {
    fn schema_name() -> Cow<'static, str> {
        "UpdatePlan".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "boolean" },
                {
                    "type": "object",
                    "properties": {
                        "enabled": { "description": "Offered or not.", "type": "boolean" },
                    },
                },
            ],
        })
    }
}
