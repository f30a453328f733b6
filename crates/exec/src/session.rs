//! One turn, from the request to its end.
//!
//! The order is that of the contract: what can be refused without a thread is refused first, and the
//! file of the last message is opened before anything costs money. Whatever waits here can be ended
//! by `interrupt`; `run.rs` decides when that happens and how the process ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_process::Output;
use codex_protocol::{AskForApproval, EventKind, ItemDetails, Op, TurnError, UserInput};
use codex_runtime::{
    Begin, ElicitationPolicy, Invocation, Loaded, ModelSide as LobbyModelSide, Notice, RecordedIn,
    Session, StartOptions, Storage, TrustLevel, TrustSaved, UserConfig,
};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::args::{ModelSide, Request, ThreadArg};
use crate::failure::Failure;
use crate::image;
use crate::input::in_thread;
use crate::prompt::{self, PromptSource};
use crate::schema;
use crate::view::View;

/// How long an interrupted turn may take to complete its items.
const INTERRUPT_LIMIT: Duration = Duration::from_millis(900);
/// How long servers and children may take to end after an interrupt, and after a turn.
const INTERRUPTED_CLOSE_LIMIT: Duration = Duration::from_millis(700);
/// The latter has room for the renewal of a login that is under way: without its end the login is lost.
const CLOSE_LIMIT: Duration = Duration::from_secs(13);
/// Most notices about the configuration.
const MAX_NOTICES: usize = 20;

const NOT_TRUSTED: &str =
    "Not inside a trusted directory and --skip-git-repo-check was not specified.";
const NOT_TRUSTED_HINT: &str =
    "add `--trust` once to trust this folder, or `--skip-git-repo-check` for this run";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
    /// By `interrupt`.
    Interrupted,
}

