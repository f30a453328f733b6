//! Switches for behaviour that is not decided yet: one table, resolved by one function.
//!
//! Default < files < flags and managed layers < requirements. Within one of these two groups of layers
//! `[features]` beats a legacy key; between them the higher group wins. A removed or renamed key is a
//! row with a notice, not code.

use std::collections::BTreeMap;

use crate::layers::LayerStack;
use crate::notice::{Notice, Severity};
use crate::requirements::{self, Requirements};
use crate::tree::{Entry, Node};

/// How settled a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Decided.
    Stable,
    /// For the brave.
    Experimental,
    /// Not complete.
    UnderDevelopment,
    /// Will go.
    Deprecated,
    /// Has gone; the key is still accepted.
    Removed,
}

impl Stage {
    /// Returns the words of `features list`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Experimental => "experimental",
            Self::UnderDevelopment => "under development",
            Self::Deprecated => "deprecated",
            Self::Removed => "removed",
        }
    }
}

/// Names a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Interactive shell sessions.
    UnifiedExec,
    /// The tool that shows pictures to the model.
    ViewImage,
    /// The shell tool.
    ShellTool,
    /// Custom form of apply_patch; follows the model now.
    ApplyPatchFreeform,
    /// The MCP client; always on now.
    RmcpClient,
    /// Old switch of web search.
    WebSearchRequest,
    /// Sandbox on Windows.
    ExperimentalWindowsSandbox,
    /// Old Landlock sandbox.
    UseLegacyLandlock,
    /// Modern probe for stdio servers.
    Mcp20260728,
    /// Servers may change their tools.
    McpToolListChanged,
    /// Threads share connections.
    McpConnectionSharing,
    /// stdio servers start at their first use.
    McpLazyStdioStartup,
    /// Tools without `mcp__` in front.
    NonPrefixedMcpToolNames,
    /// Coordination of refreshes; always on now.
    McpOauthRefreshCoordination,
    /// A login can be asked for in mid-turn.
    AuthElicitation,
    /// Approvals of MCP calls as elicitations.
    ToolCallMcpElicitation,
    /// Skills may bring MCP servers.
    SkillMcpDependencyInstall,
    /// Refused connections are retried for ever.
    UnboundedConnectionRetries,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct FeatureRow {
    /// Which feature.
    pub feature: Feature,
    /// Its key under `[features]`.
    pub key: &'static str,
    /// How settled it is.
    pub stage: Stage,
    /// Its state when nothing is configured.
    pub default: bool,
    /// The day on which a row that is not settled will be decided.
    pub decided_by: Option<&'static str>,
    /// Older keys of `[features]`.
    aliases: &'static [&'static str],
    /// Older keys elsewhere, as paths from the root.
    legacy: &'static [&'static [&'static str]],
    /// What to say when the key is used: a sentence and what to do.
    notice: Option<(&'static str, &'static str)>,
}

const ROW: FeatureRow = FeatureRow {
    feature: Feature::UnifiedExec,
    key: "",
    stage: Stage::Stable,
    default: false,
    decided_by: None,
    aliases: &[],
    legacy: &[],
    notice: None,
};
const DAY: Option<&str> = Some("2027-03-01");
const REMOVE: &str = "Remove it from your configuration.";

