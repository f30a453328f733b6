//! Compiles a schema and says where a value first departs from it.
//!
//! Trap: a schema can be small and still cost exponential time (`allOf` of `$ref` of `allOf` …), or
//! refer to itself without consuming any input. `cost` bounds both before the first validation.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::shape::{self, SchemaError};

/// Steps that one regular expression may go back before it counts as not matching.
const BACKTRACK_LIMIT: usize = 100_000;
/// Memory that one compiled regular expression may take.
const PATTERN_SIZE_LIMIT: usize = 1 << 20;
/// Longest text of a mismatch; a value can be megabytes.
const MAX_WHY_CHARS: usize = 300;

/// A schema that is ready to validate.
#[derive(Debug)]
pub struct JsonSchema {
    validator: Validator,
}

/// The first place where a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", if pointer.is_empty() { "the value" } else { pointer.as_str() })]
pub struct Mismatch {
    /// JSON pointer into the value; empty for the value itself.
    pub pointer: String,
    /// What is wrong there.
    pub why: String,
}

impl JsonSchema {
    /// Compiles a schema after [`crate::check`] accepted it.
    ///
    /// An unknown `$schema` is read as 2020-12; nothing is ever fetched.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        shape::check(schema)?;
        shape::check_cost(schema)?;
        let mut schema = schema.clone();
        let declared = schema.get("$schema").and_then(Value::as_str);
        let draft = declared.map_or(Some(Draft::Draft202012), known_draft);
        if draft.is_none()
            && let Some(root) = schema.as_object_mut()
        {
            root.shift_remove("$schema");
        }
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(BACKTRACK_LIMIT)
            .size_limit(PATTERN_SIZE_LIMIT);
        let validator = jsonschema::options()
            .with_draft(draft.unwrap_or(Draft::Draft202012))
            .offline()
            .with_pattern_options(patterns)
            .build(&schema)
            .map_err(|error| SchemaError::Invalid {
                pointer: error.instance_path().to_string(),
                why: shorten(&error.to_string()),
            })?;
        Ok(Self { validator })
    }

    /// Checks a value; the error names the first place that does not fit.
    pub fn validate(&self, value: &Value) -> Result<(), Mismatch> {
        self.validator.validate(value).map_err(|error| Mismatch {
            pointer: error.instance_path().to_string(),
            why: shorten(&error.to_string()),
        })
    }
}

fn known_draft(uri: &str) -> Option<Draft> {
    let uri = uri.trim_end_matches('#');
    let uri = uri
        .strip_prefix("https://")
        .or_else(|| uri.strip_prefix("http://"))?;
    match uri {
        "json-schema.org/draft/2020-12/schema" => Some(Draft::Draft202012),
        "json-schema.org/draft/2019-09/schema" => Some(Draft::Draft201909),
        "json-schema.org/draft-07/schema" => Some(Draft::Draft7),
        "json-schema.org/draft-06/schema" => Some(Draft::Draft6),
        "json-schema.org/draft-04/schema" => Some(Draft::Draft4),
        _ => None,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_WHY_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mismatch(schema: Value, value: Value) -> String {
        let schema = JsonSchema::compile(&schema).expect("the schema is good");
        schema
            .validate(&value)
            .expect_err("the value is bad")
            .to_string()
    }

    #[test]
    fn the_first_mismatch_has_its_pointer() {
        let schema = json!({"type": "object", "properties": {"list": {"type": "array", "items": {"type": "integer"}}}, "required": ["list"]});
        assert_eq!(
            mismatch(schema.clone(), json!({"list": [1, "x"]})),
            "/list/1: \"x\" is not of type \"integer\""
        );
        assert_eq!(
            mismatch(schema, json!({})),
            "the value: \"list\" is a required property"
        );
    }

    #[test]
    fn the_default_dialect_is_2020_12() {
        let tuple = json!({"prefixItems": [{"type": "string"}], "items": false});
        assert_eq!(
            mismatch(tuple, json!(["a", 1])),
            "/1: False schema does not allow 1"
        );
    }

    #[test]
    fn a_declared_older_dialect_is_honoured() {
        let tuple = json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]});
        assert_eq!(
            mismatch(tuple, json!([1])),
            "/0: 1 is not of type \"string\""
        );
    }

    #[test]
    fn an_unknown_dialect_is_read_as_the_default() {
        let schema = json!({"$schema": "https://dialect.example/2031", "type": "string"});
        assert_eq!(
            mismatch(schema, json!(1)),
            "the value: 1 is not of type \"string\""
        );
    }

    #[test]
    fn recursive_schemas_work() {
        let tree = json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "name": {"type": "string"}}});
        let value = json!({"children": [{"children": [{"name": 3}]}]});
        assert_eq!(
            mismatch(tree, value),
            "/children/0/children/0/name: 3 is not of type \"string\""
        );
    }

    #[test]
    fn a_reference_to_nothing_is_an_error_and_not_a_request() {
        let error =
            JsonSchema::compile(&json!({"$ref": "#/$defs/none"})).expect_err("nothing is there");
        assert!(matches!(error, SchemaError::Invalid { .. }), "{error}");
    }

    #[test]
    fn a_pattern_that_explodes_ends() {
        let schema = JsonSchema::compile(&json!({"pattern": "^(a|a)*(?=b)$"}))
            .expect("the pattern is valid");
        assert!(schema.validate(&json!("a".repeat(60))).is_err());
    }

    #[test]
    fn a_long_value_does_not_make_a_long_message() {
        let text = mismatch(json!({"type": "integer"}), json!("x".repeat(100_000)));
        assert!(text.len() < 400, "{}", text.len());
    }
}
