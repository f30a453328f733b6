//! What the machine's administrator requires of the merged result: `requirements.toml`.
//!
//! A policy fails closed, each part for itself: an entry that cannot be read allows nothing, a file that
//! cannot be read turns every MCP server off and lets no thread start. Nothing of it is ever read from
//! the user's home or from a project.

mod detours;
mod identity;
mod mcp_policy;
pub(crate) mod raw;
mod slips;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use codex_host::AbsPath;
use codex_protocol::{AskForApproval, SandboxMode};
use serde::de::DeserializeOwned;

use crate::layers::line_and_column;
use crate::system::{self, PreferenceTexts};
use crate::tree::{self, Entry, Node, Place};
use crate::{
    ConfigError, Constrained, Constraint, ConstraintError, Feature, FeatureRow, Notice, Severity,
    SystemPaths, de, report, sources,
};

pub use mcp_policy::{McpPolicy, McpVerdict, PolicyRule};

/// Tables of the allowlist.
const MCP_TABLES: &[&str] = &["mcp_server_allowlist", "mcp_servers"];
const FEATURES: &str = "features";
const APPROVALS: &str = "allowed_approval_policies";
const SANDBOXES: &str = "allowed_sandbox_modes";
pub(crate) const KNOWN: &[&str] = &[
    "mcp_server_allowlist",
    "mcp_servers",
    FEATURES,
    APPROVALS,
    SANDBOXES,
];

/// What follows from a restriction that cannot be used.
const NO_THREAD: &str = "No thread starts until this is repaired.";

/// Where requirements can stand, the higher one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementsSource {
    /// Managed preferences of macOS.
    Preferences,
    /// The machine's file.
    File(AbsPath),
}

impl fmt::Display for RequirementsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preferences => f.write_str("MDM com.openai.codex:requirements_toml_base64"),
            Self::File(file) => file.fmt(f),
        }
    }
}

/// A place in the requirements. Prints as `<source>:<line>:<column>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOrigin {
    /// Which requirements.
    pub source: RequirementsSource,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for PolicyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// Something in the requirements that does not do what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// Where it stands; `None` when the whole cannot be read, and then the text says where.
    pub origin: Option<PolicyOrigin>,
    /// What is wrong, and what follows.
    pub text: String,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The requirements of all sources, ready to be applied.
#[derive(Debug, Clone, Default)]
pub struct Requirements {
    sources: Vec<RequirementsSource>,
    mcp: McpPolicy,
    features: BTreeMap<Feature, (bool, PolicyOrigin)>,
    approvals: Option<Allowed<AskForApproval>>,
    sandboxes: Option<Allowed<SandboxMode>>,
    problems: Vec<PolicyProblem>,
    refusal: Option<PolicyProblem>,
}

/// The words that a key may have.
#[derive(Debug, Clone)]
struct Allowed<T> {
    words: Vec<T>,
    source: RequirementsSource,
}

/// One source, parsed.
struct Document {
    source: RequirementsSource,
    text: Arc<str>,
    root: Node,
}

impl Document {
    fn origin(&self, at: Place) -> PolicyOrigin {
        let (line, column) = line_and_column(&self.text, at.offset);
        PolicyOrigin {
            source: self.source.clone(),
            line,
            column,
        }
    }

    fn problem(&self, at: Place, text: impl Into<String>) -> PolicyProblem {
        PolicyProblem {
            origin: Some(self.origin(at)),
            text: text.into(),
        }
    }

    fn get(&self, key: &str) -> Option<&Entry> {
        self.root.entry(&[key])
    }

    /// Parses a text; the error shows the line, and no string of it.
    fn parse(source: RequirementsSource, text: &str) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match tree::parse(text, 0) {
            Ok(root) => Ok(Self {
                source,
                text: Arc::from(text),
                root,
            }),
            Err(error) => Err(report::syntax_error_at(&source.to_string(), text, &error)),
        }
    }
}

