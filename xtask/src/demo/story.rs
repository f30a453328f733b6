//! Tells the JSON lines of a turn in words.

use serde_json::Value;

/// Prints one sentence per event that a person cares about.
pub(super) fn tell(events: &[Value]) {
    for event in events {
        if let Some(sentence) = sentence(event) {
            println!("  {sentence}");
        }
    }
}

/// Counts the MCP calls that came back well.
pub(super) fn n_completed_calls(events: &[Value]) -> usize {
    let came_back = |event: &&Value| {
        event["type"] == "item.completed"
            && event["item"]["type"] == "mcp_tool_call"
            && event["item"]["status"] == "completed"
    };
    events.iter().filter(came_back).count()
}

fn sentence(event: &Value) -> Option<String> {
    let item = &event["item"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(
        match (
            event["type"].as_str()?,
            item["type"].as_str().unwrap_or_default(),
        ) {
            ("thread.started", _) => format!("Thread {} begins.", text(&event["thread_id"])),
            ("item.started", "mcp_tool_call") => format!(
                "The model calls `{}` of `{}` with {}.",
                text(&item["tool"]),
                text(&item["server"]),
                item["arguments"]
            ),
            ("item.completed", "mcp_tool_call") => {
                let answer = item["result"]["content"][0]["text"]
                    .as_str()
                    .map(str::to_owned);
                let answer = answer.unwrap_or_else(|| item["error"].to_string());
                format!(
                    "`{}` {}: {answer}",
                    text(&item["tool"]),
                    text(&item["status"])
                )
            }
            ("item.completed", "reasoning") => {
                format!(
                    "The model thinks: {}",
                    text(&item["text"]).replace('\n', " ")
                )
            }
            ("item.completed", "agent_message") => {
                format!("The model says: {}", text(&item["text"]))
            }
            ("item.completed", "error") => format!("Notice: {}", text(&item["message"])),
            ("turn.completed", _) => "The turn is complete.".to_owned(),
            ("turn.failed", _) => format!("The turn failed: {}", text(&event["error"]["message"])),
            ("error", _) => format!("Error: {}", text(&event["message"])),
            _ => return None,
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_call_is_told_with_its_answer() {
        let event = json!({"type": "item.completed", "item": {
            "type": "mcp_tool_call", "tool": "echo", "server": "s", "status": "completed",
            "result": {"content": [{"type": "text", "text": "hi"}]},
        }});
        assert_eq!(
            super::sentence(&event).as_deref(),
            Some("`echo` completed: hi")
        );
        assert_eq!(super::n_completed_calls(&[event]), 1);
    }
}
