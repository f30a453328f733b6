//! The lobby: one way from a command line to a running thread, for every frontend.
//!
//! [`Invocation`] is what the process was given. [`Invocation::load`] reads the configuration and
//! nothing else, so that small commands stay small; [`Loaded::start`] builds what a thread needs, and
//! only that. Wiring, no decisions: what a value means is decided by the crate that uses it.
//! **Absent on purpose:** printing, signals, frontends' wires, rmcp.

mod identity;
mod invocation;
mod load;
mod project;
mod provider;
mod redaction;
mod sandbox;
mod servers;
mod start;
mod threads;

pub use codex_config::Notice;
pub use codex_config::{Project, TrustLevel};
pub use codex_core::StartError as CoreStartError;
pub use codex_core::{Asking, Begin, Storage, ThreadHandle, ThreadSender};
pub use codex_mcp::ElicitationPolicy;
pub use identity::user_agent_behind;
pub use invocation::{ClientName, Frontend, Invocation, UserConfig};
pub use load::{
    ConfigOverrides, LoadError, Loaded, load_with_cli_overrides,
    load_with_cli_overrides_and_harness_overrides,
};
pub use project::{TrustError, TrustSaved};
pub use provider::ProviderError;
pub use sandbox::SandboxRefusal;
pub use servers::Servers;
pub use start::{ModelSide, Session, StartError, StartOptions, Summary, VERSION};
pub use threads::{FindThreadError, RecordedIn};
