//! What a thread needs to know before it starts, already resolved.
//!
//! `codex-runtime` maps the config into these values; nothing here reads a file, the environment or
//! the clock. Fields may be added, so build with [`ThreadSettings::new`] and set what differs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codex_host::{Clock, CodexHome, Env};
use codex_mcp::McpSettings;
use codex_model::{ModelBackend, ToolDialect};
use codex_protocol::{
    AskForApproval, SandboxMode, SandboxPolicy, ThreadChanges, ThreadId, WorkspaceWrite,
};

use crate::approvals::Ground;
use crate::models;

/// How a thread behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ThreadSettings {
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// Slug of the model.
    pub model: String,
    /// Id of the provider, for the record on disk.
    pub provider: String,
    /// Which forms of tools the provider understands.
    pub dialect: ToolDialect,
    /// When a person is asked; `exec` always passes [`AskForApproval::Never`].
    pub approval: AskForApproval,
    /// What commands may touch.
    pub sandbox: SandboxMode,
    /// What `workspace-write` opens besides the working directory.
    pub workspace: WorkspaceWrite,
    /// Replaces the built-in base instructions.
    pub base_instructions: Option<String>,
    /// A further developer part of the first request.
    pub developer_instructions: Option<String>,
    /// How many bytes of the project's AGENTS.md files are sent; 0 = no AGENTS.md at all.
    pub project_doc_max_bytes: usize,
    /// `model_context_window` in tokens; `None` = what is known of the model.
    pub context_window: Option<u64>,
    /// `model_auto_compact_token_limit`; `None` = 80 % of the window.
    pub auto_compact_token_limit: Option<u64>,
    /// `model_reasoning_effort`; `None` = the default of the model.
    pub reasoning_effort: Option<String>,
    /// `model_reasoning_summary`.
    pub reasoning_summary: Option<String>,
    /// `model_verbosity`.
    pub verbosity: Option<String>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// The hosted search of the provider; offered in [`ToolDialect::OpenAi`] only.
    pub web_search: WebSearchMode,
    /// Which of the tools for the machine are offered.
    pub tools: BuiltInTools,
    /// Whether the tool `update_plan` is offered.
    pub update_plan: bool,
    /// How long the first request waits for optional MCP servers; `None` = until each is ready or
    /// has failed by its own limit.
    pub optional_startup_grace: Option<Duration>,
    /// Who answers when a person is to be asked.
    pub asking: Asking,
    /// Whether text deltas are sent as events; off saves one event per delta.
    pub stream_deltas: bool,
    /// Whether it is told by which rule a call is allowed.
    pub explain: bool,
    /// Whether the thread is kept on disk.
    pub storage: Storage,
    /// The shell that runs commands, told to the model by its name.
    pub shell_path: PathBuf,
    /// What commands inherit.
    pub env: Env,
    /// The user's time zone, told to the model together with today's date.
    pub timezone: jiff::tz::TimeZone,
    /// The name of the frontend, kept on disk, such as `codex_exec`.
    pub originator: String,
    /// Free text of the caller, kept on disk.
    pub thread_source: Option<String>,
}

impl ThreadSettings {
    /// Returns settings with the defaults of the contracts.
    pub fn new(cwd: PathBuf, model: impl Into<String>) -> Self {
        Self {
            cwd,
            model: model.into(),
            provider: "openai".to_owned(),
            dialect: ToolDialect::OpenAi,
            approval: AskForApproval::default(),
            sandbox: SandboxMode::default(),
            workspace: WorkspaceWrite::default(),
            base_instructions: None,
            developer_instructions: None,
            project_doc_max_bytes: 32 * 1024,
            context_window: None,
            auto_compact_token_limit: None,
            reasoning_effort: None,
            reasoning_summary: None,
            verbosity: None,
            service_tier: None,
            web_search: WebSearchMode::Cached,
            tools: BuiltInTools::default(),
            update_plan: false,
            optional_startup_grace: None,
            asking: Asking::default(),
            stream_deltas: false,
            explain: false,
            storage: Storage::Stored,
            shell_path: PathBuf::from("/bin/bash"),
            env: Env::default(),
            timezone: jiff::tz::TimeZone::UTC,
            originator: "codex".to_owned(),
            thread_source: None,
        }
    }

    /// Returns the reasoning effort that is sent: the configured one, else the model's default.
    pub fn effective_reasoning_effort(&self) -> Option<&str> {
        let configured = self.reasoning_effort.as_deref();
        configured.or_else(|| models::default_effort(&self.model))
    }

