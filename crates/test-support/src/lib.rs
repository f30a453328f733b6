//! Dev only: the peers and the rooms of our tests.
//!
//! - [`MockResponses`] is a model provider: a queue of scripted answers and a list of what came in.
//! - [`FakeStdio`] and [`FakeHttp`] are MCP servers, well behaved or not.
//! - [`FakeAuth`] is an authorization server in front of an MCP address.
//! - [`PartServer`] is a server that nobody here wrote, from the [`RealParts`].
//! - [`TestHome`] is a user's machine in a temporary folder, [`CodexCommand`] one run of `codex`.
//!
//! **Absent on purpose:** rmcp, codex-http, codex-model, codex-api-types. An oracle that shares
//! code with its subject shares its bugs, so everything here is written by hand on JSON and
//! sockets. All servers run on plain threads: they work in a `#[test]`, in a `#[tokio::test]`, and
//! while a test blocks in [`CodexCommand::run`].
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "dev only: a fixture that breaks must stop the test where it breaks"
)]

mod command;
mod fake_auth;
mod fake_mcp;
mod gate;
mod home;
mod http_server;
mod part_server;
mod parts;
mod private_etc;
mod processes;
mod programs;
mod responses;
mod secrets;

pub use command::{CodexCommand, CommandOutput, RunningCodex};
pub use fake_auth::{
    AuthFault, AuthRequest, AuthSettings, BrowserPage, DpopRule, FakeAuth, browser_follow,
    browser_get, browser_send,
};
pub use fake_mcp::http::{Era, FakeHttp, FakeHttpServer, HttpFault, PostAnswer, SeenPost};
pub use fake_mcp::journal::Journal;
pub use fake_mcp::stdio::FakeStdio;
pub use gate::Gate;
pub use home::TestHome;
pub use part_server::PartServer;
pub use parts::RealParts;
pub use private_etc::private_etc;
pub use processes::{process_lives, wait_until_gone};
pub use programs::{
    cargo, codex_program, fake_mcp_server, sandbox_helper, starting_parent, workspace_root,
};
pub use responses::MockResponses;
pub use responses::events::{
    UsageCounts, ev_assistant_message, ev_completed, ev_completed_with_usage, ev_custom_tool_call,
    ev_error, ev_failed, ev_function_call, ev_incomplete, ev_item_added, ev_namespaced_call,
    ev_reasoning, ev_reasoning_delta, ev_response_created, ev_text_delta, ev_web_search,
};
pub use responses::reply::{Reply, sse};
pub use responses::request::RecordedRequest;
pub use secrets::{MARK as SECRET_MARK, SecretSearch};

/// The body of the hidden program `fake-mcp-server`; tests reach it through [`FakeStdio`].
#[doc(hidden)]
pub use fake_mcp::program::main as fake_mcp_server_main;
