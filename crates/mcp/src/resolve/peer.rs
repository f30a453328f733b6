//! `[mcp_servers.NAME.http]`: the way to one server and to its authorization server.

use std::path::Path;

use codex_config::{McpServerConfig, McpTransport};
use codex_host::{Env, Secret};
use codex_http::{HttpClient, PeerSettings};

use super::{EndpointError, Lookup};

/// Returns the client for a server and for every request of its login: the shared one, unless its
/// entry has proxy or certificates of its own. Their files are read now; paths start at `cwd`.
pub fn http_client(
    config: &McpServerConfig,
    env: &Env,
    cwd: &Path,
    shared: &HttpClient,
) -> Result<HttpClient, EndpointError> {
    let lookup = Lookup {
        server: &config.name,
        env,
        expand: config.expand_env,
    };
    let McpTransport::StreamableHttp(http) = &config.transport else {
        return Ok(shared.clone());
    };
    let Some(own) = &http.http else {
        return Ok(shared.clone());
    };
    let text = |text: Option<&str>| text.map(|text| lookup.text(text)).transpose();
    let file = |path: &Option<std::path::PathBuf>| match path {
        Some(path) => Ok(Some(cwd.join(lookup.text(&path.to_string_lossy())?))),
        None => Ok(None),
    };
    let settings = PeerSettings {
        proxy: text(own.proxy.as_ref().map(Secret::expose))?.map(Secret::new),
        no_proxy: text(own.no_proxy.as_deref())?,
        ca_file: file(&own.ca_file)?,
        client_cert: file(&own.client_cert)?,
        client_key: file(&own.client_key)?,
    };
    let client = shared.for_peer(&settings);
    client.map_err(|error| EndpointError::Peer {
        server: config.name.clone(),
        error,
    })
}
