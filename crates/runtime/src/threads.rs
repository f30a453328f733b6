//! Which recorded thread is meant.
//!
//! Whether it goes on or is copied is the frontend's word.

use std::path::Path;

use codex_protocol::ThreadId;
use codex_rollout::{RolloutReader, find_thread, latest_thread};

use crate::Loaded;

/// Why there is no thread to go on with.
#[derive(Debug, thiserror::Error)]
pub enum FindThreadError {
    /// No thread of this id is on this disk.
    #[error("no rollout found for thread id {0}")]
    NoRollout(ThreadId),
    /// No thread has this name.
    #[error("no thread named `{0}`")]
    NoName(String),
    /// Nothing was recorded here.
    #[error("no recorded thread to resume")]
    Nothing,
}

impl FindThreadError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoName(_) => {
                vec![
                    "a session id is a UUID; `codex exec resume --last` takes the newest session"
                        .to_owned(),
                ]
            }
            Self::NoRollout(_) | Self::Nothing => Vec::new(),
        }
    }
}

/// Whose threads count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedIn {
    /// Those of this run's working directory.
    ThisDirectory,
    /// All.
    AnyDirectory,
}

impl Loaded {
    /// Finds a thread by its id. Threads have no names yet, so a word that is no id names none.
    pub fn find_thread(&self, word: &str) -> Result<ThreadId, FindThreadError> {
        let id: ThreadId = word
            .parse()
            .map_err(|_| FindThreadError::NoName(word.to_owned()))?;
        match find_thread(&self.home, id) {
            Some(_) => Ok(id),
            None => Err(FindThreadError::NoRollout(id)),
        }
    }

    /// Finds the newest thread.
    pub fn latest_thread(&self, recorded: RecordedIn) -> Result<ThreadId, FindThreadError> {
        let cwd: Option<&Path> = match recorded {
            RecordedIn::ThisDirectory => Some(&self.cwd),
            RecordedIn::AnyDirectory => None,
        };
        let file = latest_thread(&self.home, cwd).ok_or(FindThreadError::Nothing)?;
        let meta = RolloutReader::read_meta(&file).map_err(|_| FindThreadError::Nothing)?;
        Ok(meta.id)
    }
}
