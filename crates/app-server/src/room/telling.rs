//! What happens in a thread, as its client hears it.
//!
//! The order is a promise: every item has one start and one end, deltas lie between them, and nothing
//! of a turn follows its end. What the engine leaves out of that is put in here.

use std::collections::{BTreeMap, HashSet};

use codex_app_server_protocol::{
    ErrorNotification, ItemCompleted, ItemDelta, ItemStarted, ItemsView, McpToolCallProgress,
    PlanStep, PlanStepStatus, ServerNotification, ThreadItem, ThreadItemDetails, ThreadTokenUsage,
    ThreadTokenUsageUpdated, TokenUsage, Turn, TurnError, TurnPlanUpdated, TurnStatus, TurnUpdated,
    UserInput, Warning,
};
use codex_host::Clock;
use codex_protocol::{EventKind, ItemDetails, ItemId, ItemStatus, TodoItem, TokenUsage as Counted};

/// Turns events of the engine into notifications.
pub(super) struct Telling {
    thread_id: String,
    clock: Clock,
    context_window: u64,
    total: Counted,
    turn: Option<Told>,
}

/// The turn that runs, as it was told.
struct Told {
    id: String,
    started_at_ms: i64,
    open: BTreeMap<ItemId, Open>,
    /// Items whose end was told.
    ended: HashSet<ItemId>,
    last_message: Option<ThreadItem>,
    last: Option<Counted>,
    /// Something was told after the last tokens.
    has_more: bool,
}

struct Open {
    details: ItemDetails,
    started_at_ms: i64,
}

/// How a turn ended.
pub(super) struct End {
    pub(super) told: Vec<ServerNotification>,
    pub(super) completed: ServerNotification,
    pub(super) has_failed: bool,
}

impl Telling {
    pub(super) fn new(thread_id: String, context_window: u64, clock: Clock) -> Self {
        Self {
            thread_id,
            clock,
            context_window,
            total: Counted::default(),
            turn: None,
        }
    }

    /// Tells the beginning of a turn and what the user said.
    pub(super) fn turn_started(
        &mut self,
        id: &str,
        content: Vec<UserInput>,
    ) -> Vec<ServerNotification> {
        let now = self.now();
        self.turn = Some(Told {
            id: id.to_owned(),
            started_at_ms: now,
            open: BTreeMap::new(),
            ended: HashSet::new(),
            last_message: None,
            last: None,
            has_more: false,
        });
        let turn = Turn {
            id: id.to_owned(),
            items: Vec::new(),
            items_view: ItemsView::NotLoaded,
            status: TurnStatus::InProgress,
            error: None,
            started_at: Some(now / 1000),
            completed_at: None,
            duration_ms: None,
        };
        let started = TurnUpdated {
            thread_id: self.thread_id.clone(),
            turn,
        };
        let item = ThreadItem {
            details: ThreadItemDetails::UserMessage { content },
            id: format!("{id}-user"),
        };
        vec![
            ServerNotification::TurnStarted(Box::new(started)),
            self.item_started(id, item.clone(), now),
            self.item_completed(id, item),
        ]
    }

    /// Returns the id of an item and when it began.
    pub(super) fn place(&self, item: ItemId) -> (String, i64) {
        let turn = self.turn.as_ref();
        let open = turn.and_then(|turn| turn.open.get(&item));
        let since = open.map_or_else(|| self.now(), |open| open.started_at_ms);
        (item.to_string(), since)
    }

    /// Tells one event that is neither the end of the turn nor a question.
    pub(super) fn event(&mut self, kind: EventKind) -> Vec<ServerNotification> {
        match kind {
            EventKind::Notice(message) => vec![self.warning(message)],
            EventKind::ItemStarted(item) => self.started(item.id, item.details),
            EventKind::ItemUpdated(item) => match &item.details {
                ItemDetails::TodoList { items } => self.plan(items),
                _ => Vec::new(),
            },
            EventKind::ItemCompleted(item) => self.completed(item.id, item.details),
            EventKind::AgentMessageDelta { item, delta } => self.message_delta(item, delta),
            EventKind::ReasoningDelta { item, delta } => self.reasoning_delta(item, delta),
            EventKind::McpProgress { item, message } => self.progress(item, message),
            EventKind::ResponseCompleted { usage } => self.response(usage),
            EventKind::Retrying { message, why } => self.retrying(message, why),
            EventKind::TurnStarted
            | EventKind::ApprovalRequested(_)
            | EventKind::ApprovalResolved(_)
            | EventKind::CallAllowed { .. }
            | EventKind::TurnCompleted { .. }
            | EventKind::TurnFailed(_)
            | EventKind::TurnInterrupted
            | EventKind::Closed => Vec::new(),
        }
    }

