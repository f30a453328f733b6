//! The body of `POST {base_url}/responses`.
//!
//! The order of the fields below is the order of the keys on the wire (contract-model-api 5); what is
//! not listed is never sent. Fields that never change are constants of the type, so that no caller
//! can set them differently.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::ToolSpec;

/// The body, borrowing everything big.
///
/// `I` is what one input item is: [`crate::ResponseItem`], or a caller's own type that serialises
/// to one.
#[derive(Debug, Clone)]
pub struct ResponsesRequest<'a, I> {
    /// Slug of the model.
    pub model: &'a str,
    /// Base instructions.
    pub instructions: &'a str,
    /// The conversation.
    pub input: &'a [I],
    /// Tools on offer.
    pub tools: &'a [ToolSpec],
    /// Reasoning options; absent when both keys are.
    pub reasoning: Option<&'a ReasoningOptions>,
    /// Names what the provider may cache: the thread id.
    pub prompt_cache_key: &'a str,
    /// Text options; absent when empty.
    pub text: Option<&'a TextOptions>,
    /// When configured.
    pub service_tier: Option<&'a str>,
}

/// How much the model thinks and tells about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReasoningOptions {
    /// Any word that the provider knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// `auto`, `concise`, `detailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// What the final message looks like.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TextOptions {
    /// `low`, `medium`, `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
    /// The schema of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<TextFormat>,
}

/// A JSON schema that the final message must follow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextFormat {
    #[serde(rename = "type")]
    kind: &'static str,
    strict: bool,
    name: &'static str,
    schema: Value,
}

impl TextFormat {
    /// Asks for a message that follows `schema` (contract-exec 8).
    pub fn json_schema(schema: Value) -> Self {
        Self {
            kind: "json_schema",
            strict: true,
            name: "codex_output_schema",
            schema,
        }
    }
}

impl ReasoningOptions {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.effort.is_none() && self.summary.is_none()
    }
}

impl TextOptions {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.verbosity.is_none() && self.format.is_none()
    }
}

impl<I: Serialize> Serialize for ResponsesRequest<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a, I> {
            model: &'a str,
            stream: bool,
            store: bool,
            instructions: &'a str,
            input: &'a [I],
            tools: &'a [ToolSpec],
            tool_choice: &'static str,
            parallel_tool_calls: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            reasoning: Option<&'a ReasoningOptions>,
            include: [&'static str; 1],
            prompt_cache_key: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a TextOptions>,
            #[serde(skip_serializing_if = "Option::is_none")]
            service_tier: Option<&'a str>,
        }
        Wire {
            model: self.model,
            stream: true,
            store: false,
            instructions: self.instructions,
            input: self.input,
            tools: self.tools,
            tool_choice: "auto",
            parallel_tool_calls: true,
            reasoning: self.reasoning.filter(|options| !options.is_empty()),
            include: ["reasoning.encrypted_content"],
            prompt_cache_key: self.prompt_cache_key,
            text: self.text.filter(|options| !options.is_empty()),
            service_tier: self.service_tier,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;
    use crate::{ContentItem, ResponseItem};

    #[test]
    fn the_smallest_body_has_no_optional_key() {
        let body = ResponsesRequest::<ResponseItem> {
            model: "gpt-5.5",
            instructions: "Be good.",
            input: &[],
            tools: &[],
            reasoning: Some(&ReasoningOptions::default()),
            prompt_cache_key: "thread",
            text: Some(&TextOptions::default()),
            service_tier: None,
        };
        assert_snapshot!(serde_json::to_string(&body).unwrap(),
            @r#"{"model":"gpt-5.5","stream":true,"store":false,"instructions":"Be good.","input":[],"tools":[],"tool_choice":"auto","parallel_tool_calls":true,"include":["reasoning.encrypted_content"],"prompt_cache_key":"thread"}"#);
    }

    #[test]
    fn the_full_body_keeps_the_order_of_the_contract() {
        let input = [ResponseItem::input_message(
            "user",
            vec![ContentItem::input_text("hi")],
        )];
        let tools = [ToolSpec::WebSearch {
            external_web_access: true,
        }];
        let body = ResponsesRequest {
            model: "m",
            instructions: "i",
            input: &input,
            tools: &tools,
            reasoning: Some(&ReasoningOptions {
                effort: Some("medium".to_owned()),
                summary: Some("auto".to_owned()),
            }),
            prompt_cache_key: "k",
            text: Some(&TextOptions {
                verbosity: Some("low".to_owned()),
                format: Some(TextFormat::json_schema(json!({"type": "object"}))),
            }),
            service_tier: Some("flex"),
        };
        assert_snapshot!(serde_json::to_string(&body).unwrap(),
            @r#"{"model":"m","stream":true,"store":false,"instructions":"i","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tools":[{"type":"web_search","external_web_access":true}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"medium","summary":"auto"},"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","text":{"verbosity":"low","format":{"type":"json_schema","strict":true,"name":"codex_output_schema","schema":{"type":"object"}}},"service_tier":"flex"}"#);
    }
}
