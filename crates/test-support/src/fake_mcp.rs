//! MCP servers written by hand on JSON: one behaviour, two transports.
//!
//! - `script`: what the server is and how it answers a request, free of any transport.
//! - `tools`: the tools it can offer, each made to show one thing.
//! - `exchange`: answers and cancellations that arrive while a call runs.
//! - `stdio` / `program`: the builder of arguments and the program `fake-mcp-server` behind it.
//! - `http`: a server inside the test, streamable HTTP of both eras.

pub(crate) mod exchange;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod program;
pub(crate) mod script;
pub(crate) mod stdio;
pub(crate) mod tools;

#[cfg(test)]
mod tests;
