//! The one writer of stdout and stderr.
//!
//! A pipe whose reader has stalled blocks a write for as long as it likes. So a thread of its own
//! writes, and whoever has something to say only waits for room in its queue, where a signal can end the wait: a killed
//! client must never leave us hanging with our servers. The queue is short, so a slow reader slows
//! the work down instead of filling the memory.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Pieces that may wait for a slow reader.
const QUEUE: usize = 32;

/// A handle to the writer. Dropping it ends the thread when the queue is empty.
#[derive(Debug)]
pub struct Output {
    queue: mpsc::Sender<Piece>,
    stdout: Stdout,
}

/// How stdout does, as the writer saw it.
#[derive(Debug, Clone, Default)]
struct Stdout {
    lost: CancellationToken,
    why: Arc<OnceLock<io::Error>>,
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
    pub fn start() -> Self {
        let (queue, pieces) = mpsc::channel(QUEUE);
        let stdout = Stdout::default();
        let seen = stdout.clone();
        let writer = move || write_all(pieces, &seen);
        let thread = std::thread::Builder::new()
            .name("output".to_owned())
            .spawn(writer);
        // Without a thread nothing can be said.
        if let Err(error) = thread {
            stdout.lose(error);
        }
        Self { queue, stdout }
    }

    /// Writes data to stdout, flushed.
    pub async fn data(&self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            // A writer that has ended is reported by `lost`.
            let _ = self.queue.send(Piece::Data(bytes)).await;
        }
    }

    /// Writes lines of talk to stderr.
    pub async fn talk(&self, lines: &str) {
        if !lines.is_empty() {
            let bytes = lines.as_bytes().to_vec();
            let _ = self.queue.send(Piece::Talk(bytes)).await;
        }
    }

    /// Returns when everything that was handed over is written.
    pub async fn flushed(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.queue.send(Piece::Flush(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }

    /// Returns when stdout cannot be written any more.
    pub async fn lost(&self) {
        self.stdout.lost.cancelled().await;
    }

    /// Returns why stdout was lost, unless its reader has just gone away: that is no fault.
    pub fn fault(&self) -> Option<&io::Error> {
        self.stdout
            .why
            .get()
            .filter(|error| error.kind() != ErrorKind::BrokenPipe)
    }
}

impl Stdout {
    fn lose(&self, why: io::Error) {
        // The first reason is the one that counts.
        let _ = self.why.set(why);
        self.lost.cancel();
    }
}

fn write_all(mut pieces: mpsc::Receiver<Piece>, state: &Stdout) {
    let mut stdout = io::stdout().lock();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Data(bytes) => {
                if let Err(error) = stdout.write_all(&bytes).and_then(|()| stdout.flush()) {
                    state.lose(error);
                }
            }
            // Nobody can be told that stderr is closed.
            Piece::Talk(bytes) => drop(io::stderr().lock().write_all(&bytes)),
            Piece::Flush(done) => drop(done.send(())),
        }
    }
}
