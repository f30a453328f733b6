//! `codex app-server`: a program that runs for long and is driven by JSON lines on stdin and stdout.
//!
//! [`run`] reads lines, and a router gives each request to the one task that owns what it is about:
//! the `house` owns the settings and the servers that no thread has, each thread has a `room` of its own. Every request gets exactly one
//! answer (`ticket.rs`); everything that is said goes through one `outbox.rs`, so an answer always
//! comes before what it causes. A changed file of settings is noticed within a second and reaches
//! only what it changes.
//! **Absent on purpose:** the wire's shapes (`codex-app-server-protocol`), MCP connections, models:
//! the lobby wires them.

mod asked;
mod blocking;
mod features;
mod house;
mod input;
mod outbox;
mod page;
mod requirements;
mod room;
mod rooms;
mod router;
mod run;
mod running;
mod settings;
mod status;
mod ticket;
mod warnings;
mod watch;
mod write;

pub use run::{AppServerError, run};
