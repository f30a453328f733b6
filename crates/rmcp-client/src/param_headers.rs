//! `x-mcp-header`: arguments of a tool that travel as HTTP headers too (revision 2026-07-28).
//!
//! A schema may mark a property with `"x-mcp-header": "Region"`; a call then carries
//! `Mcp-Param-Region: eu-west-1`, so that machines on the way can route without reading the body.
//! A mark that breaks the rules makes the whole tool unusable, says the specification.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

const MARK: &str = "x-mcp-header";

/// Keywords whose values are a map from names to schemas.
const SCHEMA_MAPS: [&str; 4] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
];

/// Keywords whose values are data.
const DATA: [&str; 4] = ["default", "const", "enum", "examples"];

/// Integers beyond this are not exact in every implementation.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Schemas deeper than this are not looked into; they cannot be offered either.
const MAX_DEPTH: usize = 64;

/// A marked property.
struct Mark<'a> {
    path: Vec<&'a str>,
    schema: &'a Map<String, Value>,
    header: &'a Value,
}

/// Checks every mark of a schema; the error is the reason for people.
pub(crate) fn validate(schema: &Value) -> Result<(), String> {
    let Value::Object(root) = schema else {
        return Ok(());
    };
    if root.contains_key(MARK) {
        return Err(format!("{MARK} marks the schema itself, not a property"));
    }
    if is_marked_off_path(root, OnPath::Yes, 0) {
        return Err(format!(
            "{MARK} is on a property that is not reached through `properties` alone"
        ));
    }
    let mut seen = HashSet::new();
    for mark in marks(root) {
        let property = mark.path.join(".");
        let Some(header) = mark.header.as_str() else {
            return Err(format!("{MARK} of `{property}` is not a text"));
        };
        if header.is_empty() || !header.bytes().all(is_token_byte) {
            return Err(format!(
                "{MARK} `{header}` of `{property}` is not a header name"
            ));
        }
        if !seen.insert(header.to_ascii_lowercase()) {
            return Err(format!("{MARK} `{header}` is used twice"));
        }
        match mark.schema.get("type").and_then(Value::as_str) {
            Some("string" | "integer" | "boolean") => {}
            Some(_) | None => {
                return Err(format!(
                    "{MARK} of `{property}` needs the type string, integer or boolean"
                ));
            }
        }
    }
    Ok(())
}

/// The headers for one call; the schema has passed [`validate`].
pub(crate) fn headers(
    schema: &Value,
    arguments: Option<&Value>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let (Value::Object(root), Some(arguments)) = (schema, arguments) else {
        return Ok(Vec::new());
    };
    let mut headers = Vec::new();
    for mark in marks(root) {
        let value = mark
            .path
            .iter()
            .try_fold(arguments, |value, key| value.get(*key));
        let (Some(header), Some(value)) = (mark.header.as_str(), value) else {
            continue;
        };
        let Some(text) = header_text(value)? else {
            continue;
        };
        let name = HeaderName::from_bytes(format!("mcp-param-{header}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&text)) {
            headers.push((name, value));
        }
    }
    Ok(headers)
}

fn header_text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::String(text) => Ok(Some(encode(text))),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if integer.abs() <= MAX_SAFE_INTEGER => Ok(Some(integer.to_string())),
            Some(_) => Err(format!("the integer {number} is too large for a header")),
            None => Ok(Some(number.to_string())),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => Ok(None),
    }
}

/// Wraps what would not survive as a header value.
fn encode(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && text.trim_matches([' ', '\t']) == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if is_plain {
        return text.to_owned();
    }
    format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
}

