//! What a conversation is made of.
//!
//! [`ResponseItem`] reads what a provider sends and writes **what is sent back**: without `id` and
//! `status`, which name things that the provider does not store for us. The same bytes go into the
//! thread file, so that a resumed conversation begins with the bytes it had (contract: the input of a
//! request begins with the whole input of the request before it).
//! Trap: [`Reasoning::content`] is read for display and never written.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::content::take;
use crate::{CallOutput, ContentItem, SummaryPart};

/// One item of the input or the output of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseItem {
    /// Words of anybody.
    Message(Message),
    /// What the model thought, readable only by its provider.
    Reasoning(Reasoning),
    /// A call with JSON arguments.
    FunctionCall(FunctionCall),
    /// A call with free text.
    CustomToolCall(CustomToolCall),
    /// A search that the provider ran.
    WebSearchCall(WebSearchCall),
    /// A shell call of the older hosted kind.
    LocalShellCall(LocalShellCall),
    /// What a function or local shell call gave back.
    FunctionCallOutput(CallResult),
    /// What a custom call gave back.
    CustomToolCallOutput(CallResult),
    /// An item that we do not know, as it came, its id included.
    #[serde(untagged)]
    Other(Value),
}

/// Words of anybody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// `developer`, `user` or `assistant`.
    pub role: String,
    /// The parts in order; a bare string is read as one part.
    pub content: Vec<ContentItem>,
    /// `commentary` or `final_answer`, when the provider says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// What the model thought.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Reasoning {
    /// Summary for people.
    pub summary: Vec<SummaryPart>,
    /// Plain reasoning of open models; read only, never sent back.
    #[serde(skip_serializing)]
    pub content: Vec<Value>,
    /// The reasoning itself, sealed by the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
}

/// A call with JSON arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionCall {
    /// Joins the call and its output.
    pub call_id: String,
    /// Name of the function.
    pub name: String,
    /// Namespace of the function, in the `openai` dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// JSON as text; the model may have written it badly.
    pub arguments: String,
}

/// A call with free text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CustomToolCall {
    /// Joins the call and its output.
    pub call_id: String,
    /// Name of the tool.
    pub name: String,
    /// The text.
    pub input: String,
}

/// A search that the provider ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WebSearchCall {
    /// The provider's action object, verbatim; absent while the search runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Value>,
}

/// A shell call of the older hosted kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LocalShellCall {
    /// Joins the call and its output.
    pub call_id: String,
    /// The provider's action object, verbatim.
    pub action: Value,
}

/// What a call gave back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallResult {
    /// The call.
    pub call_id: String,
    /// Text or parts.
    pub output: CallOutput,
}

impl ResponseItem {
    /// Makes a message of input text parts for a role.
    pub fn input_message(role: &str, content: Vec<ContentItem>) -> Self {
        Self::Message(Message {
            role: role.to_owned(),
            content,
            phase: None,
        })
    }

    /// Makes the output of a function call.
    pub fn function_output(call_id: impl Into<String>, output: impl Into<CallOutput>) -> Self {
        Self::FunctionCallOutput(CallResult {
            call_id: call_id.into(),
            output: output.into(),
        })
    }

    /// Makes the output of a custom call.
    pub fn custom_output(call_id: impl Into<String>, output: impl Into<CallOutput>) -> Self {
        Self::CustomToolCallOutput(CallResult {
            call_id: call_id.into(),
            output: output.into(),
        })
    }

    /// Returns the `type` on the wire; of an unknown item whatever it says, or `item`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Message(_) => "message",
            Self::Reasoning(_) => "reasoning",
            Self::FunctionCall(_) => "function_call",
            Self::CustomToolCall(_) => "custom_tool_call",
            Self::WebSearchCall(_) => "web_search_call",
            Self::LocalShellCall(_) => "local_shell_call",
            Self::FunctionCallOutput(_) => "function_call_output",
            Self::CustomToolCallOutput(_) => "custom_tool_call_output",
            Self::Other(raw) => raw.get("type").and_then(Value::as_str).unwrap_or("item"),
        }
    }

    /// Returns the id of a call that we have to answer.
    pub fn pending_call(&self) -> Option<&str> {
        match self {
            Self::FunctionCall(call) => Some(&call.call_id),
            Self::CustomToolCall(call) => Some(&call.call_id),
            Self::LocalShellCall(call) => Some(&call.call_id),
            Self::Message(_)
            | Self::Reasoning(_)
            | Self::WebSearchCall(_)
            | Self::FunctionCallOutput(_)
            | Self::CustomToolCallOutput(_)
            | Self::Other(_) => None,
        }
    }
}

impl Message {
    /// Returns all text of the message.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(ContentItem::as_text)
            .collect()
    }
}

