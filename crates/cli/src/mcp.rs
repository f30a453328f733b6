//! `codex mcp`: the servers, from the configuration to a live call.

pub(crate) mod call;
pub(crate) mod live;
pub(crate) mod tools;
