//! The file of `--record` and `--replay` (contract-exec 14): JSON Lines, one file per run.
//!
//! Both sides share the shapes of the lines and the reading of a prompt: what is *new* in a request
//! is found by the same function when it is written and when it is compared.

pub(crate) mod marks;

use base64::Engine as _;
use codex_api_types::{CallResult, ContentItem, Message, ResponseItem, ToolSpec};
use codex_protocol::{TokenUsage, TurnErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{CallStatus, ItemOrigin, Prompt, PromptItem};

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    Recording(Header),
    Request(RequestLine),
    Response(ResponseLine),
    End(EndLine),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) codex: String,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) model: String,
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) redacted: usize,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestLine {
    pub(crate) seq: usize,
    #[serde(default)]
    pub(crate) new: Vec<Entry>,
    /// Exposed names of the tools that the response calls.
    #[serde(default)]
    pub(crate) calls: Vec<String>,
}

/// What was added to the input since the last response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    User {
        user: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<String>,
    },
    Call {
        call: String,
        status: CallStatus,
        #[serde(default)]
        output: String,
    },
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResponseLine {
    pub(crate) seq: usize,
    #[serde(default)]
    pub(crate) items: Vec<Value>,
    pub(crate) end: ResponseEnd,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseEnd {
    Completed {
        #[serde(default)]
        usage: UsageWire,
    },
    Failed {
        message: String,
        #[serde(default)]
        code: Option<String>,
    },
}

/// Tokens as the recording spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct UsageWire {
    input_tokens: u64,
    cached_input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndLine {
    pub(crate) requests: usize,
    /// Of all bytes before this line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

impl Line {
    /// Returns the line with its line end.
    pub(crate) fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        Ok(text)
    }
}

/// Remembers how much of the conversation a recording has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen(usize);

impl Seen {
    /// Returns what was added since the last response, in order.
    ///
    /// A prompt begins with the whole input of the one before it. When it is shorter, the history was
    /// compacted; then only the entries at its very end are new.
    pub(crate) fn new_entries(&self, prompt: &Prompt) -> Vec<Entry> {
        let input = &prompt.input;
        let added = match input.get(self.0..) {
            Some(added) => added,
            None => {
                let is_old = |item: &PromptItem| {
                    matches!(item.origin, ItemOrigin::Context | ItemOrigin::Model)
                };
                let start = input.iter().rposition(is_old).map_or(0, |last| last + 1);
                &input[start..]
            }
        };
        added.iter().filter_map(entry).collect()
    }

    /// Marks the whole prompt as seen.
    pub(crate) fn mark(&mut self, n_items: usize) {
        self.0 = n_items;
    }
}

fn entry(item: &PromptItem) -> Option<Entry> {
    match (&item.item, item.origin) {
        (_, ItemOrigin::Context | ItemOrigin::Model) => None,
        (ResponseItem::Message(message), ItemOrigin::User) => Some(user_entry(message)),
        (
            ResponseItem::FunctionCallOutput(result) | ResponseItem::CustomToolCallOutput(result),
            ItemOrigin::Call(status),
        ) => {
            let CallResult { call_id, output } = result;
            Some(Entry::Call {
                call: call_id.clone(),
                status,
                output: output.to_text(),
            })
        }
        (_, ItemOrigin::User | ItemOrigin::Call(_)) => None,
    }
}

/// Reads the user's words and pictures, without the labels that stand around each picture.
fn user_entry(message: &Message) -> Entry {
    let parts = &message.content;
    let is_image = |index: Option<usize>| {
        let part = index.and_then(|index| parts.get(index));
        matches!(part, Some(ContentItem::InputImage { .. }))
    };
    let mut texts = Vec::new();
    let mut images = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            ContentItem::InputImage { image_url, .. } => images.push(image_hash(image_url)),
            other => {
                let Some(text) = other.as_text() else {
                    continue;
                };
                let opens = text.starts_with("<image name=") && is_image(Some(index + 1));
                let closes = text == "</image>" && is_image(index.checked_sub(1));
                if !opens && !closes {
                    texts.push(text);
                }
            }
        }
    }
    Entry::User {
        user: texts.join("\n"),
        images,
    }
}

/// Returns the hash of a picture's bytes, or of its URL when that holds none.
fn image_hash(url: &str) -> String {
    let data = url.split_once(";base64,").map(|(_, data)| data);
    let decoded = data.and_then(|data| base64::engine::general_purpose::STANDARD.decode(data).ok());
    sha256(decoded.as_deref().unwrap_or(url.as_bytes()))
}

