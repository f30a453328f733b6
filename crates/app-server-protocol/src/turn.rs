//! Turns: what the user says, how they go and how they end.

use codex_protocol::{TurnError as DomainError, TurnErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::item::ThreadItem;
use crate::thread::{ApprovalPolicy, ApprovalsReviewer, SandboxPolicy};

/// Params of `turn/start`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnStartParams {
    /// The thread.
    pub thread_id: String,
    /// What the user says.
    pub input: Vec<UserInput>,
    /// The working directory from now on.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The model from now on.
    #[serde(default)]
    pub model: Option<String>,
    /// The reasoning effort from now on.
    #[serde(default)]
    pub effort: Option<String>,
    /// The kind of reasoning summary from now on.
    #[serde(default)]
    pub summary: Option<String>,
    /// When a person is asked from now on.
    #[serde(default)]
    pub approval_policy: Option<ApprovalPolicy>,
    /// Who is asked from now on.
    #[serde(default)]
    pub approvals_reviewer: Option<ApprovalsReviewer>,
    /// What commands may touch from now on.
    #[serde(default)]
    pub sandbox_policy: Option<SandboxPolicy>,
    /// JSON schema of the final message.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// The service tier from now on.
    #[serde(default)]
    pub service_tier: Option<String>,
}

/// One part of what the user says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum UserInput {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Marks within the text; shown again, not looked at.
        #[serde(default)]
        text_elements: Vec<Value>,
    },
    /// A picture as a `data:` URL.
    Image {
        /// The URL.
        url: String,
    },
    /// A picture on this machine.
    LocalImage {
        /// Its file.
        path: std::path::PathBuf,
    },
    /// A skill that is meant.
    Skill {
        /// Its name.
        name: String,
        /// Its file.
        path: String,
    },
    /// Something that is meant.
    Mention {
        /// Its name.
        name: String,
        /// Where it is.
        path: String,
    },
}

/// Result of `turn/start`, and params of `turn/started` and `turn/completed` beside the thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnStartResponse {
    /// The turn.
    pub turn: Turn,
}

/// Params of `turn/interrupt`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnInterruptParams {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Its id.
    pub id: String,
    /// As many of its items as `items_view` says.
    pub items: Vec<ThreadItem>,
    /// Which items there are.
    pub items_view: ItemsView,
    /// How far it is.
    pub status: TurnStatus,
    /// Why it failed.
    pub error: Option<TurnError>,
    /// When it began, in seconds since 1970.
    pub started_at: Option<i64>,
    /// When it ended.
    pub completed_at: Option<i64>,
    /// How long it took.
    pub duration_ms: Option<i64>,
}

/// Which items of a turn are told with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum ItemsView {
    NotLoaded,
    Summary,
}

/// How far a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum TurnStatus {
    InProgress,
    Completed,
    Interrupted,
    Failed,
}

/// Why a turn failed, or a request is made again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnError {
    /// One sentence.
    pub message: String,
    /// What kind of failure it was.
    pub codex_error_info: Option<Value>,
    /// More, for people.
    pub additional_details: Option<String>,
}

impl From<&DomainError> for TurnError {
    fn from(error: &DomainError) -> Self {
        let hints = error.hints.join("; ");
        Self {
            message: error.message.clone(),
            codex_error_info: error_info(error.kind),
            additional_details: (!hints.is_empty()).then_some(hints),
        }
    }
}

fn error_info(kind: TurnErrorKind) -> Option<Value> {
    let with_status = |word: &str, status| Some(json!({word: {"httpStatusCode": status}}));
    let word = match kind {
        TurnErrorKind::BadRequest => "badRequest",
        TurnErrorKind::ModelNotFound => "modelNotFound",
        TurnErrorKind::Unauthorized => "unauthorized",
        TurnErrorKind::RateLimitExceeded => "rateLimitExceeded",
        TurnErrorKind::UsageLimitExceeded => "usageLimitExceeded",
        TurnErrorKind::ServerOverloaded => "serverOverloaded",
        TurnErrorKind::InternalServerError => "internalServerError",
        TurnErrorKind::ContextWindowExceeded => "contextWindowExceeded",
        TurnErrorKind::HttpConnectionFailed { status } => {
            return with_status("httpConnectionFailed", status);
        }
        TurnErrorKind::ResponseStreamDisconnected { status } => {
            return with_status("responseStreamDisconnected", status);
        }
        TurnErrorKind::TooManyFailedAttempts { status } => {
            return with_status("responseTooManyFailedAttempts", status);
        }
        TurnErrorKind::ReplayMismatch | TurnErrorKind::Other => "other",
    };
    Some(word.into())
}

/// Params of `turn/started` and `turn/completed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnUpdated {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn: Turn,
}

/// Params of `error`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorNotification {
    /// What went wrong.
    pub error: TurnError,
    /// Whether it is tried again.
    pub will_retry: bool,
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
}

/// Params of `turn/plan/updated`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnPlanUpdated {
    /// The thread.
    pub thread_id: String,
    /// The turn.
    pub turn_id: String,
    /// Why it changed.
    pub explanation: Option<String>,
    /// The steps.
    pub plan: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanStep {
    /// The step.
    pub step: String,
    /// How far it is.
    pub status: PlanStepStatus,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "a variant is its word")]
pub enum PlanStepStatus {
    Pending,
    Completed,
}
