//! A manager with its servers, in one value that ends in order.

use std::path::Path;
use std::time::Duration;

use codex_config::{McpServerConfig, ServerChange};
use codex_host::{AbsPath, Env};
use codex_http::HttpClient;
use codex_mcp::{
    CallContext, CallError, ClientInfo, McpHandle, McpManager, McpNotice, McpSettings, StartError,
};
use codex_protocol::{McpOutcome, ServerName, ToolRef};
use codex_test_support::FakeStdio;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) handle: McpHandle,
    pub(crate) cancel: CancellationToken,
    notices: mpsc::Receiver<McpNotice>,
    tasks: TaskTracker,
}

impl World {
    pub(crate) fn start(servers: impl IntoIterator<Item = McpServerConfig>) -> Self {
        Self::start_with(servers, |_| {})
    }

    pub(crate) fn start_with(
        servers: impl IntoIterator<Item = McpServerConfig>,
        change: impl FnOnce(&mut McpSettings),
    ) -> Self {
        let mut settings = settings(servers);
        change(&mut settings);
        let (sender, notices) = mpsc::channel(8);
        let tasks = TaskTracker::new();
        let cancel = CancellationToken::new();
        let handle = McpManager::start(settings, &tasks, &cancel, sender);
        Self {
            handle,
            cancel,
            notices,
            tasks,
        }
    }

    /// Lets other servers hold.
    pub(crate) async fn apply(
        &self,
        servers: impl IntoIterator<Item = McpServerConfig>,
        changes: &[(&str, ServerChange)],
    ) {
        let changes = changes
            .iter()
            .map(|(server, change)| (name(server), *change));
        let applied = self.handle.apply(settings(servers), changes.collect());
        tokio::time::timeout(LIMIT, applied)
            .await
            .expect("applied in time");
    }

    pub(crate) async fn ready(&mut self, grace: Option<Duration>) -> Result<(), StartError> {
        tokio::time::timeout(LIMIT, self.handle.ready(grace, &self.cancel))
            .await
            .expect("ready in time")
    }

    pub(crate) async fn call(
        &self,
        server: &str,
        name: &str,
        arguments: Value,
    ) -> Result<McpOutcome, CallError> {
        let tool = tool(server, name);
        let call = self
            .handle
            .call(&tool, args(arguments), CallContext::default(), &self.cancel);
        tokio::time::timeout(LIMIT, call)
            .await
            .expect("an answer in time")
    }

    pub(crate) fn flat_names(&self) -> Vec<String> {
        self.handle
            .catalog()
            .tools()
            .map(|tool| tool.flat.clone())
            .collect()
    }

    pub(crate) async fn next_notice(&mut self) -> String {
        self.notice().await.text
    }

    pub(crate) async fn notice(&mut self) -> McpNotice {
        let notice = tokio::time::timeout(LIMIT, self.notices.recv())
            .await
            .expect("a notice in time");
        notice.expect("the manager runs")
    }

    /// Ends everything and returns the notices that were not read.
    pub(crate) async fn stop(mut self) -> Vec<String> {
        self.handle.shutdown(Duration::from_secs(2)).await;
        drop(self.handle);
        self.tasks.close();
        tokio::time::timeout(LIMIT, self.tasks.wait())
            .await
            .expect("the manager ends");
        let mut texts = Vec::new();
        while let Ok(notice) = self.notices.try_recv() {
            texts.push(notice.text);
        }
        texts
    }
}

fn settings(servers: impl IntoIterator<Item = McpServerConfig>) -> McpSettings {
    let servers = servers
        .into_iter()
        .map(|server| (server.name.clone(), server))
        .collect();
    let env = Env::from_pairs([
        ("PATH", "/usr/bin:/bin"),
        ("TOKEN", "s3cret"),
        ("TEAM", "blue"),
    ]);
    McpSettings::new(
        servers,
        env.clone(),
        AbsPath::new("/").unwrap(),
        ClientInfo::codex("0"),
        HttpClient::from_env(env),
    )
}

pub(crate) fn name(text: &str) -> ServerName {
    ServerName::from_config(text)
}

pub(crate) fn tool(server: &str, tool: &str) -> ToolRef {
    ToolRef {
        server: name(server),
        tool: tool.to_owned(),
    }
}

pub(crate) fn args(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("arguments are an object")
}

pub(crate) fn stdio(server: &str, fake: &FakeStdio) -> McpServerConfig {
    let mut config = McpServerConfig::stdio(name(server), fake.program().to_string_lossy());
    if let codex_config::McpTransport::Stdio(transport) = &mut config.transport {
        transport.args = fake.args().to_vec();
    }
    config
}

pub(crate) fn http(server: &str, url: &str) -> McpServerConfig {
    McpServerConfig::http(name(server), url)
}

/// Returns the text blocks of an answer, joined.
pub(crate) fn text_of(outcome: &McpOutcome) -> String {
    outcome
        .content
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect()
}

/// Writes a program for `sh`.
pub(crate) fn script(path: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_string_lossy().into_owned()
}
