//! Who owns a live connection: notices its end, says why, and leaves nothing running.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_process::Ladder;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::ClosedReason;
use crate::connect::{Live, LiveKind, SharedProcess, lock};
use crate::last_words;

/// How long the rest of stdout is read after the process has ended.
const REST_LIMIT: Duration = Duration::from_millis(300);

/// How long after the end of stdout the exit status is awaited.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

/// How long the end of a connection that ended by itself may take.
const CLEANUP_LIMIT: Duration = Duration::from_secs(3);

/// Keeps one connection; see the head of this file.
pub(crate) struct Supervisor {
    tasks: TaskTracker,
    shutdown: watch::Sender<Option<Duration>>,
    closed: watch::Receiver<Option<ClosedReason>>,
    /// Ends rmcp's service.
    stop: CancellationToken,
    process: Option<SharedProcess>,
    last_words: Arc<Mutex<String>>,
}

impl Supervisor {
    pub(crate) fn start(live: Live, tasks: TaskTracker) -> Self {
        let shutdown = watch::Sender::new(None);
        let (closed_sender, closed) = watch::channel(None);
        let process = match &live.kind {
            LiveKind::Stdio { process, .. } => Some(Arc::clone(process)),
            LiveKind::Http { .. } => None,
        };
        let stop = live.stop.clone();
        let last_words = Arc::<Mutex<String>>::default();
        let watch = Watch {
            shutdown: shutdown.subscribe(),
            closed: closed_sender,
            last_words: Arc::clone(&last_words),
        };
        tasks.spawn(watch.run(live));
        Self {
            tasks,
            shutdown,
            closed,
            stop,
            process,
            last_words,
        }
    }

    pub(crate) fn closed(&self) -> watch::Receiver<Option<ClosedReason>> {
        self.closed.clone()
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(crate) fn stderr_tail(&self) -> String {
        let running = self
            .process
            .as_ref()
            .and_then(|process| lock(process).as_ref().map(last_words::of));
        running.unwrap_or_else(|| words(&self.last_words).clone())
    }

    pub(crate) async fn shutdown(&self, limit: Duration) {
        self.shutdown.send_replace(Some(limit));
        self.tasks.close();
        let _ = timeout(limit, self.tasks.wait()).await;
        self.kill();
    }

    fn kill(&self) {
        self.stop.cancel();
        if let Some(process) = &self.process {
            // Dropping the tree kills its group.
            drop(lock(process).take());
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.kill();
    }
}

fn words(last_words: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    last_words.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task behind a [`Supervisor`].
struct Watch {
    shutdown: watch::Receiver<Option<Duration>>,
    closed: watch::Sender<Option<ClosedReason>>,
    last_words: Arc<Mutex<String>>,
}

impl Watch {
    async fn run(self, live: Live) {
        let Live {
            service,
            ear,
            stop,
            kind,
            ..
        } = live;
        let mut serving = std::pin::pin!(service.waiting());
        let mut shutdown = self.shutdown.clone();
        match kind {
            LiveKind::Stdio {
                process,
                end_of_stdout,
            } => {
                let exited = lock(&process)
                    .as_ref()
                    .map(codex_process::ProcessTree::exited);
                let Some(exited) = exited else {
                    return;
                };
                let mut exited = std::pin::pin!(exited);
                let mut exit = None;
                let mut asked = false;
                let mut has_served = false;
                tokio::select! {
                    biased;
                    () = is_asked(&mut shutdown) => asked = true,
                    ended = &mut exited => {
                        exit = Some(ended);
                        let _ = timeout(REST_LIMIT, end_of_stdout.cancelled()).await;
                    }
                    () = end_of_stdout.cancelled() => {}
                    _ = &mut serving => has_served = true,
                }
                if !asked && exit.is_none() {
                    exit = timeout(EXIT_LIMIT, exited).await.ok();
                }
                let tail = lock(&process).as_ref().map(last_words::of);
                *words(&self.last_words) = tail.clone().unwrap_or_default();
                self.closed.send_replace(Some(match exit {
                    _ if asked => ClosedReason::Shutdown,
                    Some(exit) => ClosedReason::Exited {
                        status: exit.to_string(),
                        stderr_tail: tail.unwrap_or_default(),
                    },
                    None => ClosedReason::Transport("the server closed its stdout".to_owned()),
                }));
                stop.cancel();
                ear.end();
                let limit = self.limit();
                if !has_served {
                    // rmcp closes stdin when it ends; the ladder's first step counts on that.
                    let _ = timeout(limit / 6, serving).await;
                }
                let tree = lock(&process).take();
                if let Some(tree) = tree {
                    tree.stop(ladder(limit)).await;
                }
            }
            LiveKind::Http { abort, wire, .. } => {
                let reason = tokio::select! {
                    biased;
                    () = is_asked(&mut shutdown) => ClosedReason::Shutdown,
                    _ = &mut serving => ClosedReason::Transport(match wire.last_fault() {
                        Some(fault) => fault.to_string(),
                        None => "the connection ended".to_owned(),
                    }),
                };
                let is_shutdown = reason == ClosedReason::Shutdown;
                self.closed.send_replace(Some(reason));
                stop.cancel();
                ear.end();
                if is_shutdown {
                    // rmcp ends the session with a DELETE.
                    let _ = timeout(self.limit(), serving).await;
                }
                abort.cancel();
            }
        }
    }

    fn limit(&self) -> Duration {
        self.shutdown.borrow().unwrap_or(CLEANUP_LIMIT)
    }
}

async fn is_asked(shutdown: &mut watch::Receiver<Option<Duration>>) {
    // A supervisor that is gone asked for the end too.
    let _ = shutdown.wait_for(Option::is_some).await;
}

/// Divides the limit among the steps.
fn ladder(limit: Duration) -> Ladder {
    let step = (limit / 3).min(Duration::from_secs(2));
    Ladder {
        term_after: step,
        kill_after: step,
    }
}
