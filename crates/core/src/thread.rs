//! A running thread as a frontend holds it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codex_mcp::{McpHandle, McpManager, McpSettings, ServerChange};
use codex_protocol::{Event, Op, ServerName, ThreadId};
use codex_rollout::{RolloutReader, RolloutWriter, ThreadMeta};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::StartError;
use crate::actor::{self, ActorState, ThreadActor};
use crate::calls::CallServices;
use crate::conversation::{Conversation, Journal, Recalled};
use crate::events::EventSink;
use crate::hands::Hands;
use crate::questions::Questions;
use crate::resources::ResourceTools;
use crate::settings::{Begin, Storage, ThreadServices, ThreadSettings};
use crate::turn::TurnServices;
use crate::{instructions, output};

/// Operations that may wait for the thread.
const OPS: usize = 16;
/// Notices of the servers that may wait for the thread.
const NOTICES: usize = 64;
/// How long servers may take to end when the start has failed.
const FAILED_START_LIMIT: Duration = Duration::from_millis(1500);

/// A running thread.
///
/// Dropping the handle and its senders ends the thread. To wait for the end of its servers, submit
/// [`Op::Shutdown`] and read until [`EventKind::Closed`](codex_protocol::EventKind::Closed).
#[derive(Debug)]
pub struct ThreadHandle {
    /// The thread's id.
    pub id: ThreadId,
    ops: ThreadSender,
    events: mpsc::Receiver<Event>,
    mcp: McpHandle,
    questions: Questions,
    context_window: u64,
}

/// Sends operations to a thread; a cheap clone for those who do not read events.
#[derive(Debug, Clone)]
pub struct ThreadSender {
    ops: mpsc::Sender<Op>,
}

/// The thread has ended and takes no more operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the thread has ended")]
pub struct ThreadEnded;

impl ThreadHandle {
    /// Sends one operation.
    pub async fn submit(&self, op: Op) -> Result<(), ThreadEnded> {
        self.ops.submit(op).await
    }

    /// Returns the next event; `None` after the thread has ended. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Returns the thread's servers.
    pub fn mcp(&self) -> &McpHandle {
        &self.mcp
    }

    /// Lets newer settings of the servers hold; what a person allowed of a server that is another one
    /// now is to be allowed anew.
    pub async fn apply_servers(
        &self,
        settings: McpSettings,
        changes: BTreeMap<ServerName, ServerChange>,
    ) {
        for (server, change) in &changes {
            if *change != ServerChange::Settings {
                self.questions.forget_server(server);
            }
        }
        self.mcp.apply(settings, changes).await;
    }

    /// Returns how many tokens a request and its answer may have.
    pub fn context_window(&self) -> u64 {
        self.context_window
    }

    /// Returns a sender that lives apart from the events.
    pub fn sender(&self) -> ThreadSender {
        self.ops.clone()
    }
}

impl ThreadSender {
    /// Sends one operation.
    pub async fn submit(&self, op: Op) -> Result<(), ThreadEnded> {
        self.ops.send(op).await.map_err(|_| ThreadEnded)
    }
}

