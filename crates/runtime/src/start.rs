//! From settings to a running thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_config::{Config, ConfigChanges, Constrained, Enablement, Feature, OffReason};
use codex_core::{
    Asking, Begin, BuiltInTools, CommandTools, Storage, ThreadHandle, ThreadServices,
    ThreadSettings,
};
use codex_http::HttpClient;
use codex_mcp::{ClientInfo, ElicitationPolicy, KeyringPatience, McpAuth, McpSettings, ToolPins};
use codex_model::{
    ClientIdentity, ModelBackend, RecordError, RecordSettings, Recorder, Replay, ReplayContext,
    ReplayError, ResponsesApi,
};
use codex_protocol::{AskForApproval, SandboxMode, SandboxPolicy, TurnError};

use crate::provider::{self, ChosenProvider, ProviderError};
use crate::{Loaded, identity, redaction};

/// What a frontend decides about a thread; the rest comes from the configuration.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Where the history comes from.
    pub begin: Begin,
    /// The model, when one was typed.
    pub model: Option<String>,
    /// Who answers.
    pub model_side: ModelSide,
    /// When a person is asked, when the frontend decides it.
    pub approval: Option<AskForApproval>,
    /// What commands may touch, when it was typed.
    pub sandbox: Option<SandboxMode>,
    /// Further directories that commands may write.
    pub add_dirs: Vec<PathBuf>,
    /// Who answers when a person is to be asked.
    pub asking: Asking,
    /// What a server gets that asks the user.
    pub elicitation: ElicitationPolicy,
    /// Whether the thread is kept.
    pub storage: Storage,
    /// Who starts it, in the caller's words.
    pub thread_source: Option<String>,
    /// Whether text deltas are wanted.
    pub stream_deltas: bool,
    /// Whether it is told by which rule a call is allowed.
    pub explain: bool,
    /// How long the first request waits for optional servers when nothing is configured; zero is
    /// until each is ready or has failed by its own limit.
    pub default_grace: Duration,
}

/// Who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ModelSide {
    /// The provider.
    #[default]
    Live,
    /// The provider, recorded to a new file.
    Record(PathBuf),
    /// A recording.
    Replay(PathBuf),
}

/// A running thread and what belongs to it.
#[derive(Debug)]
pub struct Session {
    /// The thread.
    pub thread: ThreadHandle,
    /// What it runs with.
    pub summary: Summary,
    /// What there is to say about the start.
    pub notices: Vec<String>,
    /// The prompt of the recording that is replayed.
    pub recorded_prompt: Option<String>,
    model: Arc<dyn ModelBackend>,
    elicitation: ElicitationPolicy,
    http: HttpClient,
    auth: McpAuth,
}

/// What a thread runs with, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The working directory.
    pub cwd: PathBuf,
    /// The model.
    pub model: String,
    /// Id of the provider, or `replay (FILE)`.
    pub provider: String,
    /// When a person is asked.
    pub approval: AskForApproval,
    /// What commands may touch.
    pub sandbox: SandboxPolicy,
    /// The effort that is sent, if any.
    pub reasoning_effort: Option<String>,
    /// Kind of summary, when configured.
    pub reasoning_summary: Option<String>,
}

/// Why a thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The model side cannot be set up.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The recording cannot be used.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The recording cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// `model_instructions_file` cannot be read.
    #[error("cannot read model_instructions_file `{}`", path.display())]
    Instructions {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The machine's requirements cannot be read, so nothing may start.
    #[error("{0}")]
    Requirements(String),
    /// The engine refused.
    #[error(transparent)]
    Thread(#[from] codex_core::StartError),
}

impl StartError {
    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Provider(error) => error.hints(),
            Self::Thread(error) => error.hints(),
            Self::Replay(_)
            | Self::Record(_)
            | Self::Instructions { .. }
            | Self::Requirements(_) => Vec::new(),
        }
    }
}

/// The model side of a run, set up.
struct ModelSetup {
    backend: Arc<dyn ModelBackend>,
    model: String,
    provider: String,
    /// What people see as provider.
    shown: String,
    dialect: codex_model::ToolDialect,
    notices: Vec<String>,
    recorded_prompt: Option<String>,
}

