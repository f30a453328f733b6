//! MCP servers as the rest of the program sees them: no impossible state, secrets cannot be printed.
//!
//! Fixtures are built by constructors, so that a new field breaks none of them:
//! `McpServerConfig::stdio(name, "prog")`, `McpServerConfig::http(name, url)`.

pub(crate) mod convert;
pub(crate) mod entry;
pub(crate) mod raw;
mod sandbox;
pub(crate) mod variable;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use codex_host::{AbsPath, Secret};
use codex_protocol::{ApproveWhen, ServerName, ToolApprovalMode};
use serde::{Deserialize, Serialize};

use crate::{Origin, PolicyOrigin};

pub use sandbox::ServerSandbox;

/// How long a server may take to start when nothing is configured.
const DEFAULT_STARTUP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call may be silent when nothing is configured.
const DEFAULT_TOOL_TIMEOUT: Duration = Duration::from_secs(300);

/// One server of `[mcp_servers]`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct McpServerConfig {
    /// Its key in the file.
    pub name: ServerName,
    /// Its name for people.
    pub display_name: Option<String>,
    /// How it is reached.
    pub transport: McpTransport,
    /// Whether it may run.
    pub enablement: Enablement,
    /// A failure to start it fails the run.
    pub required: bool,
    /// `startup_timeout_sec` as configured; [`McpServerConfig::startup_timeout`] has the default.
    pub startup_timeout: Option<Duration>,
    /// `tool_timeout_sec` as configured; [`McpServerConfig::tool_timeout`] has the default.
    pub tool_timeout: Option<Duration>,
    /// Which tools are offered.
    pub tools: ToolFilter,
    /// Who decides about a call when the tool has no setting of its own.
    pub default_tools_approval_mode: Option<ToolApprovalMode>,
    /// Settings per tool, by raw name.
    pub tool_settings: BTreeMap<String, ToolSettings>,
    /// Calls may run side by side.
    pub supports_parallel_tool_calls: bool,
    /// A tool with a larger schema is left out.
    pub tool_input_schema_max_bytes: Option<u64>,
    /// What "ready" waits for.
    pub startup_readiness: StartupReadiness,
    /// Scopes of a login.
    pub scopes: Option<Vec<String>>,
    /// `${VAR}` is expanded in this entry.
    pub expand_env: bool,
    /// Tools that are not what they were at their first use are held back.
    pub pin_tools: bool,
    /// Where the entry stands; `None` for one that was made by hand.
    pub source: Option<Origin>,
    /// What is odd in the entry and does not stop it; empty for one that was made by hand.
    pub warnings: Vec<EntryWarning>,
}

/// Something in an entry that has no effect, most often a slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryWarning {
    /// The sentence, without position.
    pub text: String,
    /// Where it stands.
    pub origin: Origin,
}

impl McpServerConfig {
    /// Says what is wrong with the address of a server, as the rest of a sentence about it.
    pub fn check_url(url: &str) -> Result<(), String> {
        convert::check_url(url)
    }

    /// Whether a text can be the name of an environment variable, and is no token in its place.
    pub fn is_variable_name(text: &str) -> bool {
        variable::is_name(text)
    }

    /// Whether every stdio server gets this variable of ours without naming it, as its program needs it
    /// to find its home, its programs and its language.
    pub fn inherits(variable: &str) -> bool {
        variable::is_inherited(variable)
    }

    /// Makes a server that is a program on this machine.
    pub fn stdio(name: ServerName, command: impl Into<String>) -> Self {
        Self::new(
            name,
            McpTransport::Stdio(StdioTransport {
                command: command.into(),
                ..StdioTransport::default()
            }),
        )
    }

    /// Makes a server that is reached by streamable HTTP.
    pub fn http(name: ServerName, url: impl Into<String>) -> Self {
        let http = HttpTransport {
            url: url.into(),
            ..HttpTransport::default()
        };
        Self::new(name, McpTransport::StreamableHttp(Box::new(http)))
    }

    /// Makes a server with nothing but its transport.
    pub fn new(name: ServerName, transport: McpTransport) -> Self {
        Self {
            name,
            display_name: None,
            transport,
            enablement: Enablement::On,
            required: false,
            startup_timeout: None,
            tool_timeout: None,
            tools: ToolFilter::default(),
            default_tools_approval_mode: None,
            tool_settings: BTreeMap::new(),
            supports_parallel_tool_calls: false,
            tool_input_schema_max_bytes: None,
            startup_readiness: StartupReadiness::Catalog,
            scopes: None,
            expand_env: false,
            pin_tools: false,
            source: None,
            warnings: Vec::new(),
        }
    }

