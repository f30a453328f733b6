//! Cheap bounds on a schema, without compiling it.
//!
//! This runs for every tool of every server at every start, so it allocates almost nothing. It finds
//! what would make a provider or a validator refuse the schema: unknown `type` words, keywords of the
//! wrong kind, remote references, and sizes that no honest schema has.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Largest schema, counted as compact JSON.
pub const MAX_SCHEMA_BYTES: usize = 1 << 20;
/// Deepest nesting of JSON values in a schema.
pub const MAX_SCHEMA_DEPTH: usize = 64;
/// Sub-schemas that may apply to one and the same value, references followed.
const MAX_IN_PLACE: u64 = 20_000;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It has more bytes than [`MAX_SCHEMA_BYTES`].
    #[error("the schema is larger than {MAX_SCHEMA_BYTES} bytes")]
    TooLarge,
    /// It nests deeper than [`MAX_SCHEMA_DEPTH`].
    #[error("the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels")]
    TooDeep,
    /// Its references multiply or never end.
    #[error("the schema refers to itself without end, or its parts multiply too often")]
    TooCostly,
    /// It wants something from elsewhere.
    #[error("the schema refers to `{uri}`, and remote schemas are never fetched")]
    Remote {
        /// The reference as written.
        uri: String,
    },
    /// It breaks the rules of JSON Schema.
    #[error("invalid schema at `{pointer}`: {why}")]
    Invalid {
        /// JSON pointer into the schema; `#` for the schema itself.
        pointer: String,
        /// What is wrong there.
        why: String,
    },
}

/// Checks size, depth and shape of a schema; much cheaper than [`crate::JsonSchema::compile`].
pub fn check(schema: &Value) -> Result<(), SchemaError> {
    let mut budget = MAX_SCHEMA_BYTES;
    measure(schema, 0, &mut budget)?;
    let names = Names::of(schema);
    let mut walk = Walk {
        names: &names,
        path: Vec::new(),
    };
    walk.schema(schema)
}

/// Bounds what one value can cost, references followed; expects a schema that passed [`check`].
pub(crate) fn check_cost(schema: &Value) -> Result<(), SchemaError> {
    let mut cost = Cost {
        root: schema,
        names: Names::of(schema),
        known: HashMap::new(),
    };
    cost.every_schema(schema)
}

fn measure(value: &Value, depth: usize, budget: &mut usize) -> Result<(), SchemaError> {
    if depth > MAX_SCHEMA_DEPTH {
        return Err(SchemaError::TooDeep);
    }
    let mut spend = |n_bytes: usize| {
        *budget = budget.checked_sub(n_bytes).ok_or(SchemaError::TooLarge)?;
        Ok(())
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => spend(4),
        Value::String(text) => spend(text.len() + 2),
        Value::Array(values) => {
            spend(2 + values.len())?;
            values
                .iter()
                .try_for_each(|value| measure(value, depth + 1, budget))
        }
        Value::Object(map) => {
            spend(2 + map.keys().map(|key| key.len() + 4).sum::<usize>())?;
            map.values()
                .try_for_each(|value| measure(value, depth + 1, budget))
        }
    }
}

/// How the value of a keyword holds further schemas.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// It is a schema.
    One,
    /// It is an array of schemas.
    List,
    /// It maps names to schemas.
    Map,
    /// It is a schema or an array of schemas (`items` before 2020-12).
    OneOrList,
    /// It maps names to schemas or to lists of names (`dependencies` before 2019-09).
    MapOrNames,
}

/// Whether a keyword's schemas apply to the same value, to a part of it, or only when referred to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Applies {
    InPlace,
    ToParts,
    ByReference,
}