impl Reasoning {
    /// Returns the summary, parts joined by an empty line; empty when there is none.
    pub fn summary_text(&self) -> String {
        let texts: Vec<&str> = self.summary.iter().map(|part| part.text.as_str()).collect();
        texts.join("\n\n")
    }
}

impl<'de> Deserialize<'de> for ResponseItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(Value::deserialize(deserializer)?))
    }
}

impl From<Value> for ResponseItem {
    /// Reads an item; never fails, because whatever it is survives as [`ResponseItem::Other`].
    ///
    /// A call without `call_id` is joined to its output by its `id` (some local servers send only
    /// that); arguments that are an object instead of text are turned into text.
    fn from(mut value: Value) -> Self {
        let known = match value.get("type").and_then(Value::as_str) {
            Some("message") => message(&mut value).map(Self::Message),
            Some("reasoning") => reasoning(&mut value).map(Self::Reasoning),
            Some("function_call") => function_call(&mut value).map(Self::FunctionCall),
            Some("custom_tool_call") => custom_tool_call(&mut value).map(Self::CustomToolCall),
            Some("web_search_call") => {
                let action = value.get_mut("action").map(Value::take);
                let action = action.filter(|action| !action.is_null());
                Some(Self::WebSearchCall(WebSearchCall { action }))
            }
            Some("local_shell_call") => local_shell_call(&mut value).map(Self::LocalShellCall),
            Some("function_call_output") => call_result(&mut value).map(Self::FunctionCallOutput),
            Some("custom_tool_call_output") => {
                call_result(&mut value).map(Self::CustomToolCallOutput)
            }
            _ => None,
        };
        known.unwrap_or(Self::Other(value))
    }
}

// Each reader below looks before it takes: when it returns `None` the value is still whole.

fn message(value: &mut Value) -> Option<Message> {
    value.get("role")?.as_str()?;
    let content = match value.get_mut("content") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(parts)) => parts.drain(..).map(ContentItem::from).collect(),
        Some(Value::String(text)) => {
            let text = std::mem::take(text);
            let assistant = value.get("role").and_then(Value::as_str) == Some("assistant");
            vec![match assistant {
                true => ContentItem::output_text(text),
                false => ContentItem::input_text(text),
            }]
        }
        Some(_) => return None,
    };
    Some(Message {
        role: take(value, "role")?,
        content,
        phase: take(value, "phase"),
    })
}

fn reasoning(value: &mut Value) -> Option<Reasoning> {
    let has_text = |part: &Value| part.get("text").is_some_and(Value::is_string);
    match value.get("summary") {
        None | Some(Value::Null) => {}
        Some(Value::Array(parts)) if parts.iter().all(has_text) => {}
        Some(_) => return None,
    }
    let mut list = |key: &str| match value.get_mut(key).map(Value::take) {
        Some(Value::Array(parts)) => parts,
        _ => Vec::new(),
    };
    let summary = list("summary").into_iter().filter_map(|mut part| {
        let mut summary = SummaryPart::new(take(&mut part, "text")?);
        if let Some(kind) = take(&mut part, "type") {
            summary.kind = kind;
        }
        Some(summary)
    });
    let summary = summary.collect();
    let content = list("content");
    Some(Reasoning {
        summary,
        content,
        encrypted_content: take(value, "encrypted_content"),
    })
}

fn function_call(value: &mut Value) -> Option<FunctionCall> {
    value.get("name")?.as_str()?;
    let call_id = call_id(value)?;
    let arguments = match value.get_mut("arguments").map(Value::take) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(object) => object.to_string(),
    };
    Some(FunctionCall {
        call_id,
        name: take(value, "name")?,
        namespace: take(value, "namespace"),
        arguments,
    })
}

fn custom_tool_call(value: &mut Value) -> Option<CustomToolCall> {
    value.get("name")?.as_str()?;
    Some(CustomToolCall {
        call_id: call_id(value)?,
        name: take(value, "name")?,
        input: take(value, "input").unwrap_or_default(),
    })
}

fn local_shell_call(value: &mut Value) -> Option<LocalShellCall> {
    value.get("action")?;
    Some(LocalShellCall {
        call_id: call_id(value)?,
        action: value.get_mut("action")?.take(),
    })
}

fn call_result(value: &mut Value) -> Option<CallResult> {
    value.get("call_id")?.as_str()?;
    let output = match value.get_mut("output")? {
        Value::String(text) => CallOutput::Text(std::mem::take(text)),
        Value::Array(parts) => CallOutput::Parts(parts.drain(..).map(ContentItem::from).collect()),
        _ => return None,
    };
    Some(CallResult {
        call_id: take(value, "call_id")?,
        output,
    })
}

fn call_id(value: &mut Value) -> Option<String> {
    take(value, "call_id").or_else(|| take(value, "id"))
}

#[cfg(test)]
mod tests;
