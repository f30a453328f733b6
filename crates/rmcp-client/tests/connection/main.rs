//! One connection against hand-written servers: sound ones, and every fault that we know.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must stop where it is"
)]

mod calls;
mod http;
mod login;
mod questions;
mod stdio;

use std::time::Duration;

use codex_host::Env;
use codex_rmcp_client::{
    CallError, CallOptions, ClientInfo, ConnectError, ConnectOptions, ElicitationSupport,
    HttpClient, HttpEndpoint, McpClient, McpOutcome, Probe, RequestAuth, ServerEndpoint,
    ServerEvent, ServerName, StdioLaunch,
};
use codex_test_support::{FakeHttpServer, FakeStdio};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Far more than anything here needs.
const LONG: Duration = Duration::from_secs(20);

/// Enough to connect on a busy machine, little enough to wait for in a test.
const SHORT: Duration = Duration::from_millis(1500);

fn stdio_endpoint(server: &FakeStdio) -> ServerEndpoint {
    ServerEndpoint::Stdio(StdioLaunch {
        program: server.program().to_string_lossy().into_owned(),
        args: server.args().to_vec(),
        env: Env::default(),
        cwd: "/".into(),
        sandbox: None,
    })
}

fn http_endpoint(server: &FakeHttpServer) -> HttpEndpoint {
    HttpEndpoint {
        url: server.url().parse().unwrap(),
        headers: ::http::HeaderMap::new(),
        auth: RequestAuth::None,
    }
}

fn options() -> ConnectOptions {
    ConnectOptions {
        server: ServerName::from_config("fake"),
        client: ClientInfo::codex("1.2.3"),
        startup_timeout: LONG,
        probe: Probe::Auto,
        elicitation: ElicitationSupport::FormAndUrl,
        http: HttpClient::from_env(Env::default()),
    }
}

async fn connect_with(
    endpoint: ServerEndpoint,
    options: ConnectOptions,
) -> Result<(McpClient, mpsc::Receiver<ServerEvent>), ConnectError> {
    let (sender, events) = mpsc::channel(4);
    let client = McpClient::connect(endpoint, options, sender, CancellationToken::new()).await?;
    Ok((client, events))
}

async fn connect(server: &FakeStdio) -> Result<McpClient, ConnectError> {
    let (client, _) = connect_with(stdio_endpoint(server), options()).await?;
    Ok(client)
}

async fn connect_http(server: &FakeHttpServer) -> Result<McpClient, ConnectError> {
    let endpoint = ServerEndpoint::Http(http_endpoint(server));
    let (client, _) = connect_with(endpoint, options()).await?;
    Ok(client)
}

/// Calls a tool with arguments written as JSON.
async fn call(client: &McpClient, tool: &str, arguments: Value) -> Result<McpOutcome, CallError> {
    call_within(client, tool, arguments, LONG).await
}

async fn call_within(
    client: &McpClient,
    tool: &str,
    arguments: Value,
    limit: Duration,
) -> Result<McpOutcome, CallError> {
    let arguments: Map<String, Value> = arguments.as_object().cloned().unwrap_or_default();
    let options = CallOptions::with_idle_timeout(limit);
    client
        .call_tool(tool, arguments, options, CancellationToken::new())
        .await
}

/// The text of the first block.
fn text(outcome: &McpOutcome) -> &str {
    outcome.content[0]["text"].as_str().unwrap()
}
