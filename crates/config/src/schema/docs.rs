//! The tables of docs/config.md against the schemas: each key once, with its type and its default.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::config_schema;
use super::requirements::requirements_schema;
use crate::config_raw::{NOT_YET_KEYS, QUIET_KEYS};

pub(super) const DOCS: &str = include_str!("../../../../docs/config.md");
const REQUIREMENTS: &str = "## `requirements.toml`\n";

/// What the docs or the schema say about a key.
#[derive(Debug, PartialEq)]
struct Told {
    types: BTreeSet<String>,
    default: Option<Value>,
}

/// Follows references of the schema.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let reference = schema["allOf"][0]["$ref"]
        .as_str()
        .or(schema["$ref"].as_str());
    match reference.and_then(|text| text.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).expect("the schema refers to itself"),
        None => schema,
    }
}

fn types(root: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = resolved(root, schema);
    let words = schema["enum"].as_array().into_iter().flatten();
    let mut found: BTreeSet<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
    found.extend(schema["const"].as_str().map(str::to_owned));
    for choices in ["anyOf", "oneOf"] {
        let choices = schema[choices].as_array().into_iter().flatten();
        found.extend(choices.flat_map(|choice| types(root, choice)));
    }
    if found.is_empty() {
        found.extend(schema["type"].as_str().map(str::to_owned));
    }
    found
}

/// Collects every key that is no table of known keys; placeholders stand for names.
fn keys_of(root: &Value, schema: &Value, path: &str, found: &mut BTreeMap<String, Told>) {
    let inner = resolved(root, schema);
    if let Some(properties) = inner["properties"].as_object() {
        for (key, schema) in properties {
            let path = format!("{path}.{key}");
            keys_of(root, schema, path.trim_start_matches('.'), found);
        }
    } else if inner["additionalProperties"].get("$ref").is_some() {
        keys_of(
            root,
            &inner["additionalProperties"],
            &format!("{path}.*"),
            found,
        );
    } else {
        let default = schema.get("default").cloned();
        let types = types(root, schema);
        found.insert(path.to_owned(), Told { types, default });
    }
}

/// Cuts a row of a table at bars that are not escaped.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    let cells = line.replace("\\|", "\u{1}");
    cells
        .split('|')
        .map(|cell| cell.trim().replace('\u{1}', "|"))
        .collect()
}

/// Spells `[mcp_servers.NAME.http]` and `projects."DIR".trust_level` with `*` for what is a name.
fn path_of(key: &str) -> String {
    let segments = key.trim_matches(['[', ']']).split('.').map(|segment| {
        let name = segment.trim_matches('"');
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase());
        if is_name { "*" } else { segment }
    });
    segments.collect::<Vec<_>>().join(".")
}

/// A row of a table about keys.
pub(super) struct Row {
    /// The key with its table, `*` for names.
    pub(super) path: String,
    /// The table that the heading above names.
    pub(super) section: String,
    cells: BTreeMap<String, String>,
}

impl Row {
    /// Returns the cell below a title, if the table has such a column.
    pub(super) fn cell(&self, title: &str) -> Option<&str> {
        self.cells.get(title).map(String::as_str)
    }

    /// What the row says about its key, when it has a type.
    fn told(&self) -> Option<Told> {
        let types = self.cell("type")?.split('|');
        let types = types.map(|word| match word.trim().trim_matches('`') {
            "bool" => "boolean".to_owned(),
            "list" => "array".to_owned(),
            "table" => "object".to_owned(),
            "path" | "URL" => "string".to_owned(),
            word => word.to_owned(),
        });
        let default = self.cell("default")?.strip_prefix('`');
        let default = default.and_then(|text| text.strip_suffix('`'));
        Some(Told {
            types: types.collect(),
            default: default.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text))),
        })
    }
}

