//! How other MCP clients write their servers down.

pub(crate) mod jsonc;
pub(crate) mod template;

use std::path::Path;

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::error::CliError;

/// The format of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// `.mcp.json`.
    McpJson,
    /// `.vscode/mcp.json`.
    Vscode,
    /// `.cursor/mcp.json`.
    Cursor,
    /// `claude_desktop_config.json`.
    ClaudeDesktop,
}

impl Dialect {
    /// Returns the word of the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::McpJson => "mcp-json",
            Self::Vscode => "vscode",
            Self::Cursor => "cursor",
            Self::ClaudeDesktop => "claude-desktop",
        }
    }

    /// Returns the key that holds the servers.
    pub(crate) fn root(self) -> &'static str {
        match self {
            Self::Vscode => "servers",
            Self::McpJson | Self::Cursor | Self::ClaudeDesktop => "mcpServers",
        }
    }

    /// Whether variables are spelled `${env:NAME}`, and folders have names of their own.
    pub(crate) fn is_of_an_editor(self) -> bool {
        matches!(self, Self::Vscode | Self::Cursor)
    }

    /// Guesses from where a file lies and then from what is in it.
    pub(crate) fn guess(path: Option<&Path>, document: &Map<String, Value>) -> Self {
        let text = path.map(|path| path.to_string_lossy().replace('\\', "/"));
        let ends = |end: &str| text.as_ref().is_some_and(|text| text.ends_with(end));
        if ends(".vscode/mcp.json") {
            Self::Vscode
        } else if ends(".cursor/mcp.json") {
            Self::Cursor
        } else if ends("claude_desktop_config.json") {
            Self::ClaudeDesktop
        } else if document.contains_key("servers") && !document.contains_key("mcpServers") {
            Self::Vscode
        } else {
            Self::McpJson
        }
    }

    /// Takes the servers out of a document, or names the key that stands there instead.
    pub(crate) fn servers(
        self,
        mut document: Map<String, Value>,
    ) -> Result<Map<String, Value>, CliError> {
        let root = self.root();
        match document.remove(root) {
            Some(Value::Object(servers)) => return Ok(servers),
            Some(_) => {
                return Err(CliError::new(format!(
                    "`{root}` must be an object of servers"
                )));
            }
            None => {}
        }
        let error = CliError::new(format!("the file has no `{root}`"));
        let looks = |key: &str, whose: &str, word: &str| {
            let cause = format!("this looks like {whose} `{key}`");
            (document.contains_key(key)).then(|| (cause, format!("use `--from {word}`")))
        };
        let found = looks("servers", "VS Code's", "vscode")
            .or_else(|| looks("mcpServers", "the", "mcp-json"));
        Err(match found {
            Some((cause, hint)) => error.cause(cause).hint(hint),
            None => error,
        })
    }
}
