//! Reading and writing settings.

use std::collections::BTreeMap;

use codex_protocol::{AskForApproval, SandboxMode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Params of `config/read`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigReadParams {
    /// Whether the layers are wanted too.
    pub include_layers: bool,
    /// The directory whose project counts.
    pub cwd: Option<String>,
}

/// Result of `config/read`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReadResponse {
    /// The merged settings, keys as in `config.toml`.
    pub config: Value,
    /// Which layer each key comes from.
    pub origins: BTreeMap<String, ConfigLayerMetadata>,
    /// The layers, highest first; `null` unless asked for.
    pub layers: Option<Vec<ConfigReadLayer>>,
}

/// Names a layer and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigLayerMetadata {
    /// The layer.
    pub name: ConfigLayerName,
    /// `sha256:…` of its content.
    pub version: String,
}

/// A layer in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReadLayer {
    /// The layer.
    pub name: ConfigLayerName,
    /// `sha256:…` of its content.
    pub version: String,
    /// What it says.
    pub config: Value,
    /// Why it is not used.
    pub disabled_reason: Option<String>,
}

/// Where settings can come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ConfigLayerName {
    /// The machine's `config.toml`.
    System {
        /// Its file.
        file: String,
    },
    /// The user's `config.toml`, or a profile.
    User {
        /// Its file.
        file: String,
        /// The profile.
        profile: Option<String>,
    },
    /// A project's.
    Project {
        /// The folder `.codex` that holds it.
        dot_codex_folder: String,
    },
    /// The command line, and what a client gives.
    SessionFlags,
    /// A managed file.
    LegacyManagedConfigTomlFromFile {
        /// The file.
        file: String,
    },
    /// Managed preferences.
    LegacyManagedConfigTomlFromMdm,
}

/// Params of `config/value/write`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueWriteParams {
    /// What to change.
    #[serde(flatten)]
    pub edit: ConfigEdit,
    /// The version that the client read.
    #[serde(default)]
    pub expected_version: Option<String>,
    /// The file; the user's when absent.
    #[serde(default)]
    pub file_path: Option<String>,
}

/// Params of `config/batchWrite`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchWriteParams {
    /// What to change, all or nothing.
    pub edits: Vec<ConfigEdit>,
    /// The version that the client read.
    #[serde(default)]
    pub expected_version: Option<String>,
    /// The file; the user's when absent.
    #[serde(default)]
    pub file_path: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigEdit {
    /// The key, with dots; a part with dots in it is quoted.
    pub key_path: String,
    /// The value; `null` removes the key.
    pub value: Value,
    /// What becomes of the other keys of a table.
    pub merge_strategy: MergeStrategy,
}

/// What becomes of the other keys of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MergeStrategy {
    /// They go.
    Replace,
    /// They stay.
    Upsert,
}

/// Result of both writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigWriteResponse {
    /// Whether what was written holds.
    pub status: WriteStatus,
    /// `sha256:…` of the file as it is now.
    pub version: String,
    /// The file.
    pub file_path: String,
    /// Which layer keeps it from holding.
    pub overridden_metadata: Option<OverriddenMetadata>,
}

/// Whether what was written holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteStatus {
    /// It does.
    Ok,
    /// A higher layer says otherwise.
    OkOverridden,
}

/// Which layer keeps a written value from holding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OverriddenMetadata {
    /// A sentence for people.
    pub message: String,
    /// The layer.
    pub overriding_layer: ConfigLayerMetadata,
    /// What holds.
    pub effective_value: Value,
}

/// Result of `configRequirements/read`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigRequirementsReadResponse {
    /// What the machine requires; `null` when nothing.
    pub requirements: Option<ConfigRequirements>,
}

/// What the machine requires.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigRequirements {
    /// The words of `approval_policy` that are allowed.
    pub allowed_approval_policies: Option<Vec<AskForApproval>>,
    /// The words of `sandbox_mode` that are allowed.
    pub allowed_sandbox_modes: Option<Vec<SandboxMode>>,
    /// Features that nothing else changes.
    pub feature_requirements: Option<BTreeMap<String, bool>>,
    /// Names of the MCP servers that may run when they are what is required of them; `null` when
    /// servers are not restricted.
    pub allowed_mcp_servers: Option<Vec<String>>,
    /// What is wrong with the requirements themselves.
    pub problems: Vec<String>,
}
