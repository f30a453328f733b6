//! Process trees: start a program, and be sure that all of it ends.
//!
//! A [`ProcessTree`] runs in its own process group. It ends by a bounded ladder
//! ([`ProcessTree::stop`]), when the value is dropped, and when this process dies in any way,
//! SIGKILL included (see `guardian`). Its stderr is always drained into a bounded tail.
//!
//! **Absent on purpose:** which variables a child may see, what is spoken on its stdin and stdout,
//! and restarts. Callers hand over a complete environment and decide the rest.
#![expect(clippy::todo, reason = "skeleton")]

mod exit;
mod spec;
mod stderr;
mod tree;

pub use exit::Exit;
pub use spec::{ChildSpec, SpawnError};
pub use stderr::StderrTail;
pub use tree::{Ladder, LastStep, ProcessTree, StopReport};
