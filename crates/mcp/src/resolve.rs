//! From a server's entry in the config to an endpoint with nothing left to look up.
//!
//! This is the one place where names of variables become values. A missing variable is an error at use
//! and names the server; nothing here is read when a server is only listed.

mod environment;
mod helper;
mod peer;
mod sandbox;

use std::path::Path;

use codex_config::{
    EnvVarSource, HttpAuth, HttpTransport, McpServerConfig, McpTransport, StdioTransport,
};
use codex_host::{Env, Secret};
use codex_http::PeerError;
use codex_protocol::ServerName;
use codex_rmcp_client::{Hint, HttpEndpoint, RequestAuth, ServerEndpoint, StdioLaunch};
use codex_sandbox::SandboxError;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub use helper::HeadersHelper;
pub use peer::http_client;

/// Why an entry cannot become an endpoint here and now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A variable that the entry names is not set.
    #[error("Environment variable {variable} for MCP server '{server}' is not set")]
    MissingEnv {
        /// The server.
        server: ServerName,
        /// The variable.
        variable: String,
    },
    /// The variable with the bearer token is empty.
    #[error("Environment variable {variable} for MCP server '{server}' is empty")]
    EmptyEnv {
        /// The server.
        server: ServerName,
        /// The variable.
        variable: String,
    },
    /// The entry wants a variable of a remote host.
    #[error(
        "env_vars of MCP server '{server}' takes {variable} from a remote host, and there is none here"
    )]
    RemoteVariable {
        /// The server.
        server: ServerName,
        /// The variable.
        variable: String,
    },
    /// The URL is none after its variables were filled in.
    #[error("the url of MCP server '{server}' is not usable: {why}")]
    BadUrl {
        /// The server.
        server: ServerName,
        /// Why; the URL itself may hold a secret.
        why: String,
    },
    /// A header cannot be sent.
    #[error("header `{header}` of MCP server '{server}' is not usable: {why}")]
    BadHeader {
        /// The server.
        server: ServerName,
        /// The header's name.
        header: String,
        /// Why; the value may be a secret.
        why: &'static str,
    },
    /// The working directory is not there.
    #[error("the working directory `{}` of MCP server '{server}' is not a directory", cwd.display())]
    BadCwd {
        /// The server.
        server: ServerName,
        /// The directory.
        cwd: std::path::PathBuf,
    },
    /// The program that prints headers failed.
    #[error("http_headers_helper of MCP server '{server}' failed: {why}")]
    Helper {
        /// The server.
        server: ServerName,
        /// Why.
        why: String,
    },
    /// A setting of the login cannot be used.
    #[error("`{key}` of MCP server '{server}' is not usable: {why}")]
    BadOAuth {
        /// The server.
        server: ServerName,
        /// The key.
        key: &'static str,
        /// Why.
        why: String,
    },
    /// The proxy or the certificates of the entry cannot be used.
    #[error("`http.{}` of MCP server '{server}' is not usable: {error}", error.key)]
    Peer {
        /// The server.
        server: ServerName,
        /// Which setting, and why.
        error: PeerError,
    },
    /// The server cannot be held as its entry says.
    #[error("MCP server '{server}' cannot be put into its sandbox")]
    Sandbox {
        /// The server.
        server: ServerName,
        /// Why.
        source: SandboxError,
    },
    /// The entry asks for something that this version cannot do.
    #[error("`{key}` of MCP server '{server}' is not available in this version")]
    NotAvailable {
        /// The server.
        server: ServerName,
        /// The key.
        key: &'static str,
    },
}

impl EndpointError {
    /// Returns the word of machine-readable output; it stays what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingEnv { .. } => "missing_env",
            Self::EmptyEnv { .. } => "empty_env",
            Self::RemoteVariable { .. } => "remote_variable",
            Self::BadUrl { .. } => "bad_url",
            Self::BadHeader { .. } => "bad_header",
            Self::BadCwd { .. } => "bad_cwd",
            Self::Helper { .. } => "headers_helper",
            Self::BadOAuth { .. } => "bad_oauth",
            Self::Peer { .. } => "bad_http",
            Self::Sandbox { .. } => "sandbox",
            Self::NotAvailable { .. } => "not_available",
        }
    }

    /// Tells what the user can do now.
    pub fn hints(&self) -> Vec<Hint> {
        match self {
            Self::MissingEnv { variable, .. } | Self::EmptyEnv { variable, .. } => {
                vec![format!(
                    "set {variable} in the environment that codex is started from"
                )]
            }
            Self::Sandbox { source, .. } => source.hints(),
            Self::RemoteVariable { .. } => vec!["remove `source = \"remote\"`".to_owned()],
            Self::BadUrl { .. }
            | Self::BadHeader { .. }
            | Self::BadCwd { .. }
            | Self::Helper { .. }
            | Self::BadOAuth { .. }
            | Self::Peer { .. }
            | Self::NotAvailable { .. } => Vec::new(),
        }
    }
}

/// An endpoint, and what must happen right before it is used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Resolved {
    /// Where the server is.
    pub endpoint: ServerEndpoint,
    /// Program that prints further headers, to be run once per connection.
    pub headers_helper: Option<HeadersHelper>,
    /// What is odd and survived, one sentence each.
    pub warnings: Vec<String>,
}

/// Looks up everything that a server's entry names.
pub fn resolve_endpoint(
    config: &McpServerConfig,
    env: &Env,
    cwd: &Path,
) -> Result<Resolved, EndpointError> {
    let lookup = Lookup {
        server: &config.name,
        env,
        expand: config.expand_env,
    };
    match &config.transport {
        McpTransport::Stdio(stdio) => resolve_stdio(&lookup, stdio, cwd),
        McpTransport::StreamableHttp(http) => resolve_http(&lookup, http, cwd),
    }
}