    /// Tells the end of the turn; `None` when none runs.
    pub(super) fn end(&mut self, kind: &EventKind) -> Option<End> {
        let mut told = self.close_open();
        let (status, error) = match kind {
            EventKind::TurnCompleted { .. } => (TurnStatus::Completed, None),
            EventKind::TurnFailed(error) => (TurnStatus::Failed, Some(TurnError::from(error))),
            _ => (TurnStatus::Interrupted, None),
        };
        let turn = self.turn.as_ref()?;
        if let Some(last) = turn.last.filter(|_| turn.has_more) {
            told.push(self.tokens(&turn.id, last));
        }
        if let Some(error) = &error {
            let failed = ErrorNotification {
                error: error.clone(),
                will_retry: false,
                thread_id: self.thread_id.clone(),
                turn_id: turn.id.clone(),
            };
            told.push(ServerNotification::Error(failed));
        }
        let (now, turn) = (self.now(), self.turn.take()?);
        let has_failed = error.is_some();
        let updated = TurnUpdated {
            thread_id: self.thread_id.clone(),
            turn: Turn {
                id: turn.id,
                items: turn.last_message.into_iter().collect(),
                items_view: ItemsView::Summary,
                status,
                error,
                started_at: Some(turn.started_at_ms / 1000),
                completed_at: Some(now / 1000),
                duration_ms: Some(now - turn.started_at_ms),
            },
        };
        Some(End {
            told,
            completed: ServerNotification::TurnCompleted(Box::new(updated)),
            has_failed,
        })
    }

    fn started(&mut self, id: ItemId, details: ItemDetails) -> Vec<ServerNotification> {
        if let ItemDetails::TodoList { items } = &details {
            return self.plan(items);
        }
        let now = self.now();
        let Some(turn) = &mut self.turn else {
            return Vec::new();
        };
        if turn.open.contains_key(&id) || turn.ended.contains(&id) {
            return Vec::new();
        }
        let Some(item) = ThreadItem::new(&id.to_string(), &details, None) else {
            return Vec::new();
        };
        turn.has_more = true;
        let open = Open {
            details,
            started_at_ms: now,
        };
        turn.open.insert(id, open);
        let turn_id = turn.id.clone();
        vec![self.item_started(&turn_id, item, now)]
    }

    fn completed(&mut self, id: ItemId, details: ItemDetails) -> Vec<ServerNotification> {
        match &details {
            ItemDetails::TodoList { items } => return self.plan(items),
            ItemDetails::Error { message } => return vec![self.warning(message.clone())],
            _ => {}
        }
        // What has only an end began all the same.
        let mut told = self.started(id, beginning(&details));
        let now = self.now();
        let Some(turn) = &mut self.turn else {
            return Vec::new();
        };
        let Some(open) = turn.open.remove(&id) else {
            return told;
        };
        turn.ended.insert(id);
        turn.has_more = true;
        let duration = Some(now - open.started_at_ms);
        let Some(item) = ThreadItem::new(&id.to_string(), &details, duration) else {
            return told;
        };
        if let ThreadItemDetails::AgentMessage { .. } = item.details {
            turn.last_message = Some(item.clone());
        }
        let turn_id = turn.id.clone();
        told.push(self.item_completed(&turn_id, item));
        told
    }

    fn message_delta(&mut self, id: ItemId, delta: String) -> Vec<ServerNotification> {
        let text = String::new();
        let mut told = self.started(id, ItemDetails::AgentMessage { text });
        if let Some(ItemDetails::AgentMessage { text }) = self.open(id) {
            text.push_str(&delta);
            let delta = self.delta(id, delta, None);
            told.extend(delta.map(ServerNotification::AgentMessageDelta));
        }
        told
    }

    fn reasoning_delta(&mut self, id: ItemId, delta: String) -> Vec<ServerNotification> {
        let text = String::new();
        let mut told = self.started(id, ItemDetails::Reasoning { text });
        if let Some(ItemDetails::Reasoning { text }) = self.open(id) {
            text.push_str(&delta);
            let delta = self.delta(id, delta, Some(0));
            told.extend(delta.map(ServerNotification::ReasoningSummaryTextDelta));
        }
        told
    }

    fn open(&mut self, id: ItemId) -> Option<&mut ItemDetails> {
        let turn = self.turn.as_mut()?;
        turn.open.get_mut(&id).map(|open| &mut open.details)
    }

    fn delta(&self, id: ItemId, delta: String, summary_index: Option<u32>) -> Option<ItemDelta> {
        Some(ItemDelta {
            thread_id: self.thread_id.clone(),
            turn_id: self.turn.as_ref()?.id.clone(),
            item_id: id.to_string(),
            delta,
            summary_index,
        })
    }

    fn progress(&mut self, id: ItemId, message: String) -> Vec<ServerNotification> {
        let Some(turn) = self
            .turn
            .as_ref()
            .filter(|turn| turn.open.contains_key(&id))
        else {
            return Vec::new();
        };
        vec![ServerNotification::McpToolCallProgress(
            McpToolCallProgress {
                thread_id: self.thread_id.clone(),
                turn_id: turn.id.clone(),
                item_id: id.to_string(),
                message,
            },
        )]
    }

