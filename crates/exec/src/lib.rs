//! `codex exec`: one turn without a person.
//!
//! [`ExecArgs`] is what was typed; [`run`] resolves it, starts a thread through `codex-runtime` and
//! renders what the thread tells: as JSON lines for programs (`events.rs` owns that wire) or as text
//! for people. Nothing but this crate decides what stdout carries.
//! **Absent on purpose:** MCP connections, model backends, config files: the lobby wires them.

mod args;
mod events;
mod failure;
mod human;
mod image;
mod input;
mod json;
mod prompt;
mod run;
mod schema;
mod session;
mod view;

pub use args::ExecArgs;
pub use prompt::discard_prompt;
pub use run::{ExecExit, run};
