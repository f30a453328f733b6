//! Threads: how they begin, and what they are.

use codex_protocol::{AskForApproval, SandboxMode, WorkspaceWrite};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::turn::Turn;

/// Params of `thread/start`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThreadStartParams {
    /// The working directory.
    pub cwd: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Id of the provider.
    pub model_provider: Option<String>,
    /// When a person is asked.
    pub approval_policy: Option<ApprovalPolicy>,
    /// Who is asked.
    pub approvals_reviewer: Option<ApprovalsReviewer>,
    /// What commands may touch.
    pub sandbox: Option<SandboxMode>,
    /// Further settings, as on the command line; keys with dots or nested.
    pub config: Option<Map<String, Value>>,
    /// Whether the thread is kept nowhere.
    pub ephemeral: Option<bool>,
    /// Replaces the built-in instructions.
    pub base_instructions: Option<String>,
    /// Further instructions.
    pub developer_instructions: Option<String>,
    /// The service tier.
    pub service_tier: Option<String>,
    /// Who starts the thread, in the client's words.
    pub thread_source: Option<String>,
}

/// Result of `thread/start`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadStartResponse {
    /// The thread.
    pub thread: Thread,
    /// Its model.
    pub model: String,
    /// Id of its provider.
    pub model_provider: String,
    /// Its working directory.
    pub cwd: String,
    /// When a person is asked.
    pub approval_policy: AskForApproval,
    /// Who is asked.
    pub approvals_reviewer: ApprovalsReviewer,
    /// What commands may touch.
    pub sandbox: SandboxPolicy,
    /// The reasoning effort.
    pub reasoning_effort: Option<String>,
    /// The service tier.
    pub service_tier: Option<String>,
    /// Files whose words are part of the instructions.
    pub instruction_sources: Vec<String>,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// The same.
    pub session_id: String,
    /// The beginning of what the user said first.
    pub preview: String,
    /// Whether it is kept nowhere.
    pub ephemeral: bool,
    /// Id of its provider.
    pub model_provider: String,
    /// Its model.
    pub model: String,
    /// When it began, in seconds since 1970.
    pub created_at: i64,
    /// When it went on last.
    pub updated_at: i64,
    /// Where it stands.
    pub status: ThreadStatus,
    /// Its file.
    pub path: Option<String>,
    /// Its working directory.
    pub cwd: String,
    /// The version of this program.
    pub cli_version: String,
    /// Which frontend began it.
    pub source: &'static str,
    /// Its name.
    pub name: Option<String>,
    /// The thread that it is a copy of.
    pub forked_from_id: Option<String>,
    /// The state of its repository.
    pub git_info: Option<Value>,
    /// Its project.
    pub project_id: Option<String>,
    /// Its turns; empty unless asked for.
    pub turns: Vec<Turn>,
}

/// Where a thread stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ThreadStatus {
    /// It waits for the user.
    Idle,
    /// Its last turn failed.
    SystemError,
    /// A turn runs.
    Active {
        /// What it waits for.
        active_flags: Vec<ActiveFlag>,
    },
}

/// What a running turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ActiveFlag {
    /// Somebody has to allow something.
    WaitingOnApproval,
    /// A server has asked something.
    WaitingOnUserInput,
}

/// When a person is asked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ApprovalPolicy {
    /// A word.
    Word(AskForApproval),
    /// Rules for each kind of question; taken as `on-request`.
    Granular {
        /// The rules.
        granular: Value,
    },
}

