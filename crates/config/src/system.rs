//! What the machine's administrator says, and where: files outside of the user's home, and the managed
//! preferences of macOS.
//!
//! [`SystemPaths`] is a value, so that a test has a machine of its own. In the product it is always
//! [`SystemPaths::of_this_machine`]: no environment variable moves these files, or a user could leave a
//! policy behind by setting one.

mod preferences;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_host::AbsPath;

use crate::ConfigError;

/// Where the settings of the machine are.
#[derive(Debug, Clone)]
pub struct SystemPaths {
    /// The lowest layer.
    pub config: AbsPath,
    /// A layer above the command line.
    pub managed_config: AbsPath,
    /// What the merged result must obey.
    pub requirements: AbsPath,
    /// A layer above all others, and requirements above the file.
    pub preferences: ManagedPreferences,
}

/// Settings that a device management sends to macOS.
#[derive(Debug, Clone)]
pub enum ManagedPreferences {
    /// Those of this machine; there are none but on macOS.
    OfThisMachine,
    /// These, as base64.
    Given(PreferenceTexts),
}

/// Two texts of TOML in base64.
#[derive(Debug, Clone, Default)]
pub struct PreferenceTexts {
    /// `config_toml_base64`.
    pub config: Option<String>,
    /// `requirements_toml_base64`.
    pub requirements: Option<String>,
}

impl SystemPaths {
    /// Returns the places of this machine.
    pub fn of_this_machine() -> Self {
        // `ProgramData` is a variable that a user may set, so its usual value is used.
        let folder = match cfg!(windows) {
            true => r"C:\ProgramData\OpenAI\Codex",
            false => "/etc/codex",
        };
        Self {
            preferences: ManagedPreferences::OfThisMachine,
            ..Self::below(Path::new(folder))
        }
    }

    /// Returns the places of a machine whose files are in one folder, without managed preferences.
    pub fn below(folder: &Path) -> Self {
        let root = AbsPath::new(if cfg!(windows) { r"C:\" } else { "/" });
        let folder = match root {
            Ok(root) => root.join(folder),
            Err(_) => unreachable!("the root is absolute"),
        };
        Self {
            config: folder.join("config.toml"),
            managed_config: folder.join("managed_config.toml"),
            requirements: folder.join("requirements.toml"),
            preferences: ManagedPreferences::Given(PreferenceTexts::default()),
        }
    }
}

impl ManagedPreferences {
    /// Names the files and folders whose change may change them.
    pub fn places(&self) -> Vec<AbsPath> {
        let places = match self {
            Self::Given(_) => Vec::new(),
            Self::OfThisMachine => preferences::places_of_this_machine(),
        };
        let places = places.into_iter().map(AbsPath::new);
        places.filter_map(Result::ok).collect()
    }

    /// Reads them; `source` is what an error names.
    pub(crate) fn read(&self) -> Result<PreferenceTexts, ConfigError> {
        match self {
            Self::Given(texts) => Ok(texts.clone()),
            Self::OfThisMachine => preferences::of_this_machine(),
        }
    }
}

/// Turns base64, with or without white space in it, into text.
pub(crate) fn decode(source: &str, text: &str) -> Result<String, ConfigError> {
    let invalid = |what: &str| ConfigError::Invalid {
        text: format!("{source}: {what}"),
        origin: None,
        hints: Vec::new(),
    };
    let compact: String = text.split_whitespace().collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| invalid("the value is not valid base64"))?;
    String::from_utf8(bytes).map_err(|_| invalid("the decoded value is not valid UTF-8"))
}
