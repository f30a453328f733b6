//! The user's settings: layers of TOML, typed values, and edits that keep every other byte.
//!
//! [`load`] reads the layers and returns [`Config`] with [`Notice`]s; [`ConfigFile`] edits one file.
//! Three types stand behind each concept: a *raw* one (serde, all optional, private), a *domain* one
//! (no impossible state, here in public) and the *settings* of the crate that uses it (not here).
//! To add a key for MCP servers: `mcp/raw.rs` and `mcp/convert.rs`, the use, a test.
//! **Absent on purpose:** clap, HTTP, rmcp, the process environment, printing.

mod approvals;
mod changes;
mod config;
mod config_raw;
mod constrained;
mod convert;
mod de;
mod edit;
mod error;
mod expand;
mod features;
mod json;
mod layers;
mod load;
mod loosened;
pub mod mask;
mod mcp;
mod merge;
mod notice;
mod overrides;
mod project;
#[cfg(test)]
mod properties;
mod report;
mod requirements;
mod scan;
#[cfg(test)]
mod schema;
mod sources;
mod system;
mod tree;
mod value;

pub use approvals::{ApprovalError, McpApprovals};
pub use changes::{ConfigChanges, ServerChange};
pub use config::{
    Config, IdentityProviderConfig, McpOAuthSettings, ModelProviderConfig, ProjectMcpTrust,
    ProviderAuthCommand, SandboxWorkspaceWrite, ToolDialect, TrustLevel, WebSearchMode, WireApi,
};
pub use constrained::{Constrained, Constraint, ConstraintError};
pub use edit::{ConfigFile, EditError, Saved};
pub use error::ConfigError;
pub use expand::expand;
pub use features::{Feature, FeatureRow, Features, Stage, unstable_text};
pub use json::{NotToml, toml_of_json};
pub use layers::{ConfigLayer, DisabledLayer, LayerSource, LayerStack, Origin};
pub use load::{CliOverride, LoadRequest, Loaded, load};
pub use mcp::{
    CredentialsStore, Enablement, EntryWarning, EnvVar, EnvVarSource, HttpAuth, HttpTransport,
    McpServerConfig, McpTransport, OAuthConfig, OAuthGrant, OffReason, PeerHttp, ServerSandbox,
    StartupReadiness, StdioTransport, TokenEndpointAuthMethod, ToolFilter, ToolSettings,
};
pub use notice::{Notice, Severity};
pub use overrides::key_path;
pub use project::Project;
pub use requirements::{
    McpPolicy, McpVerdict, PolicyOrigin, PolicyProblem, PolicyRule, Requirements,
    RequirementsSource,
};
pub use system::{ManagedPreferences, PreferenceTexts, SystemPaths};
pub use toml_edit::Value as TomlValue;
pub use value::parse_value;