impl ApprovalPolicy {
    /// Returns the word for it.
    pub fn word(&self) -> AskForApproval {
        match self {
            Self::Word(word) => *word,
            Self::Granular { .. } => AskForApproval::OnRequest,
        }
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalsReviewer {
    /// The client.
    #[default]
    User,
    /// A reviewing model, which is not here: what would be asked is declined.
    AutoReview,
    /// The same by an earlier name.
    GuardianSubagent,
}

/// What commands may touch, in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum SandboxPolicy {
    /// Read anything, write nothing.
    ReadOnly {
        /// Commands may use the network.
        #[serde(default)]
        network_access: bool,
    },
    /// Write below some directories.
    WorkspaceWrite {
        /// Directories besides the working directory.
        #[serde(default)]
        writable_roots: Vec<std::path::PathBuf>,
        /// Commands may use the network.
        #[serde(default)]
        network_access: bool,
        /// `$TMPDIR` may not be written.
        #[serde(default)]
        exclude_tmpdir_env_var: bool,
        /// `/tmp` may not be written.
        #[serde(default)]
        exclude_slash_tmp: bool,
    },
    /// No sandbox.
    DangerFullAccess,
}

impl From<codex_protocol::SandboxPolicy> for SandboxPolicy {
    fn from(policy: codex_protocol::SandboxPolicy) -> Self {
        use codex_protocol::SandboxPolicy as Ours;
        match policy {
            Ours::ReadOnly { network_access } => Self::ReadOnly { network_access },
            Ours::WorkspaceWrite(workspace) => Self::WorkspaceWrite {
                writable_roots: workspace.writable_roots,
                network_access: workspace.network_access,
                exclude_tmpdir_env_var: workspace.exclude_tmpdir_env_var,
                exclude_slash_tmp: workspace.exclude_slash_tmp,
            },
            Ours::DangerFullAccess => Self::DangerFullAccess,
        }
    }
}

impl From<SandboxPolicy> for codex_protocol::SandboxPolicy {
    fn from(policy: SandboxPolicy) -> Self {
        match policy {
            SandboxPolicy::ReadOnly { network_access } => Self::ReadOnly { network_access },
            SandboxPolicy::WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            } => Self::WorkspaceWrite(WorkspaceWrite {
                writable_roots,
                network_access,
                exclude_tmpdir_env_var,
                exclude_slash_tmp,
            }),
            SandboxPolicy::DangerFullAccess => Self::DangerFullAccess,
        }
    }
}

/// Params of `thread/started`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThreadStarted {
    /// The thread.
    pub thread: Thread,
}

/// Params of `thread/status/changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadStatusChanged {
    /// The thread.
    pub thread_id: String,
    /// Where it stands.
    pub status: ThreadStatus,
}

/// Params of `thread/settings/updated`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadSettingsUpdated {
    /// The thread.
    pub thread_id: String,
    /// How it goes on.
    pub thread_settings: ThreadSettings,
}

/// How a thread goes on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadSettings {
    /// The working directory.
    pub cwd: String,
    /// The model.
    pub model: String,
    /// Id of the provider.
    pub model_provider: String,
    /// When a person is asked.
    pub approval_policy: AskForApproval,
    /// Who is asked.
    pub approvals_reviewer: ApprovalsReviewer,
    /// What commands may touch.
    pub sandbox_policy: SandboxPolicy,
    /// The reasoning effort.
    pub effort: Option<String>,
    /// The kind of reasoning summary.
    pub summary: Option<String>,
    /// The service tier.
    pub service_tier: Option<String>,
}

/// Params of `thread/tokenUsage/updated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadTokenUsageUpdated {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
    /// Its tokens.
    pub token_usage: ThreadTokenUsage,
}

/// The tokens of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadTokenUsage {
    /// Of all requests of this process.
    pub total: TokenUsage,
    /// Of the last request.
    pub last: TokenUsage,
    /// How many a request and its answer may have.
    pub model_context_window: Option<u64>,
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a field is its word")]
pub struct TokenUsage {
    pub total_tokens: u64,
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub cache_write_input_tokens: u64,
    pub output_tokens: u64,
    pub reasoning_output_tokens: u64,
}

impl From<codex_protocol::TokenUsage> for TokenUsage {
    fn from(usage: codex_protocol::TokenUsage) -> Self {
        Self {
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            cache_write_input_tokens: usage.cache_write_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.reasoning_output_tokens,
        }
    }
}
