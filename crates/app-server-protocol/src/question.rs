//! Requests of ours to the client: what it is asked, and what it may answer.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::item::command_actions;

/// A request of ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "method", content = "params")]
#[expect(missing_docs, reason = "a variant is its method")]
pub enum ServerRequest {
    #[serde(rename = "item/commandExecution/requestApproval")]
    CommandExecutionApproval(CommandExecutionApproval),
    #[serde(rename = "item/fileChange/requestApproval")]
    FileChangeApproval(FileChangeApproval),
    #[serde(rename = "mcpServer/elicitation/request")]
    Elicitation(Box<Elicitation>),
}

/// May a command run?
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are those of the documentation")]
pub struct CommandExecutionApproval {
    pub kind: &'static str,
    pub thread_id: String,
    pub turn_id: String,
    pub item_id: String,
    pub started_at_ms: i64,
    pub environment_id: &'static str,
    pub reason: Option<String>,
    pub command: String,
    pub cwd: String,
    pub command_actions: Vec<Value>,
    pub proposed_execpolicy_amendment: Vec<Value>,
    pub available_decisions: Vec<&'static str>,
}

impl CommandExecutionApproval {
    /// Asks about a command in a directory.
    pub fn new(place: ItemPlace, command: String, cwd: String, reason: String) -> Self {
        Self {
            kind: "command",
            thread_id: place.thread_id,
            turn_id: place.turn_id,
            item_id: place.item_id,
            started_at_ms: place.started_at_ms,
            environment_id: "local",
            reason: Some(reason),
            command_actions: command_actions(&command),
            command,
            cwd,
            proposed_execpolicy_amendment: Vec::new(),
            available_decisions: vec!["accept", "acceptForSession", "decline", "cancel"],
        }
    }
}

/// Which item is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPlace {
    /// Its thread.
    pub thread_id: String,
    /// Its turn.
    pub turn_id: String,
    /// Its id.
    pub item_id: String,
    /// When it began.
    pub started_at_ms: i64,
}

/// May a patch be applied?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are those of the documentation")]
pub struct FileChangeApproval {
    pub thread_id: String,
    pub turn_id: String,
    pub item_id: String,
    pub started_at_ms: i64,
    pub reason: Option<String>,
    pub grant_root: Option<String>,
}

/// A question of a server, or about a tool of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are those of the documentation")]
pub struct Elicitation {
    pub thread_id: String,
    pub turn_id: Option<String>,
    pub server_name: String,
    #[serde(flatten)]
    pub mode: ElicitationMode,
    pub message: String,
    #[serde(rename = "_meta")]
    pub meta: Option<Value>,
}

/// The form of a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(
    tag = "mode",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ElicitationMode {
    /// Fields to fill in.
    Form {
        /// What they are.
        requested_schema: Value,
    },
    /// A page to visit.
    Url {
        /// Its address.
        url: String,
        /// Its name.
        elicitation_id: Option<String>,
    },
}

/// The tool that somebody has to allow.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolApproval<'a> {
    /// Its server.
    pub server: &'a str,
    /// Its name.
    pub tool: &'a str,
    /// What the server says about it.
    pub description: Option<&'a str>,
    /// What the server claims about its effects.
    pub annotations: Value,
    /// Its arguments.
    pub arguments: &'a Value,
}

impl ToolApproval<'_> {
    /// Asks about a tool.
    pub fn question(&self, thread_id: String, turn_id: Option<String>) -> Elicitation {
        let (server, tool) = (self.server, self.tool);
        let params = self.arguments.as_object();
        let shown = params.into_iter().flatten().map(|(name, value)| {
            BTreeMap::from([
                ("name", json!(name)),
                ("display_name", json!(name)),
                ("value", value.clone()),
            ])
        });
        let shown: Vec<_> = shown.collect();
        Elicitation {
            thread_id,
            turn_id,
            server_name: server.to_owned(),
            mode: ElicitationMode::Form {
                requested_schema: json!({"type": "object", "properties": {}}),
            },
            message: format!("Allow the {server} MCP server to run tool \"{tool}\"?"),
            meta: Some(json!({
                "codex_approval_kind": "mcp_tool_call",
                "persist": ["session", "always"],
                "tool_name": tool,
                "tool_description": self.description,
                "tool_annotations": self.annotations,
                "tool_params": self.arguments,
                "tool_params_display": shown,
            })),
        }
    }
}

/// What a client says to a command or a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Accept,
    /// Yes, and to the same again.
    AcceptForSession,
    /// No.
    Decline,
    /// No, and no more of this turn.
    Cancel,
}

impl Decision {
    /// Reads an answer; one that cannot be read, or is an error, is a no.
    pub fn read(result: Option<&Value>) -> Self {
        let decision = result.and_then(|result| result.get("decision"));
        match decision {
            Some(Value::String(word)) => match word.as_str() {
                "accept" => Self::Accept,
                "acceptForSession" => Self::AcceptForSession,
                "cancel" => Self::Cancel,
                _ => Self::Decline,
            },
            // An amendment is not offered: who sends one has said yes to this once.
            Some(Value::Object(object)) if object.contains_key("acceptWithExecpolicyAmendment") => {
                Self::Accept
            }
            _ => Self::Decline,
        }
    }
}

/// What a client says to a question of a server.
#[derive(Debug, Clone, PartialEq)]
pub enum ElicitationAnswer {
    /// Yes.
    Accept {
        /// The fields.
        content: Value,
        /// For how long.
        persist: Option<Persist>,
    },
    /// No.
    Decline,
    /// The question was closed.
    Cancel,
}

/// For how long a tool is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persist {
    /// As long as the thread lives.
    Session,
    /// For ever: it is written into the settings.
    Always,
}

impl ElicitationAnswer {
    /// Reads an answer; one that cannot be read, or is an error, is a no.
    pub fn read(result: Option<&Value>) -> Self {
        let Some(result) = result else {
            return Self::Decline;
        };
        match result["action"].as_str() {
            Some("accept") => Self::Accept {
                content: result["content"].clone(),
                persist: match result["_meta"]["persist"].as_str() {
                    Some("session") => Some(Persist::Session),
                    Some("always") => Some(Persist::Always),
                    _ => None,
                },
            },
            Some("cancel") => Self::Cancel,
            _ => Self::Decline,
        }
    }
}

/// Params of `serverRequest/resolved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerRequestResolved {
    /// The thread.
    pub thread_id: String,
    /// The request.
    pub request_id: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_clear_yes_is_a_no() {
        let decision = |value: Value| Decision::read(Some(&value));
        assert_eq!(decision(json!({"decision": "accept"})), Decision::Accept);
        assert_eq!(
            decision(json!({"decision": "acceptForSession"})),
            Decision::AcceptForSession
        );
        let amended =
            json!({"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": []}}});
        assert_eq!(decision(amended), Decision::Accept);
        assert_eq!(decision(json!({"decision": "cancel"})), Decision::Cancel);
        for lame in [
            json!({"decision": "yes"}),
            json!({}),
            json!(null),
            json!({"decision": true}),
        ] {
            assert_eq!(decision(lame), Decision::Decline);
        }
        assert_eq!(Decision::read(None), Decision::Decline);
        for lame in [json!({"action": "yes"}), json!(null), json!("accept")] {
            assert_eq!(
                ElicitationAnswer::read(Some(&lame)),
                ElicitationAnswer::Decline
            );
        }
    }
}
