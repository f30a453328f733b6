//! `experimentalFeature/list`.

use codex_app_server_protocol::{
    ExperimentalFeature, ExperimentalFeatureListParams, ExperimentalFeatureListResponse, Fault,
    FeatureStage,
};
use codex_config::{Feature, Features, Stage};

use crate::page::page;

/// Lists the table of features with the state that each has now.
pub(crate) fn list(
    features: &Features,
    params: &ExperimentalFeatureListParams,
) -> Result<ExperimentalFeatureListResponse, Fault> {
    let rows = Feature::table().iter().map(|row| ExperimentalFeature {
        name: row.key,
        stage: match row.stage {
            Stage::Stable => FeatureStage::Stable,
            Stage::Experimental => FeatureStage::Beta,
            Stage::UnderDevelopment => FeatureStage::UnderDevelopment,
            Stage::Deprecated => FeatureStage::Deprecated,
            Stage::Removed => FeatureStage::Removed,
        },
        display_name: None,
        description: None,
        announcement: None,
        enabled: features.enabled(row.feature),
        default_enabled: row.default,
    });
    let page = page(rows.collect(), params.cursor.as_deref(), params.limit)?;
    Ok(ExperimentalFeatureListResponse {
        data: page.data,
        next_cursor: page.next_cursor,
    })
}
