//! What a server says without being asked.

use serde_json::{Map, Value};
use tokio::sync::oneshot;

/// One thing that a server said on its own. The channel is bounded: when the reader is slow, logs are
/// dropped first and a list change is remembered, so that the connection never waits for its reader.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The list of tools may have changed.
    ToolListChanged,
    /// The list of resources may have changed.
    ResourceListChanged,
    /// The list of prompts may have changed.
    PromptListChanged,
    /// A line of log; untrusted text.
    Log {
        /// `debug` … `emergency`.
        level: String,
        /// The part of the server that speaks.
        logger: Option<String>,
        /// What it says.
        data: Value,
    },
    /// The server asks the user something. Dropping `reply` declines.
    Elicitation {
        /// What it asks.
        request: Elicitation,
        /// Where the answer goes.
        reply: oneshot::Sender<ElicitationReply>,
    },
}

/// A question to the user; everything in it is the server's text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Elicitation {
    /// A form.
    Form {
        /// Words above the form.
        message: String,
        /// Flat JSON schema of the fields.
        schema: Value,
    },
    /// A page to visit.
    Url {
        /// Why.
        message: String,
        /// Where. Never opened without the user's consent.
        url: String,
        /// Names the question, in revisions that have it.
        id: Option<String>,
    },
}

impl Elicitation {
    /// Returns the content that the form's own defaults make, when every required field has one;
    /// a URL has no content.
    pub fn default_content(&self) -> Option<Map<String, Value>> {
        match self {
            Self::Form { schema, .. } => crate::elicitation::default_content(schema),
            Self::Url { .. } => None,
        }
    }
}

/// The user's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ElicitationReply {
    /// Yes; defaults of the schema are filled in for fields that are left out.
    Accept(Map<String, Value>),
    /// No.
    Decline,
    /// The question was closed.
    Cancel,
}
