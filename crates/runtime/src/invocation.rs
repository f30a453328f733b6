//! What the process was given, as values.

use codex_config::{SystemPaths, TomlValue};
use codex_host::{AbsPath, Clock, Env};
use codex_mcp::Deputy;
use codex_utils_cli::CliConfigOverrides;

/// Environment, directory and flags of one run.
///
/// `cwd` is where the process stands; `overrides.cd` is not yet applied to it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The environment, read once in main.
    pub env: Env,
    /// The directory that the process was started in.
    pub cwd: AbsPath,
    /// The clock.
    pub clock: Clock,
    /// `-c`, `--enable`, `--disable`, `--strict-config`, `-p`, `-C` of the whole command line.
    pub overrides: CliConfigOverrides,
    /// Further values of the same rank, from a program that has them already.
    pub values: Vec<(String, TomlValue)>,
    /// Whether the user's config file is read.
    pub user_config: UserConfig,
    /// Where the machine's settings are.
    pub system: SystemPaths,
    /// Who asks.
    pub frontend: Frontend,
    /// The program that drives the frontend.
    pub client: Option<ClientName>,
    /// Who renews logins where our death does not reach.
    pub deputy: Option<Deputy>,
}

/// Who asks; decides the name that servers and providers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frontend {
    /// `codex exec`.
    Exec,
    /// `codex app-server`; the program that drives it gives its own name.
    AppServer,
    /// Every other command of the command line, `codex mcp` above all.
    Cli,
}

/// A program that drives a frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName {
    /// Its name, which the provider sees.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Whether `$CODEX_HOME/config.toml` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserConfig {
    /// It is.
    #[default]
    Read,
    /// It is not; credentials still are.
    Ignored,
}

impl Invocation {
    /// Returns an invocation with the system clock that reads the user's config.
    pub fn new(env: Env, cwd: AbsPath, overrides: CliConfigOverrides, frontend: Frontend) -> Self {
        Self {
            env,
            cwd,
            clock: Clock::system(),
            overrides,
            values: Vec::new(),
            user_config: UserConfig::default(),
            system: SystemPaths::of_this_machine(),
            frontend,
            client: None,
            deputy: None,
        }
    }
}

impl Frontend {
    /// Returns the word for the `originator` header and for thread files.
    pub fn originator(self) -> &'static str {
        match self {
            Self::Exec => "codex_exec",
            Self::AppServer => "codex_app_server",
            Self::Cli => "codex_cli",
        }
    }
}