fn marks(root: &Map<String, Value>) -> Vec<Mark<'_>> {
    let mut found = Vec::new();
    collect(root, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(schema: &'a Map<String, Value>, path: &mut Vec<&'a str>, found: &mut Vec<Mark<'a>>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    if path.len() >= MAX_DEPTH {
        return;
    }
    for (name, property) in properties.into_iter().flatten() {
        let Value::Object(property) = property else {
            continue;
        };
        path.push(name);
        if let Some(header) = property.get(MARK) {
            found.push(Mark {
                path: path.clone(),
                schema: property,
                header,
            });
        }
        collect(property, path, found);
        path.pop();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnPath {
    Yes,
    No,
}

/// Whether a mark stands where only `properties` chains may lead.
fn is_marked_off_path(schema: &Map<String, Value>, on_path: OnPath, depth: usize) -> bool {
    if depth >= MAX_DEPTH {
        return false;
    }
    let inner = |value: &Value, on_path: OnPath| match value {
        Value::Object(schema) => is_marked_off_path(schema, on_path, depth + 1),
        _ => false,
    };
    schema.iter().any(|(key, value)| match key.as_str() {
        MARK => on_path == OnPath::No,
        "properties" => {
            let named = value.as_object();
            named.is_some_and(|named| named.values().any(|schema| inner(schema, on_path)))
        }
        key if SCHEMA_MAPS.contains(&key) => {
            let named = value.as_object();
            named.is_some_and(|named| named.values().any(|schema| inner(schema, OnPath::No)))
        }
        key if DATA.contains(&key) => false,
        _ => match value {
            Value::Array(schemas) => schemas.iter().any(|schema| inner(schema, OnPath::No)),
            value => inner(value, OnPath::No),
        },
    })
}

/// A byte of a token as RFC 9110 defines it.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reason(schema: Value) -> String {
        validate(&schema).unwrap_err()
    }

    #[test]
    fn marked_arguments_become_headers() {
        let schema = json!({ "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "n": { "type": "integer", "x-mcp-header": "Count" },
            "deep": { "type": "object", "properties": {
                "dry": { "type": "boolean", "x-mcp-header": "Dry-Run" } } },
            "gone": { "type": "string", "x-mcp-header": "Gone" },
            "null": { "type": "string", "x-mcp-header": "Null" },
        } });
        validate(&schema).unwrap();
        let arguments =
            json!({ "region": "Zürich", "n": 7, "deep": { "dry": false }, "null": null });
        let headers = headers(&schema, Some(&arguments)).unwrap();
        let lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            lines,
            [
                "mcp-param-region: =?base64?WsO8cmljaA==?=",
                "mcp-param-count: 7",
                "mcp-param-dry-run: false",
            ]
        );
    }

    #[test]
    fn an_integer_that_is_not_exact_everywhere_is_refused() {
        let schema = json!({ "properties": { "n": { "type": "integer", "x-mcp-header": "N" } } });
        assert!(headers(&schema, Some(&json!({ "n": 9_007_199_254_740_992_i64 }))).is_err());
    }

    #[test]
    fn marks_that_break_the_rules_have_a_reason() {
        let property = |property: Value| json!({ "properties": { "a": property } });
        assert!(
            reason(property(json!({ "type": "number", "x-mcp-header": "A" })))
                .contains("needs the type")
        );
        assert!(
            reason(property(json!({ "type": "string", "x-mcp-header": "A B" })))
                .contains("not a header name")
        );
        assert!(
            reason(property(json!({ "type": "string", "x-mcp-header": "" })))
                .contains("not a header name")
        );
        assert!(
            reason(property(json!({ "type": "string", "x-mcp-header": 1 }))).contains("not a text")
        );
        assert!(reason(json!({ "x-mcp-header": "A" })).contains("the schema itself"));
        let in_items = property(
            json!({ "type": "array", "items": { "type": "string", "x-mcp-header": "A" } }),
        );
        assert!(reason(in_items).contains("through `properties` alone"));
        let twice = json!({ "properties": {
            "a": { "type": "string", "x-mcp-header": "A" },
            "b": { "type": "string", "x-mcp-header": "a" },
        } });
        assert!(reason(twice).contains("used twice"));
    }

    #[test]
    fn a_default_that_looks_like_a_mark_is_data() {
        let schema = json!({ "properties": { "a": { "default": { "x-mcp-header": "A" } } } });
        assert_eq!(validate(&schema), Ok(()));
    }
}
