//! `config/value/write` and `config/batchWrite`: changes of the user's file, all or nothing.
//!
//! The editor does the work: it keeps every other byte, refuses a file that is not the one that the
//! client read, and checks what the file would mean. What is allowed to *run* is decided when the
//! settings are loaded, for whoever wrote them.

use codex_app_server_protocol::{
    ConfigEdit, ConfigWriteErrorCode, ConfigWriteResponse, Fault, MergeStrategy,
    OverriddenMetadata, WriteStatus,
};
use codex_config::{ConfigFile, EditError, LayerSource, TomlValue, key_path, toml_of_json};
use codex_host::AbsPath;
use codex_runtime::Loaded;

use crate::settings::metadata;
use crate::warnings::sentence;

/// What is to be written.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) edits: Vec<ConfigEdit>,
    pub(crate) expected_version: Option<String>,
    pub(crate) file_path: Option<String>,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// What each key says now; of one that was taken out, nothing.
    keys: Vec<(Vec<String>, Option<TomlValue>)>,
    version: String,
    file: AbsPath,
}

impl Write {
    /// Writes. Blocks, at most ten seconds for the lock.
    pub(crate) fn run(self, loaded: &Loaded) -> Result<Written, Fault> {
        let user_file = loaded.home.config_file();
        if let Some(path) = &self.file_path
            && *path != user_file.to_string()
        {
            let why = format!("only `{user_file}` can be written");
            return Err(invalid(&why));
        }
        let mut file = ConfigFile::open(&loaded.home).map_err(fault)?;
        if let Some(version) = &self.expected_version {
            file.expect_version(version).map_err(fault)?;
        }
        let mut keys = Vec::new();
        for edit in self.edits {
            let key = key_path(&edit.key_path).map_err(|error| invalid(&sentence(&error)))?;
            let value = change(&mut file, &key, &edit)?;
            keys.push((key, value));
        }
        Ok(Written {
            keys,
            version: file.save_checked(&loaded.layers).map_err(fault)?,
            file: user_file,
        })
    }
}

/// Makes a change and returns the value that was written, if any.
fn change(
    file: &mut ConfigFile,
    key: &[String],
    edit: &ConfigEdit,
) -> Result<Option<TomlValue>, Fault> {
    if edit.value.is_null() {
        file.remove_value(key).map_err(fault)?;
        return Ok(None);
    }
    let value = toml_of_json(&edit.value)
        .map_err(|error| invalid(&format!("`{}`: {error}", edit.key_path)))?;
    let changed = match edit.merge_strategy {
        MergeStrategy::Replace => file.set_value(key, &value),
        MergeStrategy::Upsert => file.merge_value(key, &value),
    };
    changed.map_err(fault)?;
    Ok(Some(value))
}

impl Written {
    /// Says whether what was written holds in settings that were loaded after it.
    pub(crate) fn response(self, loaded: &Loaded) -> ConfigWriteResponse {
        let overridden = self
            .keys
            .iter()
            .find_map(|(key, value)| overridden(loaded, &self.file, key, value.as_ref()?));
        ConfigWriteResponse {
            status: match overridden {
                Some(_) => WriteStatus::OkOverridden,
                None => WriteStatus::Ok,
            },
            version: self.version,
            file_path: self.file.to_string(),
            overridden_metadata: overridden,
        }
    }
}

fn overridden(
    loaded: &Loaded,
    file: &AbsPath,
    key: &[String],
    written: &TomlValue,
) -> Option<OverriddenMetadata> {
    let layer = loaded.layers.top_layer(key)?;
    let is_ours = matches!(&layer.source, LayerSource::User { file: user } if user == file);
    // A higher layer may say the same, or only more about other keys of the table.
    if is_ours || loaded.layers.holds(key, written) {
        return None;
    }
    Some(OverriddenMetadata {
        message: format!("Overridden by {}", layer.source),
        overriding_layer: metadata(layer),
        effective_value: loaded.layers.json_at(key)?,
    })
}

fn invalid(why: &str) -> Fault {
    let text = format!("Invalid configuration: {why}");
    Fault::config_write(ConfigWriteErrorCode::ConfigValidationError, text)
}

fn fault(error: EditError) -> Fault {
    match error {
        EditError::Version { .. } => Fault::config_write(
            ConfigWriteErrorCode::ConfigVersionConflict,
            "Configuration was modified since last read. Fetch latest version and retry.",
        ),
        EditError::Config(_) | EditError::Shape { .. } | EditError::LeadsOut(_) => {
            invalid(&sentence(&error))
        }
        EditError::Lock(_) | EditError::Write(_) | EditError::Changed(_) => {
            Fault::internal(sentence(&error))
        }
    }
}
