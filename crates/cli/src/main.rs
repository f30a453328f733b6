//! The command tree.
fn main() {}
