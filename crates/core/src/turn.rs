//! One turn: ask the model, run its calls, ask again, until it makes no more calls.
//!
//! The turn owns the conversation while it runs and gives it back with its outcome. Whatever happens,
//! every item that was begun is ended before the turn is.

mod compaction;
mod shown;

use std::sync::Arc;

use codex_api_types::{ReasoningOptions, ResponseItem, TextFormat, TextOptions, ToolSpec};
use codex_host::{Clock, CodexHome};
use codex_mcp::ToolCatalog;
use codex_model::{
    ModelBackend, ModelError, ModelEvent, Prompt, PromptItem, RetryBudget, Retrying,
};
use codex_protocol::{
    EventKind, ItemDetails, ItemId, ServerName, ThreadId, ThreadItem, TodoItem, TokenUsage,
    TurnError, TurnErrorKind,
};
use codex_rollout::TurnEnd;
use tokio_util::sync::CancellationToken;

use crate::calls::{self, CallServices, Calls, Done, Work};
use crate::conversation::Conversation;
use crate::instructions::{self, AgentsMd};
use crate::plan;
use crate::tools::{self, Route, Routed};
use crate::turn::compaction::NoSummary;
use crate::turn::shown::Shown;

/// Calls in one response.
const MAX_CALLS: usize = 128;
/// Requests in one turn.
const MAX_ROUNDS: usize = 1000;

/// What a turn needs besides the conversation.
#[derive(Debug, Clone)]
pub(crate) struct TurnServices {
    pub(crate) thread: ThreadId,
    pub(crate) model: Arc<dyn ModelBackend>,
    pub(crate) calls: CallServices,
    pub(crate) instructions: Arc<str>,
    pub(crate) home: CodexHome,
    pub(crate) clock: Clock,
}

impl TurnServices {
    /// Reads the AGENTS.md files of this moment. Blocks.
    pub(crate) fn agents_md(&self) -> Option<AgentsMd> {
        let settings = &self.calls.settings;
        let home = self.home.path().as_path();
        AgentsMd::read(home, &settings.cwd, settings.project_doc_max_bytes)
    }

    /// Returns what every conversation begins with.
    fn opening(&self) -> Vec<PromptItem> {
        let (agents_md, now) = (self.agents_md(), self.clock.now());
        let opening = instructions::opening(&self.calls.settings, agents_md.as_ref(), now);
        opening.into_iter().map(PromptItem::context).collect()
    }
}

/// How a turn ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Completed(TokenUsage),
    Failed(TurnError),
    Interrupted,
}

/// A turn that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) conversation: Conversation,
    pub(crate) offered: Offered,
    pub(crate) outcome: Outcome,
}

/// The tools as they were offered last; made anew only when the catalog changed.
#[derive(Debug, Default)]
pub(crate) struct Offered(Option<(Arc<ToolCatalog>, Arc<Vec<ToolSpec>>)>);

/// A running turn.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) services: TurnServices,
    pub(crate) conversation: Conversation,
    pub(crate) offered: Offered,
    pub(crate) format: Option<TextFormat>,
    pub(crate) cancel: CancellationToken,
    pub(crate) usage: TokenUsage,
    pub(crate) plan: Option<Plan>,
}

/// The turn's one plan.
#[derive(Debug)]
pub(crate) struct Plan {
    id: ItemId,
    items: Vec<TodoItem>,
}

/// How one request ended.
enum Round {
    /// The model has said all it wants to say.
    Answered,
    /// Its calls have run.
    Called,
    /// The answer broke off after some items.
    Broken(RetryBudget),
    /// The provider says that the conversation no longer fits.
    TooLong(TurnError),
    Failed(TurnError),
    Interrupted,
}

/// Why reading one answer ended.
enum End {
    Completed,
    Broken(RetryBudget),
    Failed(TurnError),
    Interrupted,
}