const TABLE: &[FeatureRow] = &[
    FeatureRow {
        feature: Feature::UnifiedExec,
        key: "unified_exec",
        default: true,
        legacy: &[&["experimental_use_unified_exec_tool"]],
        ..ROW
    },
    FeatureRow {
        feature: Feature::ViewImage,
        key: "view_image",
        default: true,
        aliases: &["view_image_tool"],
        legacy: &[&["tools", "view_image"]],
        ..ROW
    },
    FeatureRow {
        feature: Feature::ShellTool,
        key: "shell_tool",
        default: true,
        ..ROW
    },
    FeatureRow {
        feature: Feature::ApplyPatchFreeform,
        key: "apply_patch_freeform",
        stage: Stage::Removed,
        legacy: &[
            &["experimental_use_freeform_apply_patch"],
            &["include_apply_patch_tool"],
        ],
        notice: Some((
            "has no effect: the form of apply_patch follows the model.",
            REMOVE,
        )),
        ..ROW
    },
    FeatureRow {
        feature: Feature::RmcpClient,
        key: "rmcp_client",
        stage: Stage::Removed,
        legacy: &[&["experimental_use_rmcp_client"]],
        notice: Some(("has no effect: the MCP client is always on.", REMOVE)),
        ..ROW
    },
    FeatureRow {
        feature: Feature::WebSearchRequest,
        key: "web_search_request",
        stage: Stage::Deprecated,
        legacy: &[&["tools", "web_search"]],
        notice: Some((
            "is deprecated because web search is enabled by default.",
            "Set `web_search` to `\"live\"`, `\"cached\"`, or `\"disabled\"` at the top level of config.toml if you want to override it.",
        )),
        ..ROW
    },
    FeatureRow {
        feature: Feature::ExperimentalWindowsSandbox,
        key: "experimental_windows_sandbox",
        stage: Stage::Experimental,
        decided_by: DAY,
        aliases: &["enable_experimental_windows_sandbox"],
        ..ROW
    },
    FeatureRow {
        feature: Feature::UseLegacyLandlock,
        key: "use_legacy_landlock",
        stage: Stage::Deprecated,
        notice: Some(("is deprecated and will be removed soon.", REMOVE)),
        ..ROW
    },
    FeatureRow {
        feature: Feature::Mcp20260728,
        key: "mcp_2026_07_28",
        stage: Stage::Experimental,
        decided_by: DAY,
        ..ROW
    },
    FeatureRow {
        feature: Feature::McpToolListChanged,
        key: "mcp_tool_list_changed",
        default: true,
        ..ROW
    },
    FeatureRow {
        feature: Feature::McpConnectionSharing,
        key: "mcp_connection_sharing",
        default: true,
        ..ROW
    },
    FeatureRow {
        feature: Feature::McpLazyStdioStartup,
        key: "mcp_lazy_stdio_startup",
        stage: Stage::Experimental,
        decided_by: DAY,
        ..ROW
    },
    FeatureRow {
        feature: Feature::NonPrefixedMcpToolNames,
        key: "non_prefixed_mcp_tool_names",
        stage: Stage::UnderDevelopment,
        decided_by: DAY,
        ..ROW
    },
    FeatureRow {
        feature: Feature::McpOauthRefreshCoordination,
        key: "mcp_oauth_refresh_coordination",
        stage: Stage::Removed,
        notice: Some(("has no effect: refreshes are always coordinated.", REMOVE)),
        ..ROW
    },
    FeatureRow {
        feature: Feature::AuthElicitation,
        key: "auth_elicitation",
        default: true,
        ..ROW
    },
    FeatureRow {
        feature: Feature::ToolCallMcpElicitation,
        key: "tool_call_mcp_elicitation",
        default: true,
        ..ROW
    },
    FeatureRow {
        feature: Feature::SkillMcpDependencyInstall,
        key: "skill_mcp_dependency_install",
        default: true,
        ..ROW
    },
    FeatureRow {
        feature: Feature::UnboundedConnectionRetries,
        key: "unbounded_connection_retries",
        ..ROW
    },
];

impl FeatureRow {
    /// Returns older keys of `[features]`.
    #[cfg(test)]
    pub(crate) fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }
}

impl Feature {
    /// Returns the whole table.
    pub fn table() -> &'static [FeatureRow] {
        TABLE
    }

    /// Returns every key of `[features]`, older spellings not included.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.key)
    }

    /// Returns every older key outside of `[features]`, as a path, with the key that replaces it.
    #[cfg(test)]
    pub(crate) fn legacy_keys() -> impl Iterator<Item = (&'static [&'static str], &'static str)> {
        TABLE
            .iter()
            .flat_map(|row| row.legacy.iter().map(|path| (*path, row.key)))
    }

    /// Finds a row by its key or an older spelling of it.
    pub fn from_key(key: &str) -> Option<&'static FeatureRow> {
        TABLE
            .iter()
            .find(|row| row.key == key || row.aliases.contains(&key))
    }
}

/// The state of one feature and who decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    on: bool,
    source: &'static str,
}

/// The state of every feature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    set: BTreeMap<Feature, State>,
}

impl Features {
    /// Returns whether a feature is on.
    pub fn enabled(&self, feature: Feature) -> bool {
        match self.set.get(&feature) {
            Some(state) => state.on,
            None => TABLE
                .iter()
                .any(|row| row.feature == feature && row.default),
        }
    }

    /// Lets the requirements have the last word; whoever else decided is told once.
    pub(crate) fn pin(&mut self, requirements: &Requirements, notices: &mut Vec<Notice>) {
        for row in TABLE {
            let Some((on, origin)) = requirements.feature(row.feature) else {
                continue;
            };
            let on = on && row.stage != Stage::Removed;
            let source = "requirements";
            let decided = self.set.get(&row.feature);
            if decided.is_some_and(|state| state.on != on && state.source != source) {
                notices.push(requirements::pin_notice(row, on, origin));
            }
            self.set.insert(row.feature, State { on, source });
        }
    }

    /// Returns who decided: `default`, or the word of a layer.
    pub fn source(&self, feature: Feature) -> &'static str {
        self.set
            .get(&feature)
            .map_or("default", |state| state.source)
    }
}

