//! Questions: what a person has to allow, and what servers ask.

use std::collections::BTreeMap;

use codex_app_server_protocol::{
    ActiveFlag, ApprovalsReviewer, CommandExecutionApproval, Decision, Elicitation,
    ElicitationAnswer, ElicitationMode, FileChangeApproval, ItemPlace, Persist, ServerNotification,
    ServerRequest, ServerRequestResolved, ThreadStatus, ToolApproval,
};
use codex_config::ConfigFile;
use codex_mcp::{Elicitation as Asking, ElicitationReply, ElicitationRequest};
use codex_protocol::{ApprovalDecision, ApprovalId, ApprovalRequest, ApprovalSubject, Op, ToolRef};
use codex_runtime::Loaded;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::Room;
use crate::asked::{Asked, Reply};
use crate::blocking::blocking;
use crate::warnings::sentence;

/// What is said once when there is no one to review.
const NO_REVIEWER: &str = "there is no reviewing model here: what needs approval is declined";

/// Why a tool is not allowed for ever.
const ITS_ARGUMENTS: &str = "its `approve_when` says which calls need no approval; to allow every call set \
     `approval_mode = \"approve\"` in its place";

/// The open questions of a thread.
pub(super) struct Questions {
    asked: Asked,
    replies: mpsc::Sender<Reply>,
    open: BTreeMap<i64, Open>,
    /// That nobody reviews was said.
    is_told: bool,
}

enum Open {
    Item(ApprovalId),
    Tool(ApprovalId, ToolRef),
    Server(oneshot::Sender<ElicitationReply>),
}

impl Questions {
    pub(super) fn new(asked: Asked, replies: mpsc::Sender<Reply>) -> Self {
        Self {
            asked,
            replies,
            open: BTreeMap::new(),
            is_told: false,
        }
    }

    fn flags(&self) -> Vec<ActiveFlag> {
        let is_approval = |open: &&Open| !matches!(open, Open::Server(_));
        let n_approvals = self.open.values().filter(is_approval).count();
        let mut flags = Vec::new();
        if n_approvals > 0 {
            flags.push(ActiveFlag::WaitingOnApproval);
        }
        if n_approvals < self.open.len() {
            flags.push(ActiveFlag::WaitingOnUserInput);
        }
        flags
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        for id in self.open.keys() {
            self.asked.withdraw(*id);
        }
    }
}

impl Room {
    /// Asks the client, or says no for it where it wants a reviewer that is not here.
    pub(super) async fn on_approval(&mut self, request: ApprovalRequest) {
        if self.reviewer != ApprovalsReviewer::User {
            if !std::mem::replace(&mut self.questions.is_told, true) {
                self.warn(NO_REVIEWER.to_owned()).await;
            }
            return self.decide(request.id, ApprovalDecision::Decline).await;
        }
        let turn_id = self.turn.as_ref().map(|turn| turn.id.clone());
        let item = self.telling.place(request.item);
        let place = ItemPlace {
            thread_id: self.id.clone(),
            turn_id: turn_id.clone().unwrap_or_default(),
            item_id: item.0,
            started_at_ms: item.1,
        };
        let (open, request) = match request.subject {
            ApprovalSubject::Command { command, cwd } => {
                let cwd = cwd.display().to_string();
                let asked = CommandExecutionApproval::new(place, command, cwd, request.reason);
                (
                    Open::Item(request.id),
                    ServerRequest::CommandExecutionApproval(asked),
                )
            }
            ApprovalSubject::Patch => {
                let asked = FileChangeApproval {
                    thread_id: place.thread_id,
                    turn_id: place.turn_id,
                    item_id: place.item_id,
                    started_at_ms: place.started_at_ms,
                    reason: Some(request.reason),
                    grant_root: None,
                };
                (
                    Open::Item(request.id),
                    ServerRequest::FileChangeApproval(asked),
                )
            }
            ApprovalSubject::McpTool {
                tool,
                description,
                annotations,
                arguments,
            } => {
                let asked = ToolApproval {
                    server: tool.server.as_str(),
                    tool: &tool.tool,
                    description: description.as_deref(),
                    annotations: serde_json::to_value(&annotations).unwrap_or_default(),
                    arguments: &arguments,
                };
                let asked = Box::new(asked.question(self.id.clone(), turn_id));
                (
                    Open::Tool(request.id, tool),
                    ServerRequest::Elicitation(asked),
                )
            }
        };
        self.ask(open, request).await;
    }

    /// Hands a question of a server to the client.
    pub(super) async fn on_elicitation(&mut self, request: ElicitationRequest) {
        let (message, mode) = match request.question {
            Asking::Form { message, schema } => {
                let requested_schema = schema;
                (message, ElicitationMode::Form { requested_schema })
            }
            Asking::Url { message, url, id } => {
                let elicitation_id = id;
                let mode = ElicitationMode::Url {
                    url,
                    elicitation_id,
                };
                (message, mode)
            }
            // Dropping it declines.
            _ => return,
        };
        let elicitation = Elicitation {
            thread_id: self.id.clone(),
            turn_id: self.turn.as_ref().map(|turn| turn.id.clone()),
            server_name: request.server.to_string(),
            mode,
            message,
            meta: None,
        };
        let asked = ServerRequest::Elicitation(Box::new(elicitation));
        self.ask(Open::Server(request.reply), asked).await;
    }

    async fn ask(&mut self, open: Open, request: ServerRequest) {
        let (asked, replies) = (self.questions.asked.clone(), self.questions.replies.clone());
        let before = self.questions.flags();
        // The status is told first, so that a client sees why it is asked.
        let id = asked.reserve(&replies);
        self.questions.open.insert(id, open);
        self.tell_flags(before).await;
        asked.ask(id, request).await;
    }