const KEYWORDS: &[(&str, Holds, Applies)] = &[
    ("allOf", Holds::List, Applies::InPlace),
    ("anyOf", Holds::List, Applies::InPlace),
    ("oneOf", Holds::List, Applies::InPlace),
    ("not", Holds::One, Applies::InPlace),
    ("if", Holds::One, Applies::InPlace),
    ("then", Holds::One, Applies::InPlace),
    ("else", Holds::One, Applies::InPlace),
    ("dependentSchemas", Holds::Map, Applies::InPlace),
    ("dependencies", Holds::MapOrNames, Applies::InPlace),
    ("properties", Holds::Map, Applies::ToParts),
    ("patternProperties", Holds::Map, Applies::ToParts),
    ("additionalProperties", Holds::One, Applies::ToParts),
    ("propertyNames", Holds::One, Applies::ToParts),
    ("unevaluatedProperties", Holds::One, Applies::ToParts),
    ("items", Holds::OneOrList, Applies::ToParts),
    ("prefixItems", Holds::List, Applies::ToParts),
    ("additionalItems", Holds::One, Applies::ToParts),
    ("unevaluatedItems", Holds::One, Applies::ToParts),
    ("contains", Holds::One, Applies::ToParts),
    ("contentSchema", Holds::One, Applies::ToParts),
    ("$defs", Holds::Map, Applies::ByReference),
    ("definitions", Holds::Map, Applies::ByReference),
];

/// Calls `visit` with each schema directly below `map`, the keyword's role, and the way to it.
fn for_each_child<'a, E>(
    map: &'a Map<String, Value>,
    mut visit: impl FnMut(&'a Value, Applies, [&'a str; 2]) -> Result<(), E>,
    mut wrong_kind: impl FnMut(&'static str, &'static str) -> Result<(), E>,
) -> Result<(), E> {
    for &(keyword, holds, applies) in KEYWORDS {
        let Some(value) = map.get(keyword) else {
            continue;
        };
        let is_schema = value.is_object() || value.is_boolean();
        match (holds, value) {
            (Holds::One | Holds::OneOrList, _) if is_schema => {
                visit(value, applies, [keyword, ""])?
            }
            (Holds::List | Holds::OneOrList, Value::Array(list)) => {
                for schema in list {
                    visit(schema, applies, [keyword, ""])?;
                }
            }
            (Holds::Map | Holds::MapOrNames, Value::Object(entries)) => {
                for (name, schema) in entries {
                    if holds == Holds::MapOrNames && schema.is_array() {
                        continue;
                    }
                    visit(schema, applies, [keyword, name])?;
                }
            }
            (Holds::One, _) => wrong_kind(keyword, "a schema is expected")?,
            (Holds::List, _) => wrong_kind(keyword, "an array of schemas is expected")?,
            (Holds::OneOrList, _) => {
                wrong_kind(keyword, "a schema or an array of schemas is expected")?
            }
            (Holds::Map | Holds::MapOrNames, _) => {
                wrong_kind(keyword, "an object of schemas is expected")?
            }
        }
    }
    Ok(())
}

/// The names by which a schema can refer to its own parts, besides JSON pointers.
#[derive(Default)]
struct Names<'a> {
    by_name: HashMap<String, &'a Value>,
}

impl<'a> Names<'a> {
    fn of(schema: &'a Value) -> Self {
        let mut names = Self::default();
        names.collect(schema);
        names
    }

    fn collect(&mut self, schema: &'a Value) {
        let Value::Object(map) = schema else { return };
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(Value::String(name)) = map.get(keyword) {
                self.by_name.insert(format!("#{name}"), schema);
            }
        }
        for keyword in ["$id", "id"] {
            if let Some(Value::String(uri)) = map.get(keyword) {
                self.by_name
                    .insert(uri.trim_end_matches('#').to_owned(), schema);
            }
        }
        let _: Result<(), ()> = for_each_child(
            map,
            |child, _, _| {
                self.collect(child);
                Ok(())
            },
            |_, _| Ok(()),
        );
    }

    fn has_id(&self) -> bool {
        self.by_name.keys().any(|name| !name.starts_with('#'))
    }

    /// Whether a reference stays within this schema or the dialects that are built in.
    fn is_local(&self, reference: &str) -> bool {
        let base = reference.split('#').next().unwrap_or_default();
        base.is_empty()
            || base.starts_with("https://json-schema.org/draft")
            || base.starts_with("http://json-schema.org/draft")
            || self.by_name.contains_key(base)
            || (!base.contains(':') && self.has_id())
    }
}

