//! The settings as JSON, for programs that read and write them over a wire.
//!
//! Secrets are masked: who may read the file has them there. A mask that comes back is no value, and
//! [`toml_of_json`] refuses it.

use serde_json::{Map, Number, Value};
use toml_edit::{Array, InlineTable, Value as TomlValue};

use crate::layers::{ConfigLayer, LayerStack};
use crate::mask::{Kind, MASK, is_masked, masked_arguments};
use crate::report;
use crate::tree::{self, Node, NodeValue, Place};

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

    /// Returns whether all of a value holds at a key, secrets too; more may be said there.
    pub fn holds(&self, path: &[String], value: &TomlValue) -> bool {
        let value = tree::from_value(value, Place::default());
        let entry = self.merged().entry(path);
        entry.is_some_and(|entry| entry.node.holds(&value))
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
        Value::String(text) if is_masked(text) => return Err(NotToml::Mask),
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
    let kind = match &node.value {
        NodeValue::Table(_) => Kind::Plain,
        _ => Kind::of(path),
    };
    match &node.value {
        NodeValue::String(text) => kind.shown(text).into(),
        NodeValue::Array(items) if kind == Kind::Arguments => arguments(items, path),
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
        _ if kind == Kind::Secret => MASK.into(),
        NodeValue::Datetime(text) => text.as_str().into(),
        NodeValue::Integer(number) => (*number).into(),
        // JSON knows neither infinity nor NaN.
        NodeValue::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        NodeValue::Boolean(value) => (*value).into(),
    }
}

fn arguments(items: &[Node], path: &mut Vec<String>) -> Value {
    let texts: Option<Vec<&str>> = items.iter().map(Node::as_str).collect();
    match texts {
        Some(texts) => masked_arguments(&texts).into(),
        // Something else stands among them, and the entry is none.
        None => items.iter().map(|item| json(item, path)).collect(),
    }
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
        assert_eq!(
            proxy("http://me:key@p.example:1"),
            "http://me:*****@p.example:1"
        );
        assert_eq!(proxy("http://p.example:1"), "http://p.example:1");
    }

    #[test]
    fn a_secret_in_a_wrong_place_is_masked() {
        let told = |lines: &str| {
            let stack = stack(["", &format!("[mcp_servers.s]\n{lines}\n")]);
            stack.to_json()["mcp_servers"]["s"].to_string()
        };
        for line in [
            "http.proxy = \"http://me:hunter2@p.example:1\"",
            "http.proxy = \"http://me:hun/hunter2@p.example:1\"",
            "url = \"https://h/?access_token=hunter2\"",
            "bearer_token_env_var = \"hunter2 hunter2\"",
            "oauth.client_secret_env_var = \"hunter2-\"",
            "env_http_headers = { X = \"hunter2-\" }",
            "env_vars = [\"A=hunter2\", { name = \"B=hunter2\" }]",
            "token = \"hunter2\"",
            "environment = { API_KEY = \"hunter2\" }",
            "extra.deep.password = \"hunter2\"",
            "oauth.extra = [\"hunter2\"]",
            "tools.t.extra = { a = \"hunter2\" }",
            "env = \"PASSWORD=hunter2\"",
            "env.A.B = [{ c = \"hunter2\" }]",
            "http_headers = [\"hunter2\"]",
            "oauth = \"hunter2\"",
            "args = [\"--token\", \"hunter2\"]",
            "args = [\"--token=hunter2\"]",
            "args = [1, \"ghp_hunter2hunter2\"]",
        ] {
            let shown = told(line);
            assert!(!shown.contains("hunter2"), "{line}: {shown}");
            assert!(shown.contains("*****"), "{line}: {shown}");
        }
        assert_eq!(
            told("env.A = 4711\nenv.B = 1.5"),
            r#"{"env":{"A":"*****","B":"*****"}}"#
        );
        let elsewhere = stack([
            "token = \"hunter2\"\nopenai_base_url = \"http://u:hunter2@h/\"\n[shell_environment_policy]\nset = { A = \"hunter2\" }\n",
            "[profiles.w.mcp_servers.s]\ntoken = \"hunter2\"\n[model_providers.p]\nenv_key = \"hunter2-\"\nhttp_headers.X = \"hunter2\"\n",
        ]);
        let elsewhere = elsewhere.to_json().to_string();
        assert!(!elsewhere.contains("hunter2"), "{elsewhere}");
        // What is in its place is shown.
        for (line, shown) in [
            ("url = \"https://h/?a=b\"", r#"{"url":"https://h/?a=b"}"#),
            (
                "tools.env.approval_mode = \"auto\"",
                r#"{"tools":{"env":{"approval_mode":"auto"}}}"#,
            ),
            (
                "bearer_token_env_var = \"A_TOKEN\"",
                r#"{"bearer_token_env_var":"A_TOKEN"}"#,
            ),
            ("env_vars = [\"A\"]", r#"{"env_vars":["A"]}"#),
            (
                "env_http_headers.X = \"A\"",
                r#"{"env_http_headers":{"X":"A"}}"#,
            ),
            (
                "oauth.token_endpoint_auth_method = \"none\"",
                r#"{"oauth":{"token_endpoint_auth_method":"none"}}"#,
            ),
        ] {
            assert_eq!(told(line), shown);
        }
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
        assert_eq!(written(json!("http://me:*****@h/")), Err(NotToml::Mask));
    }
}
