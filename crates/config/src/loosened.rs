//! What a project loosens of the sandbox and of the approvals: that it may, once trusted, but not
//! without a word.

use crate::layers::{ConfigLayer, LayerSource, LayerStack};
use crate::tree::NodeValue;
use crate::{Notice, Origin, Severity};

/// A key with its words, the tightest first, and the word that holds without it.
struct Scale {
    key: &'static [&'static str],
    words: &'static [&'static str],
    default: &'static str,
}

const SCALES: &[Scale] = &[
    Scale {
        key: &["sandbox_mode"],
        words: &["read-only", "workspace-write", "danger-full-access"],
        default: "read-only",
    },
    Scale {
        key: &["approval_policy"],
        words: &["untrusted", "on-failure", "on-request", "never"],
        default: "on-request",
    },
];
const ROOTS: &[&str] = &["sandbox_workspace_write", "writable_roots"];
const NETWORK: &[&str] = &["sandbox_workspace_write", "network_access"];

/// Returns one warning about all that the project's files loosen and nothing above them sets.
pub(crate) fn notice(layers: &LayerStack) -> Option<Notice> {
    let said = Said::of(layers);
    let scales = SCALES.iter().filter_map(|scale| said.word(scale));
    let found: Vec<(Origin, String)> = scales.chain(said.roots()).chain(said.network()).collect();
    let (first, _) = found.first()?;
    let lines = found
        .iter()
        .map(|(origin, what)| format!("\n  {origin}: {what}"));
    let text = format!(
        "The project loosens what holds without it:{}",
        lines.collect::<String>()
    );
    Some(Notice::new(Severity::Warning, text, Some(first.clone())))
}

/// The layers, and those of them below every project.
struct Said<'l> {
    layers: &'l LayerStack,
    below: Vec<&'l ConfigLayer>,
}

impl<'l> Said<'l> {
    fn of(layers: &'l LayerStack) -> Self {
        let is_below = |layer: &&ConfigLayer| !is_project(&layer.source);
        let below = layers.layers().iter().take_while(is_below).collect();
        Self { layers, below }
    }

    /// What a project says about a key, when that holds; and what holds without it.
    fn values(&self, key: &[&str]) -> Option<(Origin, &'l NodeValue, Option<&'l NodeValue>)> {
        let origin = self.layers.origin(key)?;
        if !is_project(&origin.layer) {
            return None;
        }
        let mut all = self.layers.layers().iter();
        let layer = all.find(|layer| layer.source == origin.layer)?;
        let value = &layer.document.entry(key)?.node.value;
        let mut below = self.below.iter().rev();
        let lower = below.find_map(|layer| Some(&layer.document.entry(key)?.node.value));
        Some((origin, value, lower))
    }

    fn word(&self, scale: &Scale) -> Option<(Origin, String)> {
        let (origin, new, old) = self.values(scale.key)?;
        let rank = |word: &str| scale.words.iter().position(|other| *other == word);
        let NodeValue::String(new) = new else {
            return None;
        };
        let (old, whose) = match old {
            Some(NodeValue::String(old)) => (old.as_str(), ""),
            Some(_) => return None,
            None => (scale.default, ", the default"),
        };
        let key = scale.key.join(".");
        let what = format!("`{key}` is \"{new}\" instead of \"{old}\"{whose}");
        (rank(new)? > rank(old)?).then_some((origin, what))
    }

    fn roots(&self) -> Option<(Origin, String)> {
        let (origin, new, old) = self.values(ROOTS)?;
        let texts = |value: &'l NodeValue| match value {
            NodeValue::Array(items) => items.iter().filter_map(|item| item.as_str()).collect(),
            _ => Vec::new(),
        };
        let old: Vec<&str> = old.map(texts).unwrap_or_default();
        let mut added = texts(new);
        added.retain(|root| !old.contains(root));
        let quoted = |roots: &[&str]| match roots {
            [] => "none".to_owned(),
            roots => roots
                .iter()
                .map(|root| format!("`{root}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let what = format!(
            "`writable_roots` has {} besides {}",
            quoted(&added),
            quoted(&old)
        );
        (!added.is_empty()).then_some((origin, what))
    }

    fn network(&self) -> Option<(Origin, String)> {
        let (origin, new, old) = self.values(NETWORK)?;
        let is_on = |value: &NodeValue| matches!(value, NodeValue::Boolean(true));
        let is_loosened = is_on(new) && !old.is_some_and(is_on);
        let what = "`network_access` is true instead of false".to_owned();
        is_loosened.then_some((origin, what))
    }
}

fn is_project(source: &LayerSource) -> bool {
    matches!(source, LayerSource::Project { .. })
}
