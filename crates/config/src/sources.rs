//! Reads every layer there is, side by side, and leaves out what a layer may not say.
//!
//! What does not depend on another layer is read at once. A profile that the user's file selects and
//! the files of a project, which must be trusted first, come after it.

use std::path::Path;
use std::sync::Arc;

use codex_host::{AbsPath, read_bounded};

use crate::layers::{ConfigLayer, DisabledLayer, LayerSource, LayerStack};
use crate::project::Project;
use crate::requirements::Requirements;
use crate::system::{self, PreferenceTexts};
use crate::tree::{Node, NodeValue, Place};
use crate::{
    CliOverride, ConfigError, LoadRequest, Notice, Severity, TrustLevel, overrides, report,
};

/// A config file is a few kilobytes; more than this is a mistake.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Keys that a project may not set: they say where requests and secrets go, or who is trusted.
pub(crate) const NOT_FOR_PROJECTS: &[&str] = &[
    "openai_base_url",
    "chatgpt_base_url",
    "apps_mcp_product_sku",
    "model_provider",
    "model_providers",
    "notify",
    "profile",
    "profiles",
    "experimental_realtime_ws_base_url",
    "otel",
    "projects",
    "mcp_enterprise_managed_auth",
    "cli_auth_credentials_store",
    "project_mcp_trust",
];
pub(crate) const NOT_FOR_PROJECTS_PREFIX: &str = "mcp_oauth_";
/// Keys that only the file itself can mean.
pub(crate) const NOT_FOR_PROFILES: &[&str] = &["profile", "profiles", "projects"];

pub(crate) fn is_not_for_projects(key: &str) -> bool {
    NOT_FOR_PROJECTS.contains(&key) || key.starts_with(NOT_FOR_PROJECTS_PREFIX)
}

/// Everything that was read.
pub(crate) struct Sources {
    pub(crate) layers: LayerStack,
    pub(crate) project: Project,
    pub(crate) requirements: Requirements,
    pub(crate) notices: Vec<Notice>,
}

/// A text, or `None` when there is no such file.
type Content = Result<Option<Arc<str>>, ConfigError>;

/// Reads the layers in their order. They are not merged yet.
pub(crate) fn read(request: &LoadRequest) -> Result<Sources, ConfigError> {
    let mut notices = Vec::new();
    let fixed = Fixed::read(request);
    let preferences = fixed.preferences?;
    let requirements = Requirements::read(
        &request.system.requirements,
        fixed.requirements,
        &preferences,
    );
    let file = |source: fn(AbsPath) -> LayerSource, path: AbsPath, content: Content| {
        let layer = content?.map(|text| ConfigLayer::parse(source(path), text));
        layer.transpose()
    };
    let system = &request.system;
    let system_layer = file(
        |file| LayerSource::System { file },
        system.config.clone(),
        fixed.system,
    )?;
    let mut user = file(
        |file| LayerSource::User { file },
        request.home.config_file(),
        fixed.user,
    )?;
    let managed = [
        file(
            |file| LayerSource::ManagedHome { file },
            managed_home(request),
            fixed.managed_home,
        )?,
        file(
            |file| LayerSource::ManagedMachine { file },
            system.managed_config.clone(),
            fixed.managed_machine,
        )?,
        preferred(&preferences)?,
    ];
    let profile = profile(request, fixed.profile, user.as_mut(), &mut notices)?;

    let mut project = Project::find(&request.cwd);
    let trusting = system_layer
        .iter()
        .chain(&user)
        .chain(managed.iter().flatten());
    project.decide_trust(trusting);

    let mut layers = LayerStack::default();
    let below = system_layer.into_iter().chain(user).chain(profile);
    below.for_each(|layer| layers.push(layer));
    project_layers(request, &project, &mut layers, &mut notices)?;
    if let Some(session) = session(request, &mut notices)? {
        layers.push(session);
    }
    managed
        .into_iter()
        .flatten()
        .for_each(|layer| layers.push(layer));
    Ok(Sources {
        layers,
        project,
        requirements,
        notices,
    })
}

/// What is read at once.
struct Fixed {
    system: Content,
    user: Content,
    profile: Content,
    managed_home: Content,
    managed_machine: Content,
    requirements: Content,
    preferences: Result<PreferenceTexts, ConfigError>,
}