    fn response(&mut self, usage: Counted) -> Vec<ServerNotification> {
        self.total += usage;
        let Some(turn) = &mut self.turn else {
            return Vec::new();
        };
        turn.last = Some(usage);
        turn.has_more = false;
        let id = turn.id.clone();
        vec![self.tokens(&id, usage)]
    }

    fn tokens(&self, turn_id: &str, last: Counted) -> ServerNotification {
        ServerNotification::ThreadTokenUsageUpdated(ThreadTokenUsageUpdated {
            thread_id: self.thread_id.clone(),
            turn_id: turn_id.to_owned(),
            token_usage: ThreadTokenUsage {
                total: TokenUsage::from(self.total),
                last: TokenUsage::from(last),
                model_context_window: Some(self.context_window),
            },
        })
    }

    /// What a failed request had begun to say ends as far as it got.
    fn retrying(&mut self, message: String, why: String) -> Vec<ServerNotification> {
        let is_said = |details: &ItemDetails| {
            matches!(
                details,
                ItemDetails::AgentMessage { .. } | ItemDetails::Reasoning { .. }
            )
        };
        let mut told = self.close(is_said);
        if let Some(turn) = &self.turn {
            told.push(ServerNotification::Error(ErrorNotification {
                error: TurnError {
                    message,
                    codex_error_info: None,
                    additional_details: Some(why),
                },
                will_retry: true,
                thread_id: self.thread_id.clone(),
                turn_id: turn.id.clone(),
            }));
        }
        told
    }

    fn close_open(&mut self) -> Vec<ServerNotification> {
        self.close(|_| true)
    }

    fn close(&mut self, which: impl Fn(&ItemDetails) -> bool) -> Vec<ServerNotification> {
        let open = self.turn.iter().flat_map(|turn| &turn.open);
        let closing: Vec<(ItemId, ItemDetails)> = open
            .filter(|(_, open)| which(&open.details))
            .map(|(id, open)| (*id, cut(open.details.clone())))
            .collect();
        let closed = closing.into_iter();
        closed
            .flat_map(|(id, details)| self.completed(id, details))
            .collect()
    }

    fn plan(&self, items: &[TodoItem]) -> Vec<ServerNotification> {
        let Some(turn) = &self.turn else {
            return Vec::new();
        };
        let steps = items.iter().map(|item| PlanStep {
            step: item.text.clone(),
            status: match item.completed {
                true => PlanStepStatus::Completed,
                false => PlanStepStatus::Pending,
            },
        });
        vec![ServerNotification::TurnPlanUpdated(TurnPlanUpdated {
            thread_id: self.thread_id.clone(),
            turn_id: turn.id.clone(),
            explanation: None,
            plan: steps.collect(),
        })]
    }

    fn warning(&self, message: String) -> ServerNotification {
        ServerNotification::Warning(Warning {
            message,
            thread_id: Some(self.thread_id.clone()),
        })
    }

    fn item_started(&self, turn_id: &str, item: ThreadItem, now: i64) -> ServerNotification {
        ServerNotification::ItemStarted(Box::new(ItemStarted {
            thread_id: self.thread_id.clone(),
            turn_id: turn_id.to_owned(),
            item,
            started_at_ms: now,
        }))
    }

    fn item_completed(&self, turn_id: &str, item: ThreadItem) -> ServerNotification {
        ServerNotification::ItemCompleted(Box::new(ItemCompleted {
            thread_id: self.thread_id.clone(),
            turn_id: turn_id.to_owned(),
            item,
            completed_at_ms: self.now(),
        }))
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// How an item looked before it had an outcome.
fn beginning(details: &ItemDetails) -> ItemDetails {
    let mut details = details.clone();
    match &mut details {
        ItemDetails::AgentMessage { text } | ItemDetails::Reasoning { text } => text.clear(),
        ItemDetails::CommandExecution(run) => {
            run.status = ItemStatus::InProgress;
            run.aggregated_output.clear();
            run.exit_code = None;
        }
        ItemDetails::FileChange(patch) => {
            patch.status = ItemStatus::InProgress;
            patch.error = None;
        }
        ItemDetails::McpToolCall(call) => {
            call.status = ItemStatus::InProgress;
            call.result = None;
            call.error = None;
        }
        ItemDetails::TodoList { .. } | ItemDetails::WebSearch(_) | ItemDetails::Error { .. } => {}
    }
    details
}

/// How an item ends that was cut short.
fn cut(mut details: ItemDetails) -> ItemDetails {
    match &mut details {
        ItemDetails::CommandExecution(run) => run.status = ItemStatus::Failed,
        ItemDetails::FileChange(patch) => patch.status = ItemStatus::Failed,
        ItemDetails::McpToolCall(call) => {
            call.status = ItemStatus::Failed;
            call.error.get_or_insert_with(|| "interrupted".to_owned());
        }
        ItemDetails::AgentMessage { .. }
        | ItemDetails::Reasoning { .. }
        | ItemDetails::TodoList { .. }
        | ItemDetails::WebSearch(_)
        | ItemDetails::Error { .. } => {}
    }
    details
}
