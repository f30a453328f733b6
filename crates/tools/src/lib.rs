//! The built-in tools: commands, patches and pictures.
//!
//! Each tool is three things: what the model is told of it ([`specs`]), a call read into a typed
//! request ([`request`]), and the deed. What a command line would do is read from its syntax tree
//! ([`script`]), never from its text.
//! **Absent on purpose:** the conversation, approvals, items and events, which are the engine's; MCP.
//! Nothing here decides whether a call may run, and nothing runs that was not decided.

pub mod environment;
pub mod launch;
pub mod patch;
pub mod picture;
pub mod quote;
pub mod request;
pub mod safety;
pub mod script;
pub mod specs;
