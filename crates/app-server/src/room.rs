//! One thread: its requests in their order, what it tells, and what it asks.
//!
//! The room never waits for the engine: operations go through a pump of their own, because an engine
//! that waits for us to hear it would otherwise wait for ever.

mod begin;
mod questions;
mod reply;
mod telling;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use codex_app_server_protocol::{
    ApprovalsReviewer, Fault, Method, ServerNotification, Thread, ThreadStartParams, ThreadStarted,
    ThreadStatus, Warning,
};
use codex_mcp::{ElicitationRequest, StatusChanges};
use codex_protocol::{EventKind, Op};
use codex_runtime::{Invocation, Loaded, Session};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use crate::asked::Reply;
use crate::blocking::blocking;
use crate::rooms::{Place, RoomGround};
use crate::running::Startups;
use crate::status::Question;
use crate::ticket::Ticket;
use questions::Questions;
use telling::Telling;

/// How long a thread may take to end.
const END_LIMIT: Duration = Duration::from_millis(1300);
/// Operations that may wait for the engine.
const OPS: usize = 256;
/// Answers of the client that may wait for the room: as many as there can be questions.
const REPLIES: usize = 256;

/// What a room is told.
#[derive(Debug)]
pub(crate) enum RoomInput {
    Request(Box<Method>, Ticket),
    /// The settings may have changed.
    Reload,
}

/// A loaded thread.
struct Room {
    id: String,
    ground: RoomGround,
    /// How its settings are loaded.
    invocation: Invocation,
    loaded: Arc<Loaded>,
    session: Session,
    reviewer: ApprovalsReviewer,
    settings: turns::Current,
    ops: mpsc::Sender<Op>,
    telling: Telling,
    questions: Questions,
    startups: Startups,
    turn: Option<turns::Running>,
    answers: JoinSet<()>,
}

/// What wakes a room besides the engine.
struct Ears {
    inbox: mpsc::Receiver<RoomInput>,
    replies: mpsc::Receiver<Reply>,
    elicitations: mpsc::Receiver<ElicitationRequest>,
    statuses: StatusChanges,
}

/// Begins a thread, answers, and serves it to its end.
pub(crate) async fn run(
    params: ThreadStartParams,
    ticket: Ticket,
    ground: RoomGround,
    place: Place,
) {
    let stop = ground.stop.clone();
    let begun = tokio::select! {
        begun = begin::begin(params, ground) => begun,
        () = stop.cancelled() => return,
    };
    match begun {
        Ok((room, ears, answer)) => {
            ticket.answer(&answer).await;
            room.serve(ears, answer.thread).await;
        }
        Err(fault) => ticket.refuse(fault).await,
    }
    drop(place);
}

impl Room {
    async fn serve(mut self, mut ears: Ears, thread: Thread) {
        let stop = self.ground.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.tell_start(thread) => {
                // What changed while its servers started could not be told to it.
                self.reload().await;
            }
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                is_open = self.step(&mut ears) => if !is_open { break },
            }
        }
        self.ground.rooms.close(&self.id);
        self.answers.abort_all();
        self.end().await;
    }

    async fn tell_start(&mut self, thread: Thread) {
        let started = ThreadStarted { thread };
        self.notify(ServerNotification::ThreadStarted(Box::new(started)))
            .await;
        for notice in std::mem::take(&mut self.session.notices) {
            self.warn(notice).await;
        }
    }

    /// Does one thing; `false` when the thread has ended.
    async fn step(&mut self, ears: &mut Ears) -> bool {
        tokio::select! {
            input = ears.inbox.recv() => match input {
                Some(RoomInput::Request(method, ticket)) => self.on_request(*method, ticket).await,
                Some(RoomInput::Reload) => self.reload().await,
                None => return false,
            },
            event = self.session.thread.next_event() => match event {
                Some(event) => self.on_event(event.kind).await,
                None => return false,
            },
            Some(reply) = ears.replies.recv() => self.on_reply(reply).await,
            Some(request) = ears.elicitations.recv() => self.on_elicitation(request).await,
            Some(statuses) = ears.statuses.next() => {
                for notification in self.startups.tell(&statuses) {
                    self.notify(notification).await;
                }
            }
            Some(_) = self.answers.join_next() => {}
        }
        true
    }

    async fn on_request(&mut self, method: Method, ticket: Ticket) {
        match method {
            Method::TurnStart(params) => self.start_turn(*params, ticket).await,
            Method::TurnInterrupt(params) => self.interrupt(&params, ticket).await,
            Method::McpServerStatusList(params) => {
                let handle = self.session.thread.mcp().clone();
                let question =
                    Question::new(self.loaded.clone(), handle, self.session.auth(), params);
                self.answers
                    .spawn(async move { ticket.settle(question.answer().await).await });
            }
            // The router sends nothing else here.
            _ => {
                ticket
                    .refuse(Fault::internal("not a request of a thread"))
                    .await
            }
        }
    }

    async fn on_event(&mut self, kind: EventKind) {
        match kind {
            EventKind::ApprovalRequested(request) => self.on_approval(*request).await,
            EventKind::ApprovalResolved(id) => self.on_resolved(id).await,
            EventKind::TurnCompleted { .. }
            | EventKind::TurnFailed(_)
            | EventKind::TurnInterrupted => self.on_turn_end(&kind).await,
            kind => {
                for notification in self.telling.event(kind) {
                    self.notify(notification).await;
                }
            }
        }
    }

    async fn on_turn_end(&mut self, kind: &EventKind) {
        self.close_questions().await;
        self.turn = None;
        let Some(end) = self.telling.end(kind) else {
            return;
        };
        for notification in end.told {
            self.notify(notification).await;
        }
        let status = match end.has_failed {
            true => ThreadStatus::SystemError,
            false => ThreadStatus::Idle,
        };
        self.notify(self.status(status)).await;
        self.notify(end.completed).await;
    }

    /// Takes over what changed in the settings: servers at once, the rest is for new threads.
    async fn reload(&mut self) {
        let (invocation, old) = (self.invocation.clone(), self.loaded.clone());
        // What cannot be used was told by the house.
        if let Ok((new, _)) = blocking(move || old.renewed(invocation)).await {
            let changes = self.loaded.changes_to(&new);
            self.startups.forget(&changes);
            self.session.apply_servers(&new, &changes).await;
            self.loaded = Arc::new(new);
        }
    }

    async fn notify(&self, notification: ServerNotification) {
        self.ground.outbox.notify(notification).await;
    }

    async fn warn(&self, message: String) {
        let warning = Warning {
            message,
            thread_id: Some(self.id.clone()),
        };
        self.notify(ServerNotification::Warning(warning)).await;
    }

    /// Ends the thread with its servers and children, and tells the end of what runs.
    async fn end(mut self) {
        let closing = async {
            if self.ops.send(Op::Shutdown).await.is_err() {
                return;
            }
            while let Some(event) = self.session.thread.next_event().await {
                self.on_event(event.kind).await;
            }
        };
        // Whoever is left after the limit ends with the session.
        let _ = tokio::time::timeout(END_LIMIT, closing).await;
    }
}

/// A permit of a running turn.
type TurnPermit = OwnedSemaphorePermit;
