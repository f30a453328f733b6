//! The last step: what the server offers, and whether any of it can be used.

use std::time::Duration;

use codex_config::McpServerConfig;
use codex_mcp::{CallError, HiddenReason, McpHandle, McpNotice, ServerInfo, ServerState};
use codex_protocol::ServerName;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::live::LiveServers;
use super::report::{Step, StepId};
use super::steps::{failed, interrupted, sentences, state_of};

/// Tells what the server offers, or why nothing of it can be used.
pub(super) fn judge(live: &LiveServers, server: &McpServerConfig, notices: &[McpNotice]) -> Step {
    let id = StepId::Catalog;
    let catalog = live.handle.catalog();
    let Some(tools) = catalog.server(&server.name) else {
        return match state_of(live) {
            Some(ServerState::Failed(failure)) => failed(id, &failure, server),
            _ => interrupted(id),
        };
    };
    let (mut off, mut invalid, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for tool in &tools.hidden {
        match &tool.reason {
            HiddenReason::Filter(by) => off.push(json!({"name": tool.name, "reason": by})),
            HiddenReason::Held(why) => held.push(json!({"name": tool.name, "reason": why})),
            HiddenReason::Invalid(why) => {
                invalid.push(json!({"name": tool.name, "reason": why}));
            }
        }
    }
    let n_bytes: usize = tools
        .tools
        .iter()
        .map(|tool| tool.parameters.to_string().len())
        .sum();
    let n_on = tools.tools.len();
    let s = if n_on == 1 { "" } else { "s" };
    let mut words = format!("{n_on} tool{s}");
    for (list, state) in [(&off, "off"), (&invalid, "invalid"), (&held, "held")] {
        if !list.is_empty() {
            words.push_str(&format!(", {} {state}", list.len()));
        }
    }
    let collisions = tools.collisions();
    if !collisions.is_empty() {
        words.push_str(&format!(", {} share a name", collisions.len()));
    }
    let step = match n_on {
        0 if tools.hidden.is_empty() => Step::fail(id, "no_tools", "the server lists no tools"),
        0 => {
            words.insert_str(0, "no tool can be used: ");
            Step::fail(id, "no_usable_tool", words)
        }
        _ => Step::ok(id, format!("{words}, {n_bytes} bytes of schemas")),
    };
    step.detail("tools", n_on)
        .detail("off", off)
        .detail("invalid", invalid)
        .detail("held", held)
        .detail("collisions", collisions)
        .detail("schema_bytes", n_bytes)
        .warn(sentences(notices))
}

/// What a server has beside tools. Nothing depends on it, so a list that cannot be had is a warning.
pub(super) struct Others<'a> {
    pub(super) handle: &'a McpHandle,
    pub(super) server: &'a ServerName,
    pub(super) info: &'a ServerInfo,
    pub(super) limit: Duration,
}

impl Others<'_> {
    /// Counts resources and prompts, of a server that says that it has any.
    pub(super) async fn count(&self, mut step: Step, cancel: &CancellationToken) -> Step {
        let resources = async {
            let listed = self.handle.list_resources(self.server, cancel);
            self.number("resources", listed).await
        };
        let prompts = async {
            let listed = self.handle.list_prompts(self.server, cancel);
            self.number("prompts", listed).await
        };
        let (resources, prompts) = tokio::join!(resources, prompts);
        for (what, number) in [("resource", resources), ("prompt", prompts)] {
            let key = format!("{what}s");
            match number {
                None => step = step.detail(&key, Value::Null),
                Some(Ok(n)) => {
                    let s = if n == 1 { "" } else { "s" };
                    step.summary.push_str(&format!(", {n} {what}{s}"));
                    step = step.detail(&key, n);
                }
                Some(Err(why)) => {
                    step = step.detail(&key, Value::Null);
                    step = step.warn([format!("its {key} cannot be listed: {why}")]);
                }
            }
        }
        step
    }

    async fn number(
        &self,
        capability: &str,
        listed: impl Future<Output = Result<Vec<Value>, CallError>>,
    ) -> Option<Result<usize, String>> {
        if !self.info.has(capability) {
            return None;
        }
        Some(match tokio::time::timeout(self.limit, listed).await {
            Ok(Ok(list)) => Ok(list.len()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.limit)),
        })
    }
}
