//! What a thread file consists of.
//!
//! The file is a wire format: keys are added, never renamed, and a kind of line that this version
//! does not know is read as [`RolloutLine::Unknown`] and left alone.

use std::path::PathBuf;

use codex_api_types::ResponseItem;
use codex_protocol::{AskForApproval, SandboxMode, ThreadId};
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RolloutLine {
    /// What the thread is; the first line.
    Meta(ThreadMeta),
    /// Under which settings the following turns run.
    Context(TurnContext),
    /// A turn began.
    TurnStarted,
    /// One item of the conversation, in the order in which the model sees it.
    Item {
        /// The item as the model's wire spells it.
        item: ResponseItem,
    },
    /// The conversation became too long: it goes on with these items instead of all before them.
    Compacted {
        /// The items as the model's wire spells them.
        items: Vec<ResponseItem>,
    },
    /// A turn ended.
    TurnEnded {
        /// How.
        end: TurnEnd,
        /// Why, when it did not end well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A line of a later version.
    #[serde(other)]
    Unknown,
}

/// What a thread is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadMeta {
    /// Version of the format; 1.
    pub version: u32,
    /// The thread.
    pub id: ThreadId,
    /// When it began, RFC 3339.
    pub created_at: String,
    /// Where it began.
    pub cwd: PathBuf,
    /// Which frontend began it, such as `codex_exec`.
    pub originator: String,
    /// The version of the program that began it.
    pub codex_version: String,
    /// Free text of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The first model.
    pub model: String,
    /// The first provider.
    pub provider: String,
    /// The thread whose history this one began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ThreadId>,
}

/// Under which settings turns run. Written before the first turn and after each change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnContext {
    /// The working directory.
    pub cwd: PathBuf,
    /// The model.
    pub model: String,
    /// When a person is asked.
    pub approval: AskForApproval,
    /// What commands may touch.
    pub sandbox: SandboxMode,
    /// What commands may write besides the working directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable_roots: Vec<PathBuf>,
    /// Whether commands may use the network in the sandbox.
    #[serde(default)]
    pub network_access: bool,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnEnd {
    /// Well.
    Completed,
    /// With an error.
    Failed,
    /// By its user.
    Interrupted,
}
