//! `config/read`: the settings, and where each of them comes from.

use codex_app_server_protocol::{
    ConfigLayerMetadata, ConfigLayerName, ConfigReadLayer, ConfigReadParams, ConfigReadResponse,
};
use codex_config::{ConfigLayer, LayerSource, LayerStack};
use codex_host::AbsPath;
use codex_runtime::Loaded;
use serde_json::json;

/// Tells the settings, the layers highest first.
pub(crate) fn read(loaded: &Loaded, params: &ConfigReadParams) -> ConfigReadResponse {
    let layers = &loaded.layers;
    let origins = layers.origins().into_iter();
    ConfigReadResponse {
        config: layers.to_json(),
        origins: origins.map(|(key, layer)| (key, metadata(layer))).collect(),
        layers: params
            .include_layers
            .then(|| all(layers, &loaded.home.config_file())),
    }
}

/// Names a layer and its content.
pub(crate) fn metadata(layer: &ConfigLayer) -> ConfigLayerMetadata {
    ConfigLayerMetadata {
        name: name(&layer.source),
        version: layer.version(),
    }
}

fn all(layers: &LayerStack, user_file: &AbsPath) -> Vec<ConfigReadLayer> {
    let user = LayerSource::User {
        file: user_file.clone(),
    };
    let mut rows: Vec<(&LayerSource, ConfigReadLayer)> = Vec::new();
    for layer in layers.layers() {
        rows.push((&layer.source, used(layer)));
    }
    // A file that is not there can be written: its version is that of nothing.
    let absent = ConfigLayer::empty(user);
    if layers
        .layers()
        .iter()
        .all(|layer| layer.source != absent.source)
    {
        rows.push((&absent.source, used(&absent)));
    }
    for layer in layers.disabled() {
        let row = ConfigReadLayer {
            name: name(&layer.source),
            // Nothing of it is used, so nothing of it is read.
            version: ConfigLayer::empty(layer.source.clone()).version(),
            config: json!({}),
            disabled_reason: Some(layer.reason.clone()),
        };
        rows.push((&layer.source, row));
    }
    rows.sort_by(|a, b| b.0.cmp(a.0));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn used(layer: &ConfigLayer) -> ConfigReadLayer {
    let ConfigLayerMetadata { name, version } = metadata(layer);
    ConfigReadLayer {
        name,
        version,
        config: layer.to_json(),
        disabled_reason: None,
    }
}

fn name(source: &LayerSource) -> ConfigLayerName {
    match source {
        LayerSource::System { file } => ConfigLayerName::System {
            file: file.to_string(),
        },
        LayerSource::User { file } => ConfigLayerName::User {
            file: file.to_string(),
            profile: None,
        },
        LayerSource::Profile { name, file } => ConfigLayerName::User {
            file: file.to_string(),
            profile: Some(name.clone()),
        },
        LayerSource::Project { file, .. } => ConfigLayerName::Project {
            dot_codex_folder: file.parent_dir().to_string(),
        },
        LayerSource::SessionFlags => ConfigLayerName::SessionFlags,
        LayerSource::ManagedHome { file } | LayerSource::ManagedMachine { file } => {
            ConfigLayerName::LegacyManagedConfigTomlFromFile {
                file: file.to_string(),
            }
        }
        LayerSource::ManagedPreferences => ConfigLayerName::LegacyManagedConfigTomlFromMdm,
    }
}
