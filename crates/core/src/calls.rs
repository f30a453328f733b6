//! Runs the calls of one response.
//!
//! Calls run side by side from the moment they arrive; their outputs are handed out in the order in
//! which the model made them. Each call has one item with one start and one end, whatever becomes of
//! it, and one output: a call that is cut short answers `aborted`.

use std::sync::Arc;
use std::time::Duration;

use codex_api_types::CallOutput;
use codex_mcp::{CallContext, CallError, CatalogTool, McpHandle, Progress, ToolCatalog};
use codex_model::{CallStatus, PromptItem};
use codex_protocol::{
    ApprovalSubject, EventKind, ItemDetails, ItemId, ItemStatus, McpOutcome, McpToolCall, ToolRef,
};
use codex_tools::request::Request;
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::approvals::{self, AllowedBy, AskedBy, Gate, ToolFacts};
use crate::conversation::ABORTED;
use crate::events::EventSink;
use crate::hands::{HandCall, Hands};
use crate::output::{self, Spill};
use crate::questions::{Answer, Questions};
use crate::resources::{ResourceRequest, ResourceTools};
use crate::settings::ThreadSettings;
use crate::tools::{OutputWire, Refused, Toolbox};

/// A cancelled call that does not come back by itself is left behind after this.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// What a cut call's item says.
pub(crate) const INTERRUPTED: &str = "interrupted";
/// What is said of a call that a person did not allow.
const REJECTED: &str = "user rejected MCP tool call";
/// What is said of a call that a person called off.
const USER_CANCELLED: &str = "user cancelled MCP tool call";

/// What every call of a thread needs.
#[derive(Debug, Clone)]
pub(crate) struct CallServices {
    pub(crate) settings: Arc<ThreadSettings>,
    pub(crate) resources: ResourceTools,
    pub(crate) mcp: McpHandle,
    pub(crate) events: EventSink,
    pub(crate) spill_folder: std::path::PathBuf,
    pub(crate) hands: Hands,
    pub(crate) questions: Questions,
}

impl CallServices {
    /// Tells by which rule a call is allowed, where that is wanted.
    pub(crate) async fn explain(&self, item: ItemId, allowed: AllowedBy) {
        if self.settings.explain {
            let why = allowed.to_string();
            self.events.emit(EventKind::CallAllowed { item, why }).await;
        }
    }

    pub(crate) fn toolbox<'a>(&'a self, catalog: &'a ToolCatalog) -> Toolbox<'a> {
        Toolbox {
            settings: &self.settings,
            catalog,
            resources: self.resources,
            mcp: &self.mcp,
        }
    }
}

/// The calls of one response.
#[derive(Debug)]
pub(crate) struct Calls {
    services: CallServices,
    cancel: CancellationToken,
    running: JoinSet<(usize, Done)>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    call_id: String,
    wire: OutputWire,
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    Running(ItemId, Box<McpToolCall>),
    /// A built-in tool, which shows its own item.
    AtHand,
    Done(Done),
}

/// How a call ended, for the model.
#[derive(Debug)]
pub(crate) struct Done {
    output: CallOutput,
    status: CallStatus,
}

impl Done {
    pub(crate) fn completed(output: impl Into<CallOutput>) -> Self {
        Self {
            output: output.into(),
            status: CallStatus::Completed,
        }
    }

    pub(crate) fn failed(output: impl Into<CallOutput>) -> Self {
        Self {
            output: output.into(),
            status: CallStatus::Failed,
        }
    }
}

