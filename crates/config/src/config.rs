//! Every setting, typed. `None` means "not configured": the default belongs to the consumer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use codex_host::Secret;
use codex_protocol::{AskForApproval, SandboxMode, ServerName};
use serde::{Deserialize, Serialize};

use crate::{
    Constrained, CredentialsStore, Features, McpServerConfig, Requirements, TokenEndpointAuthMethod,
};

/// The merged settings of all layers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// `model`.
    pub model: Option<String>,
    /// `model_provider`: an id; built in or a key of `model_providers`.
    pub model_provider: Option<String>,
    /// `[model_providers.X]`; a built-in id is refused at load.
    pub model_providers: BTreeMap<String, ModelProviderConfig>,
    /// `openai_base_url`.
    pub openai_base_url: Option<String>,
    /// `model_context_window`.
    pub model_context_window: Option<u64>,
    /// `model_auto_compact_token_limit`.
    pub model_auto_compact_token_limit: Option<u64>,
    /// `model_reasoning_effort`; any text.
    pub model_reasoning_effort: Option<String>,
    /// `model_reasoning_summary`; any text.
    pub model_reasoning_summary: Option<String>,
    /// `model_verbosity`; any text.
    pub model_verbosity: Option<String>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// `base_instructions`.
    pub base_instructions: Option<String>,
    /// `model_instructions_file`; relative to the defining file's directory, made absolute here.
    pub model_instructions_file: Option<PathBuf>,
    /// `developer_instructions`.
    pub developer_instructions: Option<String>,
    /// `approval_policy`.
    pub approval_policy: Constrained<Option<AskForApproval>>,
    /// `sandbox_mode`.
    pub sandbox_mode: Constrained<Option<SandboxMode>>,
    /// `[sandbox_workspace_write]`.
    pub sandbox_workspace_write: SandboxWorkspaceWrite,
    /// `web_search`.
    pub web_search: Option<WebSearchMode>,
    /// `[tools] update_plan`.
    pub update_plan: bool,
    /// `[mcp_servers]`, quarantined entries included (they are `Off(Invalid)`). Whoever sets further ones
    /// gets those back that the requirements allow, and the others turned off.
    pub mcp_servers: Constrained<BTreeMap<ServerName, McpServerConfig>>,
    /// `mcp_optional_startup_grace_ms`; zero waits for each server until its own limit.
    pub mcp_optional_startup_grace: Option<Duration>,
    /// `mcp_oauth_*`.
    pub mcp_oauth: McpOAuthSettings,
    /// `mcp_server_logs`.
    pub mcp_server_logs: Option<bool>,
    /// `[projects]`: trust by absolute path.
    pub projects: BTreeMap<PathBuf, TrustLevel>,
    /// `project_mcp_trust`.
    pub project_mcp_trust: ProjectMcpTrust,
    /// `project_doc_max_bytes`.
    pub project_doc_max_bytes: Option<u64>,
    /// `[features]`, resolved with flags and legacy keys.
    pub features: Features,
    /// `suppress_unstable_features_warning`.
    pub suppress_unstable_features_warning: bool,
    /// What the machine requires of all this; it is applied already.
    pub requirements: Requirements,
}

/// `[model_providers.X]`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ModelProviderConfig {
    /// Name for people.
    pub name: String,
    /// Absolute http(s) URL without a trailing `/`.
    pub base_url: String,
    /// Dialect of the wire.
    pub wire_api: WireApi,
    /// Variable with the key.
    pub env_key: Option<String>,
    /// What to tell a user whose variable is unset.
    pub env_key_instructions: Option<String>,
    /// Literal token.
    pub experimental_bearer_token: Option<Secret>,
    /// Program that prints a token.
    pub auth: Option<ProviderAuthCommand>,
    /// Use the built-in provider's key.
    pub requires_openai_auth: bool,
    /// Headers with their values.
    pub http_headers: BTreeMap<String, Secret>,
    /// Headers with the names of their variables.
    pub env_http_headers: BTreeMap<String, String>,
    /// Appended to each URL.
    pub query_params: BTreeMap<String, Secret>,
    /// Default 4, at most 10.
    pub request_max_retries: Option<u32>,
    /// Default 5, at most 10.
    pub stream_max_retries: Option<u32>,
    /// Default 300 s.
    pub stream_idle_timeout: Option<Duration>,
    /// Which kinds of tools the provider understands.
    pub tool_dialect: Option<ToolDialect>,
}

/// `auth` of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAuthCommand {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Words of `wire_api`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WireApi {
    /// The Responses API.
    #[default]
    Responses,
    /// Chat Completions.
    Chat,
}

/// Words of `tool_dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolDialect {
    /// Namespaces, custom tools, hosted search.
    Openai,
    /// Functions only.
    Plain,
}

/// Words of `web_search`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WebSearchMode {
    /// Not offered.
    Disabled,
    /// From the provider's cache.
    Cached,
    /// From the network.
    Live,
}

/// Words of `project_mcp_trust`: what it takes for a server of a project's file to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProjectMcpTrust {
    /// The project is trusted.
    #[default]
    Project,
    /// The server, as it stands now, was approved.
    Entry,
}

/// Words of `trust_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrustLevel {
    /// Its settings may be used.
    Trusted,
    /// They may not.
    Untrusted,
}

/// `[sandbox_workspace_write]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SandboxWorkspaceWrite {
    /// Further directories that may be written.
    pub writable_roots: Vec<PathBuf>,
    /// Commands may use the network.
    pub network_access: bool,
    /// `$TMPDIR` may not be written.
    pub exclude_tmpdir_env_var: bool,
    /// `/tmp` may not be written.
    pub exclude_slash_tmp: bool,
}

/// The keys `mcp_oauth_*` and `mcp_enterprise_managed_auth`; stored and typed, used by the login.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct McpOAuthSettings {
    /// `mcp_oauth_credentials_store`.
    pub credentials_store: CredentialsStore,
    /// `mcp_oauth_callback_port`.
    pub callback_port: Option<u16>,
    /// `mcp_oauth_callback_url`.
    pub callback_url: Option<String>,
    /// `mcp_oauth_client_metadata_url`.
    pub client_metadata_url: Option<String>,
    /// `[mcp_enterprise_managed_auth.idp]`.
    pub identity_provider: Option<IdentityProviderConfig>,
}

/// `[mcp_enterprise_managed_auth.idp]`: who says who the user is, for `auth = "ema_auth"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProviderConfig {
    /// Its issuer.
    pub issuer: String,
    /// Our client there.
    pub client_id: String,
    /// Its secret, in clear in the file.
    pub client_secret: Option<Secret>,
    /// Name of the variable with its secret.
    pub client_secret_env_var: Option<String>,
    /// How the client proves itself.
    pub token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// Where the user's id token lies; relative to the defining file's directory, made absolute here.
    pub id_token_file: Option<PathBuf>,
}
