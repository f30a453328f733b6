//! The parts of messages and of call outputs.
//!
//! Known parts are typed with the keys that are sent back; annotations and log probabilities of the
//! provider are dropped, because they are for display and no provider wants them back.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One part of a message or of a call output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentItem {
    /// Text to the model.
    InputText {
        /// The text.
        text: String,
    },
    /// A picture to the model.
    InputImage {
        /// A `data:` URL.
        image_url: String,
        /// `low`, `high` or `auto`; absent unless it was given.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Text of the model.
    OutputText {
        /// The text.
        text: String,
    },
    /// The model's words when it declines.
    Refusal {
        /// The words.
        refusal: String,
    },
    /// A part that we do not know, as it came.
    #[serde(untagged)]
    Other(Value),
}

impl ContentItem {
    /// Makes text to the model.
    pub fn input_text(text: impl Into<String>) -> Self {
        Self::InputText { text: text.into() }
    }

    /// Makes a picture to the model from a `data:` URL.
    pub fn input_image(image_url: impl Into<String>) -> Self {
        Self::InputImage {
            image_url: image_url.into(),
            detail: None,
        }
    }

    /// Makes text of the model.
    pub fn output_text(text: impl Into<String>) -> Self {
        Self::OutputText { text: text.into() }
    }

    /// Returns the text of this part, a refusal's words included.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::InputText { text } | Self::OutputText { text } => Some(text),
            Self::Refusal { refusal } => Some(refusal),
            Self::InputImage { .. } | Self::Other(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for ContentItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(Value::deserialize(deserializer)?))
    }
}

impl From<Value> for ContentItem {
    /// Reads a part; never fails, because whatever it is survives as [`ContentItem::Other`].
    fn from(mut value: Value) -> Self {
        let kind = value.get("type").and_then(Value::as_str);
        let known = match kind {
            Some("input_text") => take(&mut value, "text").map(|text| Self::InputText { text }),
            Some("output_text") => take(&mut value, "text").map(|text| Self::OutputText { text }),
            Some("refusal") => take(&mut value, "refusal").map(|refusal| Self::Refusal { refusal }),
            Some("input_image") => {
                let detail = take(&mut value, "detail");
                take(&mut value, "image_url")
                    .map(|image_url| Self::InputImage { image_url, detail })
            }
            _ => None,
        };
        known.unwrap_or(Self::Other(value))
    }
}

/// Takes a string out of an object without copying it; leaves anything else in place.
pub(crate) fn take(value: &mut Value, key: &str) -> Option<String> {
    match value.get_mut(key)? {
        Value::String(text) => Some(std::mem::take(text)),
        _ => None,
    }
}

/// One part of a reasoning summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SummaryPart {
    /// Always `summary_text` so far.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
}

impl SummaryPart {
    /// Makes a part of the usual kind.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            kind: "summary_text".to_owned(),
            text: text.into(),
        }
    }
}

/// What a call gave back: a string, or parts when a picture is among it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum CallOutput {
    /// Text only.
    Text(String),
    /// `input_text` and `input_image` parts.
    Parts(Vec<ContentItem>),
}

impl CallOutput {
    /// Returns all text, parts joined by a line end; pictures are left out.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts.iter().filter_map(ContentItem::as_text).collect();
                texts.join("\n")
            }
        }
    }
}

impl From<String> for CallOutput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for CallOutput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