    /// Makes the start of this server a condition of the run.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Returns how long connect, handshake and catalog may take together.
    pub fn startup_timeout(&self) -> Duration {
        self.startup_timeout.unwrap_or(DEFAULT_STARTUP_TIMEOUT)
    }

    /// Returns how long a call may be silent.
    pub fn tool_timeout(&self) -> Duration {
        self.tool_timeout.unwrap_or(DEFAULT_TOOL_TIMEOUT)
    }

    /// Returns whether the server may run.
    pub fn is_enabled(&self) -> bool {
        self.enablement == Enablement::On
    }

    /// Returns who decides about a call of this tool (raw name).
    pub fn approval_mode(&self, tool: &str) -> ToolApprovalMode {
        let settings = self.tool_settings.get(tool);
        match settings.and_then(|settings| settings.approval_mode) {
            Some(own) => own,
            // Who names the arguments that run means that others do not, whatever the server's default.
            None if self.approve_when(tool).is_some() => ToolApprovalMode::Prompt,
            None => self.default_tools_approval_mode.unwrap_or_default(),
        }
    }

    /// Returns the arguments with which a call of this tool (raw name) needs no question.
    pub fn approve_when(&self, tool: &str) -> Option<&ApproveWhen> {
        self.tool_settings.get(tool)?.approve_when.as_ref()
    }
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum McpTransport {
    /// A child process, over its stdin and stdout.
    Stdio(StdioTransport),
    /// HTTP.
    StreamableHttp(Box<HttpTransport>),
}

/// A server that is a child process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StdioTransport {
    /// The program; no shell.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables set for it, literally.
    pub env: BTreeMap<String, Secret>,
    /// Names of variables copied from our environment.
    pub env_vars: Vec<EnvVar>,
    /// Where it runs; as configured, so perhaps relative.
    pub cwd: Option<PathBuf>,
    /// Where a relative `cwd` is seen from; `None`: the directory of the run.
    pub cwd_base: Option<PathBuf>,
    /// It gets our whole environment instead of the short list.
    pub inherit_env: bool,
    /// What it may touch; `None`: what we may.
    pub sandbox: Option<ServerSandbox>,
}

/// A variable that is copied into a child's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Where its value comes from, when that was written.
    pub source: Option<EnvVarSource>,
}

/// Where the value of an environment variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnvVarSource {
    /// Our own environment.
    Local,
    /// A remote host; there is none here, so the start is refused.
    Remote,
}

/// A server that is reached by HTTP.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpTransport {
    /// Its address as configured, byte for byte; it was checked to be absolute http(s).
    pub url: String,
    /// Name of the variable with the bearer token.
    pub bearer_token_env_var: Option<String>,
    /// Headers with their values.
    pub http_headers: BTreeMap<String, Secret>,
    /// Headers with the names of the variables that hold their values.
    pub env_http_headers: BTreeMap<String, String>,
    /// Program that prints headers.
    pub http_headers_helper: Option<String>,
    /// A project's file named that program.
    pub helper_of_project: bool,
    /// How the server authenticates; `None`: found out by discovery.
    pub auth: Option<HttpAuth>,
    /// Value of `resource` in a login, instead of the canonical URL.
    pub oauth_resource: Option<String>,
    /// Settings of the login.
    pub oauth: Option<OAuthConfig>,
    /// Proxy and certificates of this server.
    pub http: Option<PeerHttp>,
}

/// Words of `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HttpAuth {
    /// OAuth.
    Oauth,
    /// Enterprise-managed authorization.
    EmaAuth,
    /// Accepted as a word, not supported here.
    Chatgpt,
}

/// `[mcp_servers.NAME.oauth]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuthConfig {
    /// Pre-registered client.
    pub client_id: Option<String>,
    /// Its secret, in clear in the file.
    pub client_secret: Option<Secret>,
    /// Name of the variable with its secret.
    pub client_secret_env_var: Option<String>,
    /// Redirect URI.
    pub callback_url: Option<String>,
    /// Port of the listener.
    pub callback_port: Option<u16>,
    /// How the client proves itself.
    pub token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// The issuer to use.
    pub authorization_server_issuer: Option<String>,
    /// Client id metadata document.
    pub client_metadata_url: Option<String>,
    /// How tokens are obtained.
    pub grant: Option<OAuthGrant>,
    /// Key of `private_key_jwt`.
    pub private_key_file: Option<PathBuf>,
    /// Assertion of `jwt_bearer`.
    pub assertion_file: Option<PathBuf>,
}

