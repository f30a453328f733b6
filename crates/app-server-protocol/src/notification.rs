//! What the server tells unasked.

use serde::Serialize;

use crate::item::{ItemCompleted, ItemDelta, ItemStarted, McpToolCallProgress};
use crate::mcp::McpStartupStatus;
use crate::question::ServerRequestResolved;
use crate::thread::{
    ThreadSettingsUpdated, ThreadStarted, ThreadStatusChanged, ThreadTokenUsageUpdated,
};
use crate::turn::{ErrorNotification, TurnPlanUpdated, TurnUpdated};

/// One notification.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "method", content = "params")]
#[expect(missing_docs, reason = "a variant is its method")]
pub enum ServerNotification {
    #[serde(rename = "configWarning")]
    ConfigWarning(ConfigWarning),
    #[serde(rename = "warning")]
    Warning(Warning),
    #[serde(rename = "deprecationNotice")]
    DeprecationNotice(DeprecationNotice),
    #[serde(rename = "mcpServer/startupStatus/updated")]
    McpServerStartupStatusUpdated(McpServerStartupStatusUpdated),
    #[serde(rename = "thread/started")]
    ThreadStarted(Box<ThreadStarted>),
    #[serde(rename = "thread/status/changed")]
    ThreadStatusChanged(ThreadStatusChanged),
    #[serde(rename = "thread/settings/updated")]
    ThreadSettingsUpdated(Box<ThreadSettingsUpdated>),
    #[serde(rename = "thread/tokenUsage/updated")]
    ThreadTokenUsageUpdated(ThreadTokenUsageUpdated),
    #[serde(rename = "turn/started")]
    TurnStarted(Box<TurnUpdated>),
    #[serde(rename = "turn/completed")]
    TurnCompleted(Box<TurnUpdated>),
    #[serde(rename = "turn/plan/updated")]
    TurnPlanUpdated(TurnPlanUpdated),
    #[serde(rename = "item/started")]
    ItemStarted(Box<ItemStarted>),
    #[serde(rename = "item/completed")]
    ItemCompleted(Box<ItemCompleted>),
    #[serde(rename = "item/agentMessage/delta")]
    AgentMessageDelta(ItemDelta),
    #[serde(rename = "item/reasoning/summaryTextDelta")]
    ReasoningSummaryTextDelta(ItemDelta),
    #[serde(rename = "item/mcpToolCall/progress")]
    McpToolCallProgress(McpToolCallProgress),
    #[serde(rename = "serverRequest/resolved")]
    ServerRequestResolved(ServerRequestResolved),
    #[serde(rename = "error")]
    Error(ErrorNotification),
}

impl ServerNotification {
    /// Returns its method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::ConfigWarning(_) => "configWarning",
            Self::Warning(_) => "warning",
            Self::DeprecationNotice(_) => "deprecationNotice",
            Self::McpServerStartupStatusUpdated(_) => "mcpServer/startupStatus/updated",
            Self::ThreadStarted(_) => "thread/started",
            Self::ThreadStatusChanged(_) => "thread/status/changed",
            Self::ThreadSettingsUpdated(_) => "thread/settings/updated",
            Self::ThreadTokenUsageUpdated(_) => "thread/tokenUsage/updated",
            Self::TurnStarted(_) => "turn/started",
            Self::TurnCompleted(_) => "turn/completed",
            Self::TurnPlanUpdated(_) => "turn/plan/updated",
            Self::ItemStarted(_) => "item/started",
            Self::ItemCompleted(_) => "item/completed",
            Self::AgentMessageDelta(_) => "item/agentMessage/delta",
            Self::ReasoningSummaryTextDelta(_) => "item/reasoning/summaryTextDelta",
            Self::McpToolCallProgress(_) => "item/mcpToolCall/progress",
            Self::ServerRequestResolved(_) => "serverRequest/resolved",
            Self::Error(_) => "error",
        }
    }
}

/// Something in the settings is probably not as meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigWarning {
    /// One sentence.
    pub summary: String,
    /// Further lines.
    pub details: Option<String>,
    /// The file.
    pub path: Option<String>,
    /// Where in it.
    pub range: Option<TextRange>,
}

/// Something that is survived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// One sentence.
    pub message: String,
    /// The thread it is about; `null` when it is about all.
    pub thread_id: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextRange {
    /// Its beginning.
    pub start: Position,
    /// Its end.
    pub end: Position,
}

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column in characters.
    pub column: usize,
}

/// Something in the settings will go away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeprecationNotice {
    /// One sentence.
    pub summary: String,
    /// What to do instead.
    pub details: Option<String>,
}

/// The start of a server goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStartupStatusUpdated {
    /// The thread that the server is for; `null` when it is for all.
    pub thread_id: Option<String>,
    /// The server.
    pub name: String,
    /// How it goes.
    pub status: McpStartupStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// What kind of failure it was, when a client can help.
    pub failure_reason: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outgoing;

    #[test]
    fn the_method_of_a_notification_is_the_one_on_the_wire() {
        let all = [
            ServerNotification::ConfigWarning(ConfigWarning {
                summary: String::new(),
                details: None,
                path: None,
                range: None,
            }),
            ServerNotification::Warning(Warning {
                message: String::new(),
                thread_id: None,
            }),
            ServerNotification::DeprecationNotice(DeprecationNotice {
                summary: String::new(),
                details: None,
            }),
            ServerNotification::McpServerStartupStatusUpdated(McpServerStartupStatusUpdated {
                thread_id: None,
                name: String::new(),
                status: McpStartupStatus::Ready,
                error: None,
                failure_reason: None,
            }),
        ];
        for notification in all {
            let value = serde_json::to_value(&notification).unwrap();
            assert_eq!(value["method"], notification.method());
        }
    }

    #[test]
    fn a_notification_tells_when_it_was_sent() {
        let notification = ServerNotification::DeprecationNotice(DeprecationNotice {
            summary: "a is old".to_owned(),
            details: None,
        });
        let line = Outgoing::Notification {
            notification,
            emitted_at_ms: 7,
        };
        insta::assert_snapshot!(
            String::from_utf8(line.line()).unwrap(),
            @r#"{"method":"deprecationNotice","params":{"summary":"a is old","details":null},"emittedAtMs":7}"#
        );
    }
}
