//! Why a connection or a call failed, and what to do now.

use std::time::Duration;

use codex_oauth::LoginWanted;
use codex_protocol::ServerName;
use serde_json::Value;

/// A sentence that tells the user what to do now.
pub type Hint = String;

/// Why a server could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The program could not be started.
    #[error("MCP server `{server}` could not be started: {why}")]
    Spawn {
        /// The server.
        server: ServerName,
        /// The program as configured.
        program: String,
        /// Why, program included.
        why: String,
        /// Whether the program does not exist.
        not_found: bool,
        /// What the user can do about it.
        hints: Vec<Hint>,
    },
    /// The server ended before it was ready.
    #[error(
        "MCP server `{server}` ended before it was ready ({status}){}",
        stderr_suffix(stderr_tail)
    )]
    Exited {
        /// The server.
        server: ServerName,
        /// Exit status in words.
        status: String,
        /// The last lines it wrote to stderr.
        stderr_tail: String,
        /// It ran in a sandbox.
        sandboxed: bool,
    },
    /// The server did not get ready in time.
    #[error(
        "MCP server `{server}` did not answer within {limit:?}{}",
        stderr_suffix(stderr_tail)
    )]
    Timeout {
        /// The server.
        server: ServerName,
        /// The limit that ended.
        limit: Duration,
        /// The last lines it wrote to stderr.
        stderr_tail: String,
    },
    /// The server wants a login.
    #[error("MCP server `{server}` wants a login (HTTP {status})")]
    LoginRequired {
        /// The server.
        server: ServerName,
        /// 401 or 403; 401 too when a login is known to be needed without asking.
        status: u16,
        /// `WWW-Authenticate` as received.
        challenge: Option<String>,
        /// Whether a token was sent and refused.
        token_sent: bool,
        /// Which login would help, when a login is what the server is configured for.
        wanted: Option<Box<LoginWanted>>,
    },
    /// There is a login, and no token can be had from it now.
    #[error("MCP server `{server}` cannot be asked: {why}")]
    NoToken {
        /// The server.
        server: ServerName,
        /// Why.
        why: String,
        /// Whether a later try may get one: the renewal failed, and was not refused.
        may_pass: bool,
    },
    /// The server answered, but not with MCP.
    #[error(
        "MCP server `{server}` answered HTTP {status}{}",
        body_suffix(body_start)
    )]
    Http {
        /// The server.
        server: ServerName,
        /// HTTP status.
        status: u16,
        /// Content type and first words of the body.
        body_start: String,
    },
    /// No HTTP answer came.
    #[error("MCP server `{server}` cannot be reached at `{url}`: {reason}")]
    Unreachable {
        /// The server.
        server: ServerName,
        /// Where, without secrets.
        url: String,
        /// What the network said.
        reason: String,
        /// What the user can do about it.
        hints: Vec<Hint>,
    },
    /// What came is no whole HTTP answer.
    #[error("MCP server `{server}` gave no usable answer: {why}")]
    BrokenAnswer {
        /// The server.
        server: ServerName,
        /// What is wrong with it.
        why: String,
    },
    /// The server speaks a revision that we do not.
    #[error("MCP server `{server}` speaks protocol `{theirs}`, which this client does not know")]
    UnknownProtocol {
        /// The server.
        server: ServerName,
        /// What it said.
        theirs: String,
    },
    /// The server refused the handshake.
    #[error("MCP server `{server}` refused the handshake: {message} ({code})")]
    Refused {
        /// The server.
        server: ServerName,
        /// JSON-RPC code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The server broke the protocol.
    #[error(
        "MCP server `{server}` broke the protocol: {why}{}",
        stderr_suffix(stderr_tail)
    )]
    Protocol {
        /// The server.
        server: ServerName,
        /// How.
        why: String,
        /// The last lines it wrote to stderr.
        stderr_tail: String,
    },
    /// We gave up on request.
    #[error("connecting to MCP server `{server}` was cancelled")]
    Cancelled {
        /// The server.
        server: ServerName,
    },
}

