//! The rows of the configured keys: each with its value, or a mask where it may be a secret.

use codex_config::{Enablement, McpServerConfig, OffReason};
use codex_runtime::Loaded;
use serde_json::Value;

use super::Row;
use crate::mask::{MASK, Secrets};

/// Tables that are told entry by entry elsewhere.
const ITEMISED: &[&str] = &["env", "env_vars", "http_headers", "env_http_headers"];

/// Tells the keys of a server in the order of the file, those of its tables one by one.
pub(super) fn rows(server: &McpServerConfig, loaded: &Loaded, secrets: Secrets) -> Vec<Row> {
    let teller = Teller {
        server,
        loaded,
        secrets,
    };
    let mut rows = Vec::new();
    let root = ["mcp_servers", server.name.as_str()];
    for key in loaded.layers.keys(&root) {
        if !ITEMISED.contains(&key) {
            teller.tell(&[root[0], root[1], key], &mut rows);
        }
    }
    rows
}

struct Teller<'a> {
    server: &'a McpServerConfig,
    loaded: &'a Loaded,
    secrets: Secrets,
}

impl Teller<'_> {
    fn tell(&self, path: &[&str], rows: &mut Vec<Row>) {
        let layers = &self.loaded.layers;
        let keys = layers.keys(path);
        for key in &keys {
            self.tell(&[path, &[key]].concat(), rows);
        }
        if !keys.is_empty() {
            return;
        }
        let segments = path.iter().skip(2).map(|key| match key.contains('.') {
            true => format!("{key:?}"),
            false => (*key).to_owned(),
        });
        let places = layers.places(path);
        let from = places.first().map_or("", |origin| origin.layer.word());
        let item = segments.collect::<Vec<_>>().join(".");
        rows.push(Row::new(item, from).at(places).value(self.value(path)));
    }

    /// Returns the value as it would be written.
    fn value(&self, path: &[&str]) -> String {
        let layers = &self.loaded.layers;
        if self.secrets == Secrets::Shown {
            return layers.value(path).unwrap_or_default();
        }
        // Nobody knows what stands in an entry that does not fit.
        if matches!(
            self.server.enablement,
            Enablement::Off(OffReason::Invalid { .. })
        ) {
            return MASK.to_owned();
        }
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        // What may be a secret is masked there.
        shown(&layers.json_at(&path).unwrap_or_default())
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text == MASK => MASK.to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}
