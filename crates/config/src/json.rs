//! The settings as JSON, for programs that read and write them over a wire.
//!
//! Secrets are masked: who may read the file has them there. A mask that comes back is no value, and
//! [`toml_of_json`] refuses it.

use serde_json::{Map, Number, Value};
use toml_edit::{Array, InlineTable, Value as TomlValue};

use crate::layers::{ConfigLayer, LayerStack};
use crate::report;
use crate::tree::{Node, NodeValue};

/// Stands for a secret.
const MASK: &str = "*****";
/// Tables whose texts are secrets, whatever their names.
const SECRET_TABLES: &[&str] = &["env", "http_headers", "query_params", "headers"];
/// Keys whose text is a secret.
const SECRET_KEYS: &[&str] = &["bearer_token", "experimental_bearer_token", "client_secret"];

/// Why a JSON value cannot stand in a file of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotToml {
    /// TOML has no such value.
    #[error("null has no place within a value")]
    Null,
    /// It does not fit.
    #[error("a number is too large")]
    Number,
    /// It came from a reading in which secrets are masked.
    #[error("it holds the mask of a secret instead of the secret; leave that key out")]
    Mask,
}

impl LayerStack {
    /// Returns the merged settings as JSON, secrets masked.
    pub fn to_json(&self) -> Value {
        json(self.merged(), &mut Vec::new())
    }

    /// Returns the effective value of a key as JSON, secrets masked.
    pub fn json_at(&self, path: &[String]) -> Option<Value> {
        let entry = self.merged().entry(path)?;
        Some(json(&entry.node, &mut path.to_vec()))
    }

    /// Returns every key that is no table, spelled with dots, with the layer that it comes from.
    pub fn origins(&self) -> Vec<(String, &ConfigLayer)> {
        let mut leaves = Vec::new();
        self.leaves(self.merged(), &mut Vec::new(), &mut leaves);
        leaves
    }

    /// Returns the highest layer that says something about a key, or about what is below it.
    pub fn top_layer(&self, path: &[String]) -> Option<&ConfigLayer> {
        let mut highest_first = self.layers().iter().rev();
        highest_first.find(|layer| layer.document.entry(path).is_some())
    }

    fn leaves<'s>(
        &'s self,
        node: &Node,
        path: &mut Vec<String>,
        leaves: &mut Vec<(String, &'s ConfigLayer)>,
    ) {
        for entry in node.as_table().into_iter().flat_map(|table| &table.0) {
            path.push(entry.key.clone());
            match entry.node.as_table() {
                Some(table) if !table.0.is_empty() => self.leaves(&entry.node, path, leaves),
                Some(_) | None => {
                    if let Some(layer) = self.layer_of(entry.key_at) {
                        leaves.push((report::dotted(path), layer));
                    }
                }
            }
            path.pop();
        }
    }
}

impl ConfigLayer {
    /// Returns what this layer says as JSON, secrets masked.
    pub fn to_json(&self) -> Value {
        json(&self.document, &mut Vec::new())
    }
}

/// Turns a JSON value into one that can be written.
pub fn toml_of_json(value: &Value) -> Result<TomlValue, NotToml> {
    Ok(match value {
        Value::Null => return Err(NotToml::Null),
        Value::Bool(value) => TomlValue::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => TomlValue::from(number),
            (None, Some(number)) if !number_is_whole(value) => TomlValue::from(number),
            _ => return Err(NotToml::Number),
        },
        Value::String(text) if text == MASK => return Err(NotToml::Mask),
        Value::String(text) => TomlValue::from(text.as_str()),
        Value::Array(items) => {
            let items = items.iter().map(toml_of_json);
            TomlValue::Array(items.collect::<Result<Array, _>>()?)
        }
        Value::Object(object) => {
            let mut table = InlineTable::new();
            for (key, value) in object {
                table.insert(key, toml_of_json(value)?);
            }
            TomlValue::InlineTable(table)
        }
    })
}

fn number_is_whole(value: &Value) -> bool {
    value.is_u64()
}

