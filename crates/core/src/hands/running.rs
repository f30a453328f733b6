//! The commands of a thread that outlive the calls that started them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_process::{Exit, Session};
use codex_protocol::{CommandExecution, ItemDetails, ItemId, ItemStatus};
use tokio::task::JoinSet;

use crate::events::EventSink;

/// So many commands may run at once.
const LIMIT: usize = 64;
/// How long a command that is ended may take before it is killed.
pub(crate) const KILL_AFTER: Duration = Duration::from_millis(250);

/// The running commands by their session id.
#[derive(Debug, Default)]
pub(crate) struct RunningCommands(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    n_answers: u32,
    commands: BTreeMap<u64, Arc<RunningCommand>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct RunningCommand {
    pub(crate) id: u64,
    pub(crate) item: ItemId,
    pub(crate) place: Place,
    pub(crate) session: Session,
}

/// A command as its item shows it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) command: String,
    pub(crate) cwd: PathBuf,
}

impl RunningCommands {
    /// Whether one more may run.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().commands.len() < LIMIT
    }

    /// Takes a command in.
    pub(crate) fn open(&self, item: ItemId, place: Place, session: Session) -> Arc<RunningCommand> {
        let mut table = self.lock();
        table.last_id += 1;
        let running = Arc::new(RunningCommand {
            id: table.last_id,
            item,
            place,
            session,
        });
        table.commands.insert(running.id, Arc::clone(&running));
        running
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<RunningCommand>> {
        self.lock().commands.get(&id).cloned()
    }

    /// Gives a command up. Whoever gets `true` ends its item: it happens once.
    pub(crate) fn close(&self, running: &RunningCommand) -> bool {
        self.lock().commands.remove(&running.id).is_some()
    }

    /// Counts an answer, so that each has a name of its own.
    pub(crate) fn next_answer(&self) -> u32 {
        let mut table = self.lock();
        table.n_answers += 1;
        table.n_answers
    }

    /// Ends every command and its item.
    pub(crate) async fn end_all(&self, events: &EventSink) {
        let commands = std::mem::take(&mut self.lock().commands);
        let mut ending = JoinSet::new();
        for running in commands.into_values() {
            let events = events.clone();
            ending.spawn(async move {
                let exit = running.session.try_exit();
                if exit.is_none() {
                    running.session.stop(KILL_AFTER).await;
                }
                // One that had to be ended has no exit of its own.
                running.end_item(&events, exit).await;
            });
        }
        while ending.join_next().await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningCommand {
    /// Ends the item; only for who closed the command.
    pub(crate) async fn end_item(&self, events: &EventSink, exit: Option<Exit>) {
        let output = self.session.output().text();
        let details = self.place.ended(output, exit.map(code));
        events.completed(self.item, details).await;
    }
}

impl Place {
    /// Makes the item of a command that begins.
    pub(super) fn begun(&self) -> ItemDetails {
        self.item(String::new(), None, ItemStatus::InProgress)
    }

    /// Makes the item of a command that ended, or never ran.
    pub(super) fn ended(&self, output: String, exit_code: Option<i32>) -> ItemDetails {
        let status = match exit_code {
            Some(0) => ItemStatus::Completed,
            Some(_) | None => ItemStatus::Failed,
        };
        self.item(output, exit_code, status)
    }

    /// Makes the item of a command that a person did not allow.
    pub(super) fn declined(&self) -> ItemDetails {
        self.item(String::new(), None, ItemStatus::Declined)
    }

    fn item(&self, output: String, exit_code: Option<i32>, status: ItemStatus) -> ItemDetails {
        ItemDetails::CommandExecution(CommandExecution {
            command: self.command.clone(),
            cwd: self.cwd.clone(),
            aggregated_output: output,
            exit_code,
            status,
        })
    }
}

/// Returns the number by which a shell tells an exit.
pub(super) fn code(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(number) => 128 + number,
        _ => 1,
    }
}