impl Requirements {
    /// Reads what a machine requires, whatever the settings say and whether they can be read. Blocks.
    pub fn of_machine(system: &SystemPaths) -> Self {
        match system.preferences.read() {
            Ok(preferences) => {
                let file = &system.requirements;
                Self::read(file, sources::read_file(file), &preferences)
            }
            Err(error) => Self::closed(RequirementsSource::Preferences, &error),
        }
    }

    /// Reads what the sources say. A source that cannot be read closes everything.
    pub(crate) fn read(
        file: &AbsPath,
        content: Result<Option<Arc<str>>, ConfigError>,
        preferences: &PreferenceTexts,
    ) -> Self {
        let mut documents = Vec::new();
        let mut broken = None;
        if let Some(encoded) = &preferences.requirements {
            let source = RequirementsSource::Preferences;
            let text = system::decode(&source.to_string(), encoded);
            match text.and_then(|text| Document::parse(source.clone(), &text)) {
                Ok(document) => documents.push(document),
                Err(error) => broken = Some((source, error)),
            }
        }
        let source = RequirementsSource::File(file.clone());
        match content.map(|text| text.map(|text| Document::parse(source.clone(), &text))) {
            Ok(None) => {}
            Ok(Some(Ok(document))) => documents.push(document),
            Ok(Some(Err(error))) | Err(error) => {
                broken.get_or_insert((source, error));
            }
        }
        match broken {
            Some((source, error)) => Self::closed(source, &error),
            None => Self::of(&documents),
        }
    }

    fn closed(source: RequirementsSource, error: &ConfigError) -> Self {
        let problem = PolicyProblem {
            origin: None,
            text: format!(
                "{}\nThe requirements cannot be read: every MCP server is off, and no thread starts.",
                report::with_sources(error)
            ),
        };
        Self {
            sources: vec![source.clone()],
            mcp: McpPolicy::closed(source),
            problems: vec![problem.clone()],
            refusal: Some(problem),
            ..Self::default()
        }
    }

    /// Takes documents together, the highest first.
    fn of(documents: &[Document]) -> Self {
        let mut all = Self::default();
        all.sources
            .extend(documents.iter().map(|document| document.source.clone()));
        all.mcp = McpPolicy::read(documents, &mut all.problems);
        for document in documents {
            all.read_features(document);
            if all.approvals.is_none() {
                all.approvals = all.allowed(document, APPROVALS);
            }
            if all.sandboxes.is_none() {
                all.sandboxes = all.allowed(document, SANDBOXES);
            }
            all.unknown_keys(document);
        }
        all
    }

    fn read_features(&mut self, document: &Document) {
        let Some(entry) = document.get(FEATURES) else {
            return;
        };
        let Some(table) = entry.node.as_table() else {
            return self.refuse(document.problem(entry.node.at, "`features` is not a table"));
        };
        for item in &table.0 {
            let row = Feature::from_key(&item.key);
            match (row, item.node.as_bool()) {
                (Some(row), Some(on)) => {
                    let pin = (on, document.origin(item.key_at));
                    self.features.entry(row.feature).or_insert(pin);
                }
                (None, _) => self.unknown_feature(document, item),
                (Some(_), None) => {
                    let text = format!("`features.{}` is not a boolean", item.key);
                    self.refuse(document.problem(item.node.at, text));
                }
            }
        }
    }

    /// A pin of something else than ours has nothing to hold; one that is only misspelt must not vanish.
    fn unknown_feature(&mut self, document: &Document, item: &Entry) {
        let text = format!("`features.{}` is no feature; ", item.key);
        match slips::feature(&item.key) {
            Some(near) => {
                let text = format!("{text}did you mean `{near}`? {NO_THREAD}");
                self.refuse(document.problem(item.key_at, text));
            }
            None => {
                let text = format!("{text}it has no effect");
                self.problems.push(document.problem(item.key_at, text));
            }
        }
    }

