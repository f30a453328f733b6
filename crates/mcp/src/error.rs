//! Why a server is not there, or a call has no answer; each with what to do now.

use codex_config::{McpServerConfig, McpTransport};
use codex_oauth::{LoginWanted, WhyLogin};
use codex_protocol::{ServerName, ToolRef};
use codex_rmcp_client::{CallError as ConnectionError, ConnectError, Hint};
use url::Url;

use crate::resolve::EndpointError;

/// Why a run cannot start.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Servers with `required = true` did not start.
    #[error("required MCP servers failed to initialize: {}", sentence(.0))]
    Required(Vec<RequiredFailure>),
    /// The wait was cancelled.
    #[error("waiting for MCP servers was cancelled")]
    Cancelled,
}

impl StartError {
    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Required(failures) => failures
                .iter()
                .flat_map(|failure| failure.hints.clone())
                .collect(),
            Self::Cancelled => Vec::new(),
        }
    }
}

/// One required server that did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredFailure {
    /// The server.
    pub server: ServerName,
    /// One sentence without the server's name.
    pub why: String,
    /// What the user can do now.
    pub hints: Vec<Hint>,
}

fn sentence(failures: &[RequiredFailure]) -> String {
    let each = failures
        .iter()
        .map(|failure| format!("{}: {}", failure.server, failure.why));
    each.collect::<Vec<_>>().join("; ")
}

/// Why a server is not running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// Its entry in the config cannot be used.
    #[error("{why}")]
    Config {
        /// Why, with the place in the file.
        why: String,
    },
    /// Something that its entry names is missing here.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// It could not be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A person must log in to it first.
    #[error("{sentence}")]
    Login {
        /// Who is not logged in, and the command that helps.
        sentence: String,
        /// What a login starts from ([`crate::LoginSpec::refusal`]).
        wanted: Box<LoginWanted>,
    },
    /// It connected and its tools could not be listed.
    #[error("its tools cannot be listed: {0}")]
    Catalog(#[source] ConnectionError),
    /// It ended again and again.
    #[error("it ended {n_times} times in a row, the last time: {status}")]
    KeepsEnding {
        /// How often.
        n_times: u32,
        /// How it ended last.
        status: String,
    },
}

/// The step of a server's start that failed, in the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailedStep {
    /// The entry in the config.
    Config,
    /// Program, directory, variables.
    Environment,
    /// Spawn, or DNS, TCP, TLS, HTTP.
    Connect,
    /// Login.
    Auth,
    /// `initialize`.
    Handshake,
    /// `tools/list`.
    Catalog,
}

impl StartFailure {
    /// Says a login that is missing in the words that every frontend uses.
    pub(crate) fn in_words_of(self, config: &McpServerConfig) -> Self {
        let Some(wanted) = self.wanted_login() else {
            return self;
        };
        Self::Login {
            sentence: login_sentence(wanted, config),
            wanted: Box::new(wanted.clone()),
        }
    }

    /// Returns the login that would help. Some servers ask for it only when their tools are listed.
    pub fn wanted_login(&self) -> Option<&LoginWanted> {
        match self {
            Self::Login { wanted, .. } => Some(wanted),
            Self::Connect(ConnectError::LoginRequired { wanted, .. })
            | Self::Catalog(ConnectionError::LoginRequired { wanted, .. }) => wanted.as_deref(),
            Self::Config { .. }
            | Self::Endpoint(_)
            | Self::Connect(_)
            | Self::Catalog(_)
            | Self::KeepsEnding { .. } => None,
        }
    }

    /// Returns whether there was a login, which the server no longer takes.
    pub fn wants_login_again(&self) -> bool {
        let wanted = self.wanted_login();
        wanted.is_some_and(|wanted| wanted.why == WhyLogin::Expired)
    }

    /// Returns the command that logs in to this server, when a login would help.
    pub fn login_command(&self, config: &McpServerConfig) -> Option<String> {
        let wanted = self.wanted_login()?;
        Some(match github_url(wanted, config) {
            Some(url) => github_command(&wanted.server, url),
            None => wanted.command(),
        })
    }