/// Reads every table with a column for keys.
pub(super) fn rows(docs: &str) -> Vec<Row> {
    let (mut found, mut section, mut head) = (Vec::new(), String::new(), Vec::new());
    for line in docs.lines() {
        if line.starts_with('#') {
            let table = line.split('`').nth(1).filter(|name| name.starts_with('['));
            section = table.map(path_of).unwrap_or_default();
        }
        if !line.starts_with('|') {
            head.clear();
            continue;
        }
        let row = cells(line);
        if head.is_empty() {
            head = row;
            continue;
        }
        let cells: BTreeMap<String, String> = head.iter().cloned().zip(row).collect();
        let Some(key) = cells.get("key").filter(|key| !key.starts_with("---")) else {
            continue;
        };
        let path = format!("{section}.{}", path_of(key.trim_matches('`')));
        found.push(Row {
            path: path.trim_start_matches('.').to_owned(),
            section: section.clone(),
            cells,
        });
    }
    found
}

/// Returns what the docs say about config.toml, and what about requirements.toml.
pub(super) fn files() -> (String, &'static str) {
    let (before, rest) = DOCS.split_once(REQUIREMENTS).expect("it has a section");
    let end = rest.find("\n## ").expect("it is not the last one");
    (format!("{before}{}", &rest[end..]), &rest[..end])
}

/// Goes through the keys of the docs and those of a schema.
fn compare(docs: &str, keys: &BTreeMap<String, Told>) {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows(docs) {
        let (Some(told), path) = (row.told(), row.path) else {
            continue;
        };
        if !seen.insert(path.clone()) {
            wrong.push(format!("{path} stands twice in the docs"));
        }
        match keys.get(&path) {
            Some(schema) if *schema == told => {}
            Some(schema) => wrong.push(format!(
                "{path}: the docs say {told:?}, the schema {schema:?}"
            )),
            // A table that has its own section.
            None if keys.keys().any(|key| key.starts_with(&format!("{path}."))) => {}
            None => wrong.push(format!("{path} is no key")),
        }
    }
    let missing = keys.keys().filter(|path| !seen.contains(*path));
    wrong.extend(missing.map(|path| format!("{path} is not in the docs")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Row 13.docs.
#[test]
fn the_tables_of_the_docs_have_each_key_once_with_its_type_and_default() {
    let schema = config_schema();
    let mut keys = BTreeMap::new();
    keys_of(&schema, &schema, "", &mut keys);
    let is_elsewhere = |path: &str| {
        let first = path.split('.').next().unwrap_or_default();
        first == "features" || QUIET_KEYS.contains(&first) || NOT_YET_KEYS.contains(&first)
    };
    let legacy = crate::Feature::legacy_keys().map(|(path, _)| path.join("."));
    let legacy: Vec<String> = legacy.collect();
    keys.retain(|path, _| !is_elsewhere(path) && !legacy.contains(path));
    compare(&files().0, &keys);
}

/// Row 13.docs.
#[test]
fn the_tables_about_requirements_have_each_key_once_with_its_type_and_default() {
    let schema = requirements_schema();
    let mut keys = BTreeMap::new();
    keys_of(&schema, &schema, "", &mut keys);
    // `[mcp_server_allowlist.NAME]` has the same keys as an identity, and features a table of their own.
    let identity = "mcp_servers.*.identity";
    let below = |table: &str| {
        let below = keys.keys().filter_map(|path| path.strip_prefix(table));
        below.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(below("mcp_server_allowlist.*"), below(identity));
    keys.retain(|path, _| {
        !path.starts_with("mcp_server_allowlist.") && !path.starts_with("features.")
    });
    for (definition, key) in [("RawCommandRule", "command"), ("RawMatcher", "url")] {
        let definition = &schema["definitions"][definition];
        keys_of(&schema, definition, &format!("{identity}.{key}"), &mut keys);
    }
    let rest = ["mcp_server_allowlist.*", "features.*"].map(|path| {
        let types = [if path == "features.*" {
            "boolean"
        } else {
            "object"
        }
        .to_owned()];
        let told = Told {
            types: types.into(),
            default: None,
        };
        (path.to_owned(), told)
    });
    keys.extend(rest);
    compare(files().1, &keys);
}
