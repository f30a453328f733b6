//! Threads with a scripted model, from the operation to the last event.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests prepare files directly and stop where they break"
)]

mod approvals;
mod calls;
mod compaction;
mod hands;
mod mcp;
mod provider;
mod resources;
mod resume;
mod support;
mod text;