/// Why a run ended before its turn did.
enum Stop {
    /// Before stdin was looked at.
    Unprepared(Failure),
    Failure(Failure),
    Interrupted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What must outlive the start of a turn.
struct Plan {
    schema: Option<Value>,
    last_message: Option<LastMessage>,
}

/// The file of `-o`, open and empty.
struct LastMessage {
    name: PathBuf,
    file: File,
}

/// Runs one request to its end and tells it.
pub(crate) async fn run(
    request: Request,
    invocation: Invocation,
    out: &Output,
    interrupt: &CancellationToken,
) -> End {
    let mut view = match request.json {
        true => View::json(out),
        false => View::human(out, request.color, &invocation.env),
    };
    let end = match turn(request, invocation, &mut view, out, interrupt).await {
        Ok(end) => end,
        Err(Stop::Interrupted) => {
            view.interrupted().await;
            End::Interrupted
        }
        Err(Stop::Failure(failure)) => {
            view.fatal(&failure).await;
            End::Failed
        }
        Err(Stop::Unprepared(failure)) => {
            view.fatal(&failure).await;
            out.flushed().await;
            tokio::select! {
                _ = in_thread("discard", prompt::discard_prompt) => {}
                () = interrupt.cancelled() => {}
            }
            End::Failed
        }
    };
    out.flushed().await;
    end
}

/// Everything that is known before the prompt is read and the thread starts.
struct Prepared {
    loaded: Loaded,
    options: StartOptions,
    images: Vec<UserInput>,
    plan: Plan,
    /// `None` = that of the recording.
    prompt: Option<PromptSource>,
    notices: Vec<String>,
}

async fn turn(
    request: Request,
    invocation: Invocation,
    view: &mut View<'_>,
    out: &Output,
    interrupt: &CancellationToken,
) -> Result<End, Stop> {
    let Prepared {
        loaded,
        options,
        images,
        plan,
        prompt,
        notices,
    } = tokio::select! {
        prepared = in_thread("prepare", || prepare(request, invocation)) => {
            let prepared = prepared
                .unwrap_or_else(|error| Err(Failure::new(format!("cannot start: {error}"))));
            prepared.map_err(Stop::Unprepared)?
        }
        () = interrupt.cancelled() => return Err(Stop::Interrupted),
    };
    for notice in notices {
        view.notice(notice).await;
    }
    let prompt = match prompt {
        Some(source) => Some(read_prompt(source, out, interrupt).await?),
        None => None,
    };
    let mut session = tokio::select! {
        session = loaded.start(options) => {
            session.map_err(|error| Failure::of(&error, error.hints()))?
        }
        () = interrupt.cancelled() => return Err(Stop::Interrupted),
    };
    let prompt = prompt
        .or(session.recorded_prompt.take())
        .unwrap_or_default();
    view.thread_started(session.thread.id, &session.summary, &prompt)
        .await;
    for notice in std::mem::take(&mut session.notices) {
        view.notice(notice).await;
    }
    let mut input = images;
    input.push(UserInput::Text(prompt));
    let op = Op::UserTurn {
        input,
        output_schema: plan.schema.clone(),
    };
    Ok(drive(plan, session, op, view, interrupt).await)
}

/// Refuses what can be refused without a thread. May block: any file of it may be a pipe.
fn prepare(request: Request, mut invocation: Invocation) -> Result<Prepared, Failure> {
    if let Some(what) = request.unavailable {
        return Err(Failure::new(format!("{what} is not available yet")));
    }
    // The files of flags are seen from where the process stands, not from `-C`.
    let stands_in = invocation.cwd.clone();
    let schema = match &request.output_schema {
        Some(file) => Some(schema::read(file, &stands_in)?),
        None => None,
    };
    invocation.overrides = invocation.overrides.then(request.config.clone());
    if request.ignore_user_config {
        invocation.user_config = UserConfig::Ignored;
    }
    let mut loaded = load(&request, invocation)?;
    let begin = find_thread(&request.thread, &loaded)?;
    let images = image::read_all(&request.images, &stands_in)
        .map_err(|error| Failure::of(&error, Vec::new()))?;
    let last_message = match &request.last_message_file {
        Some(file) => Some(LastMessage::open(file, &stands_in)?),
        None => None,
    };
    Ok(Prepared {
        notices: early_notices(&request, &mut loaded),
        options: start_options(&request, begin),
        prompt: request.prompt,
        loaded,
        images,
        plan: Plan {
            schema,
            last_message,
        },
    })
}

/// Tells the events of the turn, then ends the thread.
async fn drive(
    mut plan: Plan,
    mut session: Session,
    op: Op,
    view: &mut View<'_>,
    interrupt: &CancellationToken,
) -> End {
    let thread = session.thread.sender();
    // A thread that has ended already says so by ending its events.
    let _ = thread.submit(op).await;
    // The events are told by one future to their end: one that was dropped in the middle of a line
    // would take the line with it, and the item that it ends.
    let overdue = async {
        interrupt.cancelled().await;
        let _ = thread.submit(Op::Interrupt).await;
        tokio::time::sleep(INTERRUPT_LIMIT).await;
    };
    let end = tokio::select! {
        end = events(&mut plan, &mut session, view) => Some(end),
        () = overdue => None,
    };
    if matches!(end, None | Some(End::Interrupted)) {
        // A recording is completed as far as it goes; there is no one left to tell.
        let _ = session.finish_model();
    }
    match end {
        Some(end) if interrupt.is_cancelled() => {
            close(session, INTERRUPTED_CLOSE_LIMIT).await;
            end
        }
        Some(end) => {
            close(session, CLOSE_LIMIT).await;
            end
        }
        // The engine or our reader did not manage in time. What is open is completed here, and a
        // reader who has stalled does not keep the servers from being told to end.
        None => {
            tokio::join!(view.interrupted(), close(session, INTERRUPTED_CLOSE_LIMIT));
            End::Interrupted
        }
    }
}

/// Tells events up to the end of the turn.
async fn events(plan: &mut Plan, session: &mut Session, view: &mut View<'_>) -> End {
    let mut final_message: Option<String> = None;
    while let Some(event) = session.thread.next_event().await {
        match event.kind {
            EventKind::TurnCompleted { usage } => {
                return match session.finish_model() {
                    Ok(notices) => {
                        for notice in notices {
                            view.notice(notice).await;
                        }
                        plan.hand_over(final_message.as_deref(), view).await;
                        view.completed(usage, final_message.as_deref()).await;
                        End::Completed
                    }
                    Err(error) => {
                        view.event(&EventKind::TurnFailed(error)).await;
                        End::Failed
                    }
                };
            }
            EventKind::TurnFailed(error) => {
                fail(error, session, view).await;
                return End::Failed;
            }
            EventKind::TurnInterrupted => {
                view.event(&EventKind::TurnInterrupted).await;
                return End::Interrupted;
            }
            kind => {
                view.event(&kind).await;
                if let EventKind::ItemCompleted(item) = kind
                    && let ItemDetails::AgentMessage { text } = item.details
                {
                    final_message = Some(text);
                }
            }
        }
    }
    view.fatal(&Failure::new("the thread ended before its turn"))
        .await;
    End::Failed
}

async fn fail(error: TurnError, session: &Session, view: &mut View<'_>) {
    // The first difference of a replay is already the failure; what finish adds would hide it.
    for notice in session.finish_model().unwrap_or_default() {
        view.notice(notice).await;
    }
    view.event(&EventKind::TurnFailed(error)).await;
}

/// Ends the thread with its servers and children.
async fn close(mut session: Session, limit: Duration) {
    let closing = async {
        if session.thread.submit(Op::Shutdown).await.is_ok() {
            while session.thread.next_event().await.is_some() {}
        }
    };
    // Whoever is left after the limit ends with the handle.
    let _ = timeout(limit, closing).await;
}

impl Plan {
    /// Checks the final message and writes it to its file; what goes wrong is a notice.
    async fn hand_over(&mut self, message: Option<&str>, view: &mut View<'_>) {
        if let (None, Some(LastMessage { name, .. })) = (message, &self.last_message) {
            let notice = format!("no last message; `{}` is empty", name.display());
            view.notice(notice).await;
        }
        if let Some(schema) = &self.schema
            && let Some(notice) = schema::mismatch(schema, message)
        {
            view.notice(notice).await;
        }
        if let Some(LastMessage { name, file }) = &mut self.last_message
            && let Err(error) = file.write_all(message.unwrap_or_default().as_bytes())
        {
            view.notice(format!(
                "cannot write the last message to `{}`: {error}",
                name.display()
            ))
            .await;
        }
    }
}

/// Loads the configuration of a place where a run may be. A project that becomes trusted by this very
/// run has its say in it.
fn load(request: &Request, invocation: Invocation) -> Result<Loaded, Failure> {
    let read = |invocation: Invocation| {
        let loaded = invocation.load();
        loaded.map_err(|error| Failure::of(&error, error.hints().to_vec()))
    };
    let loaded = read(invocation.clone())?;
    if request.trust {
        let saved = loaded.trust_project();
        return match saved.map_err(|error| Failure::of(&error, error.hints()))? {
            TrustSaved::Before => Ok(loaded),
            TrustSaved::Now => read(invocation),
        };
    }
    let project = &loaded.project;
    let may_run = request.skip_git_repo_check || request.bypass || project.in_git;
    match may_run || project.trust == Some(TrustLevel::Trusted) {
        true => Ok(loaded),
        false => Err(Failure::bare(NOT_TRUSTED).hint(NOT_TRUSTED_HINT)),
    }
}

fn find_thread(thread: &ThreadArg, loaded: &Loaded) -> Result<Begin, Failure> {
    let begin = match thread {
        ThreadArg::New => return Ok(Begin::New),
        ThreadArg::Resume(word) => loaded.find_thread(word).map(Begin::Resume),
        ThreadArg::ResumeLast { any_directory } => {
            let recorded = match any_directory {
                false => RecordedIn::ThisDirectory,
                true => RecordedIn::AnyDirectory,
            };
            loaded.latest_thread(recorded).map(Begin::Resume)
        }
        ThreadArg::Fork(word) => loaded.find_thread(word).map(Begin::Fork),
    };
    begin.map_err(|error| Failure::of(&error, error.hints()))
}

impl LastMessage {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user names this output; it has the usual permissions, it is no private file"
    )]
    fn open(name: &Path, cwd: &Path) -> Result<Self, Failure> {
        let failed = |error| {
            Failure::new(format!(
                "Failed to open last message file {name:?}: {error}"
            ))
        };
        let file = File::create(cwd.join(name)).map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            file,
        })
    }
}

