//! The owner of the settings, and of the servers that no thread has.
//!
//! One loop; a write has a task of its own, and only what must see what it wrote waits for it. A changed file is loaded whole,
//! and only what differs is applied; one that cannot be used is told, and then nothing changes but
//! what the machine requires.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codex_app_server_protocol::{
    ConfigReadParams, Empty, Fault, McpServerStatusListParams, Method,
};
use codex_config::Notice;
use codex_host::Env;
use codex_runtime::{Invocation, LoadError, Loaded};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::outbox::Outbox;
use crate::rooms::Rooms;
use crate::running::Running;
use crate::ticket::{MAX_WAITING, Ticket};
use crate::warnings::{Warnings, not_used, sentence};
use crate::watch::{INTERVAL, Stamps};
use crate::write::{Write, Written};
use crate::{features, requirements, settings};

/// How long servers may take to end.
const END_LIMIT: Duration = Duration::from_millis(600);

/// What the house is told.
#[derive(Debug)]
enum HouseInput {
    Request(Box<Method>, Ticket),
    /// The client has said who it is: from now on it can be told things.
    Greeted,
}

/// Sends requests to the house.
#[derive(Debug, Clone)]
pub(crate) struct HouseHandle {
    inbox: mpsc::Sender<HouseInput>,
    ground: Arc<Ground>,
    warnings: Warnings,
}

/// What never changes.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) env: Env,
    pub(crate) home: String,
}

/// The settings and what runs because of them.
pub(crate) struct House {
    inbox: mpsc::Receiver<HouseInput>,
    outbox: Outbox,
    invocation: Invocation,
    loaded: Arc<Loaded>,
    stamps: Stamps,
    warnings: Warnings,
    rooms: Rooms,
    /// Started by the first question about them.
    running: Option<Running>,
    is_greeted: bool,
    /// The write that runs: it may wait long for the lock of the file.
    writing: JoinSet<(Result<Written, Fault>, Ticket)>,
    /// Requests that came after it and must not overtake it.
    held: VecDeque<(Method, Ticket)>,
    /// Answers that wait for servers.
    answers: JoinSet<()>,
}

/// The settings of a moment, and how the files looked before they were read.
struct Reading {
    loaded: Loaded,
    /// Why they are the older ones, with the newer requirements of the machine.
    unusable: Option<Unusable>,
    stamps: Stamps,
}

/// Why newer settings cannot be used: for who wanted them, and for everybody.
struct Unusable {
    fault: Fault,
    notice: Notice,
}

impl HouseHandle {
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Returns what was told about the settings and holds.
    pub(crate) fn told(&self) -> HashSet<String> {
        self.warnings.told()
    }

    /// Hands over a request; there is room for as many as there are tickets.
    pub(crate) async fn request(&self, method: Method, ticket: Ticket) {
        let request = HouseInput::Request(Box::new(method), ticket);
        // A house that is gone is the end of the process.
        let _ = self.inbox.send(request).await;
    }

    pub(crate) async fn greet(&self) {
        let _ = self.inbox.send(HouseInput::Greeted).await;
    }
}

impl House {
    pub(crate) fn new(
        invocation: Invocation,
        loaded: Loaded,
        outbox: Outbox,
        rooms: Rooms,
    ) -> (HouseHandle, Self) {
        let (sender, inbox) = mpsc::channel(MAX_WAITING + 1);
        let ground = Arc::new(Ground {
            env: loaded.env.clone(),
            home: loaded.home.path().to_string(),
        });
        let warnings = Warnings::default();
        let handle = HouseHandle {
            inbox: sender,
            ground,
            warnings: warnings.clone(),
        };
        let house = Self {
            inbox,
            outbox,
            stamps: Stamps::take(invocation.config_files(&loaded)),
            invocation,
            loaded: Arc::new(loaded),
            warnings,
            rooms,
            running: None,
            is_greeted: false,
            writing: JoinSet::new(),
            held: VecDeque::new(),
            answers: JoinSet::new(),
        };
        (handle, house)
    }

