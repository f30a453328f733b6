//! Which servers of projects the user approved, one by one: `$CODEX_HOME/mcp-trust.json`.
//!
//! An approval holds for one server of one file as it stood then: it is bound to a hash of everything
//! that decides what runs, where requests go or what needs no question. Whatever is not known to be
//! harmless is part of it, so that a new key is covered from its first day.

use codex_host::{CodexHome, FileLock, LockError, PrivateFile, WriteError, read_bounded};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::edit::{LOCK_FILE, LOCK_LIMIT};
use crate::layers::hex;
use crate::mcp::convert;
use crate::tree::{Node, NodeValue};
use crate::{McpServerConfig, McpTransport, ToolSettings};

const FILE: &str = "mcp-trust.json";
/// Thousands of approvals.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why an approval was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The file is there and cannot be read; it is not replaced.
    #[error("cannot read `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// Another process holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The approvals of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpApprovals {
    approved: Vec<Approval>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Approval {
    file: String,
    server: String,
    sha256: String,
}

impl McpApprovals {
    /// Reads the approvals; a missing file is none.
    pub fn read(home: &CodexHome) -> Result<Self, ApprovalError> {
        let path = home.join(FILE);
        let unreadable = |why: String| ApprovalError::Unreadable {
            path: path.to_string(),
            why,
        };
        let bytes =
            read_bounded(&path, MAX_BYTES).map_err(|error| unreadable(error.to_string()))?;
        match bytes {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
            }
            None => Ok(Self::default()),
        }
    }

    /// Returns whether this server of this file was approved as it stands.
    pub fn holds(&self, server: &McpServerConfig, file: &str) -> bool {
        self.approved.contains(&Approval::of(server, file))
    }

    /// Approves a server as it stands; an older approval of it ends. Blocks for at most ten seconds.
    pub fn approve(
        home: &CodexHome,
        server: &McpServerConfig,
        file: &str,
    ) -> Result<(), ApprovalError> {
        let _lock = FileLock::acquire(&home.join(LOCK_FILE), LOCK_LIMIT)?;
        let mut all = Self::read(home)?;
        let new = Approval::of(server, file);
        all.approved
            .retain(|old| (&old.file, &old.server) != (&new.file, &new.server));
        all.approved.push(new);
        let text =
            serde_json::to_string_pretty(&all).map_err(|error| ApprovalError::Unreadable {
                path: FILE.to_owned(),
                why: error.to_string(),
            })?;
        Ok(PrivateFile::replace(
            &home.join(FILE),
            format!("{text}\n").as_bytes(),
        )?)
    }
}

impl Approval {
    fn of(server: &McpServerConfig, file: &str) -> Self {
        Self {
            file: file.to_owned(),
            server: server.name.as_str().to_owned(),
            sha256: fingerprint(server),
        }
    }
}

/// Hashes what a server is, without what is only said about it.
fn fingerprint(server: &McpServerConfig) -> String {
    let mut raw = convert::to_raw(server);
    raw.name = None;
    raw.enabled = None;
    raw.required = None;
    raw.scopes = None;
    raw.startup_timeout_sec = None;
    raw.startup_timeout_ms = None;
    raw.tool_timeout_sec = None;
    raw.enabled_tools = None;
    raw.disabled_tools = None;
    raw.supports_parallel_tool_calls = None;
    raw.tool_input_schema_max_bytes = None;
    raw.startup_readiness = None;
    if let Some(tools) = &mut raw.tools {
        tools
            .values_mut()
            .for_each(|tool| tool.output_token_limit = None);
        tools.retain(|_, tool| *tool != ToolSettings::default());
    }
    raw.tools = raw.tools.filter(|tools| !tools.is_empty());
    let mut hash = Sha256::new();
    match convert::to_node(&raw) {
        Some(node) => feed(&node, &mut hash),
        // Equal to no hash of a server.
        None => hash.update(b"unprintable"),
    }
    if let McpTransport::Stdio(stdio) = &server.transport
        && let Some(base) = &stdio.cwd_base
    {
        feed_text(&base.to_string_lossy(), &mut hash);
    }
    hex(&hash.finalize())
}

/// Feeds a value so that no two different ones give the same bytes; the order of keys does not matter.
fn feed(node: &Node, hash: &mut Sha256) {
    match &node.value {
        NodeValue::String(text) => feed_tagged(b's', text, hash),
        NodeValue::Integer(number) => feed_tagged(b'i', &number.to_string(), hash),
        NodeValue::Float(number) => feed_tagged(b'f', &number.to_bits().to_string(), hash),
        NodeValue::Boolean(value) => feed_tagged(b'b', &value.to_string(), hash),
        NodeValue::Datetime(text) => feed_tagged(b'd', text, hash),
        NodeValue::Array(items) => {
            feed_tagged(b'a', &items.len().to_string(), hash);
            items.iter().for_each(|item| feed(item, hash));
        }
        NodeValue::Table(table) => {
            feed_tagged(b't', &table.0.len().to_string(), hash);
            let mut entries: Vec<_> = table.0.iter().collect();
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            for entry in entries {
                feed_text(&entry.key, hash);
                feed(&entry.node, hash);
            }
        }
    }
}

fn feed_tagged(tag: u8, text: &str, hash: &mut Sha256) {
    hash.update([tag]);
    feed_text(text, hash);
}

fn feed_text(text: &str, hash: &mut Sha256) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}