/// Returns the hash as lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns every name that a call can have now.
pub(crate) fn offered(tools: &[ToolSpec]) -> Vec<String> {
    tools.iter().flat_map(ToolSpec::exposed_names).collect()
}

/// Returns the exposed name of the tool that an item calls, in whatever spelling it calls it.
pub(crate) fn called(item: &ResponseItem) -> Option<String> {
    match item {
        ResponseItem::FunctionCall(call) => Some(match &call.namespace {
            Some(namespace) if !call.name.starts_with(&format!("{namespace}__")) => {
                format!("{namespace}__{}", call.name)
            }
            Some(_) | None => call.name.clone(),
        }),
        ResponseItem::CustomToolCall(call) => Some(call.name.clone()),
        ResponseItem::Message(_)
        | ResponseItem::Reasoning(_)
        | ResponseItem::WebSearchCall(_)
        | ResponseItem::LocalShellCall(_)
        | ResponseItem::FunctionCallOutput(_)
        | ResponseItem::CustomToolCallOutput(_)
        | ResponseItem::Other(_) => None,
    }
}

/// Changes every string of a JSON value; the second argument says whether it is JSON text itself.
pub(crate) fn map_strings(value: &mut Value, change: &mut dyn FnMut(&mut String, bool)) {
    walk(value, false, change);
}

fn walk(value: &mut Value, is_json_text: bool, change: &mut dyn FnMut(&mut String, bool)) {
    match value {
        Value::String(text) => change(text, is_json_text),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, false, change)),
        Value::Object(fields) => {
            for (key, field) in fields {
                walk(field, key == "arguments", change);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the word of the file for a kind of failure.
pub(crate) fn code(kind: TurnErrorKind) -> &'static str {
    match kind {
        TurnErrorKind::BadRequest => "bad_request",
        TurnErrorKind::ModelNotFound => "model_not_found",
        TurnErrorKind::Unauthorized => "unauthorized",
        TurnErrorKind::RateLimitExceeded => "rate_limit_exceeded",
        TurnErrorKind::UsageLimitExceeded => "usage_limit_exceeded",
        TurnErrorKind::ServerOverloaded => "server_is_overloaded",
        TurnErrorKind::InternalServerError => "server_error",
        TurnErrorKind::ContextWindowExceeded => "context_length_exceeded",
        TurnErrorKind::HttpConnectionFailed { .. } => "connection_failed",
        TurnErrorKind::ResponseStreamDisconnected { .. } => "stream_disconnected",
        TurnErrorKind::TooManyFailedAttempts { .. } => "too_many_failed_attempts",
        TurnErrorKind::ReplayMismatch => "replay_mismatch",
        TurnErrorKind::Other => "other",
    }
}

/// Reads such a word, or a provider's own code; a status is not recorded.
pub(crate) fn kind(code: Option<&str>) -> TurnErrorKind {
    match code.unwrap_or_default() {
        "bad_request" | "invalid_prompt" => TurnErrorKind::BadRequest,
        "model_not_found" => TurnErrorKind::ModelNotFound,
        "unauthorized" | "invalid_api_key" => TurnErrorKind::Unauthorized,
        "rate_limit_exceeded" => TurnErrorKind::RateLimitExceeded,
        "usage_limit_exceeded" | "insufficient_quota" | "usage_limit_reached" => {
            TurnErrorKind::UsageLimitExceeded
        }
        "server_is_overloaded" => TurnErrorKind::ServerOverloaded,
        "server_error" => TurnErrorKind::InternalServerError,
        "context_length_exceeded" => TurnErrorKind::ContextWindowExceeded,
        "connection_failed" => TurnErrorKind::HttpConnectionFailed { status: None },
        "stream_disconnected" => TurnErrorKind::ResponseStreamDisconnected { status: None },
        "too_many_failed_attempts" => TurnErrorKind::TooManyFailedAttempts { status: None },
        _ => TurnErrorKind::Other,
    }
}

impl From<TokenUsage> for UsageWire {
    fn from(usage: TokenUsage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            cache_write_input_tokens: usage.cache_write_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.reasoning_output_tokens,
        }
    }
}

impl From<UsageWire> for TokenUsage {
    fn from(wire: UsageWire) -> Self {
        Self {
            input_tokens: wire.input_tokens,
            cached_input_tokens: wire.cached_input_tokens,
            cache_write_input_tokens: wire.cache_write_input_tokens,
            output_tokens: wire.output_tokens,
            reasoning_output_tokens: wire.reasoning_output_tokens,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
