//! The command `codex`.
//!
//! The process is read once, here: argv, environment, directory. What runs then is the smallest thing
//! that can do the work: no async runtime, no configuration, nothing for `--version`.

mod app_server;
mod completion;
mod doctor;
mod error;
mod features;
mod mask;
mod mcp;
mod not_yet;
mod quiet;
#[cfg(unix)]
mod renewal;
mod sandbox;
mod table;
mod tree;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use codex_exec::ExecExit;
use codex_host::{AbsPath, Env};
use codex_runtime::{Frontend, Invocation, Loaded, Notice};
use codex_utils_cli::CliConfigOverrides;

use crate::error::CliError;
use crate::tree::{Cli, Command};

/// More notices than this are counted, not shown.
const MAX_NOTICE_LINES: usize = 20;

fn main() -> ExitCode {
    // The helper of the sandbox forks: nothing else may have been started.
    if let Some(code) = codex_linux_sandbox::run_if_asked(std::env::args_os().skip(1)) {
        return ExitCode::from(code);
    }
    #[cfg(unix)]
    if renewal::is_ordered() {
        return renewal::run();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = usage(&error);
            // A newer client may type what this version does not know, and pipes its prompt all the same.
            if error.use_stderr() && std::env::args_os().any(|word| word == "exec") {
                codex_exec::discard_prompt();
            }
            return code;
        }
    };
    let result = match cli.command {
        Some(Command::Exec(args)) => {
            return match process(cli.overrides, Frontend::Exec) {
                Ok(invocation) => exec(*args, invocation),
                Err(error) => failed(&error),
            };
        }
        Some(Command::AppServer(args)) => {
            let (overrides, args) = args.split(cli.overrides);
            process(overrides, Frontend::AppServer)
                .and_then(|invocation| app_server::run(args, invocation))
        }
        Some(Command::Completion(args)) => completion::run(args, &mut io::stdout().lock()),
        Some(Command::Mcp(args)) => {
            let (overrides, verb) = args.split(cli.overrides);
            process(overrides, Frontend::Cli).and_then(|invocation| mcp::run(verb, invocation))
        }
        Some(Command::Features(args)) => {
            let (overrides, verb) = args.split(cli.overrides);
            process(overrides, Frontend::Cli).and_then(|invocation| features::run(verb, invocation))
        }
        Some(Command::Doctor(args)) => {
            let overrides = cli.overrides.then(args.overrides.clone());
            process(overrides, Frontend::Cli).and_then(|invocation| doctor::run(&args, invocation))
        }
        Some(Command::Sandbox(args)) => {
            let (overrides, args) = args.split(cli.overrides);
            process(overrides, Frontend::Cli).and_then(|invocation| sandbox::run(args, invocation))
        }
        None => Err(CliError::not_available("the interactive interface")
            .hint("run `codex exec PROMPT` for one turn, or `codex --help`")),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    }
}

/// Reads what the process was given.
fn process(overrides: CliConfigOverrides, frontend: Frontend) -> Result<Invocation, CliError> {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks for it")]
    let cwd = std::env::current_dir();
    let cwd = cwd.ok().and_then(|cwd| AbsPath::new(cwd).ok());
    let cwd = cwd.ok_or_else(|| CliError::new("the current directory does not exist"))?;
    let mut invocation = Invocation::new(Env::from_process(), cwd, overrides, frontend);
    #[cfg(unix)]
    {
        invocation.deputy = renewal::deputy();
    }
    Ok(invocation)
}

fn exec(args: codex_exec::ExecArgs, invocation: Invocation) -> ExitCode {
    match codex_exec::run(args, invocation) {
        ExecExit::Code(code) => ExitCode::from(code),
        ExecExit::Signal(number) => {
            #[cfg(unix)]
            codex_process::end_by_signal(number);
            // Only when the signal could not be raised.
            ExitCode::from(u8::try_from(128 + number).unwrap_or(1))
        }
    }
}

/// Loads the configuration and prints what there is to say about it.
fn load(invocation: Invocation) -> Result<Loaded, CliError> {
    let loaded = invocation.load()?;
    let mut err = io::stderr().lock();
    for line in notice_lines(&loaded.notices) {
        writeln!(err, "{line}")?;
    }
    Ok(loaded)
}

fn notice_lines(notices: &[Notice]) -> Vec<String> {
    let texts = notices
        .iter()
        .map(|notice| format!("{}: {}", notice.prefix(), notice.message));
    let mut lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(mask::printable).collect::<Vec<_>>())
        .collect();
    if lines.len() > MAX_NOTICE_LINES {
        let n_more = lines.len() - MAX_NOTICE_LINES;
        lines.truncate(MAX_NOTICE_LINES);
        lines.push(format!("... and {n_more} more"));
    }
    lines
}

/// Runs a verb that prints, with everything it printed written before it returns.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = BufWriter::new(io::stdout().lock());
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a line beside the result.
fn say(line: &str) -> Result<(), CliError> {
    writeln!(io::stderr().lock(), "{line}")?;
    Ok(())
}

fn usage(error: &clap::Error) -> ExitCode {
    if let Some(better) = not_yet::answer(error) {
        return failed(&better);
    }
    // A closed stdout is no failure of `--help`.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn failed(error: &CliError) -> ExitCode {
    // Nobody can be told that stderr is closed.
    let _ = write!(io::stderr().lock(), "{error}");
    ExitCode::from(error.exit_code())
}

#[cfg(test)]
mod tests {
    use codex_config::Severity;

    use super::*;

    #[test]
    fn a_flood_of_notices_is_cut_and_counted() {
        let notice = Notice {
            severity: Severity::Deprecated,
            message: "x\u{1b}\ny".to_owned(),
            origin: None,
        };
        let lines = notice_lines(&vec![notice; 11]);
        assert_eq!(lines[..2], ["deprecated: x\\x1b", "y"]);
        assert_eq!((lines.len(), lines[20].as_str()), (21, "... and 2 more"));
    }
}
