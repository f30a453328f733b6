//! Which MCP servers may run: the allowlist in both of its spellings.
//!
//! The policy is active as soon as one of its tables exists anywhere. Then a server runs only when its
//! name is listed and it is what every entry of that name says. [`McpPolicy::apply`] is the one place
//! where servers of every source are turned off.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use codex_host::Env;
use codex_protocol::ServerName;

use super::detours;
use super::identity::Identity;
use super::raw::{RawIdentity, RawServerRule};
use super::{Document, MCP_TABLES, PolicyOrigin, PolicyProblem, RequirementsSource, is_look_alike};
use crate::tree::Entry;
use crate::{Enablement, McpServerConfig, OffReason, de, report};

/// The allowlist. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct McpPolicy(Option<Arc<List>>);

#[derive(Debug)]
struct List {
    rules: BTreeMap<String, Rules>,
    /// Who restricts servers that no rule names.
    source: RequirementsSource,
    /// Why a server that no rule names may not run.
    unlisted: &'static str,
}

/// The rules of one name, at most one of each spelling.
#[derive(Debug, Default)]
struct Rules([Option<Rule>; 2]);

#[derive(Debug)]
struct Rule {
    name: PolicyRule,
    /// Why it is no rule; then it allows nothing.
    identity: Result<Identity, String>,
}

/// A rule by name. Prints as `[mcp_servers.docs.identity] /etc/codex/requirements.toml:3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    /// Its table.
    pub table: String,
    /// Where it stands.
    pub origin: PolicyOrigin,
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PolicyOrigin { source, line, .. } = &self.origin;
        write!(f, "[{}] {source}:{line}", self.table)
    }
}

/// What the policy says about a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpVerdict {
    /// Servers are not restricted.
    Unrestricted,
    /// Every rule of its name allows it.
    Allowed(Vec<PolicyRule>),
    /// It may not run.
    Refused {
        /// Who says so.
        source: RequirementsSource,
        /// The rule, when there is one of its name.
        rule: Option<PolicyRule>,
        /// Why.
        why: String,
        /// Somebody should look: the rule cannot be read, or a key of the entry goes round it.
        is_fault: bool,
    },
}

impl McpVerdict {
    /// Names the rules that allow a server, as the rest of a sentence; `None` without any.
    pub fn allowed_by(&self) -> Option<String> {
        let Self::Allowed(rules) = self else {
            return None;
        };
        let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
        Some(format!("by {}", rules.join(" and ")))
    }
}

impl McpPolicy {
    /// A policy that cannot be read allows nothing.
    pub(super) fn closed(source: RequirementsSource) -> Self {
        Self(Some(Arc::new(List {
            rules: BTreeMap::new(),
            source,
            unlisted: "the requirements cannot be read",
        })))
    }

    /// Reads the tables of all documents, the highest first.
    pub(super) fn read(documents: &[Document], problems: &mut Vec<PolicyProblem>) -> Self {
        let mut rules: BTreeMap<String, Rules> = BTreeMap::new();
        let mut source = None;
        let mut is_closed = false;
        for document in documents {
            let mut closes = false;
            for (form, key) in MCP_TABLES.iter().enumerate() {
                let Some(entry) = document.get(key) else {
                    continue;
                };
                source.get_or_insert_with(|| document.source.clone());
                let Some(table) = entry.node.as_table() else {
                    let text = format!("`{key}` is not a table; it allows no MCP server");
                    problems.push(document.problem(entry.node.at, text));
                    closes = true;
                    continue;
                };
                closes |= table.0.is_empty();
                for item in table.0.iter().filter(|_| !is_closed) {
                    let slot = &mut rules.entry(item.key.clone()).or_default().0[form];
                    // The same name in a higher document wins, also when it is broken.
                    if slot.is_none() {
                        *slot = Some(rule(form, item, document, problems));
                    }
                }
            }
            let root = document.root.as_table();
            let mut keys = root.into_iter().flat_map(|table| &table.0);
            let is_unknown = |key: &str| !MCP_TABLES.contains(&key) && is_look_alike(key);
            if keys.any(|entry| is_unknown(&entry.key)) {
                source.get_or_insert_with(|| document.source.clone());
            }
            is_closed |= closes;
        }
        Self(source.map(|source| {
            Arc::new(List {
                rules,
                source,
                unlisted: "its name is not listed",
            })
        }))
    }

