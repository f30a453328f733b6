//! `mcpServerStatus/list`: what the live connections know. Nothing is started for an answer, and a
//! server that is slow keeps nobody waiting.

use std::sync::Arc;
use std::time::Duration;

use codex_app_server_protocol::{
    Fault, McpAuthStatus, McpRuntimeStatus, McpServerInfo, McpServerStatus,
    McpServerStatusListParams, McpServerStatusListResponse, McpStatusDetail,
};
use codex_config::{McpServerConfig, McpTransport, OffReason};
use codex_mcp::{McpAuth, McpHandle, ServerInfo, ServerState, ServerStatus, StartFailure};
use codex_protocol::ServerName;
use codex_runtime::Loaded;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::page::page;

/// How long the lists of resources of all servers together may take.
const RESOURCES_LIMIT: Duration = Duration::from_secs(1);
/// Longest reason.
const MAX_REASON_CHARS: usize = 300;

/// A question about servers, with the moment that it asks about.
pub(crate) struct Question {
    loaded: Arc<Loaded>,
    handle: McpHandle,
    auth: McpAuth,
    statuses: Vec<ServerStatus>,
    params: McpServerStatusListParams,
}

/// What a server offers besides tools.
#[derive(Debug, Default)]
struct Resources {
    resources: Vec<Value>,
    templates: Vec<Value>,
}

impl Question {
    pub(crate) fn new(
        loaded: Arc<Loaded>,
        handle: McpHandle,
        auth: McpAuth,
        params: McpServerStatusListParams,
    ) -> Self {
        Self {
            loaded,
            statuses: handle.statuses(),
            handle,
            auth,
            params,
        }
    }

    /// Whether servers have to be asked for their resources.
    pub(crate) fn waits_for_servers(&self) -> bool {
        self.with_resources().next().is_some()
    }

    pub(crate) async fn answer(mut self) -> Result<McpServerStatusListResponse, Fault> {
        if let Some(name) = &self.params.server_name {
            self.statuses
                .retain(|status| status.server.as_str() == name);
            if self.statuses.is_empty() {
                return Err(Fault::state(format!("No MCP server named '{name}' found.")));
            }
        }
        let cursor = self.params.cursor.as_deref();
        let statuses = std::mem::take(&mut self.statuses);
        let cut = page(statuses, cursor, self.params.limit)?;
        self.statuses = cut.data;
        let mut resources = self.resources().await;
        let mut data = Vec::new();
        for status in &self.statuses {
            let resources = resources.remove(&status.server).unwrap_or_default();
            if let Some(config) = self.loaded.config.mcp_servers.get(&status.server) {
                data.push(self.row(config, &status.state, resources).await);
            }
        }
        Ok(McpServerStatusListResponse {
            data,
            next_cursor: cut.next_cursor,
        })
    }

    fn with_resources(&self) -> impl Iterator<Item = &ServerName> {
        let is_full = self.params.detail != Some(McpStatusDetail::ToolsAndAuthOnly);
        let named = self.params.server_name.as_deref();
        let statuses = self.statuses.iter().filter(move |_| is_full);
        let has = |state: &ServerState| match state {
            ServerState::Ready(info) => info.has("resources"),
            _ => false,
        };
        statuses
            .filter(move |status| named.is_none_or(|name| status.server.as_str() == name))
            .filter(move |status| has(&status.state))
            .map(|status| &status.server)
    }

    /// Asks the servers that have resources, all of them within one limit.
    async fn resources(&self) -> std::collections::BTreeMap<ServerName, Resources> {
        let cancel = CancellationToken::new();
        let mut asked = JoinSet::new();
        for server in self.with_resources().cloned() {
            let (handle, cancel) = (self.handle.clone(), cancel.clone());
            asked.spawn(async move {
                let (resources, templates) = tokio::join!(
                    handle.list_resources(&server, &cancel),
                    handle.list_resource_templates(&server, &cancel),
                );
                let listed = Resources {
                    resources: resources.unwrap_or_default(),
                    templates: templates.unwrap_or_default(),
                };
                (server, listed)
            });
        }
        let mut all = std::collections::BTreeMap::new();
        let _ = tokio::time::timeout(RESOURCES_LIMIT, async {
            while let Some(listed) = asked.join_next().await {
                all.extend(listed);
            }
        })
        .await;
        cancel.cancel();
        all
    }

