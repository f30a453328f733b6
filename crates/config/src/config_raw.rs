//! The top level of the file: every key that means something here, all optional.
//!
//! `mcp_servers` and `features` are read elsewhere (entry by entry, row by row). No `Debug`: values
//! may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use codex_protocol::{AskForApproval, SandboxMode};
use serde::de::{self, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::{
    ProjectMcpTrust, SandboxWorkspaceWrite, ToolDialect, TrustLevel, WebSearchMode, WireApi,
};
use crate::mcp::{CredentialsStore, TokenEndpointAuthMethod};

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawConfig {
    /// The model; the built-in provider has a default.
    pub(crate) model: Option<String>,
    /// `openai`, or a key of `model_providers`.
    #[cfg_attr(test, schemars(extend("default" = "openai")))]
    pub(crate) model_provider: Option<String>,
    /// Further providers by id; the ids of the built-in ones are taken.
    pub(crate) model_providers: BTreeMap<String, RawModelProvider>,
    /// Address of the built-in provider; beats `OPENAI_BASE_URL`.
    pub(crate) openai_base_url: Option<String>,
    /// Tokens that the model can hold; beyond 80 % the conversation is replaced by a summary.
    pub(crate) model_context_window: Option<u64>,
    /// Tokens beyond which the conversation is replaced by a summary instead.
    pub(crate) model_auto_compact_token_limit: Option<u64>,
    /// Passed on to the provider.
    pub(crate) model_reasoning_effort: Option<String>,
    /// Passed on to the provider.
    pub(crate) model_reasoning_summary: Option<String>,
    /// Passed on to the provider.
    pub(crate) model_verbosity: Option<String>,
    /// Passed on to the provider.
    pub(crate) service_tier: Option<String>,
    /// Replaces the built-in instructions.
    pub(crate) base_instructions: Option<String>,
    /// File that replaces the built-in instructions; seen from the folder of this file.
    pub(crate) model_instructions_file: Option<String>,
    /// Added as a developer message.
    pub(crate) developer_instructions: Option<String>,
    /// When a person is asked; `codex exec` never asks.
    pub(crate) approval_policy: Option<RawApprovalPolicy>,
    /// What commands may touch.
    #[cfg_attr(
        test,
        schemars(schema_with = "crate::schema::words::<codex_protocol::SandboxMode>")
    )]
    pub(crate) sandbox_mode: Option<SandboxMode>,
    /// Settings of the sandbox mode `workspace-write`.
    pub(crate) sandbox_workspace_write: SandboxWorkspaceWrite,
    /// The provider's search tool, with the `openai` dialect only.
    #[cfg_attr(test, schemars(extend("default" = "cached")))]
    pub(crate) web_search: Option<WebSearchMode>,
    /// Switches of built-in tools.
    pub(crate) tools: RawTools,
    /// Milliseconds that the first turn waits for optional servers; 0 waits for each until its own limit.
    pub(crate) mcp_optional_startup_grace_ms: Option<u64>,
    /// Where logins are kept.
    #[cfg_attr(test, schemars(extend("default" = "auto")))]
    pub(crate) mcp_oauth_credentials_store: Option<CredentialsStore>,
    /// Port of the listener of a login.
    pub(crate) mcp_oauth_callback_port: Option<u16>,
    /// Redirect URI of logins, sent byte for byte.
    pub(crate) mcp_oauth_callback_url: Option<String>,
    /// Client ID metadata document to use where servers support it.
    pub(crate) mcp_oauth_client_metadata_url: Option<String>,
    /// Enterprise-managed authorization: who says who the user is.
    pub(crate) mcp_enterprise_managed_auth: RawEnterpriseAuth,
    /// Log files of servers.
    pub(crate) mcp_server_logs: Option<bool>,
    // This and the next are read in `sources.rs`, before the layers are merged.
    /// Profile that every run uses; `-p` beats it.
    #[serde(rename = "profile")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) _profile: Option<IgnoredAny>,
    /// Profiles of the older form; a profile is a file of its own now.
    #[serde(rename = "profiles")]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, serde_json::Value>"))]
    pub(crate) _profiles: Option<IgnoredAny>,
    /// Trust by absolute path of a project root.
    pub(crate) projects: BTreeMap<String, RawProject>,
    /// What it takes for a server of a project's file to run: trust of the project, or of each server.
    #[cfg_attr(test, schemars(extend("default" = "project")))]
    pub(crate) project_mcp_trust: ProjectMcpTrust,
    /// How many bytes of AGENTS.md are read.
    pub(crate) project_doc_max_bytes: Option<u64>,
    /// Silences the warning about features under development.
    pub(crate) suppress_unstable_features_warning: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawModelProvider {
    /// Name for people; required.
    pub(crate) name: Option<String>,
    /// Absolute http or https URL without a trailing `/responses`; required.
    pub(crate) base_url: Option<String>,
    /// Dialect of the wire.
    #[cfg_attr(test, schemars(extend("default" = "responses")))]
    pub(crate) wire_api: Option<WireApi>,
    /// Variable that holds the key.
    pub(crate) env_key: Option<String>,
    /// What to say when that variable is missing.
    pub(crate) env_key_instructions: Option<String>,
    /// The key in clear; prefer `env_key`.
    pub(crate) experimental_bearer_token: Option<String>,
    /// A program that prints the key.
    pub(crate) auth: Option<RawProviderAuth>,
    /// Use the built-in provider's key.
    pub(crate) requires_openai_auth: bool,
    /// Headers added to each request.
    pub(crate) http_headers: BTreeMap<String, String>,
    /// Headers added to each request: header = VARIABLE.
    pub(crate) env_http_headers: BTreeMap<String, String>,
    /// Added to each URL.
    pub(crate) query_params: BTreeMap<String, String>,
    /// At most 10.
    #[cfg_attr(test, schemars(extend("default" = 4)))]
    pub(crate) request_max_retries: Option<u32>,
    /// At most 10.
    #[cfg_attr(test, schemars(extend("default" = 5)))]
    pub(crate) stream_max_retries: Option<u32>,
    /// Milliseconds.
    #[cfg_attr(test, schemars(extend("default" = 300000)))]
    pub(crate) stream_idle_timeout_ms: Option<u64>,
    /// Kinds of tools that the provider understands; default by provider.
    pub(crate) tool_dialect: Option<ToolDialect>,
    /// Accepted without effect: there is no websocket here.
    #[serde(rename = "supports_websockets")]
    pub(crate) _supports_websockets: Option<bool>,
    /// Accepted without effect.
    #[serde(rename = "websocket_connect_timeout_ms")]
    pub(crate) _websocket_connect_timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RawProviderAuth {
    /// Program; no shell.
    pub(crate) command: String,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Milliseconds.
    #[cfg_attr(test, schemars(extend("default" = 5000)))]
    pub(crate) timeout_ms: Option<u64>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawTools {
    /// Offers `update_plan`.
    pub(crate) update_plan: Option<RawUpdatePlan>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawEnterpriseAuth {
    /// The identity provider of servers with `auth = "ema_auth"`.
    pub(crate) idp: Option<RawIdentityProvider>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawIdentityProvider {
    /// Issuer of the provider; required.
    pub(crate) issuer: Option<String>,
    /// Our client at the provider; required.
    pub(crate) client_id: Option<String>,
    /// Its secret, in clear; prefer `client_secret_env_var`.
    pub(crate) client_secret: Option<String>,
    /// Variable that holds its secret.
    pub(crate) client_secret_env_var: Option<String>,
    /// How the client proves itself; default by the provider's metadata.
    pub(crate) token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// File with the user's id token; seen from the folder of this file.
    pub(crate) id_token_file: Option<String>,
}

/// `true`, or `{ enabled = true }`.
pub(crate) struct RawUpdatePlan(pub(crate) bool);

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct RawProject {
    /// Whether settings of the project may be used.
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
    "mcp_enterprise_managed_auth",
    "mcp_oauth_credentials_store",
    "model_provider",
    "model_providers",
    "project_mcp_trust",
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
    "notify",
    "oss_provider",
    "otel",
    "permissions",
    "project_doc_fallback_filenames",
    "project_root_markers",
    "shell_environment_policy",
    "skills",
];