    /// Returns whether servers are restricted.
    pub fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the names that have a rule; whether a server of such a name may run is the rule's word.
    /// `None` when servers are not restricted.
    pub fn names(&self) -> Option<impl Iterator<Item = &str>> {
        let list = self.0.as_ref()?;
        Some(list.rules.keys().map(String::as_str))
    }

    /// Says whether a server may run; `env` is where its variables come from.
    pub fn verdict(&self, server: &McpServerConfig, env: &Env) -> McpVerdict {
        let Some(list) = &self.0 else {
            return McpVerdict::Unrestricted;
        };
        let refused = |rule: Option<&Rule>, why: String, is_fault| McpVerdict::Refused {
            source: rule
                .map_or(&list.source, |rule| &rule.name.origin.source)
                .clone(),
            rule: rule.map(|rule| rule.name.clone()),
            why,
            is_fault,
        };
        let Some(Rules(rules)) = list.rules.get(server.name.as_str()) else {
            return refused(None, list.unlisted.to_owned(), false);
        };
        for rule in rules.iter().flatten() {
            match &rule.identity {
                Ok(identity) => {
                    if let Err(why) = identity.check(server, env) {
                        return refused(Some(rule), why, false);
                    }
                }
                Err(why) => {
                    let why = format!("its entry allows nothing: {why}");
                    return refused(Some(rule), why, true);
                }
            }
        }
        for rule in rules.iter().flatten() {
            let mut keys = detours::keys(server);
            keys.retain(|key| !rule.allows(key));
            if !keys.is_empty() {
                // The name of a variable is a stranger's text.
                let keys = keys.iter().map(|key| format!("`{}`", key.escape_debug()));
                let keys: Vec<String> = keys.collect();
                let keys = keys.join(", ");
                let why = format!(
                    "its rule does not allow {keys}, which may start or reach something else"
                );
                return refused(Some(rule), why, true);
            }
        }
        let names = rules.iter().flatten().map(|rule| rule.name.clone());
        McpVerdict::Allowed(names.collect())
    }

    /// Turns off every server that may not run, whoever turned it off or on before.
    pub fn apply(
        &self,
        mut servers: BTreeMap<ServerName, McpServerConfig>,
        env: &Env,
    ) -> BTreeMap<ServerName, McpServerConfig> {
        if self.is_active() {
            servers
                .values_mut()
                .for_each(|server| self.apply_to(server, env));
        }
        servers
    }

    /// Turns one server off when it may not run.
    pub fn apply_to(&self, server: &mut McpServerConfig, env: &Env) {
        if let McpVerdict::Refused {
            source,
            why,
            is_fault,
            rule,
        } = self.verdict(server, env)
        {
            let (why, origin) = match rule {
                Some(rule) => (format!("{why} ({})", rule.origin), Some(rule.origin)),
                None => (why, None),
            };
            server.enablement = Enablement::Off(OffReason::Requirements {
                source: source.to_string(),
                why,
                fault: origin.filter(|_| is_fault),
            });
        }
    }
}

impl Rule {
    fn allows(&self, key: &str) -> bool {
        let identity = self.identity.as_ref();
        identity.is_ok_and(|identity| identity.allows(key))
    }
}

fn rule(form: usize, item: &Entry, document: &Document, problems: &mut Vec<PolicyProblem>) -> Rule {
    let mut path = vec![MCP_TABLES[form].to_owned(), item.key.clone()];
    let mut unknown = Vec::new();
    let mut at = item.key_at;
    let raw = match form {
        0 => de::read::<RawIdentity>(&item.node, &[], &mut unknown),
        _ => de::read::<RawServerRule>(&item.node, &[], &mut unknown).map(|rule| rule.identity),
    };
    if form == 1 {
        path.push("identity".to_owned());
    }
    let identity = match (raw, unknown.first()) {
        (_, Some(key)) => {
            at = key.found.at;
            Err(format!(
                "`{}` is not a key that it can have",
                key.found.path.join(".")
            ))
        }
        (Err(error), None) => {
            at = error.found.map_or(at, |found| found.at);
            Err(error.message)
        }
        (Ok(raw), None) => Identity::new(raw),
    };
    let table = report::dotted(&path);
    if let Err(why) = &identity {
        let text = format!("[{table}] allows nothing: {why}");
        problems.push(document.problem(at, text));
    }
    let name = PolicyRule {
        table,
        origin: document.origin(match form {
            1 => item
                .node
                .entry(&["identity"])
                .map_or(item.key_at, |entry| entry.key_at),
            _ => item.key_at,
        }),
    };
    Rule { name, identity }
}