struct Walk<'a, 'n> {
    names: &'n Names<'a>,
    path: Vec<String>,
}

impl Walk<'_, '_> {
    fn schema(&mut self, schema: &Value) -> Result<(), SchemaError> {
        let map = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(map) => map,
            _ => return self.invalid("", "an object or a boolean is expected"),
        };
        if let Some(word) = map.get("type") {
            let known = |word: &Value| {
                let words = [
                    "object", "array", "string", "number", "integer", "boolean", "null",
                ];
                word.as_str().is_some_and(|word| words.contains(&word))
            };
            let fits = known(word)
                || word
                    .as_array()
                    .is_some_and(|list| !list.is_empty() && list.iter().all(known));
            if !fits {
                return self.invalid("type", &format!("{} is not a type", brief(word)));
            }
        }
        if let Some(required) = map.get("required") {
            let names = required.as_array();
            // Draft 3 wrote `"required": true` beside a property; servers still do, providers refuse it.
            if !names.is_some_and(|names| names.iter().all(Value::is_string)) {
                return self.invalid("required", "an array of names is expected");
            }
        }
        if map.get("enum").is_some_and(|values| !values.is_array()) {
            return self.invalid("enum", "an array is expected");
        }
        for keyword in ["$ref", "$dynamicRef"] {
            match map.get(keyword) {
                None => {}
                Some(Value::String(uri)) if self.names.is_local(uri) => {}
                Some(Value::String(uri)) => return Err(SchemaError::Remote { uri: uri.clone() }),
                Some(_) => return self.invalid(keyword, "a string is expected"),
            }
        }
        let at = self.path.clone();
        for_each_child(
            map,
            |child, _, [keyword, name]| {
                let length = self.path.len();
                self.path.push(escape(keyword));
                if !name.is_empty() {
                    self.path.push(escape(name));
                }
                self.schema(child)?;
                self.path.truncate(length);
                Ok(())
            },
            |keyword, why| {
                let pointer = at.iter().map(String::as_str).chain([keyword]);
                Err(SchemaError::Invalid {
                    pointer: join(pointer),
                    why: why.to_owned(),
                })
            },
        )
    }

    fn invalid(&self, keyword: &str, why: &str) -> Result<(), SchemaError> {
        let keyword = Some(keyword).filter(|keyword| !keyword.is_empty());
        let pointer = self.path.iter().map(String::as_str).chain(keyword);
        Err(SchemaError::Invalid {
            pointer: join(pointer),
            why: why.to_owned(),
        })
    }
}

fn join<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    segments.fold("#".to_owned(), |pointer, segment| pointer + "/" + segment)
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Counts the sub-schemas that apply to one value, each reference counted as often as it is used.
struct Cost<'a> {
    root: &'a Value,
    names: Names<'a>,
    /// By address of the sub-schema; `None` while it is being counted.
    known: HashMap<*const Value, Option<u64>>,
}

impl<'a> Cost<'a> {
    fn every_schema(&mut self, schema: &'a Value) -> Result<(), SchemaError> {
        if self.of(schema)? > MAX_IN_PLACE {
            return Err(SchemaError::TooCostly);
        }
        let Value::Object(map) = schema else {
            return Ok(());
        };
        for_each_child(map, |child, _, _| self.every_schema(child), |_, _| Ok(()))
    }

    fn of(&mut self, schema: &'a Value) -> Result<u64, SchemaError> {
        let Value::Object(map) = schema else {
            return Ok(1);
        };
        match self.known.get(&std::ptr::from_ref(schema)) {
            Some(Some(count)) => return Ok(*count),
            // Back where we began without having consumed anything of the value.
            Some(None) => return Err(SchemaError::TooCostly),
            None => {}
        }
        self.known.insert(schema, None);
        let mut count: u64 = 1;
        for keyword in ["$ref", "$dynamicRef"] {
            let target = map
                .get(keyword)
                .and_then(Value::as_str)
                .and_then(|uri| self.target(uri));
            if let Some(target) = target {
                count = count.saturating_add(self.of(target)?);
            }
        }
        for_each_child(
            map,
            |child, applies, _| {
                if applies == Applies::InPlace {
                    count = count.saturating_add(self.of(child)?);
                }
                Ok::<(), SchemaError>(())
            },
            |_, _| Ok(()),
        )?;
        self.known.insert(schema, Some(count));
        Ok(count)
    }

