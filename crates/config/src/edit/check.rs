//! Whether changes brought a fault into a file: what loading would tell about it.
//!
//! It is judged alone, but an entry may leave the command or url of its server to another layer.

use codex_host::AbsPath;

use super::text::Text;
use crate::config_raw::RawConfig;
use crate::convert::{self, Bases};
use crate::de::{self, DeError, Found};
use crate::layers::LayerStack;
use crate::mcp::entry;
use crate::report::{self, Fault};
use crate::tree::{Entry, Node};
use crate::{ConfigError, Feature};

/// Returns the first fault of `after` that `before` did not have; `others` are the layers as they were
/// loaded.
pub(super) fn new_fault(
    path: &AbsPath,
    before: Option<&Text>,
    after: &Text,
    others: &LayerStack,
) -> Result<(), ConfigError> {
    let known = before.map(|text| Checked::read(path, text, others));
    let known: Vec<String> = known.into_iter().flat_map(|old| old.what()).collect();
    let checked = Checked::read(path, after, others);
    let what = checked.what();
    let mut errors = checked.errors.into_iter().zip(what);
    match errors.find(|(_, what)| !known.contains(what)) {
        Some(((_, error), _)) => Err(error),
        None => Ok(()),
    }
}

/// The faults of one file, each with where it is about as a path of keys.
struct Checked {
    errors: Vec<(String, ConfigError)>,
}

impl Checked {
    fn read(path: &AbsPath, text: &Text, others: &LayerStack) -> Self {
        let layers = text.layers(path);
        let mut faults = Vec::new();
        let mut document = layers.merged().clone();
        for table in ["mcp_servers", "features"] {
            let Some(found) = document.unset(&[table]) else {
                continue;
            };
            let at = |at, key: Option<&String>| Found {
                at,
                path: std::iter::once(table.to_owned())
                    .chain(key.cloned())
                    .collect(),
            };
            let Some(entries) = found.node.as_table() else {
                let found = at(found.key_at, None);
                faults.push(Fault::new(found, "invalid type: expected a table"));
                continue;
            };
            for item in &entries.0 {
                if table == "mcp_servers" {
                    let whole = with_transport(item, path, others);
                    let read = entry::read(&whole, &layers, &mut Vec::new());
                    faults.extend(read.fault.map(Fault::from));
                } else if Feature::from_key(&item.key).is_some() && item.node.as_bool().is_none() {
                    let found = at(item.node.at, Some(&item.key));
                    faults.push(Fault::new(found, "invalid type: expected a boolean"));
                }
            }
        }
        let raw = loop {
            match de::read::<RawConfig>(&document, &[], &mut Vec::new()) {
                Ok(raw) => break raw,
                Err(DeError { message, found }) => {
                    let found = found.unwrap_or_else(|| Found {
                        at: document.at,
                        path: Vec::new(),
                    });
                    let removed = document.unset(&found.path).is_some();
                    faults.push(Fault::new(found, message));
                    if !removed {
                        break RawConfig::default();
                    }
                }
            }
        };
        let of_fault = |fault: &Fault| {
            let keys = report::dotted(&fault.found.path);
            (keys, report::fatal(&layers, fault))
        };
        let mut errors: Vec<_> = faults.iter().map(of_fault).collect();
        let folder = path.parent_dir();
        let bases = Bases {
            home: &folder,
            cwd: &folder,
            layers: &layers,
        };
        let converted = convert::config(raw, &bases, &mut Vec::new());
        errors.extend(converted.err().map(|error| (String::new(), error)));
        Self { errors }
    }

    /// Each fault without its place, which moves with the lines above.
    fn what(&self) -> Vec<String> {
        let what = |(keys, error): &(String, ConfigError)| {
            let text = error.to_string();
            let origin = match error {
                ConfigError::Invalid { origin, .. } => origin.as_ref(),
                _ => None,
            };
            let place = origin.map(ToString::to_string).unwrap_or_default();
            format!("{keys}: {}", text.strip_prefix(&place).unwrap_or(&text))
        };
        self.errors.iter().map(what).collect()
    }
}

/// Gives an entry the command or url of the highest other layer that has one for its server.
fn with_transport(item: &Entry, path: &AbsPath, others: &LayerStack) -> Entry {
    const KEYS: [&str; 2] = ["command", "url"];
    let mut whole = item.clone();
    if KEYS.iter().any(|key| item.node.entry(&[key]).is_some()) {
        return whole;
    }
    let highest_first = others.layers().iter().rev();
    let others = highest_first.filter(|layer| layer.source.file() != Some(path));
    let given = others.flat_map(|layer| {
        KEYS.map(|key| {
            let found = layer.document.entry(&["mcp_servers", &item.key, key])?;
            Some((key, found.node.value.clone()))
        })
    });
    if let Some((key, value)) = given.flatten().next()
        && item.node.as_table().is_some()
    {
        let at = item.key_at;
        whole.node.set(&[key], Node { value, at });
    }
    whole
}
