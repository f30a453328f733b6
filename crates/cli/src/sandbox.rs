//! `codex sandbox -- CMD`: one command in the sandbox that the agent's commands run in.
//!
//! This process becomes the command: no output is copied, the terminal is the command's own, and
//! whoever started us sees its exit code or the signal that ended it.

#[cfg(windows)]
mod windows;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use codex_process::ChildSpec;
use codex_protocol::SandboxMode;
use codex_runtime::Invocation;
use codex_utils_cli::CliConfigOverrides;

use crate::error::CliError;
use crate::mask::printable;

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct SandboxArgs {
    #[command(flatten)]
    overrides: CliConfigOverrides,
    /// Sandbox to use instead of the configured one, which is read-only when none is
    #[arg(short = 's', long, visible_alias = "mode", value_name = "SANDBOX_MODE")]
    sandbox: Option<ModeArg>,
    /// Same as --sandbox workspace-write
    #[arg(long, conflicts_with = "sandbox")]
    full_auto: bool,
    /// Further directory that may be written, with workspace-write (repeatable)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    add_dir: Vec<PathBuf>,
    /// Let the command use the network
    #[arg(long)]
    network: bool,
    /// Program to run, and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    ReadOnly,
    WorkspaceWrite,
    DangerFullAccess,
}

impl SandboxArgs {
    /// Takes the override flags out, joined with those of the outer level.
    pub(crate) fn split(mut self, outer: CliConfigOverrides) -> (CliConfigOverrides, Self) {
        let own = std::mem::take(&mut self.overrides);
        (outer.then(own), self)
    }

    fn mode(&self) -> Option<SandboxMode> {
        match self.sandbox {
            None => self.full_auto.then_some(SandboxMode::WorkspaceWrite),
            Some(ModeArg::ReadOnly) => Some(SandboxMode::ReadOnly),
            Some(ModeArg::WorkspaceWrite) => Some(SandboxMode::WorkspaceWrite),
            Some(ModeArg::DangerFullAccess) => Some(SandboxMode::DangerFullAccess),
        }
    }
}

/// Returns only when the command could not be started.
pub(crate) fn run(args: SandboxArgs, invocation: Invocation) -> Result<u8, CliError> {
    let loaded = crate::load(invocation)?;
    let policy = loaded.sandbox_policy(args.mode(), args.add_dir.iter().cloned());
    let policy = policy.map_err(|error| CliError::chain(&error, &[]))?;
    if let Some(warning) = loaded.not_writable(policy.mode(), &args.add_dir) {
        crate::say(&printable(&format!("warning: {warning}")))?;
    }
    let policy = match args.network {
        true => policy.with_network(),
        false => policy,
    };
    let mut words = args.command.into_iter();
    let program = words.next().unwrap_or_default();
    let spec = ChildSpec::new(program, loaded.env.clone(), loaded.cwd.as_path()).args(words);
    #[cfg(windows)]
    if windows::is_asked_for(&loaded) {
        return windows::run(&spec, &policy);
    }
    let plan = codex_sandbox::plan(&policy, &loaded.cwd, &loaded.env);
    let plan = plan.map_err(|error| CliError::chain(&error, &error.hints()))?;
    let spec = plan.wrap(spec).map_err(not_started)?;
    become_command(&spec)
}

#[cfg(unix)]
fn become_command(spec: &ChildSpec) -> Result<u8, CliError> {
    Err(not_started(codex_process::replace_process(spec)))
}

/// No process can become another one here: it is waited for.
#[cfg(not(unix))]
fn become_command(spec: &ChildSpec) -> Result<u8, CliError> {
    let mut command = std::process::Command::new(spec.find_program().map_err(not_started)?);
    command.args(&spec.args).current_dir(&spec.cwd).env_clear();
    let status = command.envs(spec.env.iter_os()).status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(1))
}

/// As shells do: 127 for a program that is not there, 126 for one that cannot be started.
fn not_started(error: codex_process::SpawnError) -> CliError {
    use codex_process::SpawnError;

    let code = match &error {
        SpawnError::NotOnPath { .. } | SpawnError::NotFound { .. } => 127,
        _ => 126,
    };
    CliError::chain(&error, &error.hints()).and_code(code)
}
