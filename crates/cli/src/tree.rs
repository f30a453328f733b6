//! The command tree, as typed.
//!
//! The override flags stand at every level, because clap keeps only the innermost values of its
//! global arguments; `split` joins them in the order typed.

use clap::{Args, Parser, Subcommand};
use codex_exec::ExecArgs;
use codex_utils_cli::CliConfigOverrides;

use crate::app_server::AppServerArgs;
use crate::completion::CompletionArgs;
use crate::doctor::DoctorArgs;
use crate::features::FeaturesArgs;
use crate::mcp::McpArgs;
use crate::sandbox::SandboxArgs;

/// Codex: an agent on your machine, with the tools of your MCP servers
#[derive(Debug, Parser)]
#[command(
    name = "codex-cli",
    bin_name = "codex",
    version,
    subcommand_negates_reqs = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) overrides: CliConfigOverrides,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run Codex non-interactively
    #[command(visible_alias = "e")]
    Exec(Box<ExecArgs>),
    /// Serve programs by JSON lines on stdin and stdout
    AppServer(Box<AppServerArgs>),
    /// Manage external MCP servers for Codex
    Mcp(McpArgs),
    /// Generate shell completion scripts
    Completion(CompletionArgs),
    /// Inspect feature flags
    Features(FeaturesArgs),
    /// Look for what keeps Codex from working here
    Doctor(DoctorArgs),
    /// Run a command in the sandbox
    Sandbox(SandboxArgs),
}

// No doc comment: clap would take it as the description of each command.
#[derive(Debug, Args)]
pub(crate) struct Leaf<T: Args> {
    #[command(flatten)]
    pub(crate) args: T,
    #[command(flatten)]
    pub(crate) overrides: CliConfigOverrides,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_visible_command_has_one_line_of_description() {
        fn check(command: &clap::Command) {
            for inner in command
                .get_subcommands()
                .filter(|inner| !inner.is_hide_set())
            {
                let about = inner
                    .get_about()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(
                    !about.is_empty() && !about.ends_with('.'),
                    "{}: {about:?}",
                    inner.get_name()
                );
                check(inner);
            }
        }
        check(&Cli::command());
    }
}