/// Starts a thread: its MCP servers, then its actor.
///
/// Waits only for servers with `required = true`; the others join while the thread runs, and the
/// first model request waits for them as [`ThreadSettings::optional_startup_grace`] says. When this
/// fails, or is dropped, nothing is left behind: no process and no file.
pub async fn start_thread(
    begin: Begin,
    settings: ThreadSettings,
    services: ThreadServices,
) -> Result<ThreadHandle, StartError> {
    let id = match begin {
        Begin::New | Begin::Fork(_) => ThreadId::generate(),
        Begin::Resume(id) => id,
    };
    let (events, receiver) = EventSink::new(id);
    let Opened {
        conversation,
        notices: mut early_notices,
    } = open(begin, id, &settings, &services, &events)?;

    let tasks = TaskTracker::new();
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    let (notice_sender, mut notices) = mpsc::channel(NOTICES);
    let mcp = McpManager::start(services.mcp, &tasks, &cancel, notice_sender);
    let required = {
        let ready = mcp.required_ready(&cancel);
        tokio::pin!(ready);
        loop {
            tokio::select! {
                ready = &mut ready => break ready,
                Some(notice) = notices.recv() => early_notices.push(actor::sentence(notice)),
            }
        }
    };
    if let Err(error) = required {
        mcp.shutdown(FAILED_START_LIMIT).await;
        return Err(error.into());
    }

    let (ops, op_receiver) = mpsc::channel(OPS);
    let instructions = settings
        .base_instructions
        .as_deref()
        .unwrap_or(instructions::BASE);
    let hands = Hands::new(services.home.path().as_path());
    early_notices.extend(hands.undo_unfinished());
    let questions = Questions::new(settings.asking);
    let context_window = settings.known_context_window();
    let handle_mcp = mcp.clone();
    let turn_services = TurnServices {
        thread: id,
        model: services.model,
        instructions: Arc::from(instructions),
        clock: services.clock,
        calls: CallServices {
            settings: Arc::new(settings),
            resources: ResourceTools::of(&mcp),
            mcp,
            hands,
            questions: questions.clone(),
            events: events.clone(),
            spill_folder: output::spill_folder(services.home.path().as_path(), id),
        },
        home: services.home,
    };
    let actor = ThreadActor {
        ops: op_receiver,
        notices,
        events,
        services: turn_services,
        conversation: Some(conversation),
        cancel: guard.disarm(),
        tasks,
        state: ActorState::default(),
    };
    // The handle is the owner: without it and its senders the actor ends by itself, and `Closed` is
    // the last that is heard of it.
    TaskTracker::new().spawn(actor.run(early_notices));
    Ok(ThreadHandle {
        id,
        ops: ThreadSender { ops },
        events: receiver,
        mcp: handle_mcp,
        questions,
        context_window,
    })
}

/// A conversation as it begins here.
struct Opened {
    conversation: Conversation,
    notices: Vec<String>,
}

/// Takes the history from where [`Begin`] says and opens the record.
fn open(
    begin: Begin,
    id: ThreadId,
    settings: &ThreadSettings,
    services: &ThreadServices,
    events: &EventSink,
) -> Result<Opened, StartError> {
    let (from, forked_from) = match begin {
        Begin::New => (None, None),
        Begin::Resume(from) => (Some(from), None),
        Begin::Fork(from) => (Some(from), Some(from)),
    };
    let Some(from) = from else {
        let journal = new_journal(id, None, settings, services, events);
        return Ok(Opened {
            conversation: Conversation::empty(journal),
            notices: Vec::new(),
        });
    };
    let path =
        codex_rollout::find_thread(&services.home, from).ok_or(StartError::NoRollout(from))?;
    let recorded = RolloutReader::read(&path)?;
    let mut notices = Vec::from_iter(damage(recorded.n_damaged));
    let recalled = Recalled::new(recorded);
    let journal = match (begin, settings.storage) {
        (Begin::Resume(_), Storage::Stored) => {
            Journal::open_on(RolloutWriter::append_to(&path)?, events.clone())
        }
        (Begin::Resume(_), Storage::Ephemeral) => Journal::off(events.clone()),
        (Begin::New | Begin::Fork(_), _) => {
            new_journal(id, forked_from, settings, services, events)
        }
    };
    if let Some(model) = recalled.model()
        && model != settings.model
    {
        notices.push(format!(
            "this thread was recorded with the model `{model}`; it goes on with `{}`",
            settings.model
        ));
    }
    Ok(Opened {
        conversation: Conversation::recalled(recalled, journal),
        notices,
    })
}

/// Says that a part of the history is lost, when it is.
fn damage(n_lines: usize) -> Option<String> {
    match n_lines {
        0 => None,
        1 => Some("1 line of the recorded thread is damaged and was left out".to_owned()),
        n => Some(format!(
            "{n} lines of the recorded thread are damaged and were left out"
        )),
    }
}

fn new_journal(
    id: ThreadId,
    forked_from: Option<ThreadId>,
    settings: &ThreadSettings,
    services: &ThreadServices,
    events: &EventSink,
) -> Journal {
    if settings.storage == Storage::Ephemeral {
        return Journal::off(events.clone());
    }
    let now = services.clock.now();
    let meta = ThreadMeta {
        version: 1,
        id,
        created_at: now.to_string(),
        cwd: settings.cwd.clone(),
        originator: settings.originator.clone(),
        codex_version: env!("CARGO_PKG_VERSION").to_owned(),
        source: settings.thread_source.clone(),
        model: settings.model.clone(),
        provider: settings.provider.clone(),
        forked_from,
    };
    let path = codex_rollout::rollout_path(&services.home, id, now);
    Journal::planned(path, meta, events.clone())
}
