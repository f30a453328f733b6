//! `codex mcp`: the servers, from the configuration to a live call.

mod add;
pub(crate) mod call;
mod check;
mod dialect;
mod explain;
mod export;
mod get;
pub(crate) mod ground;
mod import;
mod list;
pub(crate) mod live;
mod login;
mod logout;
mod pins;
mod remove;
mod scope;
mod switch;
pub(crate) mod tools;
mod view;

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use codex_runtime::{Invocation, Loaded};
use codex_utils_cli::CliConfigOverrides;
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::tree::Leaf;
use live::{LiveContext, Terminal};
use switch::Switch;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    overrides: CliConfigOverrides,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the configured servers
    List(Leaf<list::ListArgs>),
    /// Show one server
    Get(Leaf<get::GetArgs>),
    /// Add a server, or change how one is started
    Add(Box<Leaf<add::AddArgs>>),
    /// Remove a server
    Remove(Leaf<remove::RemoveArgs>),
    /// Log in to a server
    Login(Leaf<login::LoginArgs>),
    /// Log out of a server
    Logout(Leaf<logout::LogoutArgs>),
    /// Turn a server on
    Enable(Leaf<switch::SwitchArgs>),
    /// Turn a server off
    Disable(Leaf<switch::SwitchArgs>),
    /// Connect to servers and list their tools
    Tools(Leaf<tools::ToolsArgs>),
    /// Call one tool of a server
    Call(Leaf<call::CallArgs>),
    /// Check servers step by step
    Check(Leaf<check::CheckArgs>),
    /// Show or approve what a server changed about its pinned tools
    Pins(Leaf<pins::PinsArgs>),
    /// Take over servers from another client's file
    Import(Leaf<import::ImportArgs>),
    /// Write servers in another client's format
    Export(Leaf<export::ExportArgs>),
}

impl McpArgs {
    /// Joins the flags of every level.
    pub(crate) fn split(self, outer: CliConfigOverrides) -> (CliConfigOverrides, Verb) {
        let inner = match &self.verb {
            Verb::List(leaf) => &leaf.overrides,
            Verb::Get(leaf) => &leaf.overrides,
            Verb::Add(leaf) => &leaf.overrides,
            Verb::Remove(leaf) => &leaf.overrides,
            Verb::Login(leaf) => &leaf.overrides,
            Verb::Logout(leaf) => &leaf.overrides,
            Verb::Enable(leaf) | Verb::Disable(leaf) => &leaf.overrides,
            Verb::Tools(leaf) => &leaf.overrides,
            Verb::Call(leaf) => &leaf.overrides,
            Verb::Check(leaf) => &leaf.overrides,
            Verb::Pins(leaf) => &leaf.overrides,
            Verb::Import(leaf) => &leaf.overrides,
            Verb::Export(leaf) => &leaf.overrides,
        };
        (outer.then(self.overrides).then(inner.clone()), self.verb)
    }
}

pub(crate) fn run(verb: Verb, invocation: Invocation) -> Result<u8, CliError> {
    match verb {
        Verb::List(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                list::run(leaf.args, &loaded.layers, context).await
            })
        }
        Verb::Get(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                get::run(leaf.args, &loaded, context).await
            })
        }
        Verb::Add(leaf) => add::run(leaf.args, invocation),
        Verb::Remove(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                remove::run(leaf.args, &loaded, context).await
            })
        }
        Verb::Login(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                login::run(leaf.args, context).await
            })
        }
        Verb::Logout(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                logout::run(leaf.args, context).await
            })
        }
        Verb::Enable(leaf) => switch::run(&leaf.args, Switch::On, invocation),
        Verb::Disable(leaf) => switch::run(&leaf.args, Switch::Off, invocation),
        Verb::Tools(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                tools::run(leaf.args, context).await
            })
        }
        Verb::Call(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| call::run(leaf.args, context).await)
        }
        Verb::Pins(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| pins::run(leaf.args, context).await)
        }
        Verb::Import(leaf) => import::run(&leaf.args, invocation),
        Verb::Export(leaf) => export::run(&leaf.args, invocation),
        Verb::Check(leaf) => {
            let loaded = crate::load(invocation)?;
            live(&loaded, async |context| {
                check::run(leaf.args, &loaded, context).await
            })
        }
    }
}

/// Runs a verb that connects. The first Ctrl-C stops it cleanly, the second one at once.
fn live(
    loaded: &Loaded,
    verb: impl AsyncFnOnce(LiveContext<'_>) -> Result<u8, CliError>,
) -> Result<u8, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let terminal = match (io::stdin().is_terminal(), err.is_terminal()) {
        (true, true) => Terminal::Interactive,
        (false, true) => Terminal::WatchOnly,
        (_, false) => Terminal::None,
    };
    let cancel = CancellationToken::new();
    let context = LiveContext {
        config: &loaded.config,
        layers: &loaded.layers,
        env: loaded.env.clone(),
        home: loaded.home.clone(),
        deputy: loaded.deputy.clone(),
        cwd: loaded.cwd.clone(),
        cancel: cancel.clone(),
        out: &mut out,
        err: &mut err,
        terminal,
    };
    let result = runtime.block_on(async {
        let work = verb(context);
        let mut work = std::pin::pin!(work);
        tokio::select! {
            // In this order Ctrl-C is heard before the work begins.
            biased;
            Ok(()) = tokio::signal::ctrl_c() => cancel.cancel(),
            result = &mut work => return result,
        }
        tokio::select! {
            result = &mut work => result,
            // Dropping the work ends every server by its process group.
            Ok(()) = tokio::signal::ctrl_c() => Err(live::interrupted()),
        }
    });
    runtime.shutdown_background();
    out.flush()?;
    result
}
