//! The one writer of stdout and stderr.
//!
//! A pipe whose reader has stalled blocks a write for as long as it likes. So a thread of its own
//! writes, and the run only waits for room in its queue, where a signal can end the wait: a killed
//! client must never leave us hanging with our servers. The queue is short, so a slow reader slows
//! the run down instead of filling the memory.

use std::io::Write;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Pieces that may wait for a slow reader.
const QUEUE: usize = 32;

/// A handle to the writer. Dropping the last one ends the thread when the queue is empty.
#[derive(Debug)]
pub(crate) struct Output {
    queue: mpsc::Sender<Piece>,
    reader_gone: CancellationToken,
    _thread: Option<JoinHandle<()>>,
}

/// What the writer is given.
#[derive(Debug)]
enum Piece {
    Data(Vec<u8>),
    Talk(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

impl Output {
    /// Starts the writer on this process's stdout and stderr.
    pub(crate) fn start() -> Self {
        let (queue, pieces) = mpsc::channel(QUEUE);
        let reader_gone = CancellationToken::new();
        let gone = reader_gone.clone();
        let writer = move || write_all(pieces, &gone);
        let thread = std::thread::Builder::new()
            .name("output".to_owned())
            .spawn(writer);
        // Without a thread nothing can be said; that is the same as having no reader.
        if thread.is_err() {
            reader_gone.cancel();
        }
        Self {
            queue,
            reader_gone,
            _thread: thread.ok(),
        }
    }

    /// Writes data to stdout, flushed.
    pub(crate) async fn data(&self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            // A writer that has ended is reported by `reader_gone`.
            let _ = self.queue.send(Piece::Data(bytes)).await;
        }
    }

    /// Writes lines of talk to stderr.
    pub(crate) async fn talk(&self, lines: &str) {
        if !lines.is_empty() {
            let bytes = lines.as_bytes().to_vec();
            let _ = self.queue.send(Piece::Talk(bytes)).await;
        }
    }

    /// Returns when everything that was handed over is written.
    pub(crate) async fn flushed(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.queue.send(Piece::Flush(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }

    /// Is cancelled when the reader of stdout has gone away.
    pub(crate) fn reader_gone(&self) -> &CancellationToken {
        &self.reader_gone
    }
}

fn write_all(mut pieces: mpsc::Receiver<Piece>, reader_gone: &CancellationToken) {
    let mut stdout = std::io::stdout().lock();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Data(bytes) => {
                if stdout
                    .write_all(&bytes)
                    .and_then(|()| stdout.flush())
                    .is_err()
                {
                    reader_gone.cancel();
                }
            }
            // Nobody can be told that stderr is closed.
            Piece::Talk(bytes) => drop(std::io::stderr().lock().write_all(&bytes)),
            Piece::Flush(done) => drop(done.send(())),
        }
    }
}