impl Turn {
    /// Runs to the end.
    pub(crate) async fn run(mut self) -> Ended {
        let outcome = self.rounds().await;
        let services = &self.services.calls;
        services.hands.running.end_all(&services.events).await;
        if let Some(Plan { id, items }) = self.plan.take() {
            let events = &self.services.calls.events;
            events.completed(id, ItemDetails::TodoList { items }).await;
        }
        let (end, message) = match &outcome {
            Outcome::Completed(_) => (TurnEnd::Completed, None),
            Outcome::Failed(error) => (TurnEnd::Failed, Some(error.message.clone())),
            Outcome::Interrupted => (TurnEnd::Interrupted, None),
        };
        self.conversation.end_turn(end, message).await;
        Ended {
            conversation: self.conversation,
            offered: self.offered,
            outcome,
        }
    }

    async fn rounds(&mut self) -> Outcome {
        let mut budget = RetryBudget::default();
        let mut was_too_long = false;
        for _ in 0..MAX_ROUNDS {
            match self.make_room(was_too_long).await {
                Ok(()) => {}
                Err(NoSummary::Failed(error)) => return Outcome::Failed(error),
                Err(NoSummary::Interrupted) => return Outcome::Interrupted,
            }
            let is_second_try = std::mem::take(&mut was_too_long);
            match self.round(std::mem::take(&mut budget)).await {
                Round::Answered => return Outcome::Completed(self.usage),
                Round::Called => {}
                Round::Broken(left) => budget = left,
                Round::TooLong(_) if !is_second_try => was_too_long = true,
                Round::TooLong(error) | Round::Failed(error) => return Outcome::Failed(error),
                Round::Interrupted => return Outcome::Interrupted,
            }
        }
        Outcome::Failed(own_error(format!(
            "the turn was ended after {MAX_ROUNDS} model requests"
        )))
    }

    /// Asks once and runs the calls of the answer.
    async fn round(&mut self, budget: RetryBudget) -> Round {
        let (mcp, settings) = (&self.services.calls.mcp, &self.services.calls.settings);
        // Whoever logged in meanwhile wants the tools now. That it did not work is a notice already.
        let _ = mcp
            .retry_logins(settings.optional_startup_grace, &self.cancel)
            .await;
        let catalog = mcp.catalog();
        let prompt = self.prompt(&catalog);
        let mut calls = Calls::new(self.services.calls.clone(), &self.cancel);
        let end = self.answer(prompt, budget, &catalog, &mut calls).await;
        if let End::Failed(_) | End::Interrupted = end {
            calls.cancel();
        }
        let n_calls = calls.len();
        for output in calls.finish().await {
            self.conversation.push(output).await;
        }
        match end {
            _ if self.cancel.is_cancelled() => Round::Interrupted,
            End::Completed if n_calls == 0 => Round::Answered,
            End::Completed => Round::Called,
            End::Broken(budget) => Round::Broken(budget),
            End::Failed(error) => match error.kind {
                TurnErrorKind::ContextWindowExceeded => Round::TooLong(error),
                _ => Round::Failed(error),
            },
            End::Interrupted => Round::Interrupted,
        }
    }