/// Resolves every feature and takes the legacy keys out of the tree, so that they are not "unknown".
pub(crate) fn resolve(
    merged: &mut Node,
    layers: &LayerStack,
    notices: &mut Vec<Notice>,
) -> Features {
    let mut features = Features::default();
    for row in TABLE {
        let mut decided: Option<Entry> = None;
        let mut decide = |entry: Entry, wins: fn(&Entry, &Entry, &LayerStack) -> bool| {
            let is_switch = entry.node.as_bool().is_some();
            if is_switch && decided.as_ref().is_none_or(|old| wins(&entry, old, layers)) {
                decided = Some(entry);
            }
        };
        for path in row.legacy {
            // `[tools] web_search` may be a table of its own settings; only a switch is meant here.
            let is_switch = merged
                .entry(path)
                .is_some_and(|entry| entry.node.as_bool().is_some());
            if let Some(entry) = is_switch.then(|| merged.unset(path)).flatten() {
                notices.push(notice(row, &path.join("."), &entry, layers));
                decide(entry, |_, _, _| true);
            }
        }
        for alias in row.aliases {
            if let Some(entry) = merged.unset(&["features", *alias]) {
                notices.push(notice(row, &format!("[features].{alias}"), &entry, layers));
                decide(entry, beats_legacy);
            }
        }
        if let Some(entry) = merged.entry(&["features", row.key]) {
            if row.notice.is_some() {
                notices.push(notice(
                    row,
                    &format!("[features].{}", row.key),
                    entry,
                    layers,
                ));
            }
            decide(
                entry.clone(),
                match row.aliases {
                    [] => beats_legacy,
                    _ => is_not_lower,
                },
            );
        }
        if let Some((entry, on)) =
            decided.and_then(|entry| entry.node.as_bool().map(|on| (entry, on)))
        {
            let on = on && row.stage != Stage::Removed;
            let source = layers.place(entry.key_at).layer.word();
            features.set.insert(row.feature, State { on, source });
        }
    }
    features
}

/// `[features]` beats a legacy key of its own group of layers and of a lower one.
fn beats_legacy(entry: &Entry, legacy: &Entry, layers: &LayerStack) -> bool {
    let is_high = |entry: &Entry| layers.place(entry.key_at).layer.beats_files();
    is_high(entry) || !is_high(legacy)
}

/// The newer spelling beats the older one of the same layer and of lower ones.
fn is_not_lower(entry: &Entry, alias: &Entry, _: &LayerStack) -> bool {
    entry.key_at.layer >= alias.key_at.layer
}

impl FeatureRow {
    /// Returns what there is to say to somebody who uses the key: a sentence and what to do.
    pub fn retired(&self) -> Option<(String, &'static str)> {
        let (sentence, advice) = self.notice?;
        Some((format!("`[features].{}` {sentence}", self.key), advice))
    }
}

fn notice(row: &FeatureRow, spelled: &str, entry: &Entry, layers: &LayerStack) -> Notice {
    let (sentence, advice) = match row.notice {
        Some((sentence, advice)) => (format!("`{spelled}` {sentence}"), advice.to_owned()),
        None => (
            format!(
                "`{spelled}` is deprecated. Use `[features].{}` instead.",
                row.key
            ),
            format!(
                "Enable it with `--enable {0}` or `[features].{0}` in config.toml.",
                row.key
            ),
        ),
    };
    Notice::new(
        Severity::Deprecated,
        format!("{sentence}\n{advice}"),
        Some(layers.place(entry.key_at)),
    )
}

/// Returns the warning about features that are not complete, when one is on.
pub(crate) fn unstable(features: &Features, config_file: &str) -> Option<Notice> {
    let on: Vec<&str> = TABLE
        .iter()
        .filter(|row| row.stage == Stage::UnderDevelopment && features.enabled(row.feature))
        .map(|row| row.key)
        .collect();
    if on.is_empty() {
        return None;
    }
    Some(Notice::new(
        Severity::Warning,
        unstable_text(&on.join(", "), config_file),
        None,
    ))
}

/// Returns the sentence about features that are not complete.
pub fn unstable_text(keys: &str, config_file: &str) -> String {
    format!(
        "Under-development features enabled: {keys}. Under-development features are incomplete and may behave \
         unpredictably. To suppress this warning, set `suppress_unstable_features_warning = true` in {config_file}."
    )
}

/// Every key of the table, for "did you mean".
pub(crate) const KEYS: &[&str] = &{
    let mut keys = [""; TABLE.len()];
    let mut n = 0;
    while n < TABLE.len() {
        keys[n] = TABLE[n].key;
        n += 1;
    }
    keys
};
