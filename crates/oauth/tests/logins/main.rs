//! Whole logins and renewals against a hand-written authorization server.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must stop where it is, and prepares files directly"
)]

mod bound;
mod callback;
mod discovery;
mod echo;
mod login;
mod machines;
mod renewal;
mod source;
mod world;