    /// Finds what a reference means, as far as it can be told without resolving base URIs.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        if let Some(found) = self.names.by_name.get(reference) {
            return Some(found);
        }
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = match base {
            "" => self.root,
            uri => self.names.by_name.get(uri)?,
        };
        base.pointer(fragment)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(schema: Value) -> String {
        check(&schema).expect_err("the schema is bad").to_string()
    }

    #[test]
    fn honest_schemas_pass() {
        for schema in [
            json!({}),
            json!(true),
            json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}),
            json!({"type": "object", "properties": {"type": {"type": "string"}, "$ref": {"type": "string"}}}),
            json!({"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}),
            json!({"$id": "https://a.example/s", "properties": {"x": {"$ref": "https://a.example/s#/$defs/y"}}, "$defs": {"y": {}}}),
            json!({"properties": {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}}),
            json!({"dependencies": {"a": ["b"], "c": {"type": "object"}}, "items": [{"type": "string"}]}),
        ] {
            assert_eq!(check(&schema), Ok(()), "{schema}");
            assert_eq!(check_cost(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        assert_eq!(
            why(json!([])),
            "invalid schema at `#`: an object or a boolean is expected"
        );
        assert_eq!(
            why(json!({"properties": {"a/b": {"type": "strng"}}})),
            "invalid schema at `#/properties/a~1b/type`: `\"strng\"` is not a type"
        );
        assert_eq!(
            why(json!({"properties": []})),
            "invalid schema at `#/properties`: an object of schemas is expected"
        );
        assert_eq!(
            why(json!({"properties": {"a": {"type": "string", "required": true}}})),
            "invalid schema at `#/properties/a/required`: an array of names is expected"
        );
        assert_eq!(
            why(json!({"anyOf": [{"items": 3}]})),
            "invalid schema at `#/anyOf/items`: a schema or an array of schemas is expected"
        );
    }

    #[test]
    fn remote_references_are_named_and_refused() {
        for uri in ["https://a.example/s", "file:///etc/passwd", "other.json"] {
            assert_eq!(
                check(&json!({"properties": {"a": {"$ref": uri}}})),
                Err(SchemaError::Remote {
                    uri: uri.to_owned()
                })
            );
        }
    }

    #[test]
    fn size_and_depth_have_limits() {
        assert_eq!(
            check(&json!({"description": "x".repeat(MAX_SCHEMA_BYTES)})),
            Err(SchemaError::TooLarge)
        );
        let deep = (0..MAX_SCHEMA_DEPTH).fold(json!({}), |inner, _| json!({"not": inner}));
        assert_eq!(check(&deep), Ok(()));
        assert_eq!(check(&json!({"not": deep})), Err(SchemaError::TooDeep));
    }

    #[test]
    fn a_reference_that_consumes_nothing_and_comes_back_is_refused() {
        assert_eq!(
            check_cost(&json!({"$ref": "#"})),
            Err(SchemaError::TooCostly)
        );
        let ring = json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}});
        assert_eq!(check_cost(&ring), Err(SchemaError::TooCostly));
        let anchored = json!({"$defs": {"a": {"$anchor": "top", "anyOf": [{"$ref": "#top"}]}}});
        assert_eq!(check_cost(&anchored), Err(SchemaError::TooCostly));
    }

    #[test]
    fn parts_that_multiply_are_refused() {
        let mut defs = Map::new();
        defs.insert("l0".to_owned(), json!({"type": "string"}));
        for level in 1..12 {
            let below = json!({"$ref": format!("#/$defs/l{}", level - 1)});
            defs.insert(format!("l{level}"), json!({"allOf": vec![below; 6]}));
        }
        assert_eq!(
            check_cost(&json!({"$defs": defs, "$ref": "#/$defs/l11"})),
            Err(SchemaError::TooCostly)
        );
    }
}
