//! A shell command that runs, talks and may be talked to.
//!
//! stdout and stderr are one pipe, or one terminal, so that their order is the order of writing. The
//! stream is read all the time, whether or not anybody looks; of what was written the beginning and
//! the end are kept. Without a terminal stdin is empty: a program that would ask must not hang.
//! Terminals are there on Unix only.

use std::future::Future;
#[cfg(unix)]
use std::os::fd::OwnedFd as OwnedEnd;
#[cfg(windows)]
use std::os::windows::io::OwnedHandle as OwnedEnd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::group::Leads;
use crate::tree::Wiring;
use crate::{ChildSpec, Exit, HeadTail, Kept, ProcessTree, SpawnError};

/// What is kept of the whole output.
const ALL_LIMIT: usize = 512 * 1024;
/// What is kept of the output that nobody has taken yet.
const UNREAD_LIMIT: usize = 1024 * 1024;
/// How long the stream may stay open after the tree has ended: a daemon may have inherited it.
const STREAM_GRACE: Duration = Duration::from_millis(250);
/// How long a killed command may take to go.
const END_LIMIT: Duration = Duration::from_secs(2);
/// How long a program may leave its input unread.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// What a command has as stdin, stdout and stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// No stdin, and a pipe.
    Absent,
    /// A terminal of its own, 24 lines of 80 columns.
    Own,
}

/// Why nothing was written to a command.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It was started without a terminal.
    #[error("the command has no terminal, so its stdin is empty")]
    NoTerminal,
    /// It does not read.
    #[error("the command did not read its input within {} s", WRITE_LIMIT.as_secs())]
    NotRead,
    /// It has closed its terminal.
    #[error("the command takes no input any more")]
    Closed(#[source] std::io::Error),
}

/// A running shell command. Dropping it kills the whole of it at once.
#[derive(Debug)]
pub struct Session {
    tree: ProcessTree,
    input: Option<tokio::sync::Mutex<ChildStdin>>,
    output: Arc<Mutex<Output>>,
    ended: watch::Receiver<Option<Exit>>,
    /// The reader; it ends with this value.
    _reader: JoinSet<()>,
}

#[derive(Debug)]
struct Output {
    all: HeadTail,
    unread: HeadTail,
}

impl Session {
    /// Starts a command. Must be called inside a tokio runtime, and blocks for about a millisecond.
    pub fn spawn(spec: &ChildSpec, terminal: Terminal) -> Result<Self, SpawnError> {
        let failed = |source| SpawnError::Io {
            program: spec.program.clone().into(),
            source,
        };
        let Ends {
            stream,
            input,
            wiring,
        } = Ends::open(terminal).map_err(failed)?;
        let tree = ProcessTree::spawn_wired(spec, wiring)?;
        // The wiring is gone, so the last copy of the write end ends with the tree.
        let stream = ChildStdout::from_std(stream.into()).map_err(failed)?;
        let input = input.map(|fd| ChildStdin::from_std(fd.into()).map(tokio::sync::Mutex::new));
        let input = input.transpose().map_err(failed)?;
        let output = Arc::new(Mutex::new(Output {
            all: HeadTail::new(ALL_LIMIT),
            unread: HeadTail::new(UNREAD_LIMIT),
        }));
        let (report, ended) = watch::channel(None);
        let mut reader = JoinSet::new();
        let exited = tree.exited();
        let read = read(stream, Arc::clone(&output));
        reader.spawn(async move {
            tokio::pin!(read, exited);
            let exit = tokio::select! {
                exit = &mut exited => {
                    let _ = timeout(STREAM_GRACE, read).await;
                    exit
                }
                // It closed its output and runs on.
                () = &mut read => exited.await,
            };
            report.send_replace(Some(exit));
        });
        Ok(Self {
            tree,
            input,
            output,
            ended,
            _reader: reader,
        })
    }

    /// Returns the process id of the command.
    pub fn id(&self) -> u32 {
        self.tree.id()
    }

    /// Returns how the command ended, once all of it has ended and its output is complete.
    pub fn try_exit(&self) -> Option<Exit> {
        *self.ended.borrow()
    }

    /// Resolves when [`try_exit`](Self::try_exit) has an answer. Does not borrow the session.
    pub fn ended(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(exit) => exit.unwrap_or(Exit::Unknown),
                Err(_) => Exit::Unknown,
            }
        }
    }

    /// Types bytes into the terminal of the command.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let input = self.input.as_ref().ok_or(WriteError::NoTerminal)?;
        let write = async { input.lock().await.write_all(bytes).await };
        match timeout(WRITE_LIMIT, write).await {
            Ok(written) => written.map_err(WriteError::Closed),
            Err(_) => Err(WriteError::NotRead),
        }
    }

    /// Returns what was written since the last time this was asked.
    pub fn take_unread(&self) -> Kept {
        lock(&self.output).unread.take()
    }

    /// Returns what was written since the start.
    pub fn output(&self) -> Kept {
        lock(&self.output).all.kept()
    }

    /// Ends the command and everything it started: SIGTERM, and SIGKILL after a while. Returns when
    /// it is gone and its output complete, at most 2 s after the last signal.
    pub async fn stop(&self, kill_after: Duration) -> Exit {
        if let Some(exit) = self.try_exit() {
            return exit;
        }
        self.tree.terminate(kill_after).await;
        let ended = timeout(END_LIMIT, self.ended()).await;
        ended.unwrap_or(Exit::Unknown)
    }
}

fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until the end of file; a terminal whose program has gone says so by an error.
async fn read(mut stream: ChildStdout, output: Arc<Mutex<Output>>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(n_read @ 1..) = stream.read(&mut piece).await {
        let mut output = lock(&output);
        output.all.push(&piece[..n_read]);
        output.unread.push(&piece[..n_read]);
    }
}

/// Our ends of what a command reads and writes, and the command's.
struct Ends {
    stream: OwnedEnd,
    input: Option<OwnedEnd>,
    wiring: Wiring,
}

impl Ends {
    fn open(terminal: Terminal) -> std::io::Result<Self> {
        match terminal {
            Terminal::Absent => {
                let (reader, writer) = std::io::pipe()?;
                Ok(Self {
                    stream: reader.into(),
                    input: None,
                    wiring: Wiring {
                        stdin: Stdio::null(),
                        stdout: writer.try_clone()?.into(),
                        stderr: writer.into(),
                        leads: Leads::Group,
                    },
                })
            }
            #[cfg(unix)]
            Terminal::Own => Self::terminal(),
            #[cfg(not(unix))]
            Terminal::Own => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(unix)]
    fn terminal() -> std::io::Result<Self> {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        use nix::pty::{OpenptyResult, Winsize, openpty};

        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None)?;
        for end in [&master, &slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        Ok(Self {
            input: Some(master.try_clone()?),
            stream: master,
            wiring: Wiring {
                stdin: slave.try_clone()?.into(),
                stdout: slave.try_clone()?.into(),
                stderr: slave.into(),
                leads: Leads::Session,
            },
        })
    }
}
