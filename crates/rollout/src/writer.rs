//! Appends lines to a thread file without making anybody wait for the disk.
//!
//! A thread of its own holds the file. Each line is one `write` of the whole line with its newline.
//! The first failure is final: a file with a hole in its middle would be a wrong history, a file
//! that stops early is a right one. The owner learns of it at its next [`RolloutWriter::append`].
//! Kept short: lines are serialised by the caller, so that the file's thread needs no types.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codex_api_types::ResponseItem;
use codex_host::PrivateFile;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::{RolloutError, RolloutLine};

/// So many lines may wait for the disk; then [`RolloutWriter::append`] waits too.
const QUEUE: usize = 64;
/// A disk that takes longer than this has failed: a turn must be able to end.
const DISK_LIMIT: Duration = Duration::from_secs(10);

/// The writing end of one thread file.
#[derive(Debug)]
pub struct RolloutWriter {
    path: PathBuf,
    queue: mpsc::Sender<Command>,
    failure: Arc<OnceLock<RolloutError>>,
}

enum Command {
    Append(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

impl RolloutWriter {
    /// Makes a new file and writes its first lines; fails when they cannot be written.
    pub fn create(path: &Path, first: &[RolloutLine]) -> Result<Self, RolloutError> {
        let cannot = |error: std::io::Error| RolloutError::Create {
            path: path.to_owned(),
            why: error.to_string(),
        };
        if let Some(folder) = path.parent() {
            PrivateFile::create_dir(folder).map_err(cannot)?;
        }
        let mut file = PrivateFile::create_new(path).map_err(cannot)?;
        for line in first {
            file.write_all(&encode(line)).map_err(cannot)?;
        }
        Self::start(path, file)
    }

    /// Opens a file that is there, ending a line that was cut.
    pub fn append_to(path: &Path) -> Result<Self, RolloutError> {
        let cannot = |error: std::io::Error| RolloutError::Append {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let ends_well = ends_with_newline(path).map_err(cannot)?;
        let mut file = PrivateFile::append(path).map_err(cannot)?;
        if !ends_well {
            file.write_all(b"\n").map_err(cannot)?;
        }
        Self::start(path, file)
    }

    /// Hands a line over; it is written soon, in order. Fails when an earlier one was not written.
    pub async fn append(&self, line: &RolloutLine) -> Result<(), RolloutError> {
        self.send(Command::Append(encode(line))).await
    }

    /// As [`RolloutWriter::append`] of a [`RolloutLine::Item`], without a copy of the item.
    pub async fn append_item(&self, item: &ResponseItem) -> Result<(), RolloutError> {
        self.send(Command::Append(encode(&ItemLine { kind: "item", item })))
            .await
    }

    /// Waits until every line handed over so far is in the file.
    pub async fn flush(&self) -> Result<(), RolloutError> {
        let (done, written) = oneshot::channel();
        self.send(Command::Flush(done)).await?;
        if tokio::time::timeout(DISK_LIMIT, written).await.is_err() {
            return Err(self.too_slow());
        }
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    fn start(path: &Path, file: File) -> Result<Self, RolloutError> {
        let (queue, commands) = mpsc::channel(QUEUE);
        let failure = Arc::new(OnceLock::new());
        let task = WriteTask {
            path: path.to_owned(),
            file,
            failure: Arc::clone(&failure),
        };
        std::thread::Builder::new()
            .name("rollout".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || task.run(commands))
            .map_err(|error| RolloutError::Create {
                path: path.to_owned(),
                why: error.to_string(),
            })?;
        Ok(Self {
            path: path.to_owned(),
            queue,
            failure,
        })
    }

    async fn send(&self, command: Command) -> Result<(), RolloutError> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        match tokio::time::timeout(DISK_LIMIT, self.queue.send(command)).await {
            Ok(sent) => sent.map_err(|_| self.cannot_append("its writer has stopped")),
            Err(_) => Err(self.too_slow()),
        }
    }

    /// The first failure is final, so what the disk may still take in the end is the last of it.
    fn too_slow(&self) -> RolloutError {
        let why = format!("the disk did not take it within {DISK_LIMIT:?}");
        let failure = self.failure.get_or_init(|| self.cannot_append(&why));
        failure.clone()
    }

    fn cannot_append(&self, why: &str) -> RolloutError {
        RolloutError::Append {
            path: self.path.clone(),
            why: why.to_owned(),
        }
    }
}

/// Owns the file until every sender is gone.
struct WriteTask {
    path: PathBuf,
    file: File,
    failure: Arc<OnceLock<RolloutError>>,
}

impl WriteTask {
    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Append(line) if self.failure.get().is_none() => self.write(&line),
                Command::Append(_) => {}
                Command::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        if let Err(error) = self.file.write_all(line) {
            let _ = self.failure.set(RolloutError::Append {
                path: self.path.clone(),
                why: error.to_string(),
            });
        }
    }
}

/// [`RolloutLine::Item`], borrowing what may be megabytes.
#[derive(Serialize)]
struct ItemLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    item: &'a ResponseItem,
}

fn encode(line: &impl Serialize) -> Vec<u8> {
    // Serialising our own types into memory cannot fail: no map has a key that is no text.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn ends_with_newline(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(all(test, unix))]
mod tests {
    use codex_api_types::ContentItem;

    use super::*;

    /// A pipe that nobody reads stands for a disk that hangs; time is skipped while all wait.
    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_is_given_up() {
        let (reader, pipe) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(pipe));
        let writer = RolloutWriter::start(Path::new("/stuck"), file).unwrap();
        let text = ContentItem::input_text("x".repeat(1 << 20));
        let item = ResponseItem::input_message("user", vec![text]);
        writer.append_item(&item).await.unwrap();
        let error = writer.flush().await.unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot write the thread file `/stuck`: the disk did not take it within 10s"
        );
        assert!(writer.append_item(&item).await.is_err());
        drop(reader);
    }
}
