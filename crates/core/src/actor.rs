//! The owner of a thread's state: one loop over one closed enum.
//!
//! Notices come before reports of the turn, so that what was noticed before a turn's end is told
//! before it. The conversation belongs to the actor between turns and to the turn while one runs.

use std::sync::Arc;
use std::time::Duration;

use codex_api_types::TextFormat;
use codex_mcp::McpNotice;
use codex_protocol::{
    EventKind, Op, ThreadChanges, TokenUsage, TurnError, TurnErrorKind, UserInput,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::conversation::Conversation;
use crate::events::EventSink;
use crate::turn::{Ended, Offered, Outcome, Turn, TurnServices};

/// How long a turn may take to end after it was told to.
const TURN_END_LIMIT: Duration = Duration::from_millis(700);
/// How long the servers may take to end. All limits together stay below the two seconds of the
/// contract for `exec`; only the renewal of a login that is under way is waited for longer.
const SERVERS_END_LIMIT: Duration = Duration::from_millis(1100);
/// How long the tasks around the servers may take to end after them.
const TASKS_END_LIMIT: Duration = Duration::from_millis(100);

/// Everything that can wake a thread.
enum Input {
    Op(Op),
    Turn(TurnReport),
    Mcp(McpNotice),
    Shutdown,
}

/// What a turn's task says when it ends.
enum TurnReport {
    /// The servers have been waited for; the turn proper can begin.
    ServersReady(Box<Request>, Result<(), codex_mcp::StartError>),
    /// The turn has ended.
    Ended(Box<Ended>),
    /// Its task broke, and the conversation with it.
    Lost,
}

/// What the user asked for.
struct Request {
    input: Vec<UserInput>,
    output_schema: Option<Value>,
}

/// A thread.
pub(crate) struct ThreadActor {
    pub(crate) ops: mpsc::Receiver<Op>,
    pub(crate) notices: mpsc::Receiver<McpNotice>,
    pub(crate) events: EventSink,
    pub(crate) services: TurnServices,
    /// `None` while a turn has it.
    pub(crate) conversation: Option<Conversation>,
    pub(crate) cancel: CancellationToken,
    /// The tasks of the MCP servers.
    pub(crate) tasks: TaskTracker,
    pub(crate) state: ActorState,
}

/// What changes from turn to turn.
#[derive(Default)]
pub(crate) struct ActorState {
    turns: JoinSet<TurnReport>,
    /// Cancels the running turn; `None` between turns.
    running: Option<CancellationToken>,
    offered: Offered,
    /// What was offered may be another thing now.
    is_reconfigured: bool,
    /// The first request has waited for the optional servers.
    has_waited: bool,
}

impl ThreadActor {
    /// Runs until the thread is shut down or nobody holds its handle.
    pub(crate) async fn run(mut self, early_notices: Vec<String>) {
        for notice in early_notices {
            self.events.notice(notice).await;
        }
        loop {
            match self.next_input().await {
                Input::Op(Op::UserTurn {
                    input,
                    output_schema,
                }) => {
                    self.on_user_turn(Request {
                        input,
                        output_schema,
                    })
                    .await;
                }
                Input::Op(Op::Configure(changes)) => self.configure(*changes),
                Input::Op(Op::Decide { id, decision }) => {
                    if self.services.calls.questions.decide(id, decision) {
                        self.interrupt();
                    }
                }
                Input::Op(Op::Interrupt) => self.interrupt(),
                Input::Mcp(notice) => self.events.notice(sentence(notice)).await,
                Input::Turn(report) => {
                    if self.on_turn(report).await.is_break() {
                        break;
                    }
                }
                Input::Op(Op::Shutdown) | Input::Shutdown => break,
            }
        }
        self.end().await;
    }

    async fn next_input(&mut self) -> Input {
        tokio::select! {
            biased;
            op = self.ops.recv() => op.map_or(Input::Shutdown, Input::Op),
            Some(notice) = self.notices.recv() => Input::Mcp(notice),
            Some(report) = self.state.turns.join_next() => {
                Input::Turn(report.unwrap_or(TurnReport::Lost))
            }
        }
    }

    async fn on_user_turn(&mut self, request: Request) {
        if self.state.running.is_some() {
            self.events
                .notice("a turn is already running; the new one was not started")
                .await;
            return;
        }
        let cancel = self.cancel.child_token();
        self.state.running = Some(cancel.clone());
        let mcp = self.services.calls.mcp.clone();
        let grace = self.services.calls.settings.optional_startup_grace;
        let must_wait = !self.state.has_waited;
        self.state.turns.spawn(async move {
            let ready = if must_wait {
                mcp.ready(grace, &cancel).await
            } else {
                Ok(())
            };
            TurnReport::ServersReady(Box::new(request), ready)
        });
    }

    /// Changes the settings of the turns to come; the one that runs keeps its own.
    fn configure(&mut self, changes: ThreadChanges) {
        Arc::make_mut(&mut self.services.calls.settings).change(changes);
        self.state.is_reconfigured = true;
    }

    fn interrupt(&self) {
        if let Some(running) = &self.state.running {
            running.cancel();
        }
    }

    async fn on_turn(&mut self, report: TurnReport) -> std::ops::ControlFlow<()> {
        match report {
            TurnReport::ServersReady(request, ready) => {
                // A wait that was interrupted is waited for again by the next turn.
                self.state.has_waited |= ready.is_ok();
                self.events.emit(EventKind::TurnStarted).await;
                self.begin(*request, ready).await;
            }
            TurnReport::Ended(ended) => self.on_ended(*ended).await,
            TurnReport::Lost => {
                self.state.running = None;
                let error = error("the turn stopped unexpectedly; resume the thread to go on");
                self.events.emit(EventKind::TurnFailed(error)).await;
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    /// Begins the turn proper, unless it was cancelled or a required server is gone.
    async fn begin(&mut self, request: Request, ready: Result<(), codex_mcp::StartError>) {
        let cancel = self.state.running.clone().unwrap_or_default();
        let refusal = match ready {
            _ if cancel.is_cancelled() => Some(EventKind::TurnInterrupted),
            Err(why) => Some(EventKind::TurnFailed(TurnError {
                message: why.to_string(),
                kind: TurnErrorKind::Other,
                hints: why.hints(),
            })),
            Ok(()) => None,
        };
        let conversation = match (refusal, self.conversation.take()) {
            (None, Some(conversation)) => conversation,
            (refusal, conversation) => {
                self.conversation = conversation;
                self.state.running = None;
                let lost = || EventKind::TurnFailed(error("the thread has lost its history"));
                self.events.emit(refusal.unwrap_or_else(lost)).await;
                return;
            }
        };
        if std::mem::take(&mut self.state.is_reconfigured) {
            self.state.offered = Offered::default();
        }
        let turn = Turn {
            services: self.services.clone(),
            conversation,
            offered: std::mem::take(&mut self.state.offered),
            format: request.output_schema.map(TextFormat::json_schema),
            cancel,
            usage: TokenUsage::default(),
            plan: None,
        };
        self.spawn_turn(turn, request.input);
    }

    fn spawn_turn(&mut self, mut turn: Turn, input: Vec<UserInput>) {
        self.state.turns.spawn(async move {
            let services = turn.services.clone();
            let (settings, now) = (&services.calls.settings, services.clock.now());
            turn.conversation
                .begin_turn(settings, || services.agents_md(), now, input)
                .await;
            TurnReport::Ended(Box::new(turn.run().await))
        });
    }

    async fn on_ended(&mut self, ended: Ended) {
        self.conversation = Some(ended.conversation);
        self.state.offered = ended.offered;
        self.state.running = None;
        let kind = match ended.outcome {
            Outcome::Completed(usage) => EventKind::TurnCompleted { usage },
            Outcome::Failed(error) => EventKind::TurnFailed(error),
            Outcome::Interrupted => EventKind::TurnInterrupted,
        };
        self.events.emit(kind).await;
    }

    /// Ends the turn, the servers and the thread, each within its limit.
    async fn end(mut self) {
        self.ops.close();
        self.interrupt();
        self.wait_for_turn().await;
        // The calls were cancelled above, so their servers have heard it before they are ended.
        self.services.calls.mcp.shutdown(SERVERS_END_LIMIT).await;
        self.cancel.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(TASKS_END_LIMIT, self.tasks.wait()).await;
        self.events.emit(EventKind::Closed).await;
    }

    async fn wait_for_turn(&mut self) {
        if self.state.running.is_none() {
            return;
        }
        let ended = tokio::time::timeout(TURN_END_LIMIT, async {
            while self.state.running.is_some() {
                match self.state.turns.join_next().await {
                    Some(report) => {
                        let report = report.unwrap_or(TurnReport::Lost);
                        let _ = self.on_turn(report).await;
                    }
                    None => break,
                }
            }
        });
        if ended.await.is_err() {
            self.state.turns.abort_all();
            self.events.emit(EventKind::TurnInterrupted).await;
        }
    }
}

/// Joins a notice and what can be done about it.
pub(crate) fn sentence(notice: McpNotice) -> String {
    let mut text = notice.text;
    for hint in notice.hints {
        text.push_str("; ");
        text.push_str(&hint);
    }
    text
}

fn error(message: &str) -> TurnError {
    TurnError {
        message: message.to_owned(),
        kind: TurnErrorKind::Other,
        hints: Vec::new(),
    }
}