/// Returns the names of the variables that a stdio server gets without naming them, sorted.
pub fn inherited_variables(stdio: &StdioTransport, env: &Env) -> Vec<String> {
    let base = environment::base(env, stdio.inherit_env);
    let names = base.into_keys();
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// How names and texts of one entry become values.
struct Lookup<'a> {
    server: &'a ServerName,
    env: &'a Env,
    expand: bool,
}

impl Lookup<'_> {
    fn text(&self, text: &str) -> Result<String, EndpointError> {
        if !self.expand {
            return Ok(text.to_owned());
        }
        codex_config::expand(text, self.env).map_err(|variable| self.missing(&variable))
    }

    fn variable(&self, name: &str) -> Result<&str, EndpointError> {
        self.env.get(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, variable: &str) -> EndpointError {
        EndpointError::MissingEnv {
            server: self.server.clone(),
            variable: variable.to_owned(),
        }
    }

    fn header(&self, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), EndpointError> {
        let bad = |why| EndpointError::BadHeader {
            server: self.server.clone(),
            header: name.to_owned(),
            why,
        };
        sendable(name, value).map_err(bad)
    }
}

/// Headers of the protocol and of HTTP itself; a second value would break them.
const RESERVED_HEADERS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

/// Makes a header of the user's, or says why it cannot be sent.
fn sendable(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| "the name is not a header name")?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err("the protocol sets it");
    }
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "the value holds characters that no header may hold")?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn resolve_stdio(
    lookup: &Lookup<'_>,
    stdio: &StdioTransport,
    cwd: &Path,
) -> Result<Resolved, EndpointError> {
    let server = lookup.server;
    let mut env = environment::base(lookup.env, stdio.inherit_env);
    for variable in &stdio.env_vars {
        if variable.source == Some(EnvVarSource::Remote) {
            return Err(EndpointError::RemoteVariable {
                server: server.clone(),
                variable: variable.name.clone(),
            });
        }
        let value = lookup.variable(&variable.name)?;
        env.insert(variable.name.clone().into(), value.into());
    }
    for (name, value) in &stdio.env {
        env.insert(name.into(), lookup.text(value.expose())?.into());
    }
    let cwd = match &stdio.cwd {
        None => cwd.to_owned(),
        Some(own) => {
            let base = stdio.cwd_base.as_deref().unwrap_or(cwd);
            let own = base.join(lookup.text(&own.to_string_lossy())?);
            if !own.is_dir() {
                return Err(EndpointError::BadCwd {
                    server: server.clone(),
                    cwd: own,
                });
            }
            own
        }
    };
    let launch = StdioLaunch {
        program: lookup.text(&stdio.command)?,
        args: stdio
            .args
            .iter()
            .map(|arg| lookup.text(arg))
            .collect::<Result<_, _>>()?,
        env: Env::from_pairs(env),
        sandbox: sandbox::plan(lookup, stdio.sandbox.as_ref(), &cwd)?,
        cwd,
    };
    Ok(Resolved {
        endpoint: ServerEndpoint::Stdio(launch),
        headers_helper: None,
        warnings: Vec::new(),
    })
}

fn resolve_http(
    lookup: &Lookup<'_>,
    http: &HttpTransport,
    cwd: &Path,
) -> Result<Resolved, EndpointError> {
    let server = lookup.server;
    let not_available = |key| {
        Err(EndpointError::NotAvailable {
            server: server.clone(),
            key,
        })
    };
    match http.auth {
        // A server that wants a token says so in its answer; where it comes from, `auth` knows.
        None | Some(HttpAuth::Oauth | HttpAuth::EmaAuth) => {}
        Some(HttpAuth::Chatgpt) => return not_available("auth = \"chatgpt\""),
    }
    let bad_url = |why: String| EndpointError::BadUrl {
        server: server.clone(),
        why,
    };
    let text = lookup.text(&http.url)?;
    McpServerConfig::check_url(&text).map_err(|why| bad_url(format!("it {why}")))?;
    let url = Url::parse(&text).map_err(|error| bad_url(error.to_string()))?;
    let mut warnings = Vec::new();
    let mut headers = HeaderMap::new();
    for (name, value) in &http.http_headers {
        let (name, value) = lookup.header(name, &lookup.text(value.expose())?)?;
        headers.insert(name, value);
    }
    for (name, variable) in &http.env_http_headers {
        let Some(value) = lookup.env.get(variable) else {
            if name.eq_ignore_ascii_case("authorization") {
                return Err(lookup.missing(variable));
            }
            warnings.push(format!(
                "Environment variable {variable} for MCP server '{server}' is not set; header {name} is left out"
            ));
            continue;
        };
        let (name, value) = lookup.header(name, value)?;
        headers.insert(name, value);
    }
    let auth = match &http.bearer_token_env_var {
        None => RequestAuth::None,
        Some(variable) => {
            let token = lookup.variable(variable)?.trim();
            if token.is_empty() {
                return Err(EndpointError::EmptyEnv {
                    server: server.clone(),
                    variable: variable.clone(),
                });
            }
            RequestAuth::Bearer(Secret::new(token))
        }
    };
    let headers_helper = match &http.http_headers_helper {
        None => None,
        Some(program) => Some(HeadersHelper {
            program: lookup.text(program)?,
            // The user's own program gets what the user's programs get; that of a project does not.
            env: Env::from_pairs(environment::base(lookup.env, !http.helper_of_project)),
            cwd: cwd.to_owned(),
        }),
    };
    let endpoint = ServerEndpoint::Http(HttpEndpoint { url, headers, auth });
    Ok(Resolved {
        endpoint,
        headers_helper,
        warnings,
    })
}

#[cfg(test)]
mod tests;
