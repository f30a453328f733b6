//! From what the process was given to the settings of the run.

use std::path::PathBuf;

use codex_config::{
    CliOverride, Config, ConfigError, LayerStack, LoadRequest, Notice, Project, Requirements,
    SystemPaths, TomlValue,
};
use codex_host::{AbsPath, Clock, CodexHome, CodexHomeError, Env};
use codex_mcp::Deputy;
use codex_utils_cli::{CliConfigOverrides, ConfigFlag};

use crate::invocation::{ClientName, Frontend, Invocation, UserConfig};

/// The settings of a run, with what they were made from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The environment.
    pub env: Env,
    /// The clock.
    pub clock: Clock,
    /// Who asks.
    pub frontend: Frontend,
    /// The program that drives the frontend.
    pub client: Option<ClientName>,
    /// Who renews logins where our death does not reach.
    pub deputy: Option<Deputy>,
    /// Where the user's settings are.
    pub home: CodexHome,
    /// The directory of the run: `-C`, else where the process stands.
    pub cwd: AbsPath,
    /// The settings.
    pub config: Config,
    /// Where each of them comes from.
    pub layers: LayerStack,
    /// Where the run stands, and whether the user trusts it.
    pub project: Project,
    /// What loading has to say, once.
    pub notices: Vec<Notice>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no place for the user's settings.
    #[error("failed to resolve CODEX_HOME")]
    Home(#[source] CodexHomeError),
    /// `-C` names nothing.
    #[error("working directory `{}` does not exist", .0.display())]
    WorkingDirectory(PathBuf),
    /// A flag is malformed.
    #[error(transparent)]
    Flag(ConfigError),
    /// A file cannot be used.
    #[error("failed to load configuration")]
    Config(#[source] ConfigError),
}

impl LoadError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> &[String] {
        match self {
            Self::Home(_) | Self::WorkingDirectory(_) => &[],
            Self::Flag(error) | Self::Config(error) => error.hints(),
        }
    }
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Flag { .. } => Self::Flag(error),
            ConfigError::Unreadable { .. }
            | ConfigError::Invalid { .. }
            | ConfigError::Profile(_) => Self::Config(error),
        }
    }
}

impl Invocation {
    /// Reads the configuration: no network, no child, no thread, and nothing is written.
    pub fn load(self) -> Result<Loaded, LoadError> {
        let home = CodexHome::find(&self.env).map_err(LoadError::Home)?;
        let cwd = working_directory(&self.cwd, &self.overrides)?;
        let request = request(&self, home.clone(), cwd.clone());
        let loaded = codex_config::load(&request)?;
        Ok(Loaded {
            env: self.env,
            clock: self.clock,
            frontend: self.frontend,
            client: self.client,
            deputy: self.deputy,
            home,
            cwd,
            config: loaded.config,
            layers: loaded.layers,
            project: loaded.project,
            notices: loaded.notices,
        })
    }
}

impl Loaded {
    /// Loads anew. Settings that cannot be loaded leave these as they are, except that the requirements
    /// of this moment hold for them: a file that its user broke must not keep a policy away.
    pub fn renewed(&self, invocation: Invocation) -> (Self, Option<LoadError>) {
        let system = invocation.system.clone();
        match invocation.load() {
            Ok(new) => (new, None),
            Err(error) => {
                let mut same = self.clone();
                let requirements = Requirements::of_machine(&system);
                let told = same.config.require(requirements, &same.env);
                same.notices.retain(|notice| !told.contains(notice));
                same.notices.extend(told);
                (same, Some(error))
            }
        }
    }
}

