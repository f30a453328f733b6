//! `codex completion`: scripts for shells. Reads no configuration.

use std::io::Write;

use clap::{Args, CommandFactory, ValueEnum};

use crate::error::CliError;
use crate::tree::Cli;

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// Shell to generate completions for
    #[arg(value_enum, default_value_t = Shell::Bash)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub(crate) fn run(args: CompletionArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Powershell => clap_complete::Shell::PowerShell,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    // Into memory first: clap_complete panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "codex", &mut script);
    out.write_all(&script)?;
    out.flush()?;
    Ok(0)
}