    fn allowed<T: DeserializeOwned>(
        &mut self,
        document: &Document,
        key: &str,
    ) -> Option<Allowed<T>> {
        let entry = document.get(key)?;
        match de::read::<Vec<T>>(&entry.node, &[], &mut Vec::new()) {
            Ok(words) if !words.is_empty() => Some(Allowed {
                words,
                source: document.source.clone(),
            }),
            Ok(_) => {
                self.refuse(document.problem(entry.node.at, format!("`{key}` allows nothing")));
                None
            }
            Err(error) => {
                let at = error.found.map_or(entry.node.at, |found| found.at);
                self.refuse(document.problem(at, format!("`{key}`: {}", error.message)));
                None
            }
        }
    }

    /// A constraint that cannot be read lets no thread start.
    fn refuse(&mut self, problem: PolicyProblem) {
        self.problems.push(problem.clone());
        self.refusal.get_or_insert(problem);
    }

    fn unknown_keys(&mut self, document: &Document) {
        for entry in document
            .root
            .as_table()
            .into_iter()
            .flat_map(|table| &table.0)
        {
            let key = entry.key.as_str();
            if KNOWN.contains(&key) {
                continue;
            }
            let unknown = format!("`{key}` is not a requirement that this version knows");
            let mut text = unknown.clone();
            if let Some(near) = codex_utils_fuzzy_match::nearest(key, KNOWN.iter().copied()) {
                text.push_str(&format!("; did you mean `{near}`?"));
            }
            if is_look_alike(key) {
                text.push_str(" MCP servers are restricted all the same, and it allows none.");
            } else if let Some(meant) = slips::restriction(key) {
                let text = format!("{unknown}; did you mean `{meant}`? {NO_THREAD}");
                self.refuse(document.problem(entry.key_at, text));
                continue;
            }
            self.problems.push(document.problem(entry.key_at, text));
        }
    }

    /// Returns where there are requirements, the highest first.
    pub fn sources(&self) -> &[RequirementsSource] {
        &self.sources
    }

    /// Returns which MCP servers may run.
    pub fn mcp(&self) -> &McpPolicy {
        &self.mcp
    }

    /// Returns what is wrong with the requirements themselves.
    pub fn problems(&self) -> &[PolicyProblem] {
        &self.problems
    }

    /// Returns why no thread may start, when a part that holds for all of them cannot be read.
    pub fn refusal(&self) -> Option<&PolicyProblem> {
        self.refusal.as_ref()
    }

    /// Returns how many features are pinned.
    pub fn n_pinned_features(&self) -> usize {
        self.features.len()
    }

    /// Returns the words that each constrained key may have, as they are spelled in the file.
    pub fn constraints(&self) -> Vec<(&'static str, String)> {
        fn spelled<T: serde::Serialize>(allowed: &Allowed<T>) -> String {
            let words: Vec<String> = allowed.words.iter().map(word).collect();
            words.join(", ")
        }
        let approvals = self.approvals.as_ref().map(spelled);
        let sandboxes = self.sandboxes.as_ref().map(spelled);
        let all = [(APPROVALS, approvals), (SANDBOXES, sandboxes)];
        let set = all
            .into_iter()
            .filter_map(|(key, words)| Some((key, words?)));
        set.collect()
    }

    /// Returns what a feature is pinned to, and where.
    pub fn feature(&self, feature: Feature) -> Option<(bool, &PolicyOrigin)> {
        let (on, origin) = self.features.get(&feature)?;
        Some((*on, origin))
    }

    /// Returns every pinned feature.
    pub fn features(&self) -> impl Iterator<Item = (Feature, bool)> {
        self.features
            .iter()
            .map(|(feature, (on, _))| (*feature, *on))
    }