impl Invocation {
    /// Names every file that loading looks at, those that are not there included: a change of one of
    /// them may change the configuration.
    pub fn config_files(&self, loaded: &Loaded) -> Vec<AbsPath> {
        let home = &loaded.home;
        let mut files = vec![
            self.system.config.clone(),
            home.config_file(),
            home.join("managed_config.toml"),
            self.system.managed_config.clone(),
            self.system.requirements.clone(),
            home.join("mcp-trust.json"),
        ];
        files.extend(self.system.preferences.places());
        let layers = loaded.layers.layers().iter();
        files.extend(layers.filter_map(|layer| layer.source.file().cloned()));
        let top = loaded.project.top.as_path();
        let folders = loaded
            .cwd
            .ancestors()
            .take_while(|dir| dir.starts_with(top));
        files.extend(folders.map(|dir| loaded.cwd.join(dir).join(".codex/config.toml")));
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// Loads the configuration for a program that holds values instead of flags.
///
/// The environment and the directory are those that its `main` read.
pub fn load_with_cli_overrides(
    env: Env,
    cwd: AbsPath,
    overrides: Vec<(String, TomlValue)>,
) -> Result<Loaded, LoadError> {
    load_with_cli_overrides_and_harness_overrides(env, cwd, overrides, ConfigOverrides::default())
}

/// The same with what no file and no flag can set; for the rare case that needs it.
pub fn load_with_cli_overrides_and_harness_overrides(
    env: Env,
    cwd: AbsPath,
    overrides: Vec<(String, TomlValue)>,
    harness: ConfigOverrides,
) -> Result<Loaded, LoadError> {
    let invocation = Invocation {
        values: overrides,
        system: harness.system,
        user_config: harness.user_config,
        ..Invocation::new(env, cwd, CliConfigOverrides::default(), harness.frontend)
    };
    invocation.load()
}

/// What no file and no flag can set.
#[derive(Debug, Clone)]
pub struct ConfigOverrides {
    /// Where the machine's settings are.
    pub system: SystemPaths,
    /// Whether the user's config file is read.
    pub user_config: UserConfig,
    /// Who asks.
    pub frontend: Frontend,
}

impl Default for ConfigOverrides {
    fn default() -> Self {
        Self {
            system: SystemPaths::of_this_machine(),
            user_config: UserConfig::default(),
            frontend: Frontend::Cli,
        }
    }
}

fn working_directory(cwd: &AbsPath, overrides: &CliConfigOverrides) -> Result<AbsPath, LoadError> {
    let Some(typed) = &overrides.cd else {
        return Ok(cwd.clone());
    };
    let missing = || LoadError::WorkingDirectory(typed.clone());
    let real = std::fs::canonicalize(cwd.join(typed)).map_err(|_| missing())?;
    if !real.is_dir() {
        return Err(missing());
    }
    AbsPath::new(real).map_err(|_| missing())
}

fn request(invocation: &Invocation, home: CodexHome, cwd: AbsPath) -> LoadRequest {
    let mut request = LoadRequest::new(home, cwd, invocation.system.clone());
    request.env = invocation.env.clone();
    let overrides = &invocation.overrides;
    let values = invocation.values.iter().cloned();
    let values = values.map(|(key, value)| CliOverride::Value(key, value));
    let flags = overrides.flags.iter().map(override_of);
    request.overrides = flags.chain(values).collect();
    request.profile.clone_from(&overrides.profile);
    request.strict = overrides.strict_config;
    request.ignore_user_config = invocation.user_config == UserConfig::Ignored;
    request
}

fn override_of(flag: &ConfigFlag) -> CliOverride {
    match flag {
        ConfigFlag::Set(text) => CliOverride::Set(text.clone()),
        ConfigFlag::Enable(feature) => CliOverride::Enable(feature.clone()),
        ConfigFlag::Disable(feature) => CliOverride::Disable(feature.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(env: Env, overrides: CliConfigOverrides) -> Result<Loaded, LoadError> {
        let cwd = AbsPath::new("/").unwrap();
        Invocation::new(env, cwd, overrides, Frontend::Cli).load()
    }

    #[test]
    fn a_home_that_is_not_there_is_named() {
        let env = Env::from_pairs([("CODEX_HOME", "/no/such")]);
        let error = load(env, CliConfigOverrides::default()).unwrap_err();
        assert_eq!(error.to_string(), "failed to resolve CODEX_HOME");
    }

    /// Row 15.entry-points.
    #[test]
    fn values_of_a_program_count_like_flags() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("CODEX_HOME", folder.path())]);
        let cwd = AbsPath::new(folder.path()).unwrap();
        let values = vec![
            ("model".to_owned(), TomlValue::from("m")),
            (
                r#"mcp_servers."a.b".command"#.to_owned(),
                TomlValue::from("x"),
            ),
        ];
        let harness = ConfigOverrides {
            system: SystemPaths::below(&folder.path().join("etc")),
            ..ConfigOverrides::default()
        };
        let loaded = load_with_cli_overrides_and_harness_overrides(env, cwd, values, harness);
        let config = loaded.unwrap().config;
        assert_eq!(config.model.as_deref(), Some("m"));
        let names: Vec<&str> = config
            .mcp_servers
            .keys()
            .map(|name| name.as_str())
            .collect();
        assert_eq!(names, ["a.b"]);
    }

    #[test]
    fn a_working_directory_that_is_not_there_is_named_as_typed() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("CODEX_HOME", home.path())]);
        let overrides = CliConfigOverrides {
            cd: Some(PathBuf::from("no/such")),
            ..Default::default()
        };
        let error = load(env, overrides).unwrap_err();
        assert_eq!(
            error.to_string(),
            "working directory `no/such` does not exist"
        );
    }
}
