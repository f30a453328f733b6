//! Turns: what changes with them, how they begin and how they are interrupted.

use std::path::PathBuf;

use codex_app_server_protocol::{
    ApprovalsReviewer, Empty, Fault, ItemsView, SandboxPolicy, ServerNotification, ThreadSettings,
    ThreadSettingsUpdated, ThreadStatus, ThreadStatusChanged, Turn, TurnInterruptParams,
    TurnStartParams, TurnStartResponse, TurnStatus,
};
use codex_protocol::{AskForApproval, Op, ThreadChanges, TurnId};
use codex_runtime::{Loaded, Session};

use super::{Room, TurnPermit, reply};
use crate::rooms::MAX_TURNS;
use crate::ticket::Ticket;

/// How the thread goes on, as its client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Current {
    cwd: PathBuf,
    model: String,
    provider: String,
    approval: AskForApproval,
    pub(super) sandbox: codex_protocol::SandboxPolicy,
    effort: Option<String>,
    summary: Option<String>,
    pub(super) service_tier: Option<String>,
}

/// The turn that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: String,
    /// Frees its place when the turn ends.
    _permit: TurnPermit,
}

impl Current {
    pub(super) fn new(session: &Session, loaded: &Loaded) -> Self {
        let summary = &session.summary;
        Self {
            cwd: summary.cwd.clone(),
            model: summary.model.clone(),
            provider: summary.provider.clone(),
            approval: summary.approval,
            sandbox: summary.sandbox.clone(),
            effort: summary.reasoning_effort.clone(),
            summary: summary.reasoning_summary.clone(),
            service_tier: loaded.config.service_tier.clone(),
        }
    }

    fn change(&mut self, changes: ThreadChanges) {
        let ThreadChanges {
            cwd,
            model,
            reasoning_effort,
            reasoning_summary,
            service_tier,
            approval,
            sandbox,
        } = changes;
        self.cwd = cwd.unwrap_or(std::mem::take(&mut self.cwd));
        self.model = model.unwrap_or(std::mem::take(&mut self.model));
        self.effort = reasoning_effort.or(self.effort.take());
        self.summary = reasoning_summary.or(self.summary.take());
        self.service_tier = service_tier.or(self.service_tier.take());
        self.approval = approval.unwrap_or(self.approval);
        if let Some(sandbox) = sandbox {
            self.sandbox = sandbox;
        }
    }

    fn told(&self, reviewer: ApprovalsReviewer) -> ThreadSettings {
        ThreadSettings {
            cwd: self.cwd.display().to_string(),
            model: self.model.clone(),
            model_provider: self.provider.clone(),
            approval_policy: self.approval,
            approvals_reviewer: reviewer,
            sandbox_policy: SandboxPolicy::from(self.sandbox.clone()),
            effort: self.effort.clone(),
            summary: self.summary.clone(),
            service_tier: self.service_tier.clone(),
        }
    }
}

impl Room {
    pub(super) async fn start_turn(&mut self, params: TurnStartParams, ticket: Ticket) {
        let begun = self.prepare_turn(params).await;
        let (id, told) = match begun {
            Ok(begun) => begun,
            Err(fault) => return ticket.refuse(fault).await,
        };
        let turn = Turn {
            id,
            items: Vec::new(),
            items_view: ItemsView::NotLoaded,
            status: TurnStatus::InProgress,
            error: None,
            started_at: None,
            completed_at: None,
            duration_ms: None,
        };
        ticket.answer(&TurnStartResponse { turn }).await;
        for notification in told {
            self.notify(notification).await;
        }
    }