async fn read_prompt(
    source: PromptSource,
    out: &Output,
    interrupt: &CancellationToken,
) -> Result<String, Stop> {
    tokio::select! {
        prompt = source.read(out) => {
            prompt.map_err(|error| Failure::bare(error.to_string()).into())
        }
        () = interrupt.cancelled() => Err(Stop::Interrupted),
    }
}

/// Gathers what there is to say before the thread: flags first, then the configuration.
fn early_notices(request: &Request, loaded: &mut Loaded) -> Vec<String> {
    let mut notices: Vec<String> = request.flags_notice.iter().cloned().collect();
    let mut unused = loaded.layers.disabled().iter();
    if let Some(layer) = unused.find(|layer| layer.has_mcp_servers()) {
        let hint = layer.hint.iter().map(|hint| format!("\nhint: {hint}"));
        notices.push(format!(
            "note: {}{}",
            layer.reason,
            hint.collect::<String>()
        ));
    }
    let configured = std::mem::take(&mut loaded.notices);
    let n_more = configured.len().saturating_sub(MAX_NOTICES);
    notices.extend(configured.iter().take(MAX_NOTICES).map(told));
    if n_more > 0 {
        notices.push(format!("... and {n_more} more"));
    }
    notices
}

/// Returns the words of a notice; those of a warning bring no lead, the view adds it.
fn told(notice: &Notice) -> String {
    match notice.prefix() {
        "warning" => notice.message.clone(),
        lead => format!("{lead}: {}", notice.message),
    }
}

fn start_options(request: &Request, begin: Begin) -> StartOptions {
    const NOBODY: &str = "exec cannot ask";
    StartOptions {
        begin,
        model: request.model.clone(),
        model_side: match &request.model_side {
            ModelSide::Live => LobbyModelSide::Live,
            ModelSide::Record(file) => LobbyModelSide::Record(file.clone()),
            ModelSide::Replay(file) => LobbyModelSide::Replay(file.clone()),
        },
        approval: Some(AskForApproval::Never),
        sandbox: request.sandbox,
        add_dirs: request.add_dirs.clone(),
        elicitation: match request.bypass {
            true => ElicitationPolicy::AcceptEmptyForms(NOBODY),
            false => ElicitationPolicy::Decline(NOBODY),
        },
        storage: match request.ephemeral {
            true => Storage::Ephemeral,
            false => Storage::Stored,
        },
        thread_source: request.thread_source.clone(),
        explain: request.explain,
        ..StartOptions::default()
    }
}