impl Calls {
    pub(crate) fn new(services: CallServices, turn: &CancellationToken) -> Self {
        Self {
            services,
            cancel: turn.child_token(),
            running: JoinSet::new(),
            slots: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Ends every call that still runs.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Takes a call that is already answered and whose item is somebody else's.
    pub(crate) fn answered(&mut self, call_id: String, wire: OutputWire, done: Done) {
        self.slots.push(Slot {
            call_id,
            wire,
            state: SlotState::Done(done),
        });
    }

    /// Shows and answers a call that cannot run.
    pub(crate) async fn refuse(&mut self, call_id: String, wire: OutputWire, refused: Refused) {
        let Refused {
            server,
            tool,
            arguments,
            message,
        } = refused;
        let call = running(&server, &tool, arguments);
        let id = self.start_item(&call).await;
        end_item(&self.services.events, id, call, Err(message.clone())).await;
        self.answered(call_id, wire, Done::failed(message));
    }

    /// Starts a call of an MCP tool, or refuses it.
    pub(crate) async fn start_mcp(
        &mut self,
        call_id: String,
        wire: OutputWire,
        tool: Box<CatalogTool>,
        arguments: Map<String, Value>,
    ) {
        let facts = ToolFacts {
            tool: &tool.tool,
            mode: tool.approval_mode,
            read_only: tool.annotations().read_only_hint == Some(true),
            approve_when: tool.approve_when.as_deref(),
            arguments: &arguments,
        };
        let settings = &self.services.settings;
        let questions = &self.services.questions;
        let decided = match approvals::decide(facts, settings.approval, settings.sandbox) {
            Gate::Allow(by) => Ok(Permit::Given(by)),
            Gate::Deny(why) => Err(why),
            Gate::Ask(_) if questions.holds_tool(&tool.tool) => {
                Ok(Permit::Given(AllowedBy::Remembered))
            }
            Gate::Ask(why) if questions.can_ask() => Ok(Permit::Asked(why)),
            Gate::Ask(_) => Err(cannot_ask(facts)),
        };
        let permit = match decided {
            Ok(permit) => permit,
            Err(message) => {
                let refused = Refused {
                    server: tool.tool.server.to_string(),
                    tool: tool.tool.tool.clone(),
                    arguments: Value::Object(arguments),
                    message,
                };
                return self.refuse(call_id, wire, refused).await;
            }
        };
        let ToolRef { server, tool: name } = &tool.tool;
        let call = running(server.as_str(), name, Value::Object(arguments.clone()));
        let work = Work::Tool {
            tool,
            arguments,
            permit,
        };
        self.start(call_id, wire, call, work).await;
    }

    /// Starts a call that may run.
    pub(crate) async fn start(
        &mut self,
        call_id: String,
        wire: OutputWire,
        call: McpToolCall,
        work: Work,
    ) {
        let id = self.start_item(&call).await;
        if let Work::Tool {
            permit: Permit::Given(by),
            ..
        } = &work
        {
            self.services.explain(id, *by).await;
        }
        let index = self.slots.len();
        let job = Job {
            services: self.services.clone(),
            cancel: self.cancel.clone(),
            id,
            call: call.clone(),
            call_id: call_id.clone(),
            work,
        };
        self.running.spawn(async move { (index, job.run().await) });
        self.slots.push(Slot {
            call_id,
            wire,
            state: SlotState::Running(id, Box::new(call)),
        });
    }

    /// Starts a call of a built-in tool.
    pub(crate) fn start_hand(&mut self, call_id: String, wire: OutputWire, request: Request) {
        let index = self.slots.len();
        let hand = HandCall {
            services: self.services.clone(),
            cancel: self.cancel.clone(),
            call_id: call_id.clone(),
        };
        self.running
            .spawn(async move { (index, hand.run(request).await) });
        self.slots.push(Slot {
            call_id,
            wire,
            state: SlotState::AtHand,
        });
    }

    /// Waits for every call and returns the outputs in the order of the calls.
    pub(crate) async fn finish(mut self) -> Vec<PromptItem> {
        while let Some(joined) = self.running.join_next().await {
            // A call that panicked has no answer; its slot still says that it runs.
            if let Ok((index, done)) = joined {
                self.slots[index].state = SlotState::Done(done);
            }
        }
        let mut outputs = Vec::with_capacity(self.slots.len());
        for slot in self.slots {
            let done = match slot.state {
                SlotState::Done(done) => done,
                SlotState::AtHand => Done::failed(ABORTED),
                SlotState::Running(id, call) => {
                    let message = "the call stopped unexpectedly".to_owned();
                    end_item(&self.services.events, id, *call, Err(message)).await;
                    Done::failed(ABORTED)
                }
            };
            let output = slot.wire.output(slot.call_id, done.output);
            outputs.push(PromptItem::call(output, done.status));
        }
        outputs
    }

    async fn start_item(&self, call: &McpToolCall) -> ItemId {
        self.services
            .events
            .started(ItemDetails::McpToolCall(Box::new(call.clone())))
            .await
    }
}

/// Makes the item of a call that begins.
pub(crate) fn running(server: &str, tool: &str, arguments: Value) -> McpToolCall {
    McpToolCall {
        server: server.to_owned(),
        tool: tool.to_owned(),
        arguments,
        result: None,
        error: None,
        status: ItemStatus::InProgress,
    }
}

/// What a call does.
#[derive(Debug)]
pub(crate) enum Work {
    /// Calls a tool of a server.
    Tool {
        tool: Box<CatalogTool>,
        arguments: Map<String, Value>,
        permit: Permit,
    },
    /// Lists or reads resources.
    Resources(ResourceRequest),
}

/// Why a tool may run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Permit {
    /// By a rule.
    Given(AllowedBy),
    /// Not before somebody has allowed it.
    Asked(AskedBy),
}

/// One call, in its own task.
struct Job {
    services: CallServices,
    cancel: CancellationToken,
    id: ItemId,
    call: McpToolCall,
    call_id: String,
    work: Work,
}

impl Job {
    async fn run(self) -> Done {
        if let Some(refused) = self.ask().await {
            let (done, why) = match refused {
                Answer::Declined => (Done::failed(REJECTED), REJECTED),
                Answer::Cancelled => (Done::failed(USER_CANCELLED), USER_CANCELLED),
                _ => (Done::failed(ABORTED), INTERRUPTED),
            };
            let events = &self.services.events;
            end_item(events, self.id, self.call, Err(why.to_owned())).await;
            return done;
        }
        let begin = Instant::now();
        let limit = self.work.output_token_limit();
        let (services, cancel) = (&self.services, &self.cancel);
        let answer = tokio::select! {
            answer = self.work.answer(services, self.id, cancel) => answer,
            () = long_after(cancel) => Err(CallError::Cancelled),
        };
        let spill = Spill {
            folder: services.spill_folder.clone(),
            call_id: self.call_id,
        };
        let (done, end) = match answer {
            Ok(outcome) => {
                let output = output::render(&outcome, begin.elapsed(), limit, &spill);
                let done = match outcome.is_error {
                    true => Done::failed(output),
                    false => Done::completed(output),
                };
                (done, Ok(outcome))
            }
            Err(CallError::Cancelled) => (Done::failed(ABORTED), Err(INTERRUPTED.to_owned())),
            Err(error) => {
                // A server chooses its words, and so their number.
                let message = error.to_string();
                let told = output::within_limit(message.clone(), limit, &spill);
                (Done::failed(told), Err(message))
            }
        };
        end_item(&services.events, self.id, self.call, end).await;
        done
    }
}

impl Job {
    /// Asks when somebody has to be asked; returns the answer when the call may not run.
    async fn ask(&self) -> Option<Answer> {
        let Work::Tool {
            tool,
            arguments,
            permit: Permit::Asked(why),
        } = &self.work
        else {
            return None;
        };
        let subject = ApprovalSubject::McpTool {
            tool: tool.tool.clone(),
            description: tool.definition.description.clone(),
            annotations: tool.annotations().clone(),
            arguments: Value::Object(arguments.clone()),
        };
        let Self {
            services: CallServices {
                questions, events, ..
            },
            cancel,
            ..
        } = self;
        let answer = questions
            .ask(events, self.id, (subject, *why), cancel)
            .await;
        match answer {
            Answer::Allowed => None,
            Answer::AllowedForSession => {
                questions.remember_tool(&tool.tool);
                None
            }
            refused => Some(refused),
        }
    }
}

impl Work {
    fn output_token_limit(&self) -> Option<usize> {
        match self {
            Self::Tool { tool, .. } => {
                let limit = tool.output_token_limit?;
                Some(usize::try_from(limit).unwrap_or(usize::MAX))
            }
            Self::Resources(_) => None,
        }
    }

