//! The top level of the file: every key that means something here, all optional.
//!
//! `mcp_servers` and `features` are read elsewhere (entry by entry, row by row). No `Debug`: values
//! may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use codex_protocol::{AskForApproval, SandboxMode};
use serde::de::{self, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::{SandboxWorkspaceWrite, ToolDialect, TrustLevel, WebSearchMode, WireApi};
use crate::mcp::CredentialsStore;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawConfig {
    pub(crate) model: Option<String>,
    pub(crate) model_provider: Option<String>,
    pub(crate) model_providers: BTreeMap<String, RawModelProvider>,
    pub(crate) openai_base_url: Option<String>,
    pub(crate) model_context_window: Option<u64>,
    pub(crate) model_auto_compact_token_limit: Option<u64>,
    pub(crate) model_reasoning_effort: Option<String>,
    pub(crate) model_reasoning_summary: Option<String>,
    pub(crate) model_verbosity: Option<String>,
    pub(crate) service_tier: Option<String>,
    pub(crate) base_instructions: Option<String>,
    pub(crate) model_instructions_file: Option<String>,
    pub(crate) developer_instructions: Option<String>,
    pub(crate) approval_policy: Option<RawApprovalPolicy>,
    pub(crate) sandbox_mode: Option<SandboxMode>,
    pub(crate) sandbox_workspace_write: SandboxWorkspaceWrite,
    pub(crate) web_search: Option<WebSearchMode>,
    pub(crate) tools: RawTools,
    pub(crate) mcp_optional_startup_grace_ms: Option<u64>,
    pub(crate) mcp_oauth_credentials_store: Option<CredentialsStore>,
    pub(crate) mcp_oauth_callback_port: Option<u16>,
    pub(crate) mcp_oauth_callback_url: Option<String>,
    pub(crate) mcp_oauth_client_metadata_url: Option<String>,
    pub(crate) mcp_server_logs: Option<bool>,
    pub(crate) projects: BTreeMap<String, RawProject>,
    pub(crate) project_doc_max_bytes: Option<u64>,
    pub(crate) suppress_unstable_features_warning: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawModelProvider {
    pub(crate) name: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) wire_api: Option<WireApi>,
    pub(crate) env_key: Option<String>,
    pub(crate) env_key_instructions: Option<String>,
    pub(crate) experimental_bearer_token: Option<String>,
    pub(crate) auth: Option<RawProviderAuth>,
    pub(crate) requires_openai_auth: bool,
    pub(crate) http_headers: BTreeMap<String, String>,
    pub(crate) env_http_headers: BTreeMap<String, String>,
    pub(crate) query_params: BTreeMap<String, String>,
    pub(crate) request_max_retries: Option<u32>,
    pub(crate) stream_max_retries: Option<u32>,
    pub(crate) stream_idle_timeout_ms: Option<u64>,
    pub(crate) tool_dialect: Option<ToolDialect>,
    // Accepted without effect: there is no websocket here.
    #[serde(rename = "supports_websockets")]
    pub(crate) _supports_websockets: Option<bool>,
    #[serde(rename = "websocket_connect_timeout_ms")]
    pub(crate) _websocket_connect_timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct RawProviderAuth {
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    pub(crate) timeout_ms: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawTools {
    pub(crate) update_plan: Option<RawUpdatePlan>,
}

/// `true`, or `{ enabled = true }`.
pub(crate) struct RawUpdatePlan(pub(crate) bool);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawProject {
    pub(crate) trust_level: Option<TrustLevel>,
}

/// A word, or the table of the reference that decides per kind of request.
pub(crate) enum RawApprovalPolicy {
    Word(AskForApproval),
    Granular,
}

impl<'de> Deserialize<'de> for RawApprovalPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = RawApprovalPolicy;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`untrusted`, `on-failure`, `on-request`, `never` or a table")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
                AskForApproval::deserialize(de::value::StrDeserializer::new(word))
                    .map(RawApprovalPolicy::Word)
            }
            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                while map.next_entry::<String, IgnoredAny>()?.is_some() {}
                Ok(RawApprovalPolicy::Granular)
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl<'de> Deserialize<'de> for RawUpdatePlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Switch;
        impl<'de> Visitor<'de> for Switch {
            type Value = RawUpdatePlan;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean or a table with `enabled`")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Self::Value, E> {
                Ok(RawUpdatePlan(on))
            }
            fn visit_map<M: de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut on = false;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "enabled" {
                        on = map.next_value()?;
                    } else {
                        return Err(de::Error::unknown_field(&key, &["enabled"]));
                    }
                }
                Ok(RawUpdatePlan(on))
            }
        }
        deserializer.deserialize_any(Switch)
    }
}

/// Keys whose wrong value must not be ignored: the user relies on them for safety.
pub(crate) const SECURITY_KEYS: &[&str] = &[
    "approval_policy",
    "mcp_oauth_credentials_store",
    "model_provider",
    "model_providers",
    "projects",
    "sandbox_mode",
    "sandbox_workspace_write",
];

/// Keys of the reference that say how a screen looks or what is remembered: nothing to warn about.
pub(crate) const QUIET_KEYS: &[&str] = &[
    "$schema",
    "analytics",
    "check_for_update_on_startup",
    "feedback",
    "file_opener",
    "hide_agent_reasoning",
    "history",
    "model_catalog_json",
    "notice",
    "notices",
    "personality",
    "show_raw_agent_reasoning",
    "tool_output_token_limit",
    "tui",
    "windows_wsl_setup_acknowledged",
];

/// Keys that mean something and are not built yet: using them is said, not hidden.
pub(crate) const NOT_YET_KEYS: &[&str] = &[
    "allow_login_shell",
    "chatgpt_base_url",
    "cli_auth_credentials_store",
    "default_permissions",
    "hooks",
    "mcp_enterprise_managed_auth",
    "notify",
    "oss_provider",
    "otel",
    "permissions",
    "profile",
    "profiles",
    "project_doc_fallback_filenames",
    "project_mcp_trust",
    "project_root_markers",
    "shell_environment_policy",
    "skills",
];
