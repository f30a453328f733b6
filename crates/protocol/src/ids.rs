//! Ids as types, so that a server and a tool, or a thread and a call, cannot change places.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a thread id (a UUID is expected)")]
pub struct IdError(String);

/// Names one conversation; a UUID of version 7, so that ids sort by time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(Uuid);

impl ThreadId {
    /// Makes a new id from the clock and the random source of the operating system.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

/// Names one turn; made like the id of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(Uuid);

impl TurnId {
    /// Makes a new id from the clock and the random source of the operating system.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ThreadId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| IdError(text.to_owned()))
    }
}

/// Names one item within a thread of this process, counted from 0 in the order of first appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item_{}", self.0)
    }
}

/// The model's own name for one of its calls; its output carries the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub String);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a server name that `codex mcp add` accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid server name '{0}' (use letters, numbers, '-', '_', ':', '@', '/', '.')")]
pub struct ServerNameError(String);

/// The name of an MCP server as the user configured it.
///
/// Any TOML key is a name ([`ServerName::from_config`]); a name that is typed for `codex mcp add`
/// must pass the stricter [`ServerName::parse`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// Takes a key of the config file as it stands.
    pub fn from_config(key: &str) -> Self {
        Self(Arc::from(key))
    }

    /// Checks a name that is about to be written.
    pub fn parse(text: &str) -> Result<Self, ServerNameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_:@/.".contains(c);
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(ServerNameError(text.to_owned()));
        }
        Ok(Self(Arc::from(text)))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One tool of one server, by the raw names that server and user gave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolRef {
    /// The server that offers the tool.
    pub server: ServerName,
    /// The tool's name as the server spells it.
    pub tool: String,
}

impl fmt::Display for ToolRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_space_is_refused_with_the_allowed_characters() {
        assert_eq!(
            ServerName::parse("bad name").unwrap_err().to_string(),
            "invalid server name 'bad name' (use letters, numbers, '-', '_', ':', '@', '/', '.')"
        );
    }

    #[test]
    fn every_allowed_character_passes() {
        assert_eq!(
            ServerName::parse("aZ9-_:@/.").unwrap().as_str(),
            "aZ9-_:@/."
        );
        assert!(ServerName::parse("").is_err());
        assert!(ServerName::parse("ä").is_err());
    }

    #[test]
    fn a_thread_id_survives_its_text_form() {
        let id = ThreadId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("zebra".parse::<ThreadId>().is_err());
    }
}