    /// Returns one sentence that does not repeat the server's name.
    pub fn why(&self, server: &ServerName) -> String {
        // Most of it may be the server's words.
        let text = crate::notice::plain(&self.to_string());
        // Errors from below begin with the server; beside our own `a: …` that would be said twice.
        match text.strip_prefix(&format!("MCP server `{server}` ")) {
            Some(rest) => rest.to_owned(),
            None => text,
        }
    }

    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            // The sentence of a login names the command.
            Self::Config { .. } | Self::KeepsEnding { .. } | Self::Login { .. } => Vec::new(),
            Self::Endpoint(error) => error.hints(),
            Self::Connect(error) => error.hints(),
            Self::Catalog(error) => error.hints(),
        }
    }

    /// Returns the word of machine-readable output; it stays what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Config { .. } => "invalid_entry",
            Self::Endpoint(error) => error.kind(),
            Self::Connect(error) => error.kind(),
            Self::Login { .. } => "login_required",
            Self::Catalog(error) => error.kind(),
            Self::KeepsEnding { .. } => "exited",
        }
    }

    /// Returns the step that failed.
    pub fn step(&self) -> FailedStep {
        match self {
            Self::Config { .. } => FailedStep::Config,
            Self::Endpoint(_) => FailedStep::Environment,
            Self::Connect(ConnectError::Spawn {
                not_found: true, ..
            }) => FailedStep::Environment,
            Self::Connect(ConnectError::LoginRequired { .. } | ConnectError::NoToken { .. })
            | Self::Login { .. } => FailedStep::Auth,
            // Something answers there, or the program runs: it is the handshake that fails.
            Self::Connect(
                ConnectError::UnknownProtocol { .. }
                | ConnectError::Refused { .. }
                | ConnectError::Protocol { .. }
                | ConnectError::Timeout { .. },
            ) => FailedStep::Handshake,
            Self::Connect(ConnectError::Http { status, .. }) if *status < 500 => {
                FailedStep::Handshake
            }
            Self::Connect(_) | Self::KeepsEnding { .. } => FailedStep::Connect,
            Self::Catalog(_) => FailedStep::Catalog,
        }
    }
}

pub(crate) fn login_sentence(wanted: &LoginWanted, config: &McpServerConfig) -> String {
    let (server, command) = (&wanted.server, wanted.command());
    if let Some(url) = github_url(wanted, config) {
        return github_sentence(server, url);
    }
    match wanted.why {
        WhyLogin::None => format!("The {server} MCP server is not logged in. Run `{command}`."),
        WhyLogin::Expired => {
            format!("The login of the {server} MCP server has expired. Run `{command}`.")
        }
        WhyLogin::MoreScopes => {
            format!("The login of the {server} MCP server does not reach this. Run `{command}`.")
        }
    }
}

/// The URL of GitHub's own server, when it is that which wants a first login.
fn github_url<'a>(wanted: &LoginWanted, config: &'a McpServerConfig) -> Option<&'a str> {
    let McpTransport::StreamableHttp(http) = &config.transport else {
        return None;
    };
    let is_there = Url::parse(&http.url).is_ok_and(|url| is_github(&url));
    (wanted.why == WhyLogin::None && is_there).then_some(http.url.as_str())
}

/// Whether this is GitHub's own server.
pub(crate) fn is_github(url: &Url) -> bool {
    url.host_str() == Some("api.githubcopilot.com")
}

/// The one thing that helps with GitHub, which registers no clients and knows none of ours.
pub(crate) fn github_sentence(server: &ServerName, url: &str) -> String {
    format!(
        "GitHub's MCP server has no OAuth login for this client. Put a personal access token into an environment variable and run `{}`.",
        github_command(server, url)
    )
}