impl Loaded {
    /// Starts a thread. Returns when its required servers are ready; dropping the future leaves
    /// nothing behind.
    pub async fn start(self, options: StartOptions) -> Result<Session, StartError> {
        if let Some(problem) = self.config.requirements.refusal() {
            return Err(StartError::Requirements(problem.to_string()));
        }
        // One pool for the model and for every server; nothing is built before its first request.
        let http = HttpClient::from_env(self.env.clone());
        let identity = identity::of(self.frontend, self.client.as_ref(), &self.env);
        let originator = identity.originator.clone();
        let setup = self.model_setup(&options, &http, identity)?;
        let mut notices = self.turned_off();
        let mut settings = self.thread_settings(&options, &setup, &mut notices)?;
        settings.originator = originator;
        let summary = Summary {
            cwd: settings.cwd.clone(),
            model: settings.model.clone(),
            provider: setup.shown,
            approval: settings.approval,
            sandbox: settings.policy(),
            reasoning_effort: settings.effective_reasoning_effort().map(str::to_owned),
            reasoning_summary: settings.reasoning_summary.clone(),
        };
        let auth = self.mcp_auth(http.clone());
        let elicitation = options.elicitation.clone();
        let services = ThreadServices {
            model: Arc::clone(&setup.backend),
            mcp: self.mcp_settings(elicitation.clone(), http.clone(), auth.clone()),
            home: self.home.clone(),
            clock: self.clock,
        };
        let thread = codex_core::start_thread(options.begin, settings, services).await?;
        Ok(Session {
            thread,
            summary,
            notices: setup.notices.into_iter().chain(notices).collect(),
            recorded_prompt: setup.recorded_prompt,
            model: setup.backend,
            elicitation,
            http,
            auth,
        })
    }

    fn model_setup(
        &self,
        options: &StartOptions,
        http: &HttpClient,
        identity: ClientIdentity,
    ) -> Result<ModelSetup, StartError> {
        if let ModelSide::Replay(file) = &options.model_side {
            return self.replay(file);
        }
        let ChosenProvider { settings, notices } =
            provider::provider(&self.config, &self.env, &self.cwd, identity)?;
        let model = provider::model(options.model.as_deref(), &self.config)?;
        let (id, dialect) = (settings.id.clone(), settings.dialect);
        let redaction = match &options.model_side {
            ModelSide::Record(_) => Some(redaction::rules(&self.config, &self.env, &settings)),
            ModelSide::Live | ModelSide::Replay(_) => None,
        };
        let mut backend: Arc<dyn ModelBackend> =
            Arc::new(ResponsesApi::new(settings, http.clone(), self.clock));
        if let (ModelSide::Record(file), Some(redaction)) = (&options.model_side, redaction) {
            let settings = RecordSettings {
                codex: VERSION.to_owned(),
                created_at: whole_second(self.clock.now()),
                model: model.clone(),
                provider: id.clone(),
                redaction,
                cwd: self.cwd.to_path_buf(),
                home: self.user_home(),
            };
            backend = Arc::new(Recorder::create(file, backend, settings)?);
        }
        Ok(ModelSetup {
            backend,
            model,
            shown: id.clone(),
            provider: id,
            dialect,
            notices,
            recorded_prompt: None,
        })
    }

    /// A replay builds no client and resolves no address: it can never go live.
    fn replay(&self, file: &Path) -> Result<ModelSetup, StartError> {
        let context = ReplayContext {
            cwd: self.cwd.to_path_buf(),
            home: self.user_home(),
        };
        let replay = Replay::open(file, context)?;
        let provider = replay.provider().to_owned();
        let dialect = provider::dialect(&provider, &self.config);
        Ok(ModelSetup {
            model: replay.model().to_owned(),
            recorded_prompt: replay.prompt().map(str::to_owned),
            shown: format!("replay ({})", file.display()),
            provider,
            dialect,
            notices: Vec::new(),
            backend: Arc::new(replay),
        })
    }

