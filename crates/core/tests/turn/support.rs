//! A thread with a scripted model, and what it says.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_api_types::{ContentItem, FunctionCall, Message, ResponseItem};
use codex_config::McpServerConfig;
use codex_core::{Begin, StartError, ThreadHandle, ThreadServices, ThreadSettings, start_thread};
use codex_host::{AbsPath, Clock, CodexHome, Env};
use codex_http::HttpClient;
use codex_mcp::{ClientInfo, McpSettings};
use codex_model::{
    ClientIdentity, ModelBackend, ModelError, ModelEvent, ModelStream, Prompt, ProviderSettings,
    ResponsesApi, RetryBudget,
};
use codex_protocol::{
    ApprovalSubject, AskForApproval, EventKind, ItemDetails, ItemStatus, Op, ServerName,
    TokenUsage, UserInput,
};
use codex_test_support::MockResponses;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Nothing that a test waits for may take longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// One scripted answer.
pub(crate) enum Answer {
    Events(Vec<Result<ModelEvent, ModelError>>),
    /// These events, then nothing until the turn is cancelled.
    ThenHang(Vec<ModelEvent>),
}

/// What one request was, as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) input: Vec<String>,
    pub(crate) tools: String,
    pub(crate) prompt: String,
}

/// A model that says what the test wrote.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
    /// Said when the script is over; such requests are only counted.
    for_ever: Mutex<Option<Vec<ModelEvent>>>,
    n_requests: AtomicUsize,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn say_for_ever(&self, events: Vec<ModelEvent>) {
        *self.for_ever.lock().unwrap() = Some(events);
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::Relaxed)
    }
}

impl ModelBackend for Script {
    fn stream(&self, prompt: Prompt, _: RetryBudget, _: CancellationToken) -> ModelStream {
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        if let Some(events) = self.for_ever.lock().unwrap().clone() {
            let Answer::Events(events) = answer(events) else {
                unreachable!("made whole")
            };
            return ModelStream::ready(events);
        }
        self.asked.lock().unwrap().push(Asked {
            input: prompt
                .input
                .iter()
                .map(|item| serde_json::to_string(item).unwrap())
                .collect(),
            tools: serde_json::to_string(&prompt.tools).unwrap(),
            prompt: format!("{:?} {:?}", prompt.reasoning, prompt.text),
        });
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.expect("the test scripted an answer for each request") {
            Answer::Events(events) => ModelStream::ready(events),
            Answer::ThenHang(events) => ModelStream::new(
                futures_util::stream::iter(events.into_iter().map(Ok))
                    .chain(futures_util::stream::pending()),
            ),
        }
    }
}

pub(crate) fn said(text: &str) -> ModelEvent {
    ModelEvent::ItemDone(ResponseItem::Message(Message {
        role: "assistant".to_owned(),
        content: vec![ContentItem::output_text(text)],
        phase: None,
    }))
}

pub(crate) fn called(call_id: &str, name: &str, arguments: &str) -> ModelEvent {
    ModelEvent::ItemDone(ResponseItem::FunctionCall(FunctionCall {
        call_id: call_id.to_owned(),
        name: name.to_owned(),
        namespace: None,
        arguments: arguments.to_owned(),
    }))
}

pub(crate) fn called_in(call_id: &str, namespace: &str, name: &str, arguments: &str) -> ModelEvent {
    ModelEvent::ItemDone(ResponseItem::FunctionCall(FunctionCall {
        call_id: call_id.to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        arguments: arguments.to_owned(),
    }))
}

/// A complete answer of 10 tokens in and 2 out.
pub(crate) fn answer(events: Vec<ModelEvent>) -> Answer {
    let end = ModelEvent::Completed {
        usage: TokenUsage {
            input_tokens: 10,
            output_tokens: 2,
            ..TokenUsage::default()
        },
    };
    Answer::Events(events.into_iter().chain([end]).map(Ok).collect())
}

/// A home, settings and servers for threads of one test.
pub(crate) struct Room {
    folder: tempfile::TempDir,
    pub(crate) model: Arc<Script>,
    /// Asked instead of the script.
    pub(crate) backend: Option<Arc<dyn ModelBackend>>,
    pub(crate) settings: ThreadSettings,
    servers: BTreeMap<ServerName, McpServerConfig>,
}

