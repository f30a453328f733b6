//! Where a server is and how to reach it, with nothing left to look up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use codex_host::{Env, Secret};
use codex_oauth::TokenSource;
use codex_sandbox::SpawnPlan;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// A server that can be connected to.
#[derive(Debug, Clone)]
pub enum ServerEndpoint {
    /// A program that speaks MCP on stdin and stdout.
    Stdio(StdioLaunch),
    /// A streamable HTTP server.
    Http(HttpEndpoint),
}

/// How to start a stdio server.
#[derive(Clone)]
pub struct StdioLaunch {
    /// Absolute path, or a name that is looked up in `PATH` of `env`.
    pub program: String,
    /// Arguments without the program's name.
    pub args: Vec<String>,
    /// The whole environment of the child: nothing is added to it.
    pub env: Env,
    /// The child's working directory.
    pub cwd: PathBuf,
    /// What holds it; `None`: nothing.
    pub sandbox: Option<SpawnPlan>,
}

/// How to reach an HTTP server.
#[derive(Clone)]
pub struct HttpEndpoint {
    /// The MCP endpoint.
    pub url: Url,
    /// Headers for this origin only, sent with every request.
    pub headers: HeaderMap<HeaderValue>,
    /// What proves who we are.
    pub auth: RequestAuth,
}

impl HttpEndpoint {
    /// Returns the secrets that every request carries; the token of a login is not among them.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let token = match &self.auth {
            RequestAuth::None | RequestAuth::OAuth(_) => None,
            RequestAuth::Bearer(token) => Some(token.clone()),
        };
        // `Basic abc` is sent back as `abc` too.
        let values = self
            .headers
            .values()
            .filter_map(|value| value.to_str().ok());
        let values = values.flat_map(|value| [Some(value), value.split_once(' ').map(|(_, v)| v)]);
        let values = values.flatten().map(Secret::new);
        token.into_iter().chain(values).collect()
    }
}

/// What proves who we are, per request.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum RequestAuth {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Bearer …` with a token that does not change.
    Bearer(Secret),
    /// A login: the source is asked before each request and told what was refused.
    OAuth(Arc<dyn TokenSource>),
}

// Values of variables and headers may be secrets: only their names are shown.
impl fmt::Debug for StdioLaunch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioLaunch")
            .field("program", &self.program)
            .field("n_args", &self.args.len())
            .field(
                "env",
                &self.env.iter_os().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .field("cwd", &self.cwd)
            .finish()
    }
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&HeaderName> = self.headers.keys().collect();
        f.debug_struct("HttpEndpoint")
            .field("url", &codex_http::shown_url(&self.url))
            .field("headers", &names)
            .field("auth", &self.auth)
            .finish()
    }
}

impl fmt::Debug for RequestAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer([redacted])",
            Self::OAuth(_) => "OAuth([redacted])",
        })
    }
}
