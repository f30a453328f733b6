//! Feature flags.

use serde::{Deserialize, Serialize};

/// Params of `experimentalFeature/list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentalFeatureListParams {
    /// Where to go on.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: Option<u32>,
}

/// Result of `experimentalFeature/list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentalFeatureListResponse {
    /// The features.
    pub data: Vec<ExperimentalFeature>,
    /// Where to go on.
    pub next_cursor: Option<String>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentalFeature {
    /// Its key.
    pub name: &'static str,
    /// How settled it is.
    pub stage: FeatureStage,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// What is said when it arrives.
    pub announcement: Option<String>,
    /// Whether it is on.
    pub enabled: bool,
    /// Whether it is on when nothing is configured.
    pub default_enabled: bool,
}

/// How settled a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum FeatureStage {
    Stable,
    Beta,
    UnderDevelopment,
    Deprecated,
    Removed,
}