    async fn row(
        &self,
        config: &McpServerConfig,
        state: &ServerState,
        resources: Resources,
    ) -> McpServerStatus {
        let runtime_status = runtime_status(state);
        let catalog = self.handle.catalog();
        let tools = catalog.server(&config.name).map(|server| &server.tools);
        let info = match state {
            ServerState::Ready(info) => Some(&**info),
            _ => None,
        };
        McpServerStatus {
            name: config.name.to_string(),
            auth_status: self.auth_status(config, runtime_status).await,
            runtime_status,
            tools: tools
                .into_iter()
                .flatten()
                .map(|tool| (tool.tool.tool.clone(), tool.definition.raw.clone()))
                .collect(),
            resources: resources.resources,
            resource_templates: resources.templates,
            server_info: info.map(server_info),
            server_capabilities: info.map(|info| info.capabilities.clone()),
            tools_error: reason(&config.name, state),
            http_origin: http_origin(config),
        }
    }

    /// What is stored here decides; where nothing is, what the server said when it was connected.
    async fn auth_status(
        &self,
        config: &McpServerConfig,
        runtime_status: McpRuntimeStatus,
    ) -> McpAuthStatus {
        let report = self.auth.local_status(config, &self.loaded.cwd).await;
        match (McpAuthStatus::from(report.status), runtime_status) {
            (McpAuthStatus::Unknown, McpRuntimeStatus::Connected) => McpAuthStatus::Unsupported,
            (McpAuthStatus::Unknown, McpRuntimeStatus::AuthenticationRequired) => {
                McpAuthStatus::NotLoggedIn
            }
            (status, _) => status,
        }
    }
}

fn runtime_status(state: &ServerState) -> McpRuntimeStatus {
    match state {
        ServerState::Off(OffReason::Invalid { .. }) => McpRuntimeStatus::Failed,
        ServerState::Off(_) => McpRuntimeStatus::Disabled,
        ServerState::Starting | ServerState::Restarting => McpRuntimeStatus::Starting,
        ServerState::Ready(_) => McpRuntimeStatus::Connected,
        ServerState::Failed(failure) => match &**failure {
            StartFailure::Login { .. } => McpRuntimeStatus::AuthenticationRequired,
            _ => McpRuntimeStatus::Failed,
        },
    }
}

/// Says in one line why a server does not run.
pub(crate) fn reason(server: &ServerName, state: &ServerState) -> Option<String> {
    match state {
        ServerState::Off(OffReason::User) => None,
        ServerState::Off(why) => Some(short(&why.why())),
        ServerState::Failed(failure) => Some(short(&failure.why(server))),
        ServerState::Starting | ServerState::Restarting | ServerState::Ready(_) => None,
    }
}

fn server_info(info: &ServerInfo) -> McpServerInfo {
    McpServerInfo {
        name: info.name.clone(),
        title: info.title.clone(),
        version: info.version.clone(),
    }
}

fn http_origin(config: &McpServerConfig) -> Option<String> {
    match &config.transport {
        McpTransport::Stdio(_) => None,
        McpTransport::StreamableHttp(http) => {
            let url = Url::parse(&http.url).ok()?;
            Some(url.origin().ascii_serialization())
        }
    }
}

/// One line, not too long.
fn short(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(MAX_REASON_CHARS - 1) {
        Some((end, _)) if line.chars().nth(MAX_REASON_CHARS).is_some() => {
            format!("{}…", &line[..end])
        }
        Some(_) | None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_at_most_300_characters() {
        assert_eq!(short("a\n  b\tc "), "a b c");
        assert_eq!(short(&"ä".repeat(300)), "ä".repeat(300));
        assert_eq!(short(&"ä".repeat(301)), format!("{}…", "ä".repeat(299)));
    }
}