impl Fixed {
    fn read(request: &LoadRequest) -> Self {
        let system = &request.system;
        let named = request.profile.as_deref();
        std::thread::scope(|scope| {
            let start = |path: AbsPath| scope.spawn(move || read_file(&path));
            let end = |reader: std::thread::ScopedJoinHandle<'_, Content>| {
                reader
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let files = [
                start(system.config.clone()),
                start(managed_home(request)),
                start(system.managed_config.clone()),
                start(system.requirements.clone()),
            ];
            let profile = named.map(|name| start(profile_file(request, name)));
            let user = match request.ignore_user_config {
                true => Ok(None),
                false => read_file(&request.home.config_file()),
            };
            let preferences = system.preferences.read();
            let [system, managed_home, managed_machine, requirements] = files.map(end);
            Self {
                system,
                user,
                profile: profile.map_or(Ok(None), end),
                managed_home,
                managed_machine,
                requirements,
                preferences,
            }
        })
    }
}

fn managed_home(request: &LoadRequest) -> AbsPath {
    request.home.join("managed_config.toml")
}

fn profile_file(request: &LoadRequest, name: &str) -> AbsPath {
    request.home.join(format!("{name}.config.toml"))
}

fn preferred(texts: &PreferenceTexts) -> Result<Option<ConfigLayer>, ConfigError> {
    let Some(encoded) = &texts.config else {
        return Ok(None);
    };
    let source = LayerSource::ManagedPreferences;
    let text = system::decode(&source.to_string(), encoded)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    ConfigLayer::parse(source, Arc::from(text)).map(Some)
}

/// Reads the profile that was typed, else the one that the user's file selects.
fn profile(
    request: &LoadRequest,
    read: Content,
    user: Option<&mut ConfigLayer>,
    notices: &mut Vec<Notice>,
) -> Result<Option<ConfigLayer>, ConfigError> {
    let root = user.map(|layer| (&layer.source, &layer.text, &mut layer.document));
    let (mut default, mut legacy) = (None, None);
    let mut user_text = Arc::from("");
    if let Some((_, text, document)) = root {
        user_text = text.clone();
        default = document.unset(&["profile"]);
        legacy = document.unset(&["profiles"]);
    }
    let (name, read) = match (&request.profile, default) {
        (Some(name), _) => (name.clone(), read?),
        (None, Some(entry)) => {
            let name = entry.node.as_str().unwrap_or_default().to_owned();
            let text = format!(
                "the profile `{name}` is selected by `profile` in {}; `-p NAME` selects another one",
                request.home.config_file()
            );
            notices.push(Notice::new(Severity::Note, text, None));
            let is_plain = is_plain_name(&name);
            let content = is_plain.then(|| read_file(&profile_file(request, &name)));
            (name, content.transpose()?.flatten())
        }
        (None, None) => return Ok(None),
    };
    let (user_file, own_file) = (request.home.config_file(), profile_file(request, &name));
    let legacy = legacy.and_then(|mut entry| entry.node.unset(&[&name]));
    let mut layer = match (read, legacy) {
        (Some(text), None) => ConfigLayer::parse(
            LayerSource::Profile {
                name: name.clone(),
                file: own_file,
            },
            text,
        )?,
        (None, Some(mut entry)) => {
            let text = format!(
                "`[profiles.{name}]` in {user_file} is deprecated.\nMove its settings to {own_file}."
            );
            notices.push(Notice::new(Severity::Deprecated, text, None));
            let source = LayerSource::Profile {
                name: name.clone(),
                file: user_file,
            };
            entry.node.move_to_layer(source.number());
            ConfigLayer::new(source, user_text, entry.node)
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::Profile(format!(
                "the profile `{name}` is defined twice: in {own_file} and as `[profiles.{name}]` in {user_file}"
            )));
        }
        (None, None) => {
            return Err(ConfigError::Profile(format!(
                "there is no profile `{name}`: neither {own_file} nor `[profiles.{name}]` in {user_file}"
            )));
        }
    };
    let taken = take_keys(&mut layer.document, |key| NOT_FOR_PROFILES.contains(&key));
    if !taken.is_empty() {
        let text = format!(
            "Ignored config keys that a profile cannot set in {}: {}.",
            layer.source,
            taken.join(", ")
        );
        notices.push(Notice::new(Severity::Warning, text, None));
    }
    Ok(Some(layer))
}

