//! From a server's input schema to one that every provider takes.
//!
//! Providers refuse a whole request for one odd schema, so a schema that cannot be used takes its tool
//! out here. Two habits of honest servers are repaired instead: no `type` at the top, and alternatives
//! or a reference at the top, which providers refuse for functions (2026-11-20). Their properties are
//! folded into one object; the server still judges the arguments by its own schema.

use serde_json::{Map, Value};

/// Keywords that providers refuse at the top of a function's parameters.
const REFUSED_AT_TOP: [&str; 6] = ["$ref", "allOf", "anyOf", "oneOf", "not", "enum"];

/// Checks a tool's input schema; returns the parameters to offer, or why the tool cannot be offered.
pub(crate) fn parameters_for_model(
    schema: &Value,
    max_bytes: Option<u64>,
) -> Result<Value, String> {
    codex_utils_json_schema::check(schema)
        .map_err(|error| format!("its input schema is bad: {error}"))?;
    if let Some(limit) = max_bytes {
        let n_bytes = schema.to_string().len() as u64;
        if n_bytes > limit {
            return Err(format!(
                "its input schema has {n_bytes} bytes, and tool_input_schema_max_bytes is {limit}"
            ));
        }
    }
    let Value::Object(map) = schema else {
        return Err("its input schema is not an object".to_owned());
    };
    match map.get("type") {
        None => {}
        Some(Value::String(word)) if word == "object" => {}
        Some(other) => {
            return Err(format!(
                "its input schema is of type {other}, and only `object` can be offered"
            ));
        }
    }
    let mut parameters = Map::new();
    parameters.insert("type".to_owned(), Value::from("object"));
    parameters.extend(
        map.iter()
            .filter(|(key, _)| key.as_str() != "type")
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    fold_top(&mut parameters, schema);
    parameters
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    Ok(Value::Object(parameters))
}

fn fold_top(parameters: &mut Map<String, Value>, root: &Value) {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for keyword in REFUSED_AT_TOP {
        let Some(value) = parameters.shift_remove(keyword) else {
            continue;
        };
        match (keyword, value) {
            ("$ref", Value::String(reference)) => {
                let target = reference
                    .strip_prefix('#')
                    .and_then(|pointer| root.pointer(pointer));
                collect(target, &mut properties, Some(&mut required));
            }
            ("allOf", Value::Array(branches)) => {
                branches
                    .iter()
                    .for_each(|branch| collect(Some(branch), &mut properties, Some(&mut required)));
            }
            ("anyOf" | "oneOf", Value::Array(branches)) => {
                branches
                    .iter()
                    .for_each(|branch| collect(Some(branch), &mut properties, None));
            }
            _ => {}
        }
    }
    if !properties.is_empty() {
        let own = parameters
            .entry("properties")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(own) = own {
            for (name, property) in properties {
                own.entry(name).or_insert(property);
            }
        }
    }
    if !required.is_empty() {
        let own = parameters
            .entry("required")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(own) = own {
            required.retain(|name| !own.contains(name));
            own.append(&mut required);
        }
    }
}

fn collect(
    branch: Option<&Value>,
    properties: &mut Map<String, Value>,
    required: Option<&mut Vec<Value>>,
) {
    let Some(branch) = branch else { return };
    if let Some(Value::Object(found)) = branch.get("properties") {
        for (name, property) in found {
            properties
                .entry(name.clone())
                .or_insert_with(|| property.clone());
        }
    }
    if let (Some(required), Some(Value::Array(names))) = (required, branch.get("required")) {
        required.extend(names.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offered(schema: Value) -> String {
        match parameters_for_model(&schema, Some(200)) {
            Ok(parameters) => parameters.to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn an_ordinary_schema_is_offered_as_it_is() {
        let schema =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert_eq!(offered(schema.clone()), schema.to_string());
    }

    #[test]
    fn missing_type_and_properties_are_filled_in() {
        assert_eq!(offered(json!({})), r#"{"type":"object","properties":{}}"#);
    }

    #[test]
    fn alternatives_at_the_top_become_optional_properties() {
        let schema = json!({"type": "object", "oneOf": [
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}}, "required": ["b"]}]});
        assert_eq!(
            offered(schema),
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}}"#
        );
    }

    #[test]
    fn a_reference_at_the_top_is_followed() {
        let schema = json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {}}, "required": ["a"]}}});
        assert_eq!(
            offered(schema),
            r#"{"type":"object","$defs":{"A":{"type":"object","properties":{"a":{}},"required":["a"]}},"properties":{"a":{}},"required":["a"]}"#
        );
    }

    #[test]
    fn what_cannot_be_offered_says_why() {
        assert_eq!(
            offered(json!({"type": "string"})),
            "its input schema is of type \"string\", and only `object` can be offered"
        );
        assert_eq!(
            offered(json!({"type": "object", "properties": {"a": {"type": "wrong"}}})),
            "its input schema is bad: invalid schema at `#/properties/a/type`: `\"wrong\"` is not a type"
        );
        assert_eq!(
            offered(json!({"type": "object", "description": "x".repeat(200)})),
            "its input schema has 234 bytes, and tool_input_schema_max_bytes is 200"
        );
    }
}
