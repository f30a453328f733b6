//! Questions that calls wait for: may this run?
//!
//! A call asks here and waits; the actor hands the answers in. What a person allowed for the rest of
//! the thread is remembered here, so that the same is not asked again. Where no frontend asks, nobody
//! waits: the call is refused.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_protocol::{
    ApprovalDecision, ApprovalId, ApprovalRequest, ApprovalSubject, EventKind, ItemId, ServerName,
    ToolRef,
};
use codex_tools::request::CommandRequest;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::approvals::{Approved, AskedBy, CommandFacts, Ground};
use crate::events::EventSink;
use crate::settings::Asking;

/// The questions of a thread; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Questions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    asking: Asking,
    last_id: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<ApprovalId, Open>,
    commands: Approved,
    tools: HashSet<ToolRef>,
    files: HashMap<Ground, HashSet<PathBuf>>,
}

/// A question without an answer.
#[derive(Debug)]
struct Open {
    reply: oneshot::Sender<ApprovalDecision>,
    /// Cancelling it ends the turn too.
    ends_turn: bool,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    /// And the same for the rest of the thread.
    AllowedForSession,
    Declined,
    /// Declined, and more is not wanted.
    Cancelled,
    /// The turn ended first.
    Interrupted,
}

impl Questions {
    pub(crate) fn new(asking: Asking) -> Self {
        Self(Arc::new(Inner {
            asking,
            last_id: AtomicU64::new(0),
            state: Mutex::default(),
        }))
    }

    /// Whether a frontend is there to ask.
    pub(crate) fn can_ask(&self) -> bool {
        self.0.asking == Asking::Frontend
    }

    /// Asks and waits; the question is over when this returns, for the frontend too.
    pub(crate) async fn ask(
        &self,
        events: &EventSink,
        item: ItemId,
        (subject, why): (ApprovalSubject, AskedBy),
        cancel: &CancellationToken,
    ) -> Answer {
        let id = ApprovalId(self.0.last_id.fetch_add(1, Ordering::Relaxed));
        let (reply, mut answer) = oneshot::channel();
        let ends_turn = !matches!(subject, ApprovalSubject::McpTool { .. });
        self.lock().open.insert(id, Open { reply, ends_turn });
        let request = ApprovalRequest {
            id,
            item,
            subject,
            reason: why.to_string(),
        };
        events
            .emit(EventKind::ApprovalRequested(Box::new(request)))
            .await;
        let decision = tokio::select! {
            biased;
            // Nothing begins in a turn that has ended, but the no that ended it counts as one.
            () = cancel.cancelled() => match answer.try_recv() {
                Ok(ApprovalDecision::Cancel) => Some(ApprovalDecision::Cancel),
                Ok(_) | Err(_) => None,
            },
            decision = &mut answer => Some(decision.unwrap_or(ApprovalDecision::Decline)),
        };
        self.lock().open.remove(&id);
        events.emit(EventKind::ApprovalResolved(id)).await;
        match decision {
            Some(ApprovalDecision::Accept) => Answer::Allowed,
            Some(ApprovalDecision::AcceptForSession) => Answer::AllowedForSession,
            Some(ApprovalDecision::Decline) => Answer::Declined,
            Some(ApprovalDecision::Cancel) => Answer::Cancelled,
            None => Answer::Interrupted,
        }
    }

    /// Hands an answer in; whether the turn is to end.
    pub(crate) fn decide(&self, id: ApprovalId, decision: ApprovalDecision) -> bool {
        let Some(Open { reply, ends_turn }) = self.lock().open.remove(&id) else {
            return false;
        };
        // The call may have been cut short meanwhile.
        let is_taken = reply.send(decision).is_ok();
        is_taken && ends_turn && decision == ApprovalDecision::Cancel
    }

    /// Reads a request for a command with what is remembered.
    pub(crate) fn facts(
        &self,
        request: &CommandRequest,
        dir: &Path,
        ground: Ground,
    ) -> CommandFacts {
        CommandFacts::of(request, dir, ground, &self.lock().commands)
    }

    pub(crate) fn remember_command(&self, request: &CommandRequest, dir: &Path, ground: Ground) {
        self.lock().commands.remember(request, dir, ground);
    }

    pub(crate) fn holds_tool(&self, tool: &ToolRef) -> bool {
        self.lock().tools.contains(tool)
    }

    pub(crate) fn remember_tool(&self, tool: &ToolRef) {
        self.lock().tools.insert(tool.clone());
    }

    /// What was allowed of a server that is another one now counts no more.
    pub(crate) fn forget_server(&self, server: &ServerName) {
        self.lock().tools.retain(|tool| tool.server != *server);
    }

    /// Whether each of these files may be changed without a question.
    pub(crate) fn holds_files<'f>(
        &self,
        ground: &Ground,
        mut files: impl Iterator<Item = &'f Path>,
    ) -> bool {
        let state = self.lock();
        let known = state.files.get(ground);
        known.is_some_and(|known| files.all(|file| known.contains(file)))
    }

    pub(crate) fn remember_files<'f>(&self, ground: Ground, files: impl Iterator<Item = &'f Path>) {
        let mut state = self.lock();
        let known = state.files.entry(ground).or_default();
        known.extend(files.map(Path::to_owned));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
