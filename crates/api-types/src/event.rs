//! One server-sent event of the Responses API.
//!
//! The `type` inside the data counts; the `event:` line is not looked at. This is the hot path of
//! every run (a long answer is some 80000 deltas), so one pass reads the data into borrowed fields and
//! nothing is allocated for a delta unless it contains an escape.
//! Traps: a delta of an event that we do not know may have any shape, so a misfit is an error only
//! when the type is one of ours.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{ResponseItem, Usage};

/// What an event says.
#[derive(Debug)]
pub enum SseEvent<'a> {
    /// The response began.
    Created,
    /// An item of the answer began.
    OutputItemAdded(ResponseItem),
    /// An item is done: the only source of items.
    OutputItemDone(ResponseItem),
    /// Text of the message that is being written.
    OutputTextDelta(Cow<'a, str>),
    /// A new part of the reasoning summary begins.
    ReasoningSummaryPartAdded,
    /// Text of the reasoning summary that is being written.
    ReasoningSummaryTextDelta(Cow<'a, str>),
    /// Text of the plain reasoning that is being written.
    ReasoningTextDelta(Cow<'a, str>),
    /// Text of the custom call that is being written.
    CustomToolCallInputDelta(Cow<'a, str>),
    /// The response ended well.
    Completed(Completed<'a>),
    /// The response ended early; the reason is the provider's word, such as `max_output_tokens`.
    Incomplete {
        /// The provider's word.
        reason: String,
    },
    /// `response.failed` or `error`.
    Failed(ProviderError),
    /// An event that we do not know or do not need.
    Ignored,
}

/// The end of a response.
#[derive(Debug)]
pub struct Completed<'a> {
    /// Zeros when the provider does not count.
    pub usage: Usage,
    output: Option<&'a RawValue>,
}

/// An error object of a provider, from an event or from the body of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderError {
    /// The provider's words.
    pub message: Option<String>,
    /// `code`, when it is there.
    pub code: Option<String>,
    /// `type`, when it is there.
    pub kind: Option<String>,
    /// Unix time in seconds when a quota resets.
    pub resets_at: Option<i64>,
    /// Seconds until a quota resets.
    pub resets_in_seconds: Option<u64>,
}

/// Data that is no event.
#[derive(Debug, thiserror::Error)]
#[error("unparsable event: {0}")]
pub struct DecodeError(#[from] serde_json::Error);

impl<'a> SseEvent<'a> {
    /// Reads the data of one event.
    pub fn decode(data: &'a str) -> Result<Self, DecodeError> {
        match serde_json::from_str::<Wire<'a>>(data) {
            Ok(wire) => wire.into_event(),
            // A misfit of a foreign event is none of our business; broken JSON fails here again.
            Err(why) => match serde_json::from_str::<TypeOnly<'_>>(data)?.kind {
                Some(kind) if is_ours(&kind.0) => Err(why.into()),
                _ => Ok(Self::Ignored),
            },
        }
    }
}

impl Completed<'_> {
    /// Reads `response.output`, which counts only when no item was done before the end; nothing is
    /// parsed until this is asked.
    pub fn output(&self) -> Vec<ResponseItem> {
        let output = self.output.map(RawValue::get).unwrap_or("[]");
        let items: Vec<Value> = serde_json::from_str(output).unwrap_or_default();
        let objects = items.into_iter().filter(Value::is_object);
        objects.map(ResponseItem::from).collect()
    }
}

impl ProviderError {
    /// Reads the body of a refusal, in any of the shapes that providers use: `{"error":{…}}`,
    /// `{"error":"text"}`, `{"message":…}`, `{"detail":…}`. Anything else: `None`.
    pub fn from_body(body: &str) -> Option<Self> {
        let wire: BodyWire = serde_json::from_str(body).ok()?;
        let outer = ErrorWire {
            message: wire.message.or(wire.detail),
            code: wire.code,
            ..ErrorWire::default()
        };
        let error = Self::from(match wire.error {
            Some(ErrorShape::Object(error)) => error,
            Some(ErrorShape::Text(text)) => ErrorWire {
                message: Some(Loose::Text(text)),
                ..outer
            },
            Some(ErrorShape::Other(_)) | None => outer,
        });
        (error != Self::default()).then_some(error)
    }

    /// Whether the provider's code or type is one of `words`.
    pub fn is(&self, words: &[&str]) -> bool {
        let matches = |word: &Option<String>| word.as_deref().is_some_and(|w| words.contains(&w));
        matches(&self.code) || matches(&self.kind)
    }
}

/// Whether a misfit of this event matters.
fn is_ours(kind: &str) -> bool {
    matches!(
        kind,
        "response.created"
            | "response.output_item.added"
            | "response.output_item.done"
            | "response.output_text.delta"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
            | "response.custom_tool_call_input.delta"
            | "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "error"
    )
}