fn github_command(server: &ServerName, url: &str) -> String {
    format!("codex mcp add {server} --url {url} --bearer-token-env-var GITHUB_PAT")
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No server of that name is configured.
    #[error("No MCP server named '{0}' found.")]
    UnknownServer(ServerName),
    /// The server is turned off.
    #[error("MCP server `{server}` is off: {why}")]
    Off {
        /// The server.
        server: ServerName,
        /// Who turned it off.
        why: String,
    },
    /// The server did not start.
    #[error("MCP server `{server}` is not running: {why}")]
    NotRunning {
        /// The server.
        server: ServerName,
        /// Why.
        why: String,
        /// What the user can do now.
        hints: Vec<Hint>,
    },
    /// A person must log in to the server first.
    #[error("{sentence}")]
    NotLoggedIn {
        /// Who is not logged in, and the command that helps.
        sentence: String,
        /// What a login starts from ([`crate::LoginSpec::refusal`]).
        wanted: Box<LoginWanted>,
    },
    /// The tool exists and is not offered.
    #[error("tool `{tool}` is not available: {why}")]
    Hidden {
        /// The tool.
        tool: ToolRef,
        /// The filter or the fault of the tool.
        why: String,
    },
    /// A skill of the server is not used.
    #[error("skill `{skill}` of MCP server `{server}` cannot be used: {why}")]
    Skill {
        /// The server.
        server: ServerName,
        /// The skill, fit to be shown.
        skill: String,
        /// Which rule or promise is broken.
        why: String,
    },
    /// The server ended while the call ran.
    #[error("MCP server `{server}` ended during the call: {reason}")]
    ServerEnded {
        /// The server.
        server: ServerName,
        /// Why it ended.
        reason: String,
    },
    /// The caller cancelled; the server was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The connection gave no answer.
    #[error(transparent)]
    Connection(ConnectionError),
}

impl CallError {
    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::NotRunning { hints, .. } => hints.clone(),
            Self::Connection(error) => error.hints(),
            Self::UnknownServer(_)
            | Self::Off { .. }
            // The sentence names the command.
            | Self::NotLoggedIn { .. }
            | Self::Hidden { .. }
            | Self::Skill { .. }
            | Self::ServerEnded { .. }
            | Self::Cancelled => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(url: &str, why: WhyLogin) -> String {
        let server = ServerName::from_config("x");
        let wanted = LoginWanted {
            server: server.clone(),
            why,
            scopes: None,
            challenge: None,
        };
        let failure = StartFailure::Connect(ConnectError::LoginRequired {
            server: server.clone(),
            status: 401,
            challenge: None,
            token_sent: false,
            wanted: Some(Box::new(wanted)),
        });
        let failure = failure.in_words_of(&McpServerConfig::http(server.clone(), url));
        assert_eq!(failure.step(), FailedStep::Auth);
        assert_eq!(
            failure.hints(),
            [] as [&str; 0],
            "the sentence has the command"
        );
        failure.why(&server)
    }

    #[test]
    fn a_missing_login_is_said_with_the_command_and_github_with_the_token() {
        let rows = [
            sentence("https://mcp.example.com/mcp", WhyLogin::None),
            sentence("https://mcp.example.com/mcp", WhyLogin::Expired),
            sentence("https://mcp.example.com/mcp", WhyLogin::MoreScopes),
            sentence("https://api.githubcopilot.com/mcp/", WhyLogin::None),
            // Whoever had a login there knows how to get one.
            sentence("https://api.githubcopilot.com/mcp/", WhyLogin::Expired),
            sentence(
                "https://api.githubcopilot.com.evil.example/",
                WhyLogin::None,
            ),
        ];
        insta::assert_snapshot!(rows.join("\n"), @"
        The x MCP server is not logged in. Run `codex mcp login x`.
        The login of the x MCP server has expired. Run `codex mcp login x`.
        The login of the x MCP server does not reach this. Run `codex mcp login x`.
        GitHub's MCP server has no OAuth login for this client. Put a personal access token into an environment variable and run `codex mcp add x --url https://api.githubcopilot.com/mcp/ --bearer-token-env-var GITHUB_PAT`.
        The login of the x MCP server has expired. Run `codex mcp login x`.
        The x MCP server is not logged in. Run `codex mcp login x`.
        ");
    }
}
