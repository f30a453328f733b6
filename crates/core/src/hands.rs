//! The built-in tools as calls: decided, done, shown as items, answered.
//!
//! Each call has its own task, and one item with one start and one end whatever becomes of it. The
//! item of a command outlives the call when the command does: whoever sees the command end ends the
//! item, at the latest the end of the turn. Patches wait for the commands before them and hold up
//! those behind them, so that calls of one response mean what their order says.

mod command;
mod image;
mod patch;
mod running;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_protocol::SandboxPolicy;
use codex_tools::launch::Workspace;
use codex_tools::request::Request;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::calls::{CallServices, Done};
use crate::settings::ThreadSettings;

pub(crate) use running::RunningCommands;

/// What all built-in calls of a thread share.
#[derive(Debug, Clone)]
pub(crate) struct Hands {
    pub(crate) running: Arc<RunningCommands>,
    /// Patches alone, commands together.
    order: Arc<RwLock<()>>,
    journals: PathBuf,
}

impl Hands {
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            running: Arc::default(),
            order: Arc::default(),
            journals: home.join("patches"),
        }
    }

    /// Puts back what a run that was killed in the middle of a patch left; returns what to say.
    pub(crate) fn undo_unfinished(&self) -> Option<String> {
        match codex_host::undo_unfinished_changes(&self.journals) {
            Ok(files) if files.is_empty() => None,
            Ok(files) => {
                let files = files.iter().map(|file| format!("`{}`", file.display()));
                Some(format!(
                    "an earlier run was killed while it applied a patch; these files are again what they were before it: {}",
                    files.collect::<Vec<_>>().join(", ")
                ))
            }
            Err(error) => Some(format!(
                "an earlier run was killed while it applied a patch, and it could not be undone: {error}"
            )),
        }
    }
}

/// One call of a built-in tool.
#[derive(Debug)]
pub(crate) struct HandCall {
    pub(crate) services: CallServices,
    pub(crate) cancel: CancellationToken,
    pub(crate) call_id: String,
}

impl HandCall {
    /// Runs the call to its answer.
    pub(crate) async fn run(self, request: Request) -> Done {
        match request {
            Request::Command(request) => {
                let _order = self.services.hands.order.read().await;
                command::run(&self, request).await
            }
            Request::Write(request) => command::write(&self, request).await,
            Request::Patch(request) => {
                let _order = self.services.hands.order.write().await;
                patch::run(&self, request).await
            }
            Request::Image(path) => image::run(&self, &path).await,
        }
    }

    fn settings(&self) -> &ThreadSettings {
        &self.services.settings
    }

    /// Returns a directory as seen from the working directory.
    fn folder(&self, workdir: Option<&Path>) -> PathBuf {
        let cwd = &self.settings().cwd;
        workdir.map_or_else(|| cwd.clone(), |workdir| cwd.join(workdir))
    }
}

/// Returns the place and the limits of a thread's commands.
fn workspace<'a>(settings: &'a ThreadSettings, policy: &'a SandboxPolicy) -> Workspace<'a> {
    Workspace {
        cwd: &settings.cwd,
        env: &settings.env,
        policy,
    }
}
