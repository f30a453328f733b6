//! Questions of a server to the user: answered here, or handed to the frontend.

use codex_protocol::ServerName;
use codex_rmcp_client::{Elicitation, ElicitationReply};
use tokio::sync::oneshot;

use crate::notice::McpNotice;
use crate::settings::{ElicitationPolicy, ElicitationRequest};

/// Answers a question or hands it on; returns what the user should hear of that.
pub(super) fn answer(
    policy: &ElicitationPolicy,
    server: &ServerName,
    question: Elicitation,
    reply: oneshot::Sender<ElicitationReply>,
) -> Option<McpNotice> {
    let message = match &question {
        Elicitation::Form { message, .. } | Elicitation::Url { message, .. } => message.clone(),
        _ => String::new(),
    };
    let why = match policy {
        ElicitationPolicy::Decline(why) => why,
        ElicitationPolicy::AcceptEmptyForms(_) if is_empty_form(&question) => {
            // The server may have withdrawn its question.
            let _ = reply.send(ElicitationReply::Accept(serde_json::Map::new()));
            return None;
        }
        ElicitationPolicy::AcceptEmptyForms(why) => why,
        ElicitationPolicy::Ask(frontend) => {
            let request = ElicitationRequest {
                server: server.clone(),
                question,
                reply,
            };
            // A question that is not taken is dropped, and so declined.
            let taken = frontend.try_send(request);
            return taken
                .err()
                .map(|_| McpNotice::declined(server, &message, "nobody could be asked"));
        }
    };
    // The server may have withdrawn its question; the notice stays true.
    let _ = reply.send(ElicitationReply::Decline);
    Some(McpNotice::declined(server, &message, why))
}

fn is_empty_form(question: &Elicitation) -> bool {
    let Elicitation::Form { schema, .. } = question else {
        return false;
    };
    match schema.get("properties") {
        None => true,
        Some(properties) => properties
            .as_object()
            .is_some_and(serde_json::Map::is_empty),
    }
}