/// Words of `oauth.token_endpoint_auth_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpointAuthMethod {
    /// HTTP Basic.
    ClientSecretBasic,
    /// In the form body.
    ClientSecretPost,
    /// Public client.
    None,
    /// Signed assertion.
    PrivateKeyJwt,
}

/// Words of `oauth.grant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OAuthGrant {
    /// Browser login.
    AuthorizationCode,
    /// Login on another device.
    DeviceCode,
    /// A service of its own.
    ClientCredentials,
    /// A signed assertion.
    JwtBearer,
}

/// Words of `mcp_oauth_credentials_store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialsStore {
    /// Keyring when there is one, else the file.
    #[default]
    Auto,
    /// Always the file.
    File,
    /// Always the keyring.
    Keyring,
}

/// `[mcp_servers.NAME.http]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerHttp {
    /// Proxy URL; it may hold a password.
    pub proxy: Option<Secret>,
    /// Hosts without proxy.
    pub no_proxy: Option<String>,
    /// CA certificates.
    pub ca_file: Option<PathBuf>,
    /// Client certificate.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
}

/// What "ready" waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartupReadiness {
    /// The handshake.
    Connection,
    /// The list of tools.
    #[default]
    Catalog,
}

/// Which tools are offered, by raw name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolFilter {
    /// Only these, when set; an empty list is none.
    pub enabled: Option<Vec<String>>,
    /// Not these, applied after `enabled`.
    pub disabled: Vec<String>,
}

impl ToolFilter {
    /// Returns whether a tool passes.
    pub fn allows(&self, tool: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|name| name == tool);
        self.enabled.as_deref().is_none_or(listed) && !listed(&self.disabled)
    }
}

/// `[mcp_servers.NAME.tools.TOOL]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ToolSettings {
    /// Who decides about its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        test,
        schemars(schema_with = "crate::schema::words::<ToolApprovalMode>")
    )]
    pub approval_mode: Option<ToolApprovalMode>,
    /// Budget of its answer in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("default" = 10000)))]
    pub output_token_limit: Option<u64>,
    /// Arguments with which a call runs although its mode would ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(schema_with = "crate::schema::approve_when"))]
    pub approve_when: Option<ApproveWhen>,
}

/// Whether a server may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enablement {
    /// It may.
    On,
    /// It may not.
    Off(OffReason),
}

/// Why a server may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffReason {
    /// `enabled = false`.
    User,
    /// A policy.
    Requirements {
        /// Where the policy stands.
        source: String,
        /// What it says about this server.
        why: String,
        /// The rule of this name, when it cannot be read or a key of the entry goes round it.
        fault: Option<PolicyOrigin>,
    },
    /// A project's file has it, and the user did not approve it as it stands.
    NotApproved {
        /// The project's file.
        file: AbsPath,
    },
    /// The entry cannot be used: it did not parse, or asks for what is not supported.
    Invalid {
        /// Where the fault stands.
        origin: Option<Origin>,
        /// What is wrong, without position.
        why: String,
    },
}

impl OffReason {
    /// Returns the word of machine-readable output; it stays what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User => "disabled",
            Self::Requirements { .. } => "requirements",
            Self::NotApproved { .. } => "not_approved",
            Self::Invalid { .. } => "invalid_entry",
        }
    }

    /// Returns why, in full, for somebody who asks for this very server.
    pub fn why(&self) -> String {
        match self {
            Self::User => "enabled = false".to_owned(),
            Self::Invalid {
                origin: Some(origin),
                why,
            } => format!("{why} ({origin})"),
            Self::Invalid { origin: None, why } => why.clone(),
            Self::Requirements { source, why, .. } => format!("requirements ({source}): {why}"),
            Self::NotApproved { .. } => self.text().unwrap_or_default(),
        }
    }

    /// Returns the words after `disabled: `; `None` when the user turned the server off.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::User => None,
            Self::NotApproved { file } => Some(format!("not approved ({file})")),
            Self::Requirements { source, .. } => Some(format!("requirements ({source})")),
            Self::Invalid {
                origin: Some(origin),
                ..
            } => Some(format!("invalid ({origin})")),
            Self::Invalid { origin: None, .. } => Some("invalid".to_owned()),
        }
    }
}