    fn thread_settings(
        &self,
        options: &StartOptions,
        setup: &ModelSetup,
        notices: &mut Vec<String>,
    ) -> Result<ThreadSettings, StartError> {
        let config = &self.config;
        let mut settings = ThreadSettings::new(self.cwd.to_path_buf(), setup.model.clone());
        settings.provider.clone_from(&setup.provider);
        settings.dialect = setup.dialect;
        settings.approval = allowed(&config.approval_policy, options.approval, notices);
        settings.sandbox = allowed(&config.sandbox_mode, options.sandbox, notices);
        notices.extend(self.not_writable(settings.sandbox, &options.add_dirs));
        settings.base_instructions = base_instructions(config)?;
        settings
            .developer_instructions
            .clone_from(&config.developer_instructions);
        if let Some(limit) = config.project_doc_max_bytes {
            settings.project_doc_max_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        settings.context_window = config.model_context_window;
        settings.auto_compact_token_limit = config.model_auto_compact_token_limit;
        settings
            .reasoning_effort
            .clone_from(&config.model_reasoning_effort);
        settings
            .reasoning_summary
            .clone_from(&config.model_reasoning_summary);
        settings.verbosity.clone_from(&config.model_verbosity);
        settings.service_tier.clone_from(&config.service_tier);
        settings.web_search = web_search(config);
        settings.update_plan = config.update_plan;
        let grace = config
            .mcp_optional_startup_grace
            .unwrap_or(options.default_grace);
        settings.optional_startup_grace = (!grace.is_zero()).then_some(grace);
        settings.asking = options.asking;
        settings.stream_deltas = options.stream_deltas;
        settings.explain = options.explain;
        settings.storage = options.storage;
        settings.shell_path = codex_tools::environment::shell(&self.env);
        settings.env = self.env.without(redaction::token_variables(config));
        settings.tools = built_in_tools(config);
        settings.workspace = self.workspace(options.add_dirs.iter().cloned());
        settings.timezone = jiff::tz::TimeZone::system();
        settings.thread_source.clone_from(&options.thread_source);
        Ok(settings)
    }

    /// Names the servers that somebody above the user turned off.
    fn turned_off(&self) -> Vec<String> {
        let servers = self.config.mcp_servers.values();
        let texts = servers.filter_map(|server| match &server.enablement {
            Enablement::Off(reason @ OffReason::Requirements { .. }) => Some(format!(
                "MCP server '{}' is disabled: {}",
                server.name,
                reason.why()
            )),
            Enablement::Off(reason @ OffReason::NotApproved { .. }) => Some(format!(
                "MCP server '{0}' is disabled: {1}; `codex mcp enable {0} --scope project` approves it as it stands",
                server.name,
                reason.why()
            )),
            Enablement::On | Enablement::Off(OffReason::User | OffReason::Invalid { .. }) => None,
        });
        texts.collect()
    }

    /// Brings together what the servers of this configuration need.
    pub(crate) fn mcp_settings(
        &self,
        elicitation: ElicitationPolicy,
        http: HttpClient,
        auth: McpAuth,
    ) -> McpSettings {
        let mut settings = McpSettings::new(
            self.config.mcp_servers.value().clone(),
            self.env.clone(),
            self.cwd.clone(),
            ClientInfo::codex(VERSION),
            http,
        )
        .with_features(&self.config.features);
        settings.auth = Some(auth);
        settings.elicitation = elicitation;
        settings.pins = Some(ToolPins::of(&self.home));
        settings
    }

    /// Brings together what logins of servers need.
    pub(crate) fn mcp_auth(&self, http: HttpClient) -> McpAuth {
        let auth = McpAuth::new(
            self.home.clone(),
            self.config.mcp_oauth.clone(),
            self.env.clone(),
            http,
            VERSION,
            KeyringPatience::Run,
        );
        auth.renewing_through(self.deputy.clone())
    }

    fn user_home(&self) -> Option<PathBuf> {
        self.env.non_empty("HOME").map(PathBuf::from)
    }
}

impl Session {
    /// Returns what is known about the logins of the thread's servers.
    pub fn auth(&self) -> McpAuth {
        self.auth.clone()
    }

    /// Lets a newer configuration hold for the thread's servers; those that did not change do not
    /// notice.
    pub async fn apply_servers(&mut self, new: &Loaded, changes: &ConfigChanges) {
        self.auth = new.mcp_auth(self.http.clone());
        let (elicitation, http) = (self.elicitation.clone(), self.http.clone());
        let settings = new.mcp_settings(elicitation, http, self.auth.clone());
        let changes = changes.servers.clone();
        self.thread.apply_servers(settings, changes).await;
    }

    /// Ends the model side after the last turn, also after one that failed: a recording is
    /// completed, a replay is checked for answers that nobody asked for. Returns notices.
    pub fn finish_model(&self) -> Result<Vec<String>, TurnError> {
        self.model.finish().map_err(TurnError::from)
    }
}

/// Takes what was typed when the requirements allow it, else what they made of the configuration.
fn allowed<T: Copy + Default>(
    configured: &Constrained<Option<T>>,
    typed: Option<T>,
    notices: &mut Vec<String>,
) -> T {
    let mut value = configured.clone();
    if typed.is_some()
        && let Err(error) = value.set(typed)
    {
        notices.push(error.to_string());
    }
    value.unwrap_or_default()
}

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

fn base_instructions(config: &Config) -> Result<Option<String>, StartError> {
    let Some(path) = &config.model_instructions_file else {
        return Ok(config.base_instructions.clone());
    };
    let text = std::fs::read_to_string(path).map_err(|source| StartError::Instructions {
        path: path.clone(),
        source,
    })?;
    Ok(Some(text))
}

fn web_search(config: &Config) -> codex_core::WebSearchMode {
    use codex_config::WebSearchMode as Configured;
    match config.web_search {
        Some(Configured::Disabled) => codex_core::WebSearchMode::Disabled,
        Some(Configured::Cached) => codex_core::WebSearchMode::Cached,
        Some(Configured::Live) => codex_core::WebSearchMode::Live,
        // The old switch meant the live web.
        None if config.features.enabled(Feature::WebSearchRequest) => {
            codex_core::WebSearchMode::Live
        }
        None => codex_core::WebSearchMode::default(),
    }
}

/// A recording tells when it was made, not how fast.
fn whole_second(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn built_in_tools(config: &Config) -> BuiltInTools {
    let is_on = |feature| config.features.enabled(feature);
    BuiltInTools {
        commands: match (is_on(Feature::ShellTool), is_on(Feature::UnifiedExec)) {
            (false, _) => CommandTools::Absent,
            (true, true) => CommandTools::Sessions,
            (true, false) => CommandTools::Classic,
        },
        apply_patch: true,
        view_image: is_on(Feature::ViewImage),
    }
}