    /// Serves until `stop`, then ends the servers.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.serve() => {}
        }
        self.answers.abort_all();
        if let Some(running) = self.running {
            running.end(END_LIMIT).await;
        }
    }

    async fn serve(&mut self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                input = self.inbox.recv() => match input {
                    Some(HouseInput::Request(method, ticket)) => {
                        self.on_request(*method, ticket).await;
                    }
                    Some(HouseInput::Greeted) => self.on_greeted().await,
                    None => return,
                },
                told = Running::next(&mut self.running) => {
                    for notification in told {
                        self.outbox.notify(notification).await;
                    }
                }
                Some(written) = self.writing.join_next() => {
                    if let Ok((written, ticket)) = written {
                        self.on_written(written, ticket).await;
                    }
                    self.go_on().await;
                }
                Some(_) = self.answers.join_next() => {}
                _ = ticks.tick(), if self.is_greeted => self.look().await,
            }
        }
    }

    async fn on_greeted(&mut self) {
        self.is_greeted = true;
        for warning in self.warnings.of_loaded(&self.loaded.notices) {
            self.outbox.notify(warning).await;
        }
    }

    /// Does what was held for a write, up to the next one.
    async fn go_on(&mut self) {
        while self.writing.is_empty()
            && let Some((method, ticket)) = self.held.pop_front()
        {
            self.on_request(method, ticket).await;
        }
    }

    async fn on_request(&mut self, method: Method, ticket: Ticket) {
        if !self.writing.is_empty() && is_about_files(&method) {
            return self.held.push_back((method, ticket));
        }
        match method {
            Method::ConfigRead(params) => ticket.settle(self.read(params).await).await,
            Method::ConfigValueWrite(params) => {
                let write = Write {
                    edits: vec![params.edit],
                    expected_version: params.expected_version,
                    file_path: params.file_path,
                };
                self.write(write, ticket);
            }
            Method::ConfigBatchWrite(params) => {
                let write = Write {
                    edits: params.edits,
                    expected_version: params.expected_version,
                    file_path: params.file_path,
                };
                self.write(write, ticket);
            }
            Method::ConfigRequirementsRead => {
                self.look().await;
                let answer = requirements::read(&self.loaded.config.requirements);
                ticket.answer(&answer).await;
            }
            Method::ConfigMcpServerReload => {
                let reading = self.reading().await;
                let unusable = reading.unusable.as_ref();
                let fault = unusable.map(|unusable| unusable.fault.clone());
                ticket.settle(fault.map_or(Ok(Empty {}), Err)).await;
                self.adopt(reading).await;
            }
            Method::ExperimentalFeatureList(params) => {
                self.look().await;
                let answer = features::list(&self.loaded.config.features, &params);
                ticket.settle(answer).await;
            }
            Method::McpServerStatusList(params) => self.statuses(params, ticket).await,
            // The router sends nothing else here.
            Method::Initialize(_)
            | Method::ThreadStart(_)
            | Method::TurnStart(_)
            | Method::TurnInterrupt(_) => {
                ticket
                    .refuse(Fault::internal("not a request of the house"))
                    .await;
            }
        }
    }

    async fn read(&self, params: ConfigReadParams) -> Result<impl serde::Serialize, Fault> {
        let mut invocation = self.invocation.clone();
        if let Some(cwd) = &params.cwd {
            invocation.overrides.cd = Some(PathBuf::from(cwd));
        }
        let loaded = blocking(move || invocation.load()).await?;
        let loaded = loaded.map_err(|error| unusable(&error))?;
        Ok(settings::read(&loaded, &params))
    }

    fn write(&mut self, write: Write, ticket: Ticket) {
        let loaded = self.loaded.clone();
        self.writing.spawn(async move {
            let written = blocking(move || write.run(&loaded)).await;
            (written.and_then(|written| written), ticket)
        });
    }

    async fn on_written(&mut self, written: Result<Written, Fault>, ticket: Ticket) {
        let written = match written {
            Ok(written) => written,
            Err(fault) => return ticket.refuse(fault).await,
        };
        let reading = self.reading().await;
        // What was written stands in the file, also when another layer keeps it from being used.
        ticket.answer(&written.response(&reading.loaded)).await;
        self.adopt(reading).await;
    }

    async fn statuses(&mut self, params: McpServerStatusListParams, ticket: Ticket) {
        self.look().await;
        let loaded = self.loaded.clone();
        let running = self.running.get_or_insert_with(|| Running::start(&loaded));
        let question = running.question(loaded, params);
        if question.waits_for_servers() {
            self.answers
                .spawn(async move { ticket.settle(question.answer().await).await });
        } else {
            ticket.settle(question.answer().await).await;
        }
    }

    /// Takes over what changed in the files since they were last looked at.
    async fn look(&mut self) {
        let stamps = self.stamps.clone();
        let looked = blocking(move || {
            let now = stamps.again();
            now != stamps
        });
        if looked.await.unwrap_or(false) {
            let reading = self.reading().await;
            self.adopt(reading).await;
        }
    }

    /// Reads the settings of this moment.
    async fn reading(&self) -> Reading {
        let (invocation, stamps) = (self.invocation.clone(), self.stamps.clone());
        let old = self.loaded.clone();
        let work = move || {
            // Looked at first: what changes while the files are read is read again.
            let before = stamps.again();
            let (loaded, error) = old.renewed(invocation.clone());
            Reading {
                stamps: match error {
                    None => before.of(invocation.config_files(&loaded)),
                    Some(_) => before,
                },
                unusable: error.map(|error| Unusable {
                    fault: unusable(&error),
                    notice: not_used(&sentence(&error), Some(&error)),
                }),
                loaded,
            }
        };
        blocking(work).await.unwrap_or_else(|fault| Reading {
            loaded: (*self.loaded).clone(),
            unusable: Some(Unusable {
                notice: not_used(&fault.message, None),
                fault,
            }),
            stamps: self.stamps.clone(),
        })
    }

    /// Lets settings hold that were read, and tells what there is to say about them.
    async fn adopt(&mut self, reading: Reading) {
        let Reading {
            loaded: new,
            unusable,
            stamps,
        } = reading;
        self.stamps = stamps;
        if let Some(running) = &mut self.running {
            let changes = self.loaded.changes_to(&new);
            running.apply(&new, &changes).await;
        }
        let unusable = unusable.map(|unusable| unusable.notice);
        let notices: Vec<Notice> = new.notices.iter().cloned().chain(unusable).collect();
        self.loaded = Arc::new(new);
        self.rooms.reload();
        for warning in self.warnings.of_loaded(&notices) {
            self.outbox.notify(warning).await;
        }
    }
}

/// Returns whether a request reads or writes the files, so that its place among others matters.
fn is_about_files(method: &Method) -> bool {
    matches!(
        method,
        Method::ConfigRead(_)
            | Method::ConfigValueWrite(_)
            | Method::ConfigBatchWrite(_)
            | Method::ConfigMcpServerReload
    )
}

/// Says in one sentence why settings cannot be used.
pub(crate) fn unusable(error: &LoadError) -> Fault {
    let why = sentence(error);
    let first = why.lines().next().unwrap_or_default();
    match error {
        LoadError::WorkingDirectory(_) => Fault::state(first),
        LoadError::Home(_) | LoadError::Flag(_) | LoadError::Config(_) => {
            Fault::state(format!("Invalid configuration: {first}"))
        }
    }
}