/// Text that points into the data unless it holds an escape.
///
/// The newtype is needed: serde does not borrow inside `Option<Cow<str>>`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct TypeOnly<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    delta: Option<Text<'a>>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorShape>,
    #[serde(default)]
    message: Option<Loose>,
    #[serde(default)]
    code: Option<Loose>,
}

#[derive(Deserialize)]
struct ResponseWire<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorShape>,
    #[serde(default)]
    incomplete_details: Option<IncompleteWire>,
}

#[derive(Deserialize)]
struct IncompleteWire {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct BodyWire {
    #[serde(default)]
    error: Option<ErrorShape>,
    #[serde(default)]
    message: Option<Loose>,
    #[serde(default)]
    detail: Option<Loose>,
    #[serde(default)]
    code: Option<Loose>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorShape {
    Object(ErrorWire),
    Text(String),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize, Default)]
struct ErrorWire {
    #[serde(default)]
    message: Option<Loose>,
    #[serde(default)]
    code: Option<Loose>,
    #[serde(rename = "type", default)]
    kind: Option<Loose>,
    #[serde(default)]
    resets_at: Option<Loose>,
    #[serde(default)]
    resets_in_seconds: Option<Loose>,
}

/// A value of an error object: providers put numbers where others put words.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Text(String),
    Integer(i64),
    Other(serde::de::IgnoredAny),
}

impl Loose {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Other(_) => None,
        }
    }

    fn integer(self) -> Option<i64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Integer(number) => Some(number),
            Self::Other(_) => None,
        }
    }
}

impl From<ErrorWire> for ProviderError {
    fn from(wire: ErrorWire) -> Self {
        let resets_in_seconds = wire.resets_in_seconds.and_then(Loose::integer);
        Self {
            message: wire.message.and_then(Loose::text),
            code: wire.code.and_then(Loose::text),
            kind: wire.kind.and_then(Loose::text),
            resets_at: wire.resets_at.and_then(Loose::integer),
            resets_in_seconds: resets_in_seconds.and_then(|seconds| seconds.try_into().ok()),
        }
    }
}

impl From<ErrorShape> for ProviderError {
    fn from(shape: ErrorShape) -> Self {
        match shape {
            ErrorShape::Object(error) => error.into(),
            ErrorShape::Text(text) => Self {
                message: Some(text),
                ..Self::default()
            },
            ErrorShape::Other(_) => Self::default(),
        }
    }
}

impl<'a> Wire<'a> {
    fn into_event(self) -> Result<SseEvent<'a>, DecodeError> {
        let kind = self.kind.0;
        let delta = self.delta.map(|text| text.0).unwrap_or_default();
        Ok(match &*kind {
            "response.output_text.delta" => SseEvent::OutputTextDelta(delta),
            "response.reasoning_summary_text.delta" => SseEvent::ReasoningSummaryTextDelta(delta),
            "response.reasoning_text.delta" => SseEvent::ReasoningTextDelta(delta),
            "response.custom_tool_call_input.delta" => SseEvent::CustomToolCallInputDelta(delta),
            "response.reasoning_summary_part.added" => SseEvent::ReasoningSummaryPartAdded,
            "response.created" => SseEvent::Created,
            "response.output_item.added" => SseEvent::OutputItemAdded(parse(self.item)?),
            "response.output_item.done" => SseEvent::OutputItemDone(parse(self.item)?),
            "response.completed" => {
                let response = self.response.map(response).transpose()?;
                let usage = response.as_ref().and_then(|r| r.usage);
                SseEvent::Completed(Completed {
                    // Counts that cannot be read are no reason to lose a whole answer.
                    usage: usage
                        .and_then(|usage| serde_json::from_str(usage.get()).ok())
                        .unwrap_or_default(),
                    output: response.and_then(|r| r.output),
                })
            }
            "response.incomplete" => {
                let details = self.response.map(response).transpose()?;
                let details = details.and_then(|r| r.incomplete_details);
                let reason = details.and_then(|details| details.reason);
                SseEvent::Incomplete {
                    reason: reason.unwrap_or_else(|| "no reason given".to_owned()),
                }
            }
            "response.failed" => {
                let error = self.response.map(response).transpose()?;
                let error = error.and_then(|r| r.error);
                SseEvent::Failed(error.or(self.error).map(Into::into).unwrap_or_default())
            }
            "error" => SseEvent::Failed(match self.error {
                Some(error) => error.into(),
                None => ErrorWire {
                    message: self.message,
                    code: self.code,
                    ..ErrorWire::default()
                }
                .into(),
            }),
            _ => SseEvent::Ignored,
        })
    }
}

/// Reads an item. What is no object is an error: it would go back to the provider with the next
/// request, which would refuse all of it.
fn parse(item: Option<&RawValue>) -> Result<ResponseItem, DecodeError> {
    let item: Map<String, Value> = serde_json::from_str(item.map_or("null", RawValue::get))?;
    Ok(Value::Object(item).into())
}

fn response(raw: &RawValue) -> Result<ResponseWire<'_>, DecodeError> {
    Ok(serde_json::from_str(raw.get())?)
}

#[cfg(test)]
mod tests;
