//! The command `codex` from outside: whole commands, whole outputs.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests prepare files and processes directly"
)]

mod app_server;
mod app_server_support;
mod cli_basics;
mod doctor;
mod edits;
mod exec_explain;
mod exec_faults;
mod exec_files;
mod exec_hands;
mod exec_hostile_commands;
mod exec_login;
mod exec_mcp;
mod exec_prompt;
mod exec_replay;
mod exec_resume;
mod exec_roots;
mod exec_signals;
mod exec_support;
mod exec_turn;
mod features;
mod first_steps;
mod layers;
mod login_keys;
mod mcp_add_remove;
mod mcp_check;
mod mcp_import;
mod mcp_list_get;
mod mcp_live;
mod mcp_login;
mod mcp_login_faults;
mod mcp_login_keyring;
mod mcp_logout;
mod mcp_pins;
#[cfg(target_os = "linux")]
mod mcp_sandbox;
mod mcp_switch;
mod policy;
#[cfg(target_os = "linux")]
mod sandbox;
