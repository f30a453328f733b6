//! `codex app-server`: what was typed for it.

use clap::{Args, Subcommand};
use codex_app_server::AppServerError;
use codex_runtime::Invocation;
use codex_utils_cli::CliConfigOverrides;

use crate::error::CliError;

/// The one transport there is.
const STDIO: &str = "stdio://";

#[derive(Debug, Args)]
pub(crate) struct AppServerArgs {
    #[command(flatten)]
    overrides: CliConfigOverrides,
    #[command(flatten)]
    args: ServeArgs,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where clients connect; only `stdio://` is there
    #[arg(long, value_name = "URL", default_value = STDIO)]
    listen: String,
    /// Serve on stdin and stdout; same as `--listen stdio://`
    #[arg(long, conflicts_with = "listen")]
    stdio: bool,
    // What other programs pass and what means nothing here.
    #[arg(long, hide = true)]
    analytics_default_enabled: bool,
    #[arg(long, hide = true, value_name = "JSON")]
    startup_client_info: Option<String>,
    #[arg(long, hide = true, value_name = "URL")]
    code_mode_host: Option<String>,
}

/// Known words that are not here yet.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(hide = true)]
    GenerateJsonSchema(Rest),
    #[command(hide = true)]
    GenerateTs(Rest),
    #[command(hide = true)]
    Daemon(Rest),
    #[command(hide = true)]
    Proxy(Rest),
}

#[derive(Debug, Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
}

impl AppServerArgs {
    /// Joins the flags of every level.
    pub(crate) fn split(self, outer: CliConfigOverrides) -> (CliConfigOverrides, Self) {
        (outer.then(self.overrides.clone()), self)
    }
}

pub(crate) fn run(args: AppServerArgs, invocation: Invocation) -> Result<u8, CliError> {
    let word = args.verb.as_ref().map(|verb| match verb {
        Verb::GenerateJsonSchema(_) => "generate-json-schema",
        Verb::GenerateTs(_) => "generate-ts",
        Verb::Daemon(_) => "daemon",
        Verb::Proxy(_) => "proxy",
    });
    if let Some(word) = word {
        return Err(CliError::not_available(&format!("codex app-server {word}")));
    }
    if args.args.listen != STDIO {
        let text = format!("--listen {} is not supported", args.args.listen);
        return Err(CliError::usage(text).hint("only `--listen stdio://` is there"));
    }
    match codex_app_server::run(invocation) {
        Ok(()) => Ok(0),
        Err(AppServerError::Load(error)) => Err(error.into()),
        Err(AppServerError::Start(error)) => Err(CliError::new(format!("cannot start: {error}"))),
        Err(AppServerError::Output(why)) => {
            Err(CliError::new(format!("cannot write to stdout: {why}")))
        }
    }
}