    /// Reads one answer to its end; calls begin to run as they arrive.
    async fn answer(
        &mut self,
        prompt: Prompt,
        budget: RetryBudget,
        catalog: &ToolCatalog,
        calls: &mut Calls,
    ) -> End {
        let model = Arc::clone(&self.services.model);
        let mut stream = model.stream(prompt, budget, self.cancel.clone());
        let mut shown = Shown::new(
            self.services.calls.events.clone(),
            self.services.calls.settings.stream_deltas,
        );
        let end = loop {
            let event = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break End::Interrupted,
                event = stream.next() => event,
            };
            match event {
                Some(Ok(ModelEvent::ItemDone(item))) => {
                    if item.pending_call().is_some() && calls.len() == MAX_CALLS {
                        break End::Failed(own_error(format!(
                            "the model made more than {MAX_CALLS} calls in one response"
                        )));
                    }
                    shown.done(&item).await;
                    self.dispatch(&item, catalog, calls).await;
                    self.conversation.push(PromptItem::model(item)).await;
                }
                Some(Ok(ModelEvent::Retrying(retrying))) => {
                    shown.void().await;
                    let events = &self.services.calls.events;
                    events.emit(told(&retrying)).await;
                }
                Some(Ok(ModelEvent::Completed { usage })) => {
                    self.usage += usage;
                    self.conversation.counted(usage);
                    let events = &self.services.calls.events;
                    events.emit(EventKind::ResponseCompleted { usage }).await;
                    break End::Completed;
                }
                Some(Ok(ModelEvent::Interrupted(budget))) => break End::Broken(budget),
                Some(Ok(event)) => shown.progress(event).await,
                Some(Err(error)) if error.is_cancelled() => break End::Interrupted,
                Some(Err(error)) => break End::Failed(turn_error(error)),
                None => {
                    break End::Failed(own_error(
                        "the model's answer ended without an end".to_owned(),
                    ));
                }
            }
        };
        shown.void().await;
        end
    }

    async fn dispatch(&mut self, item: &ResponseItem, catalog: &ToolCatalog, calls: &mut Calls) {
        let Some(Routed {
            call_id,
            wire,
            route,
        }) = self.services.calls.toolbox(catalog).route(item)
        else {
            return;
        };
        match route {
            Route::Mcp { tool, arguments } => calls.start_mcp(call_id, wire, tool, arguments).await,
            Route::Resources {
                request,
                tool,
                arguments,
            } => {
                let server = request
                    .shown_server()
                    .map_or(tools::OWN, ServerName::as_str);
                let call = calls::running(server, &tool, arguments);
                let work = Work::Resources(request);
                calls.start(call_id, wire, call, work).await;
            }
            Route::AtHand(request) => calls.start_hand(call_id, wire, request),
            Route::Refused(refused) => calls.refuse(call_id, wire, refused).await,
            Route::Plan(items) => {
                self.show_plan(items).await;
                calls.answered(call_id, wire, Done::completed(plan::DONE));
            }
        }
    }

    async fn show_plan(&mut self, items: Vec<TodoItem>) {
        let events = &self.services.calls.events;
        let details = ItemDetails::TodoList {
            items: items.clone(),
        };
        match &mut self.plan {
            None => {
                let id = events.started(details).await;
                self.plan = Some(Plan { id, items });
            }
            Some(plan) => {
                plan.items = items;
                let item = ThreadItem {
                    id: plan.id,
                    details,
                };
                events.emit(EventKind::ItemUpdated(item)).await;
            }
        }
    }

    fn prompt(&mut self, catalog: &Arc<ToolCatalog>) -> Prompt {
        let settings = &self.services.calls.settings;
        Prompt {
            thread_id: self.services.thread,
            model: settings.model.clone(),
            instructions: Arc::clone(&self.services.instructions),
            input: self.conversation.input(),
            tools: self
                .offered
                .for_catalog(catalog, || self.services.calls.toolbox(catalog).specs()),
            reasoning: ReasoningOptions {
                effort: settings.effective_reasoning_effort().map(str::to_owned),
                summary: settings.reasoning_summary.clone(),
            },
            text: TextOptions {
                verbosity: settings.verbosity.clone(),
                format: self.format.clone(),
            },
            service_tier: settings.service_tier.clone(),
        }
    }
}

impl Offered {
    fn for_catalog(
        &mut self,
        catalog: &Arc<ToolCatalog>,
        make: impl FnOnce() -> Vec<ToolSpec>,
    ) -> Arc<Vec<ToolSpec>> {
        match &self.0 {
            Some((known, specs)) if Arc::ptr_eq(known, catalog) => Arc::clone(specs),
            _ => {
                let specs = Arc::new(make());
                self.0 = Some((Arc::clone(catalog), Arc::clone(&specs)));
                specs
            }
        }
    }
}

fn told(retrying: &Retrying) -> EventKind {
    EventKind::Retrying {
        message: retrying.headline(),
        why: retrying.why.clone(),
    }
}

fn own_error(message: String) -> TurnError {
    TurnError {
        message,
        kind: TurnErrorKind::Other,
        hints: Vec::new(),
    }
}

/// Says what can be done when not even a summary fits.
fn turn_error(error: ModelError) -> TurnError {
    let is_too_long = error.wants_compaction();
    let mut error = TurnError::from(error);
    if is_too_long {
        let hint = "start a new thread, or choose a model with a larger context window";
        error.hints.push(hint.to_owned());
    }
    error
}