impl Room {
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().join("work");
        std::fs::create_dir(&cwd).unwrap();
        let mut settings = ThreadSettings::new(cwd, "gpt-5.5");
        settings.approval = AskForApproval::Never;
        settings.web_search = codex_core::WebSearchMode::Disabled;
        settings.tools = codex_core::BuiltInTools::NONE;
        let model = Script {
            answers: Mutex::new(answers.into()),
            ..Script::default()
        };
        Self {
            folder,
            backend: None,
            model: Arc::new(model),
            settings,
            servers: BTreeMap::new(),
        }
    }

    /// Asks a real provider's client, which talks to `provider`.
    pub(crate) fn asking(provider: &MockResponses) -> Self {
        let mut room = Self::new(Vec::new());
        let identity = ClientIdentity::new("codex_test", None, "0", "os", "");
        let url = Url::parse(&provider.base_url()).unwrap();
        let mut settings = ProviderSettings::new("mock", url, identity);
        settings.dialect = codex_core::ToolDialect::OpenAi;
        let http = HttpClient::from_env(Env::from_pairs([("", ""); 0]));
        room.backend = Some(Arc::new(ResponsesApi::new(settings, http, Clock::system())));
        room
    }

    pub(crate) fn script(&self, answers: Vec<Answer>) {
        self.model.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> CodexHome {
        CodexHome::at(AbsPath::new(self.path("home")).unwrap())
    }

    pub(crate) fn server(&mut self, server: McpServerConfig) {
        self.servers.insert(server.name.clone(), server);
    }

    pub(crate) async fn start(&self) -> Thread {
        self.begin(Begin::New).await.unwrap()
    }

    pub(crate) async fn begin(&self, begin: Begin) -> Result<Thread, StartError> {
        let env = Env::from_pairs([("PATH", std::env::var("PATH").unwrap())]);
        let client = ClientInfo {
            name: "codex-test".to_owned(),
            title: None,
            version: "0".to_owned(),
        };
        let cwd = AbsPath::new(&self.settings.cwd).unwrap();
        let http = HttpClient::from_env(env.clone());
        let services = ThreadServices {
            model: self.backend.clone().unwrap_or_else(|| self.model.clone()),
            mcp: McpSettings::new(self.servers.clone(), env, cwd, client, http),
            home: self.home(),
            clock: Clock::fixed("2026-11-20T12:00:00Z".parse().unwrap()),
        };
        Ok(Thread {
            handle: start_thread(begin, self.settings.clone(), services).await?,
        })
    }
}

/// A thread and a frontend that writes down what it hears.
pub(crate) struct Thread {
    pub(crate) handle: ThreadHandle,
}

impl Thread {
    pub(crate) async fn say(&self, text: &str) {
        let input = vec![UserInput::Text(text.to_owned())];
        self.handle
            .submit(Op::UserTurn {
                input,
                output_schema: None,
            })
            .await
            .unwrap();
    }

    /// Returns the next event; what a response cost is the affair of one test.
    pub(crate) async fn next(&mut self) -> EventKind {
        loop {
            let event = self.next_of_all().await;
            if !matches!(event, EventKind::ResponseCompleted { .. }) {
                return event;
            }
        }
    }

    pub(crate) async fn next_of_all(&mut self) -> EventKind {
        let event = tokio::time::timeout(LIMIT, self.handle.next_event()).await;
        event
            .expect("an event comes in time")
            .expect("the thread lives")
            .kind
    }

    /// Runs a turn and returns one line for each event.
    pub(crate) async fn turn(&mut self, text: &str) -> String {
        self.say(text).await;
        self.until_end().await
    }

    pub(crate) async fn until_end(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            let event = self.next().await;
            lines.push(line(&event));
            if let EventKind::TurnCompleted { .. }
            | EventKind::TurnFailed(_)
            | EventKind::TurnInterrupted = event
            {
                return lines.join("\n");
            }
        }
    }

    /// Ends the thread and returns what it still said.
    pub(crate) async fn shutdown(mut self) -> String {
        self.handle.submit(Op::Shutdown).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let event = self.next().await;
            if event == EventKind::Closed {
                return lines.join("\n");
            }
            lines.push(line(&event));
        }
    }
}

