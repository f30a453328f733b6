//! The project's own commands: `cargo xtask test | demo | tidy | bench`.
//!
//! Everything that a fresh machine needs beyond Rust is named in `parts.rs` and installed into the
//! user's cache folder on demand; the repository itself stays as it was cloned.
#![expect(
    clippy::disallowed_methods,
    clippy::exit,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool of the developer: it reads its environment, writes caches and talks"
)]

mod bench;
mod cases;
mod conformance;
mod demo;
mod fuzz;
mod parts;
mod schema;
mod step;
mod systems;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The project's own commands
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Command {
    /// Run every check and every suite, as CI does
    Test(test::TestArgs),
    /// Build a release and replay a recorded turn against a real MCP server
    Demo(demo::DemoArgs),
    /// Prove the laws of ARCHITECTURE.md that a program can prove
    Tidy,
    /// Compare with the published npm binary, row by row
    Bench(bench::BenchArgs),
    /// Run the official MCP conformance suite against our client layer
    Conformance(conformance::ConformanceArgs),
    /// Fuzz what reads and writes users' files, for a given time
    Fuzz(fuzz::FuzzArgs),
    /// Type-check the code for Windows and macOS, where the parts for it are installed
    CheckSystems,
    /// Write docs/config.schema.json and requirements.schema.json anew from the types that read the files
    WriteConfigSchema,
}

fn main() -> ExitCode {
    // Before anything else: the measuring launcher must stay small, see bench/launcher.rs.
    if let Some(code) = bench::launcher::run_if_asked() {
        return code;
    }
    step::end_children_on_signals();
    let outcome = match Command::parse() {
        Command::Test(args) => test::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Tidy => tidy::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::CheckSystems => systems::check().map(|said| println!("{said}")),
        Command::WriteConfigSchema => schema::write_config(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nError: {error:#}");
            ExitCode::FAILURE
        }
    }
}