fn json(node: &Node, path: &mut Vec<String>) -> Value {
    match &node.value {
        NodeValue::String(text) if is_secret(path) && !text.is_empty() => MASK.into(),
        NodeValue::String(text) if has_password(path, text) => MASK.into(),
        NodeValue::String(text) | NodeValue::Datetime(text) => text.as_str().into(),
        NodeValue::Integer(number) => (*number).into(),
        // JSON knows neither infinity nor NaN.
        NodeValue::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        NodeValue::Boolean(value) => (*value).into(),
        NodeValue::Array(items) => items.iter().map(|item| json(item, path)).collect(),
        NodeValue::Table(table) => {
            let mut object = Map::new();
            for entry in &table.0 {
                path.push(entry.key.clone());
                object.insert(entry.key.clone(), json(&entry.node, path));
                path.pop();
            }
            Value::Object(object)
        }
    }
}

/// The address of a proxy may hold one; without it there is nothing to hide.
fn has_password(path: &[String], text: &str) -> bool {
    path.last().is_some_and(|key| key == "proxy") && text.contains('@')
}

fn is_secret(path: &[String]) -> bool {
    let Some((key, tables)) = path.split_last() else {
        return false;
    };
    // `[mcp_servers.env]` is a server.
    let is_secret_table = match tables {
        [_, _, .., table] => SECRET_TABLES.contains(&table.as_str()),
        _ => false,
    };
    SECRET_KEYS.contains(&key.as_str()) || is_secret_table
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use codex_host::AbsPath;
    use serde_json::json;

    use super::*;
    use crate::LayerSource;

    fn stack(texts: [&str; 2]) -> LayerStack {
        let file = |name: &str| AbsPath::new(format!("/{name}.toml")).unwrap();
        let sources = [
            LayerSource::System { file: file("0") },
            LayerSource::User { file: file("1") },
        ];
        let mut stack = LayerStack::default();
        for (source, text) in sources.into_iter().zip(texts) {
            stack.push(ConfigLayer::parse(source, Arc::from(text)).unwrap());
        }
        stack.merge();
        stack
    }

    #[test]
    fn values_keep_their_kind_and_secrets_are_masked() {
        let stack = stack([
            "a = 1\nb = 1.5\nc = 1979-05-27\nd = inf\n",
            "e = [true, \"x\"]\n[mcp_servers.s]\nargs = []\nenv = { A = \"key\", B = \"\" }\noauth.client_secret = \"key\"\n[mcp_servers.env]\ncommand = \"x\"\n[model_providers.p]\nexperimental_bearer_token = \"key\"\n",
        ]);
        assert_eq!(
            stack.to_json(),
            json!({
                "a": 1, "b": 1.5, "c": "1979-05-27", "d": null, "e": [true, "x"],
                "mcp_servers": {
                    "s": {"args": [], "env": {"A": "*****", "B": ""}, "oauth": {"client_secret": "*****"}},
                    "env": {"command": "x"},
                },
                "model_providers": {"p": {"experimental_bearer_token": "*****"}},
            })
        );
    }

    #[test]
    fn the_password_of_a_proxy_is_masked_and_its_address_is_not() {
        let proxy = |text: &str| {
            let config = format!("[mcp_servers.s.http]\nproxy = \"{text}\"\n");
            let stack = stack(["", &config]);
            stack.to_json()["mcp_servers"]["s"]["http"]["proxy"].clone()
        };
        assert_eq!(proxy("http://me:key@p.example:1"), "*****");
        assert_eq!(proxy("http://p.example:1"), "http://p.example:1");
    }

    #[test]
    fn every_leaf_has_the_layer_that_it_comes_from() {
        let stack = stack(["a = 1\nm = 1\n", "a = 2\n[t.\"x.y\"]\nb = []\n[t.e]\n"]);
        let origins: Vec<String> = stack
            .origins()
            .into_iter()
            .map(|(key, layer)| format!("{key} {}", layer.source.word()))
            .collect();
        assert_eq!(
            origins,
            ["a user", "m system", "t.\"x.y\".b user", "t.e user"]
        );
    }

    #[test]
    fn json_becomes_toml_where_toml_has_it() {
        let written = |value: Value| toml_of_json(&value).map(|value| value.to_string());
        assert_eq!(
            written(json!({"a": [1, 1.5, "x"], "b": {"c": true}}))
                .unwrap()
                .replace(' ', ""),
            "{a=[1,1.5,\"x\"],b={c=true}}"
        );
        assert_eq!(written(json!({"a": null})), Err(NotToml::Null));
        assert_eq!(written(json!([u64::MAX])), Err(NotToml::Number));
        assert_eq!(written(json!({"env": {"A": "*****"}})), Err(NotToml::Mask));
    }
}
