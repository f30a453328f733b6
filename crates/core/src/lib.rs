//! The engine: threads, turns, approvals, history.
//!
//! A frontend starts a thread with [`start_thread`], sends it operations and reads its events; what
//! those look like on a wire or a screen is the frontend's affair.
//! **Absent on purpose:** config files, logins, credentials, rmcp, HTTP, clap, printing. A new
//! ability is a new tool, a new service below, or a new renderer above.

mod actor;
pub mod approvals;
mod calls;
mod conversation;
mod error;
mod events;
mod hands;
mod instructions;
mod models;
mod output;
mod plan;
mod questions;
mod resources;
mod settings;
mod skills;
mod thread;
mod tools;
mod turn;

pub use codex_model::ToolDialect;
pub use error::StartError;
pub use settings::{
    Asking, Begin, BuiltInTools, CommandTools, Storage, ThreadServices, ThreadSettings,
    WebSearchMode,
};
pub use thread::{ThreadEnded, ThreadHandle, ThreadSender, start_thread};
