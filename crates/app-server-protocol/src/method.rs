//! Which methods there are, and which of them are here.
//!
//! A method that this wire has and this program does not is told apart from a slip of the fingers. A
//! row moves up when its method arrives.

use serde_json::Value;

use crate::config::{BatchWriteParams, ConfigReadParams, ValueWriteParams};
use crate::envelope::read_params;
use crate::feature::ExperimentalFeatureListParams;
use crate::handshake::InitializeParams;
use crate::mcp::McpServerStatusListParams;
use crate::thread::ThreadStartParams;
use crate::turn::{TurnInterruptParams, TurnStartParams};
use crate::{Empty, Fault};

/// A request that can be served, with its params.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant is its method")]
pub enum Method {
    Initialize(InitializeParams),
    ConfigRead(ConfigReadParams),
    ConfigValueWrite(ValueWriteParams),
    ConfigBatchWrite(BatchWriteParams),
    ConfigRequirementsRead,
    ConfigMcpServerReload,
    ExperimentalFeatureList(ExperimentalFeatureListParams),
    McpServerStatusList(McpServerStatusListParams),
    ThreadStart(Box<ThreadStartParams>),
    TurnInterrupt(TurnInterruptParams),
    TurnStart(Box<TurnStartParams>),
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is here.
    Built,
    /// This wire has it, this program does not.
    NotBuilt,
    /// The earlier protocol had it; this is its name now.
    Earlier(&'static str),
}

const BUILT: &[&str] = &[
    "initialize",
    "config/read",
    "config/value/write",
    "config/batchWrite",
    "configRequirements/read",
    "config/mcpServer/reload",
    "experimentalFeature/list",
    "mcpServerStatus/list",
    "thread/start",
    "turn/interrupt",
    "turn/start",
];

const NOT_BUILT: &[&str] = &[
    "account/login/cancel",
    "account/login/start",
    "account/logout",
    "account/read",
    "command/exec",
    "fuzzyFileSearch",
    "hooks/list",
    "item/tool/call",
    "item/tool/requestUserInput",
    "mcpServer/oauth/login",
    "mcpServer/resource/read",
    "mcpServer/tool/call",
    "model/list",
    "modelProvider/list",
    "permissionProfile/list",
    "review/start",
    "skills/list",
    "thread/archive",
    "thread/compact/start",
    "thread/delete",
    "thread/fork",
    "thread/goal/clear",
    "thread/goal/get",
    "thread/inject_items",
    "thread/items/list",
    "thread/list",
    "thread/loaded/list",
    "thread/name/set",
    "thread/read",
    "thread/resume",
    "thread/turns/list",
    "thread/unarchive",
    "thread/unsubscribe",
    "turn/steer",
];

const EARLIER: &[(&str, &str)] = &[
    ("newConversation", "thread/start"),
    ("resumeConversation", "thread/resume"),
    ("listConversations", "thread/list"),
    ("archiveConversation", "thread/archive"),
    ("sendUserMessage", "turn/start"),
    ("sendUserTurn", "turn/start"),
    ("interruptConversation", "turn/interrupt"),
];

impl Known {
    /// Looks a name up.
    pub fn of(method: &str) -> Option<Self> {
        if BUILT.contains(&method) {
            return Some(Self::Built);
        }
        if NOT_BUILT.contains(&method) {
            return Some(Self::NotBuilt);
        }
        let (_, now) = EARLIER.iter().find(|(earlier, _)| *earlier == method)?;
        Some(Self::Earlier(now))
    }

    /// Returns every name of this wire.
    pub fn all() -> impl Iterator<Item = &'static str> {
        BUILT.iter().chain(NOT_BUILT).copied()
    }
}

impl Method {
    /// Reads the params of a method that is [`Known::Built`]; `None` when it is not.
    pub fn read(method: &str, params: Value) -> Option<Result<Self, Fault>> {
        Some(match method {
            "initialize" => read_params(params).map(Self::Initialize),
            "config/read" => read_params(params).map(Self::ConfigRead),
            "config/value/write" => read_params(params).map(Self::ConfigValueWrite),
            "config/batchWrite" => read_params(params).map(Self::ConfigBatchWrite),
            "configRequirements/read" => {
                read_params(params).map(|Empty {}| Self::ConfigRequirementsRead)
            }
            "config/mcpServer/reload" => {
                read_params(params).map(|Empty {}| Self::ConfigMcpServerReload)
            }
            "experimentalFeature/list" => read_params(params).map(Self::ExperimentalFeatureList),
            "mcpServerStatus/list" => read_params(params).map(Self::McpServerStatusList),
            "thread/start" => read_params(params).map(Self::ThreadStart),
            "turn/interrupt" => read_params(params).map(Self::TurnInterrupt),
            "turn/start" => read_params(params).map(Self::TurnStart),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_method_is_read_and_no_other() {
        for method in BUILT {
            assert!(Method::read(method, Value::Null).is_some(), "{method}");
        }
        for method in NOT_BUILT {
            assert!(Method::read(method, Value::Null).is_none(), "{method}");
        }
        for (_, now) in EARLIER {
            assert!(Known::all().any(|method| method == *now), "{now}");
        }
    }

    #[test]
    fn absent_params_are_empty_ones_and_a_missing_key_is_named() {
        assert!(Method::read("config/read", Value::Null).is_some_and(|read| read.is_ok()));
        let fault = Method::read("config/value/write", Value::Null)
            .unwrap()
            .unwrap_err();
        assert_eq!(fault.message, "Invalid params: missing field `keyPath`");
        let params = serde_json::json!({"includeLayers": 3});
        let fault = Method::read("config/read", params).unwrap().unwrap_err();
        assert_eq!(fault.code, -32602);
    }
}
