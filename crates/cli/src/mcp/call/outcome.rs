//! What a tool answered, for people and for programs.

use std::time::Duration;

use codex_protocol::{McpOutcome, ToolRef};
use codex_utils_json_schema::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;
use crate::mask::printable;
use crate::table::pretty;

#[derive(Serialize)]
struct JsonOutcome<'a> {
    server: &'a str,
    tool: &'a str,
    is_error: bool,
    content: &'a [Value],
    structured_content: Option<&'a Value>,
    _meta: Option<&'a Value>,
    duration_ms: u64,
}

/// Returns the whole answer as one object.
pub(super) fn json(
    tool: &ToolRef,
    outcome: &McpOutcome,
    duration: Duration,
) -> Result<String, CliError> {
    pretty(&JsonOutcome {
        server: tool.server.as_str(),
        tool: &tool.tool,
        is_error: outcome.is_error,
        content: &outcome.content,
        structured_content: outcome.structured.as_ref(),
        _meta: outcome.meta.as_ref(),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Returns text blocks as they are, a line for each other block, and the structured content unless a
/// text block says the same.
pub(super) fn text(outcome: &McpOutcome) -> Result<String, CliError> {
    let mut text = String::new();
    for block in &outcome.content {
        text.push_str(&shown(block));
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    if let Some(structured) = &outcome.structured {
        let is_said = outcome
            .content
            .iter()
            .filter_map(|block| block["text"].as_str())
            .any(|text| {
                let said: Result<Value, _> = serde_json::from_str(text);
                said.is_ok_and(|said| said == *structured)
            });
        if !is_said {
            text.push_str(&pretty(structured)?);
        }
    }
    Ok(text)
}

/// Says how an answer breaks the output schema of its tool.
pub(super) fn fault(output_schema: &Value, outcome: &McpOutcome) -> Option<String> {
    if outcome.is_error {
        return None;
    }
    let Some(structured) = &outcome.structured else {
        return Some("there is no structured content".to_owned());
    };
    match JsonSchema::compile(output_schema) {
        Ok(schema) => schema.validate(structured).err().map(|m| m.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

fn shown(block: &Value) -> String {
    let word = |value: &Value| value.as_str().map(printable).unwrap_or_default();
    let kind = block["type"].as_str().unwrap_or("unknown");
    let parts = match kind {
        "text" => return block["text"].as_str().unwrap_or_default().to_owned(),
        "image" | "audio" => {
            let n_bytes = block["data"].as_str().map_or(0, decoded_length);
            return format!("[{kind} {}, {n_bytes} bytes]", word(&block["mimeType"]));
        }
        "resource" => [
            "resource".to_owned(),
            word(&block["resource"]["uri"]),
            word(&block["resource"]["mimeType"]),
        ],
        "resource_link" => [
            "resource".to_owned(),
            word(&block["uri"]),
            word(&block["mimeType"]),
        ],
        other => [printable(other), String::new(), String::new()],
    };
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("[{}]", parts.join(" "))
}

/// Number of bytes that a base64 text stands for.
fn decoded_length(text: &str) -> usize {
    let n_digits = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=')
        .count();
    n_digits * 3 / 4
}

#[cfg(test)]
mod tests {
    use codex_protocol::ServerName;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_block_has_its_line() {
        let outcome = McpOutcome {
            content: vec![
                json!({"type": "text", "text": "two\nlines"}),
                json!({"type": "image", "mimeType": "image/png", "data": "AAAAAA=="}),
                json!({"type": "audio", "mimeType": "audio/wav", "data": "AAAA"}),
                json!({"type": "resource", "resource": {"uri": "file:///x", "mimeType": "text/plain", "text": "t"}}),
                json!({"type": "resource_link", "uri": "file:///y"}),
                json!({"type": "hologram", "data": 1}),
                json!({"no": "type"}),
            ],
            structured: Some(json!({"hits": 2})),
            ..McpOutcome::default()
        };
        insta::assert_snapshot!(text(&outcome).unwrap(), @r#"
        two
        lines
        [image image/png, 4 bytes]
        [audio audio/wav, 3 bytes]
        [resource file:///x text/plain]
        [resource file:///y]
        [hologram]
        [unknown]
        {
          "hits": 2
        }
        "#);
    }

    #[test]
    fn structured_content_that_a_text_says_is_not_said_twice() {
        let outcome = McpOutcome {
            content: vec![json!({"type": "text", "text": "{ \"hits\": 2 }"})],
            structured: Some(json!({"hits": 2})),
            ..McpOutcome::default()
        };
        assert_eq!(text(&outcome).unwrap(), "{ \"hits\": 2 }\n");
    }

    #[test]
    fn an_answer_is_judged_by_the_schema_of_its_tool() {
        let schema = json!({"type": "object", "required": ["hits"]});
        let fault = |structured: Option<Value>, is_error: bool| {
            let outcome = McpOutcome {
                structured,
                is_error,
                ..McpOutcome::default()
            };
            fault(&schema, &outcome)
        };
        assert_eq!(fault(Some(json!({"hits": 2})), false), None);
        assert_eq!(fault(None, true), None);
        let missing = fault(Some(json!({})), false).unwrap();
        assert!(missing.contains("hits"), "{missing}");
        let none = fault(None, false).unwrap();
        assert_eq!(none, "there is no structured content");
    }

    #[test]
    fn json_has_every_key_in_order() {
        let tool = ToolRef {
            server: ServerName::from_config("docs"),
            tool: "search".to_owned(),
        };
        let outcome = McpOutcome {
            content: vec![json!({"type": "text", "text": "2 hits"})],
            ..McpOutcome::default()
        };
        insta::assert_snapshot!(json(&tool, &outcome, Duration::from_millis(12)).unwrap(), @r#"
        {
          "server": "docs",
          "tool": "search",
          "is_error": false,
          "content": [
            {
              "type": "text",
              "text": "2 hits"
            }
          ],
          "structured_content": null,
          "_meta": null,
          "duration_ms": 12
        }
        "#);
    }
}
