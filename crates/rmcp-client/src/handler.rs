//! What the server says on its own: questions, progress, logs, changed lists.
//!
//! The connection must never wait for whoever reads the events. Logs are dropped when the reader is
//! slow, a changed list is reported once more when there is room, and a question waits in a task of its
//! own while the clocks of the open calls stand still.
#![expect(
    deprecated,
    reason = "logging is deprecated since 2026-07-28 and sent by the servers of today"
)]

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::ClientHandler;
use rmcp::model::{
    ClientConfig, CustomRequest, CustomResult, ErrorCode, ErrorData,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Progress, ProgressSink};
use crate::elicitation;
use crate::wire::SHIELD;
use crate::{Elicitation, ElicitationReply, ServerEvent};

/// Progress that came before its call was registered; more than this is forgotten.
const EARLY_PROGRESS: usize = 32;

/// More questions than this are not open at once; the next ones are declined.
const MAX_QUESTIONS: usize = 16;

/// How long a question may stay open.
const QUESTION_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The ear of one connection.
#[derive(Clone)]
pub(crate) struct Ear {
    pub(crate) config: ClientConfig,
    pub(crate) shared: Arc<EarState>,
}

/// What the ear shares with the calls.
pub(crate) struct EarState {
    events: mpsc::Sender<ServerEvent>,
    tasks: TaskTracker,
    /// Ends what waits for the reader of the events.
    ended: CancellationToken,
    may_ask: bool,
    progress: Mutex<ProgressState>,
    /// How many questions are open.
    questions: watch::Sender<usize>,
    tools_changed: AtomicBool,
    resources_changed: AtomicBool,
    prompts_changed: AtomicBool,
}

#[derive(Default)]
struct ProgressState {
    calls: HashMap<ProgressToken, CallEar>,
    early: VecDeque<(ProgressToken, Progress)>,
}

/// Where the progress of one call goes.
#[derive(Clone)]
pub(crate) struct CallEar {
    /// Counts signs of life.
    pub(crate) alive: watch::Sender<u64>,
    pub(crate) sink: Option<ProgressSink>,
}

impl CallEar {
    fn hear(&self, progress: Progress) {
        self.alive.send_modify(|count| *count += 1);
        if let Some(sink) = &self.sink {
            sink(progress);
        }
    }
}

impl EarState {
    pub(crate) fn new(
        events: mpsc::Sender<ServerEvent>,
        tasks: TaskTracker,
        may_ask: bool,
    ) -> Self {
        Self {
            events,
            tasks,
            ended: CancellationToken::new(),
            may_ask,
            progress: Mutex::default(),
            questions: watch::Sender::new(0),
            tools_changed: AtomicBool::new(false),
            resources_changed: AtomicBool::new(false),
            prompts_changed: AtomicBool::new(false),
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, ProgressState> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the progress of a call to `ear`, also what came already.
    pub(crate) fn register(&self, token: &ProgressToken, ear: CallEar) {
        let mut state = self.progress();
        let mut early = VecDeque::new();
        for (other, progress) in state.early.drain(..) {
            if &other == token {
                ear.hear(progress);
            } else {
                early.push_back((other, progress));
            }
        }
        state.early = early;
        state.calls.insert(token.clone(), ear);
    }

    /// Forgets a call that has ended.
    pub(crate) fn unregister(&self, token: &ProgressToken) {
        self.progress().calls.remove(token);
    }

    /// The connection has ended.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// How many questions are open, for clocks that must stand still meanwhile.
    pub(crate) fn questions(&self) -> watch::Receiver<usize> {
        self.questions.subscribe()
    }

    /// Asks the user; declines when nobody listens.
    pub(crate) async fn ask(&self, request: Elicitation) -> ElicitationReply {
        if !self.may_ask || *self.questions.borrow() >= MAX_QUESTIONS {
            return ElicitationReply::Decline;
        }
        let _open = OpenQuestion::new(&self.questions);
        let (reply, answer) = tokio::sync::oneshot::channel();
        let event = ServerEvent::Elicitation { request, reply };
        let asking = async {
            self.events.send(event).await.ok()?;
            answer.await.ok()
        };
        let asking = async {
            tokio::select! {
                reply = asking => reply,
                () = self.ended.cancelled() => Some(ElicitationReply::Cancel),
            }
        };
        match tokio::time::timeout(QUESTION_LIMIT, asking).await {
            Ok(Some(reply)) => reply,
            Ok(None) => ElicitationReply::Decline,
            Err(_) => ElicitationReply::Cancel,
        }
    }

    /// Answers a question that came as raw parameters.
    pub(crate) async fn answer(&self, params: &Value) -> Result<Value, String> {
        let request = elicitation::parse(params)?;
        let schema = match &request {
            Elicitation::Form { schema, .. } => Some(schema.clone()),
            Elicitation::Url { .. } => None,
        };
        let reply = self.ask(request).await;
        Ok(elicitation::result(reply, schema.as_ref()))
    }

    /// Reports a changed list, at the latest when the reader has room again.
    pub(crate) fn list_changed(self: &Arc<Self>, list: List) {
        let (flag, event) = match list {
            List::Tools => (&self.tools_changed, ServerEvent::ToolListChanged),
            List::Resources => (&self.resources_changed, ServerEvent::ResourceListChanged),
            List::Prompts => (&self.prompts_changed, ServerEvent::PromptListChanged),
        };
        let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) else {
            return;
        };
        if flag.swap(true, Ordering::Relaxed) {
            return;
        }
        let state = Arc::clone(self);
        self.tasks.spawn(async move {
            // Cleared first: a change after this moment is another event.
            let room = tokio::select! {
                room = state.events.reserve() => room,
                () = state.ended.cancelled() => return,
            };
            match list {
                List::Tools => &state.tools_changed,
                List::Resources => &state.resources_changed,
                List::Prompts => &state.prompts_changed,
            }
            .store(false, Ordering::Relaxed);
            if let Ok(room) = room {
                room.send(event);
            }
        });
    }
}

/// The lists that can change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum List {
    Tools,
    Resources,
    Prompts,
}

