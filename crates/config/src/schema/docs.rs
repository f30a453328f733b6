//! The tables of docs/config.md against the schema: each key once, with its type and its default.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::config_schema;
use crate::config_raw::{NOT_YET_KEYS, QUIET_KEYS};

const DOCS: &str = include_str!("../../../../docs/config.md");

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

/// Reads every table with the columns key, type and default.
fn keys_of_docs() -> Vec<(String, Told)> {
    let (mut found, mut section, mut head) = (Vec::new(), String::new(), Vec::new());
    for line in DOCS.lines() {
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
        let column = |name: &str| head.iter().position(|title| title == name);
        let (Some(key), Some(kind), Some(default)) =
            (column("key"), column("type"), column("default"))
        else {
            continue;
        };
        if row[key].starts_with("---") {
            continue;
        }
        let types = row[kind]
            .split('|')
            .map(|word| match word.trim().trim_matches('`') {
                "bool" => "boolean".to_owned(),
                "list" => "array".to_owned(),
                "table" => "object".to_owned(),
                "path" | "URL" => "string".to_owned(),
                word => word.to_owned(),
            });
        let default = row[default]
            .strip_prefix('`')
            .and_then(|text| text.strip_suffix('`'));
        let default =
            default.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text)));
        let path = format!("{section}.{}", path_of(row[key].trim_matches('`')));
        let told = Told {
            types: types.collect(),
            default,
        };
        found.push((path.trim_start_matches('.').to_owned(), told));
    }
    found
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
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, told) in keys_of_docs() {
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
