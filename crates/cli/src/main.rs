//! The command tree.
mod mcp;
fn main() {}