/// Counts a question for as long as it is open, also when its asker is cancelled.
struct OpenQuestion<'a>(&'a watch::Sender<usize>);

impl<'a> OpenQuestion<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method.strip_prefix(SHIELD);
        let is_modern = context
            .peer
            .peer_info()
            .is_some_and(|info| !info.protocol_version.has_initialize());
        match method {
            // Since 2026-07-28 a server asks within results; a request of its own breaks the protocol.
            Some(method) if is_modern => Err(ErrorData::invalid_request(
                format!("{method} is no request in this revision"),
                None,
            )),
            Some("elicitation/create") if self.shared.may_ask => {
                let params = request.params.unwrap_or_default();
                let answer = tokio::select! {
                    answer = self.shared.answer(&params) => answer,
                    () = context.ct.cancelled() => Err("cancelled".to_owned()),
                };
                answer
                    .map(CustomResult::new)
                    .map_err(|why| ErrorData::invalid_params(why, None))
            }
            _ => Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                method.unwrap_or(&request.method).to_owned(),
                None,
            )),
        }
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let progress = Progress {
            progress: params.progress,
            total: params.total,
            message: params.message,
        };
        let mut state = self.shared.progress();
        if let Some(ear) = state.calls.get(&params.progress_token).cloned() {
            drop(state);
            ear.hear(progress);
            return;
        }
        if state.early.len() == EARLY_PROGRESS {
            state.early.pop_front();
        }
        state.early.push_back((params.progress_token, progress));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let level = serde_json::to_value(params.level).unwrap_or_default();
        // A full channel drops the line: logs are the one thing that may be lost.
        let _ = self.shared.events.try_send(ServerEvent::Log {
            level: level.as_str().unwrap_or("info").to_owned(),
            logger: params.logger,
            data: params.data,
        });
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.shared.list_changed(List::Tools);
    }

    async fn on_resource_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.shared.list_changed(List::Resources);
    }

    async fn on_prompt_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.shared.list_changed(List::Prompts);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_questions_is_declined() {
        let (events, _reader) = mpsc::channel(1);
        let ear = EarState::new(events, TaskTracker::new(), true);
        let question = || Elicitation::Form {
            message: String::new(),
            schema: json!({}),
        };
        let mut open: Vec<_> = (0..MAX_QUESTIONS)
            .map(|_| Box::pin(ear.ask(question())))
            .collect();
        for asking in &mut open {
            assert_eq!(asking.now_or_never(), None);
        }
        let one_more = ear.ask(question()).now_or_never();
        assert_eq!(one_more, Some(ElicitationReply::Decline));
        drop(open);
        assert_eq!(ear.ask(question()).now_or_never(), None);
    }
}
