//! The engine: threads, turns, approvals, history.
//!
//! A frontend starts a thread with [`start_thread`], sends it operations and reads its events; what
//! those look like on a wire or a screen is the frontend's affair.
//! **Absent on purpose:** config files, logins, credentials, rmcp, HTTP, clap, printing. A new
//! ability is a new tool, a new service below, or a new renderer above.

pub mod approvals;