    async fn answer(
        self,
        services: &CallServices,
        id: ItemId,
        cancel: &CancellationToken,
    ) -> Result<McpOutcome, CallError> {
        match self {
            Self::Tool {
                tool, arguments, ..
            } => {
                let mut context = CallContext::default();
                let events = services.events.clone();
                context.on_progress = Some(Arc::new(move |progress: Progress| {
                    let message = progress_text(progress);
                    events.try_emit(EventKind::McpProgress { item: id, message });
                }));
                let mcp = &services.mcp;
                mcp.call(&tool.tool, arguments, context, cancel).await
            }
            Self::Resources(request) => request.answer(&services.mcp, cancel).await,
        }
    }
}

pub(crate) async fn end_item(
    events: &EventSink,
    id: ItemId,
    mut call: McpToolCall,
    end: Result<McpOutcome, String>,
) {
    call.status = ItemStatus::Failed;
    match end {
        Ok(outcome) => {
            if !outcome.is_error {
                call.status = ItemStatus::Completed;
            }
            call.result = Some(outcome);
        }
        Err(message) => call.error = Some(message),
    }
    events
        .completed(id, ItemDetails::McpToolCall(Box::new(call)))
        .await;
}

async fn long_after(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(CANCEL_GRACE).await;
}

/// What is said where a person would be asked and no frontend can do it yet.
fn cannot_ask(facts: ToolFacts<'_>) -> String {
    format!(
        "MCP tool call requires approval, and this frontend cannot ask; {}",
        approvals::what_allows(facts)
    )
}

fn progress_text(progress: Progress) -> String {
    match (progress.message, progress.total) {
        (Some(message), _) if !message.is_empty() => message,
        (_, Some(total)) => format!("{}/{total}", progress.progress),
        (_, None) => progress.progress.to_string(),
    }
}
