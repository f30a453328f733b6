//! Switches for behaviour that is not decided yet: one table, resolved by one function.

use std::collections::BTreeMap;

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
}

/// The state of every feature.
#[derive(Debug, Clone, Default)]
pub struct Features {
    set: BTreeMap<Feature, bool>,
}

impl Features {
    /// Returns whether a feature is on.
    pub fn enabled(&self, feature: Feature) -> bool {
        self.set.get(&feature).copied().unwrap_or_default()
    }
}