impl ConnectError {
    /// Returns the word of machine-readable output; it stays what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Spawn {
                not_found: true, ..
            } => "program_not_found",
            Self::Spawn { .. } => "spawn",
            Self::Exited { .. } => "exited",
            Self::Timeout { .. } => "timeout",
            Self::LoginRequired { .. } => "login_required",
            Self::NoToken { .. } => "no_token",
            Self::Http { .. } => "http_status",
            Self::Unreachable { .. } => "unreachable",
            Self::BrokenAnswer { .. } => "broken_answer",
            Self::UnknownProtocol { .. } => "unknown_protocol",
            Self::Refused { .. } => "handshake_refused",
            Self::Protocol { .. } => "protocol",
            Self::Cancelled { .. } => "interrupted",
        }
    }

    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Spawn { hints, .. } => hints.clone(),
            Self::Exited {
                server,
                sandboxed: true,
                ..
            } => vec![format!(
                "its sandbox may lack what it needs: network_access or writable_roots of \
                 `sandbox` in [mcp_servers.{server}]"
            )],
            Self::Exited { .. } => {
                vec!["run the server's command by hand to see what it needs".to_owned()]
            }
            Self::Timeout { server, .. } => vec![format!(
                "a server that needs longer can have it: startup_timeout_sec in [mcp_servers.{server}]"
            )],
            Self::LoginRequired {
                wanted: Some(wanted),
                ..
            } => vec![format!("run `{}`", wanted.command())],
            Self::LoginRequired {
                server, token_sent, ..
            } => {
                if *token_sent {
                    vec!["the configured token was refused: renew it".to_owned()]
                } else {
                    vec![format!(
                        "configure a token: bearer_token_env_var in [mcp_servers.{server}]"
                    )]
                }
            }
            Self::Http { status: 404, .. } => {
                vec!["check the path of the URL: MCP endpoints often end in `/mcp`".to_owned()]
            }
            Self::Unreachable { hints, .. } if !hints.is_empty() => hints.clone(),
            Self::Http { .. } | Self::Unreachable { .. } | Self::BrokenAnswer { .. } => {
                vec!["check that the URL is the server's MCP endpoint and that it runs".to_owned()]
            }
            Self::UnknownProtocol { .. } => {
                vec!["update codex or the server".to_owned()]
            }
            Self::NoToken { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::Cancelled { .. } => Vec::new(),
        }
    }

    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Exited { .. }
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::BrokenAnswer { .. } => true,
            Self::NoToken { may_pass, .. } => *may_pass,
            Self::Http { status, .. } => *status == 429 || *status >= 500,
            Self::Spawn { .. }
            | Self::LoginRequired { .. }
            | Self::UnknownProtocol { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::Cancelled { .. } => false,
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No answer within the limit; the server was told to stop.
    #[error("timed out after {}s", limit.as_secs_f64())]
    Timeout {
        /// The limit that ended.
        limit: Duration,
    },
    /// The connection ended while the request ran, or before.
    #[error("the connection to the server is closed: {reason}")]
    Closed {
        /// Why it ended.
        reason: String,
    },
    /// The server answered with a JSON-RPC error.
    #[error("{message} ({code})")]
    Rpc {
        /// JSON-RPC code.
        code: i64,
        /// The server's words.
        message: String,
        /// Whatever else it sent.
        data: Option<Value>,
    },
    /// The caller cancelled; the server was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The server wants a login now.
    #[error("{}", login_sentence(*status, wanted.as_deref()))]
    LoginRequired {
        /// 401 or 403; 401 too when a login is known to be needed without asking.
        status: u16,
        /// `WWW-Authenticate` as received.
        challenge: Option<String>,
        /// Which login would help, when a login is what the server is configured for.
        wanted: Option<Box<LoginWanted>>,
    },
    /// The HTTP request failed.
    #[error("{why}")]
    Transport {
        /// What went wrong.
        why: String,
    },
    /// The answer is not what the protocol allows, and nothing usable is in it.
    #[error("the server broke the protocol: {why}")]
    Protocol {
        /// How.
        why: String,
    },
    /// The server wants something that this client cannot do.
    #[error("{what} is not supported by this client")]
    Unsupported {
        /// What it wants.
        what: String,
    },
}

impl CallError {
    /// Returns the word of machine-readable output; it stays what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Closed { .. } => "closed",
            Self::Rpc { .. } => "rpc_error",
            Self::Cancelled => "interrupted",
            Self::LoginRequired { .. } => "login_required",
            Self::Transport { .. } => "transport",
            Self::Protocol { .. } => "protocol",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::Timeout { .. } => vec![
                "tools that need longer can have it: tool_timeout_sec of their server".to_owned(),
            ],
            // The sentence names the command.
            Self::LoginRequired {
                wanted: Some(_), ..
            } => Vec::new(),
            Self::LoginRequired { wanted: None, .. } => {
                vec!["renew the server's token or log in to it".to_owned()]
            }
            // The server wants the user to visit a page first.
            Self::Rpc {
                code: -32042, data, ..
            } => urls(data.as_ref())
                .map(|url| format!("the server asks you to visit {url} and to try again"))
                .collect(),
            Self::Closed { .. }
            | Self::Rpc { .. }
            | Self::Cancelled
            | Self::Transport { .. }
            | Self::Protocol { .. }
            | Self::Unsupported { .. } => Vec::new(),
        }
    }
}

fn urls(data: Option<&Value>) -> impl Iterator<Item = &str> {
    let elicitations = data.and_then(|data| data.get("elicitations")?.as_array());
    let elicitations = elicitations.into_iter().flatten();
    elicitations.filter_map(|elicitation| elicitation.get("url")?.as_str())
}

fn login_sentence(status: u16, wanted: Option<&LoginWanted>) -> String {
    match wanted {
        Some(wanted) => wanted.to_string(),
        None => format!("the server wants a login (HTTP {status})"),
    }
}

fn stderr_suffix(tail: &str) -> String {
    if tail.trim().is_empty() {
        return String::new();
    }
    format!("; its stderr ended with: {}", tail.trim_end())
}

fn body_suffix(start: &str) -> String {
    if start.is_empty() {
        return String::new();
    }
    format!(": {start}")
}