    /// Takes over what changes.
    pub(crate) fn change(&mut self, changes: ThreadChanges) {
        let ThreadChanges {
            cwd,
            model,
            reasoning_effort,
            reasoning_summary,
            service_tier,
            approval,
            sandbox,
        } = changes;
        if let Some(cwd) = cwd {
            self.cwd = cwd;
        }
        if let Some(model) = model {
            self.model = model;
        }
        self.reasoning_effort = reasoning_effort.or(self.reasoning_effort.take());
        self.reasoning_summary = reasoning_summary.or(self.reasoning_summary.take());
        self.service_tier = service_tier.or(self.service_tier.take());
        if let Some(approval) = approval {
            self.approval = approval;
        }
        if let Some(policy) = sandbox {
            self.sandbox = policy.mode();
            if let SandboxPolicy::WorkspaceWrite(workspace) = policy {
                self.workspace = workspace;
            }
        }
    }

    /// Returns what commands may touch.
    pub fn policy(&self) -> SandboxPolicy {
        SandboxPolicy::of_mode(self.sandbox, self.workspace.clone())
    }

    /// Returns what an approval holds for.
    pub(crate) fn ground(&self) -> Ground {
        Ground {
            policy: self.policy(),
            cwd: self.cwd.clone(),
        }
    }

    /// Returns how many tokens a request and its answer may have.
    pub(crate) fn known_context_window(&self) -> u64 {
        let configured = self.context_window;
        configured.unwrap_or_else(|| models::context_window(&self.model))
    }

    /// Returns the number of tokens beyond which the conversation is summarised.
    pub(crate) fn compaction_limit(&self) -> u64 {
        self.auto_compact_token_limit
            .unwrap_or_else(|| self.known_context_window() / 5 * 4)
    }
}

/// Who answers when a person is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Asking {
    /// Nobody: what would be asked is refused.
    #[default]
    Nobody,
    /// The frontend, which hands every question to somebody or answers it itself.
    Frontend,
}

/// The tools for the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltInTools {
    /// How commands are run.
    pub commands: CommandTools,
    /// Whether files can be patched.
    pub apply_patch: bool,
    /// Whether pictures can be looked at.
    pub view_image: bool,
}

/// How commands are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandTools {
    /// Not at all.
    Absent,
    /// In sessions that can outlast a call.
    Sessions,
    /// To their end, by the classic shell tool.
    Classic,
}

impl BuiltInTools {
    /// None of them.
    pub const NONE: Self = Self {
        commands: CommandTools::Absent,
        apply_patch: false,
        view_image: false,
    };
}

impl Default for BuiltInTools {
    fn default() -> Self {
        Self {
            commands: CommandTools::Sessions,
            apply_patch: true,
            view_image: true,
        }
    }
}

/// The hosted web search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebSearchMode {
    /// Not offered.
    Disabled,
    /// From the provider's cache.
    #[default]
    Cached,
    /// From the live web.
    Live,
}

/// Whether a thread is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Below `$CODEX_HOME/sessions`.
    #[default]
    Stored,
    /// Nowhere; such a thread cannot be resumed.
    Ephemeral,
}

/// Where a thread's history comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// Empty.
    #[default]
    New,
    /// The recorded thread goes on under its id.
    Resume(ThreadId),
    /// A copy of the recorded thread, under a new id.
    Fork(ThreadId),
}

/// The services that a thread uses.
#[derive(Clone)]
pub struct ThreadServices {
    /// The model.
    pub model: Arc<dyn ModelBackend>,
    /// The MCP servers that the thread starts.
    pub mcp: McpSettings,
    /// Where threads and long outputs are kept.
    pub home: CodexHome,
    /// The clock.
    pub clock: Clock,
}

impl std::fmt::Debug for ThreadServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadServices")
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_summarised_beyond_80_percent_of_the_window_or_the_configured_limit() {
        let mut settings = ThreadSettings::new("/srv".into(), "gpt-5.5");
        assert_eq!(settings.compaction_limit(), 206_720);
        settings.model = "llama".to_owned();
        assert_eq!(settings.compaction_limit(), 102_400);
        settings.context_window = Some(1000);
        assert_eq!(settings.compaction_limit(), 800);
        settings.auto_compact_token_limit = Some(7);
        assert_eq!(settings.compaction_limit(), 7);
    }
}
