//! What a frontend asks of a thread.

use std::path::PathBuf;

use serde_json::Value;

/// One request to a thread.
#[derive(Debug, Clone)]
pub enum Op {
    /// Starts a turn.
    UserTurn {
        /// Images first, the prompt text last.
        input: Vec<UserInput>,
        /// JSON schema of the final message.
        output_schema: Option<Value>,
    },
    /// Ends the running turn; open items are completed before the turn event.
    Interrupt,
    /// Ends the thread: the turn, its children and the MCP servers.
    Shutdown,
}

/// One part of what the user sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserInput {
    /// Text.
    Text(String),
    /// A picture that the frontend has read and checked.
    Image {
        /// Where it was read, for the model's label.
        path: PathBuf,
        /// The picture as a `data:` URL.
        data_url: String,
    },
}
