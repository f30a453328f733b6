//! What a server needs of this machine, looked up without starting or asking anything.

use std::path::{Path, PathBuf};

use codex_config::McpServerConfig;
use codex_host::{AbsPath, Env};
use codex_http::HttpClient;
use codex_mcp::{ServerEndpoint, http_client, resolve_endpoint};
use codex_process::ChildSpec;
use url::Url;

/// What was found.
pub(crate) struct Ground {
    /// The program of a stdio server, or where an HTTP server is.
    pub(crate) at: Endpoint,
    /// What is odd and survived.
    pub(crate) warnings: Vec<String>,
}

/// Where a server is.
pub(crate) enum Endpoint {
    /// The file that would be started.
    Program(PathBuf),
    /// The address, and what leads there.
    Url(Url, HttpClient),
}

/// What is missing.
pub(crate) struct Missing {
    /// The word of machine-readable output.
    pub(crate) kind: &'static str,
    /// One sentence.
    pub(crate) why: String,
    /// What the user can do now.
    pub(crate) hints: Vec<String>,
}

/// Looks at program, directory, variables, headers and CA files.
pub(crate) fn look(server: &McpServerConfig, env: &Env, cwd: &AbsPath) -> Result<Ground, Missing> {
    let resolved = resolve_endpoint(server, env, cwd.as_path()).map_err(|error| Missing {
        kind: error.kind(),
        why: error.to_string(),
        hints: error.hints(),
    })?;
    let at = match resolved.endpoint {
        ServerEndpoint::Stdio(launch) => {
            let spec = ChildSpec::new(&launch.program, launch.env.clone(), &launch.cwd);
            let program = spec.find_program().map_err(|error| Missing {
                kind: error.kind(),
                why: error.to_string(),
                hints: error.hints(),
            })?;
            Endpoint::Program(program)
        }
        ServerEndpoint::Http(endpoint) => {
            if endpoint.url.scheme() == "https" {
                certificates(env)?;
            }
            let shared = HttpClient::from_env(env.clone());
            let http =
                http_client(server, env, cwd.as_path(), &shared).map_err(|error| Missing {
                    kind: error.kind(),
                    why: error.to_string(),
                    hints: error.hints(),
                })?;
            Endpoint::Url(endpoint.url, http)
        }
    };
    Ok(Ground {
        at,
        warnings: resolved.warnings,
    })
}

/// The user's own CA certificates replace the platform's, so they must be there.
fn certificates(env: &Env) -> Result<(), Missing> {
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let Some(path) = env.get_os(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        let path = Path::new(path);
        let opened = match name {
            "SSL_CERT_DIR" => std::fs::read_dir(path).map(drop),
            _ => std::fs::File::open(path).map(drop),
        };
        opened.map_err(|error| Missing {
            kind: "ca_file",
            why: format!("{name} names `{}`: {error}", path.display()),
            hints: vec![format!("correct {name}, or unset it")],
        })?;
    }
    Ok(())
}
