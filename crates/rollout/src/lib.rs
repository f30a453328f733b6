//! Threads on disk: one append-only file of JSON lines per thread.
//!
//! A thread is `$CODEX_HOME/sessions/YYYY/MM/DD/rollout-<time>-<thread id>.jsonl`, mode 0600. Lines
//! are only ever appended, each with one write, so a process that is killed at any byte leaves at
//! most one cut line: readers skip it, and the next writer ends it before its own first line.
//! **Absent on purpose:** settings, the engine, the model. What a line means is decided above.

mod find;
mod line;
mod reader;
mod writer;

pub use find::{find_thread, latest_thread, rollout_path};
pub use line::{RolloutLine, ThreadMeta, TurnContext, TurnEnd};
pub use reader::{Recorded, RolloutReader};
pub use writer::RolloutWriter;

use std::path::PathBuf;

/// Why a thread could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RolloutError {
    /// The file could not be made.
    #[error("cannot create the thread file `{}`: {why}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The reason of the operating system.
        why: String,
    },
    /// A line could not be written; nothing after it is kept.
    #[error("cannot write the thread file `{}`: {why}", path.display())]
    Append {
        /// The file.
        path: PathBuf,
        /// The reason of the operating system.
        why: String,
    },
    /// The file could not be read.
    #[error("cannot read the thread file `{}`: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason of the operating system.
        why: String,
    },
    /// The file does not begin with the line that every thread file begins with.
    #[error("`{}` is not a thread file: it has no `meta` line", path.display())]
    NoMeta {
        /// The file.
        path: PathBuf,
    },
}

impl RolloutError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Create { .. } | Self::Append { .. } => vec![
                "free some space or make `$CODEX_HOME/sessions` writable, or use `--ephemeral`"
                    .to_owned(),
            ],
            Self::Read { .. } | Self::NoMeta { .. } => Vec::new(),
        }
    }
}
