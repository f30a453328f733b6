//! The lobby: one way from a command line to a running thread, for every frontend.
//!
//! [`Invocation`] is what the process was given. [`Invocation::load`] reads the configuration and
//! nothing else, so that small commands stay small; [`Loaded::start`] builds what a thread needs, and
//! only that. Wiring, no decisions: what a value means is decided by the crate that uses it.
//! **Absent on purpose:** printing, signals, frontends' wires, rmcp.

mod invocation;
mod load;

pub use invocation::{Frontend, Invocation, UserConfig};
pub use load::{LoadError, Loaded};
