//! Process trees: start a program, and be sure that all of it ends.
//!
//! A [`ProcessTree`] runs in its own process group. The group ends by a bounded ladder
//! ([`ProcessTree::stop`]), when its leader has ended, when the value is dropped, and when this
//! process dies in any way, SIGKILL included (`guardian.rs` says how). Its stderr is always drained
//! into a bounded tail.
//!
//! A [`Session`] is a tree for a shell command: stdout and stderr are one stream in the order of
//! arrival, of which head and tail are kept, and its stdin may be a terminal of its own.
//!
//! Of this process itself there is what every frontend needs: [`Signals`] that end it, and the one
//! writer of its stdout ([`Output`]).
//!
//! **Absent on purpose:** which variables a child may see, what is spoken on its stdin and stdout,
//! and restarts: callers hand over a complete environment and decide the rest. A program that
//! moves itself into another group or session (a daemon) is outside the tree. On Windows only the
//! child itself is ended, not what it started: a job object would be the place for that.

mod exit;
mod group;
#[cfg(unix)]
mod guardian;
mod head_tail;
mod lookup;
mod output;
#[cfg(unix)]
mod raise;
#[cfg(unix)]
mod replace;
mod session;
mod signals;
mod spec;
mod stderr;
mod tree;

pub use exit::Exit;
pub use head_tail::{HeadTail, Kept};
pub use output::Output;
#[cfg(unix)]
pub use raise::end_by_signal;
#[cfg(unix)]
pub use replace::replace_process;
pub use session::{Session, Terminal, WriteError};
pub use signals::{Ending, Signals};
pub use spec::{ChildSpec, SpawnError};
pub use stderr::StderrTail;
pub use tree::{Ladder, LastStep, ProcessTree, StopReport};