    /// Takes an answer of the client.
    pub(super) async fn on_reply(&mut self, Reply { id, result }: Reply) {
        let before = self.questions.flags();
        let Some(open) = self.questions.open.remove(&id) else {
            return;
        };
        match open {
            Open::Item(approval) => {
                let decision = match Decision::read(result.as_ref()) {
                    Decision::Accept => ApprovalDecision::Accept,
                    Decision::AcceptForSession => ApprovalDecision::AcceptForSession,
                    Decision::Decline => ApprovalDecision::Decline,
                    Decision::Cancel => ApprovalDecision::Cancel,
                };
                // It is settled when the engine says so.
                self.questions.open.insert(id, Open::Item(approval));
                self.decide(approval, decision).await;
            }
            Open::Tool(approval, tool) => {
                let decision = self.tool_decision(&tool, result.as_ref()).await;
                self.questions.open.insert(id, Open::Tool(approval, tool));
                self.decide(approval, decision).await;
            }
            Open::Server(reply) => {
                let answer = match ElicitationAnswer::read(result.as_ref()) {
                    ElicitationAnswer::Accept { content, .. } => {
                        let content = match content {
                            Value::Object(content) => content,
                            _ => serde_json::Map::new(),
                        };
                        ElicitationReply::Accept(content)
                    }
                    ElicitationAnswer::Decline => ElicitationReply::Decline,
                    ElicitationAnswer::Cancel => ElicitationReply::Cancel,
                };
                // The server may have withdrawn its question.
                let _ = reply.send(answer);
                self.resolved(id).await;
                self.tell_flags(before).await;
            }
        }
    }

    async fn tool_decision(&mut self, tool: &ToolRef, result: Option<&Value>) -> ApprovalDecision {
        match ElicitationAnswer::read(result) {
            ElicitationAnswer::Accept { persist: None, .. } => ApprovalDecision::Accept,
            ElicitationAnswer::Accept {
                persist: Some(Persist::Session),
                ..
            } => ApprovalDecision::AcceptForSession,
            ElicitationAnswer::Accept {
                persist: Some(Persist::Always),
                ..
            } => {
                self.allow_always(tool).await;
                ApprovalDecision::AcceptForSession
            }
            ElicitationAnswer::Decline => ApprovalDecision::Decline,
            ElicitationAnswer::Cancel => ApprovalDecision::Cancel,
        }
    }

    /// Writes down that a tool needs no approval any more; that it could not is told.
    async fn allow_always(&mut self, tool: &ToolRef) {
        let (loaded, wanted) = (self.loaded.clone(), tool.clone());
        let written = blocking(move || write_approval(&loaded, &wanted)).await;
        let why = match written {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(fault) => fault.message,
        };
        self.warn(format!("`{tool}` is allowed in this thread only: {why}"))
            .await;
    }

    /// A question that needs no answer any more.
    pub(super) async fn on_resolved(&mut self, settled: ApprovalId) {
        let before = self.questions.flags();
        let found = self
            .questions
            .open
            .iter()
            .find_map(|(id, open)| match open {
                Open::Item(approval) | Open::Tool(approval, _) if *approval == settled => Some(*id),
                Open::Item(_) | Open::Tool(..) | Open::Server(_) => None,
            });
        let Some(id) = found else {
            return;
        };
        self.questions.open.remove(&id);
        self.questions.asked.withdraw(id);
        self.resolved(id).await;
        self.tell_flags(before).await;
    }

    /// Closes the questions of servers that a turn leaves behind.
    pub(super) async fn close_questions(&mut self) {
        let is_server = |open: &Open| matches!(open, Open::Server(_));
        let left: Vec<i64> = self
            .questions
            .open
            .iter()
            .filter(|(_, open)| is_server(open))
            .map(|(id, _)| *id)
            .collect();
        for id in left {
            self.questions.asked.withdraw(id);
            if let Some(Open::Server(reply)) = self.questions.open.remove(&id) {
                let _ = reply.send(ElicitationReply::Cancel);
            }
            self.resolved(id).await;
        }
    }

    async fn resolved(&self, request_id: i64) {
        let resolved = ServerRequestResolved {
            thread_id: self.id.clone(),
            request_id,
        };
        self.notify(ServerNotification::ServerRequestResolved(resolved))
            .await;
    }

    async fn tell_flags(&self, before: Vec<ActiveFlag>) {
        let active_flags = self.questions.flags();
        if self.turn.is_some() && active_flags != before {
            let status = self.status(ThreadStatus::Active { active_flags });
            self.notify(status).await;
        }
    }

    async fn decide(&self, id: ApprovalId, decision: ApprovalDecision) {
        // Without an engine nobody waits for the answer.
        let _ = self.ops.send(Op::Decide { id, decision }).await;
    }
}

/// Blocks.
fn write_approval(loaded: &Loaded, tool: &ToolRef) -> Result<(), String> {
    let server = loaded.config.mcp_servers.get(&tool.server);
    if server.is_some_and(|server| server.approve_when(&tool.tool).is_some()) {
        return Err(ITS_ARGUMENTS.to_owned());
    }
    let write = || {
        let mut file = ConfigFile::open(&loaded.home)?;
        let key = [
            "mcp_servers",
            tool.server.as_str(),
            "tools",
            &tool.tool,
            "approval_mode",
        ];
        let key: Vec<String> = key.iter().map(|key| (*key).to_owned()).collect();
        file.set_value(&key, &codex_config::TomlValue::from("approve"))?;
        // The file may have been changed meanwhile.
        file.save_checked(&loaded.layers)
    };
    write()
        .map(drop)
        .map_err(|error: codex_config::EditError| sentence(&error))
}