    /// Returns the words of `approval_policy` that are allowed, when they are restricted: none while
    /// nothing may start.
    pub fn allowed_approval_policies(&self) -> Option<&[AskForApproval]> {
        self.words(self.approvals.as_ref())
    }

    /// Returns the words of `sandbox_mode` that are allowed, in the same way.
    pub fn allowed_sandbox_modes(&self) -> Option<&[SandboxMode]> {
        self.words(self.sandboxes.as_ref())
    }

    fn words<'a, T>(&self, allowed: Option<&'a Allowed<T>>) -> Option<&'a [T]> {
        match &self.refusal {
            Some(_) => Some(&[]),
            None => Some(&allowed?.words),
        }
    }

    /// Constrains `approval_policy`; a value that is not allowed becomes the first allowed one.
    pub(crate) fn approval_policy(
        &self,
        wanted: Option<AskForApproval>,
        notices: &mut Vec<Notice>,
    ) -> Constrained<Option<AskForApproval>> {
        constrained("approval_policy", wanted, self.approvals.as_ref(), notices)
    }

    /// Constrains `sandbox_mode` in the same way.
    pub(crate) fn sandbox_mode(
        &self,
        wanted: Option<SandboxMode>,
        notices: &mut Vec<Notice>,
    ) -> Constrained<Option<SandboxMode>> {
        constrained("sandbox_mode", wanted, self.sandboxes.as_ref(), notices)
    }

    /// Tells the problems.
    pub(crate) fn notices(&self) -> impl Iterator<Item = Notice> {
        let texts = self.problems.iter().map(ToString::to_string);
        texts.map(|text| Notice::new(Severity::Error, text, None))
    }
}

/// Returns whether a key was probably meant to restrict MCP servers.
fn is_look_alike(key: &str) -> bool {
    let key = key.to_lowercase();
    key.starts_with("mcp")
        || codex_utils_fuzzy_match::nearest(&key, MCP_TABLES.iter().copied()).is_some()
}

/// The default counts like a value: nothing configured is no way round.
fn constrained<T>(
    key: &'static str,
    wanted: Option<T>,
    allowed: Option<&Allowed<T>>,
    notices: &mut Vec<Notice>,
) -> Constrained<Option<T>>
where
    T: Copy + Default + PartialEq + serde::Serialize + Send + Sync + 'static,
{
    let Some(allowed) = allowed else {
        return Constrained::free(wanted);
    };
    let (words, source) = (allowed.words.clone(), allowed.source.to_string());
    let constraint = Constraint::check(move |value: &Option<T>| {
        let value = value.unwrap_or_default();
        if words.contains(&value) {
            return Ok(());
        }
        Err(ConstraintError {
            key,
            value: word(&value),
            allowed: words.iter().map(word).collect::<Vec<_>>().join(", "),
            source_name: source.clone(),
        })
    });
    match Constrained::new(wanted, constraint.clone()) {
        Ok(value) => value,
        Err(error) => {
            let first = allowed.words.first().copied();
            // Who configured nothing need not be told at every command.
            if wanted.is_some() {
                let using = first.as_ref().map(word).unwrap_or_default();
                let text = format!("{error}; using {using}");
                notices.push(Notice::new(Severity::Warning, text, None));
            }
            Constrained::new(first, constraint).unwrap_or_default()
        }
    }
}

/// Returns the spelling of a word in the file.
fn word<T: serde::Serialize>(value: &T) -> String {
    let text = toml_edit::ser::ValueSerializer::new();
    let value = value.serialize(text).map(|value| value.to_string());
    value.unwrap_or_default()
}

/// Tells which row a pin is about when something tries to move it.
pub(crate) fn pin_notice(row: &FeatureRow, on: bool, origin: &PolicyOrigin) -> Notice {
    let text = format!(
        "`{}` is set to {on} by requirements ({origin}); nothing else changes it",
        row.key
    );
    Notice::new(Severity::Note, text, None)
}

#[cfg(test)]
mod tests;
