//! Which of a server's tools the user wants: `enabled_tools` first, then `disabled_tools` takes away.

use codex_config::{McpServerConfig, ToolFilter};

use crate::notice::quoted;

/// What the user's filter says about a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterVerdict {
    /// It may be offered.
    On,
    /// It may not; the key that says so.
    Off(&'static str),
}

/// Judges a tool by its raw name.
pub fn judge_tool(filter: &ToolFilter, tool: &str) -> FilterVerdict {
    let names = |list: &[String]| list.iter().any(|name| name == tool);
    if filter
        .enabled
        .as_deref()
        .is_some_and(|enabled| !names(enabled))
    {
        return FilterVerdict::Off("enabled_tools");
    }
    if names(&filter.disabled) {
        return FilterVerdict::Off("disabled_tools");
    }
    FilterVerdict::On
}

/// Returns a sentence about the entries of the filter that match nothing, when there are any.
pub(crate) fn unmatched(
    config: &McpServerConfig,
    has_tool: impl Fn(&str) -> bool,
) -> Option<String> {
    let missing = |key: &str, list: Option<&[String]>| {
        let missing = list
            .unwrap_or_default()
            .iter()
            .filter(|name| !has_tool(name));
        let missing: Vec<String> = missing.map(|name| format!("`{}`", quoted(name))).collect();
        (!missing.is_empty()).then(|| format!("{} (in {key})", missing.join(", ")))
    };
    let parts: Vec<String> = [
        missing("enabled_tools", config.tools.enabled.as_deref()),
        missing("disabled_tools", Some(&config.tools.disabled)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let server = &config.name;
    (!parts.is_empty()).then(|| {
        format!(
            "MCP server `{server}` has no tool named {}",
            parts.join(", ")
        )
    })
}