/// Writes an event as one line.
pub(crate) fn line(event: &EventKind) -> String {
    match event {
        EventKind::Notice(text) => format!("notice: {text}"),
        EventKind::Retrying { message, why } => format!("notice: {message} ({why})"),
        EventKind::ApprovalRequested(request) => format!(
            "{} asks {}: {} ({})",
            request.item,
            request.id.0,
            subject(&request.subject),
            request.reason
        ),
        EventKind::ApprovalResolved(id) => format!("{} is settled", id.0),
        EventKind::ResponseCompleted { usage } => format!("response: {}", usage.input_tokens),
        EventKind::TurnStarted => "turn started".to_owned(),
        EventKind::ItemStarted(item) => format!("{} started: {}", item.id, details(&item.details)),
        EventKind::ItemUpdated(item) => format!("{} updated: {}", item.id, details(&item.details)),
        EventKind::ItemCompleted(item) => {
            format!("{} completed: {}", item.id, details(&item.details))
        }
        EventKind::AgentMessageDelta { item, delta } => format!("{item} text: {delta}"),
        EventKind::ReasoningDelta { item, delta } => format!("{item} reasoning: {delta:?}"),
        EventKind::CallAllowed { item, why } => format!("{item} allowed: {why}"),
        EventKind::McpProgress { item, message } => format!("{item} progress: {message}"),
        EventKind::TurnCompleted { usage } => {
            format!(
                "turn completed: {} in, {} out",
                usage.input_tokens, usage.output_tokens
            )
        }
        EventKind::TurnFailed(error) => format!("turn failed: {}", error.message),
        EventKind::TurnInterrupted => "turn interrupted".to_owned(),
        EventKind::Closed => "closed".to_owned(),
    }
}

fn subject(subject: &ApprovalSubject) -> String {
    match subject {
        ApprovalSubject::Command { command, .. } => command.clone(),
        ApprovalSubject::Patch => "the patch".to_owned(),
        ApprovalSubject::McpTool {
            tool, arguments, ..
        } => format!("{tool} {arguments}"),
    }
}

fn details(details: &ItemDetails) -> String {
    match details {
        ItemDetails::AgentMessage { text } => format!("message {text:?}"),
        ItemDetails::Reasoning { text } => format!("reasoning {text:?}"),
        ItemDetails::TodoList { items } => {
            let steps = items
                .iter()
                .map(|item| format!("[{}] {}", if item.completed { "x" } else { " " }, item.text));
            format!("todo {}", steps.collect::<Vec<_>>().join(", "))
        }
        ItemDetails::WebSearch(search) => format!("search {:?} {}", search.query, search.action),
        ItemDetails::McpToolCall(call) => {
            let status = status(call.status);
            let mut line = format!("{}/{} {} {status}", call.server, call.tool, call.arguments);
            if let Some(result) = &call.result {
                let content = serde_json::to_string(&result.content).unwrap();
                line.push_str(&format!(" result={content}"));
                if let Some(structured) = &result.structured {
                    line.push_str(&format!(" structured={structured}"));
                }
            }
            if let Some(error) = &call.error {
                line.push_str(&format!(" error={error}"));
            }
            line
        }
        ItemDetails::CommandExecution(run) => {
            let exit = run.exit_code.map(|code| format!(" exit={code}"));
            format!(
                "ran {:?} {}{} {:?}",
                run.command,
                status(run.status),
                exit.unwrap_or_default(),
                run.aggregated_output
            )
        }
        ItemDetails::FileChange(change) => {
            let files = change.changes.iter();
            let files = files.map(|file| {
                let target = file.moved_to.as_ref();
                let target = target.map(|target| format!(" -> {}", target.display()));
                let (path, target) = (file.path.display(), target.unwrap_or_default());
                format!("{:?} {path}{target}", file.kind)
            });
            let files: Vec<String> = files.collect();
            let mut line = format!("patch [{}] {}", files.join(", "), status(change.status));
            if let Some(error) = &change.error {
                line.push_str(&format!(" error={error}"));
            }
            line
        }
        ItemDetails::Error { .. } => format!("{details:?}"),
    }
}

fn status(status: ItemStatus) -> &'static str {
    match status {
        ItemStatus::InProgress => "runs",
        ItemStatus::Completed => "done",
        ItemStatus::Failed => "failed",
        ItemStatus::Declined => "declined",
    }
}
