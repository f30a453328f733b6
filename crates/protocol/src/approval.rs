//! Questions to the user: may this run?

use std::path::PathBuf;

use serde_json::Value;

use crate::{ItemId, ToolAnnotations, ToolRef};

/// Names one question within a thread of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalId(pub u64);

/// One question. Its item has begun and waits for the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRequest {
    /// Its name.
    pub id: ApprovalId,
    /// The item that waits.
    pub item: ItemId,
    /// What is to run.
    pub subject: ApprovalSubject,
    /// Why somebody is asked, as a sentence.
    pub reason: String,
}

/// What is to run.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalSubject {
    /// A command.
    Command {
        /// The command line as the item shows it.
        command: String,
        /// Where it is to run.
        cwd: PathBuf,
    },
    /// The patch that the item shows.
    Patch,
    /// A tool of an MCP server.
    McpTool {
        /// The tool.
        tool: ToolRef,
        /// What the server says that it does; untrusted text.
        description: Option<String>,
        /// What the server claims about its effects.
        annotations: ToolAnnotations,
        /// With what it is called.
        arguments: Value,
    },
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalDecision {
    /// It may run.
    Accept,
    /// It may run, and the same again without a question while the thread lives.
    AcceptForSession,
    /// It may not; the turn goes on.
    Decline,
    /// It may not. After a command or a patch the turn ends too.
    Cancel,
}