/// A profile is a file beside the config file; its name must not lead elsewhere.
fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.chars().all(plain)
}

/// Adds the files of a trusted project; those of another one are only named.
fn project_layers(
    request: &LoadRequest,
    project: &Project,
    layers: &mut LayerStack,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    let files = project.config_files(&request.cwd, &request.home);
    let sources = files.into_iter().enumerate().map(|(depth, file)| {
        (
            LayerSource::Project {
                depth,
                file: file.clone(),
            },
            file,
        )
    });
    if project.trust != Some(TrustLevel::Trusted) {
        let reason = format!(
            "To load project-local config, hooks, and exec policies, add {} as a trusted project in {}.",
            project.root,
            request.home.config_file()
        );
        for (source, _) in sources.filter(|(_, file)| file.exists()) {
            layers.disable(DisabledLayer {
                source,
                reason: reason.clone(),
                hint: Some(project.trust_hint()),
            });
        }
        return Ok(());
    }
    for (source, file) in sources {
        let layer = read_file(&file).and_then(|content| {
            let layer = content.map(|text| ConfigLayer::parse(source.clone(), text));
            layer.transpose()
        });
        match layer {
            Ok(None) => {}
            Ok(Some(mut layer)) => {
                let taken = take_keys(&mut layer.document, is_not_for_projects);
                if !taken.is_empty() {
                    let text = format!(
                        "Ignored unsupported project-local config keys in {file}: {}. If you want these \
                         settings to apply, manually set them in your user-level config.toml.",
                        taken.join(", ")
                    );
                    notices.push(Notice::new(Severity::Warning, text, None));
                }
                layers.push(layer);
            }
            Err(error) if request.strict => return Err(error),
            Err(error) => {
                let why = report::with_sources(&error);
                let text = format!("{why}\nThe project's settings in {file} are not used.");
                notices.push(Notice::new(Severity::Warning, text, None));
                layers.disable(DisabledLayer {
                    source,
                    reason: why,
                    hint: None,
                });
            }
        }
    }
    Ok(())
}

/// What was typed for this run.
fn session(
    request: &LoadRequest,
    notices: &mut Vec<Notice>,
) -> Result<Option<ConfigLayer>, ConfigError> {
    if request.overrides.is_empty() {
        return Ok(None);
    }
    let source = LayerSource::SessionFlags;
    let at = Place {
        layer: source.number(),
        offset: 0,
    };
    let mut document = Node {
        value: NodeValue::Table(crate::tree::Table::default()),
        at,
    };
    for flag in &request.overrides {
        let setting = match flag {
            CliOverride::Set(raw) => overrides::parse(raw, at)?,
            CliOverride::Value(key, value) => overrides::typed(key, value, at)?,
            CliOverride::Enable(key) => overrides::feature(key, true, at)?,
            CliOverride::Disable(key) => overrides::feature(key, false, at)?,
        };
        document.set(&setting.path, setting.value);
    }
    let taken = take_keys(&mut document, |key| NOT_FOR_PROFILES.contains(&key));
    if !taken.is_empty() {
        let text = format!(
            "Ignored config keys that the command line cannot set: {}.",
            taken.join(", ")
        );
        notices.push(Notice::new(Severity::Warning, text, None));
    }
    Ok(Some(ConfigLayer::new(source, Arc::from(""), document)))
}

/// Removes top-level keys and returns their names in the order of the file.
fn take_keys(document: &mut Node, unwanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut taken = Vec::new();
    if let Some(table) = document.as_table_mut() {
        table.0.retain(|entry| {
            let unwanted = unwanted(&entry.key);
            if unwanted {
                taken.push(entry.key.clone());
            }
            !unwanted
        });
    }
    taken
}

/// Reads a file as text without its byte order mark; `None` when there is none.
pub(crate) fn read_file(path: &Path) -> Content {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    let text = to_text(path, bytes)?;
    Ok(Some(Arc::from(
        text.strip_prefix('\u{feff}').unwrap_or(&text),
    )))
}

/// Reads a file whole, up to its limit; `None` when there is none.
pub(crate) fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    read_bounded(path, MAX_FILE_BYTES).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn to_text(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError::Invalid {
            text: format!("{}:{line}: the file is not valid UTF-8", path.display()),
            origin: None,
            hints: Vec::new(),
        }
    })
}