    /// Hands the turn to the engine; returns its id and what is told once that is answered.
    async fn prepare_turn(
        &mut self,
        params: TurnStartParams,
    ) -> Result<(String, Vec<ServerNotification>), Fault> {
        if let Some(running) = &self.turn {
            let text = format!("turn `{}` is still running; interrupt it first", running.id);
            return Err(Fault::state(text));
        }
        let changes = self.changes(&params)?;
        let input = reply::read_input(params.input.clone(), self.cwd_of(&changes)).await?;
        let Ok(permit) = self.ground.turns.clone().try_acquire_owned() else {
            let text = format!("no more than {MAX_TURNS} turns can run at once");
            return Err(Fault::state(text));
        };
        let id = TurnId::generate().to_string();
        let mut told = self.configure(changes, params.approvals_reviewer)?;
        self.submit(Op::UserTurn {
            input,
            output_schema: params.output_schema,
        })?;
        self.turn = Some(Running {
            id: id.clone(),
            _permit: permit,
        });
        told.push(self.status(ThreadStatus::Active {
            active_flags: Vec::new(),
        }));
        told.extend(self.telling.turn_started(&id, params.input));
        Ok((id, told))
    }

    /// Reads what changes, as far as the requirements of the machine allow it.
    fn changes(&self, params: &TurnStartParams) -> Result<ThreadChanges, Fault> {
        let not_allowed = |error: codex_config::ConstraintError| Fault::state(error.to_string());
        let config = &self.loaded.config;
        let approval = params.approval_policy.as_ref().map(|policy| policy.word());
        if approval.is_some() {
            let mut allowed = config.approval_policy.clone();
            allowed.set(approval).map_err(not_allowed)?;
        }
        let sandbox = params.sandbox_policy.clone();
        let sandbox = sandbox.map(codex_protocol::SandboxPolicy::from);
        if let Some(policy) = &sandbox {
            let mut allowed = config.sandbox_mode.clone();
            allowed.set(Some(policy.mode())).map_err(not_allowed)?;
        }
        let cwd = match &params.cwd {
            Some(cwd) => {
                let path = self.settings.cwd.join(cwd);
                if !path.is_dir() {
                    let text = format!("working directory `{cwd}` does not exist");
                    return Err(Fault::state(text));
                }
                Some(path)
            }
            None => None,
        };
        Ok(ThreadChanges {
            cwd,
            model: params.model.clone(),
            reasoning_effort: params.effort.clone(),
            reasoning_summary: params.summary.clone(),
            service_tier: params.service_tier.clone(),
            approval,
            sandbox,
        })
    }

    fn cwd_of(&self, changes: &ThreadChanges) -> PathBuf {
        changes.cwd.clone().unwrap_or(self.settings.cwd.clone())
    }

    /// Lets changes hold and tells them when there are any.
    fn configure(
        &mut self,
        changes: ThreadChanges,
        reviewer: Option<ApprovalsReviewer>,
    ) -> Result<Vec<ServerNotification>, Fault> {
        let mut new = self.settings.clone();
        new.change(changes.clone());
        let reviewer = reviewer.unwrap_or(self.reviewer);
        if new == self.settings && reviewer == self.reviewer {
            return Ok(Vec::new());
        }
        self.submit(Op::Configure(Box::new(changes)))?;
        self.settings = new;
        self.reviewer = reviewer;
        let updated = ThreadSettingsUpdated {
            thread_id: self.id.clone(),
            thread_settings: self.settings.told(reviewer),
        };
        Ok(vec![ServerNotification::ThreadSettingsUpdated(Box::new(
            updated,
        ))])
    }

    pub(super) async fn interrupt(&mut self, params: &TurnInterruptParams, ticket: Ticket) {
        let is_meant = |running: &Running| running.id == params.turn_id;
        match &self.turn {
            Some(running) if is_meant(running) => {}
            Some(running) => {
                let text = format!(
                    "expected active turn id `{}` but found `{}`",
                    params.turn_id, running.id
                );
                return ticket.refuse(Fault::state(text)).await;
            }
            None => {
                let fault = Fault::state("no active turn to interrupt");
                return ticket.refuse(fault).await;
            }
        }
        match self.submit(Op::Interrupt) {
            Ok(()) => ticket.answer(&Empty {}).await,
            Err(fault) => ticket.refuse(fault).await,
        }
    }

    pub(super) fn submit(&self, op: Op) -> Result<(), Fault> {
        self.ops.try_send(op).map_err(|_| Fault::overloaded())
    }

    pub(super) fn status(&self, status: ThreadStatus) -> ServerNotification {
        ServerNotification::ThreadStatusChanged(ThreadStatusChanged {
            thread_id: self.id.clone(),
            status,
        })
    }
}
