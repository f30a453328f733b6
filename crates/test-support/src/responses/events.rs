//! Builders of the provider's stream events, so that no test spells their JSON.
//!
//! Shapes: contract "the wire to the model", section 9. `output_item.done` is the only source of
//! items; the deltas are for the eye.

use serde_json::{Value, json};

/// The counts of one response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageCounts {
    /// All input tokens, the cached ones too.
    pub input: u64,
    /// Input tokens that came from the provider's cache.
    pub cached: u64,
    /// All output tokens, the reasoning ones too.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
}

/// `response.created`: the response began.
pub fn ev_response_created(id: &str) -> Value {
    json!({"type": "response.created", "response": {"id": id, "object": "response", "status": "in_progress"}})
}

/// A finished message of the assistant.
pub fn ev_assistant_message(id: &str, text: &str) -> Value {
    item_done(json!({
        "type": "message", "id": id, "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }))
}

/// An item begins (`response.output_item.added`): an empty message of the assistant.
pub fn ev_item_added(id: &str) -> Value {
    json!({
        "type": "response.output_item.added", "output_index": 0,
        "item": {"type": "message", "id": id, "role": "assistant", "status": "in_progress", "content": []},
    })
}

/// A piece of the message `item_id`.
pub fn ev_text_delta(item_id: &str, delta: &str) -> Value {
    json!({
        "type": "response.output_text.delta", "item_id": item_id,
        "output_index": 0, "content_index": 0, "delta": delta,
    })
}

/// A finished reasoning item with the given summary parts and an encrypted body.
pub fn ev_reasoning(id: &str, summary: &[&str]) -> Value {
    let summary: Vec<Value> = summary
        .iter()
        .map(|text| json!({"type": "summary_text", "text": text}))
        .collect();
    item_done(json!({
        "type": "reasoning", "id": id, "summary": summary,
        "encrypted_content": format!("encrypted-{id}"),
    }))
}

/// A piece of a reasoning summary.
pub fn ev_reasoning_delta(item_id: &str, delta: &str) -> Value {
    json!({
        "type": "response.reasoning_summary_text.delta", "item_id": item_id,
        "output_index": 0, "summary_index": 0, "delta": delta,
    })
}

/// A call of a flat function; `arguments` is the JSON text as the provider sends it.
pub fn ev_function_call(call_id: &str, name: &str, arguments: &str) -> Value {
    item_done(json!({
        "type": "function_call", "id": format!("fc_{call_id}"), "status": "completed",
        "call_id": call_id, "name": name, "arguments": arguments,
    }))
}

/// A call of a tool inside a namespace, as MCP tools are offered: `mcp__server`, `tool`.
pub fn ev_namespaced_call(call_id: &str, namespace: &str, name: &str, arguments: &str) -> Value {
    item_done(json!({
        "type": "function_call", "id": format!("fc_{call_id}"), "status": "completed",
        "call_id": call_id, "namespace": namespace, "name": name, "arguments": arguments,
    }))
}

/// A call of a custom (free text) tool.
pub fn ev_custom_tool_call(call_id: &str, name: &str, input: &str) -> Value {
    item_done(json!({
        "type": "custom_tool_call", "id": format!("ctc_{call_id}"), "status": "completed",
        "call_id": call_id, "name": name, "input": input,
    }))
}

/// A finished hosted web search.
pub fn ev_web_search(id: &str, query: &str) -> Value {
    item_done(json!({
        "type": "web_search_call", "id": id, "status": "completed",
        "action": {"type": "search", "query": query},
    }))
}

/// The end of a response, all counts zero.
pub fn ev_completed(id: &str) -> Value {
    ev_completed_with_usage(id, UsageCounts::default())
}

/// The end of a response with counts.
pub fn ev_completed_with_usage(id: &str, usage: UsageCounts) -> Value {
    json!({"type": "response.completed", "response": {
        "id": id, "object": "response", "status": "completed", "output": [],
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        },
    }})
}

/// `response.failed` with the provider's code and message.
pub fn ev_failed(code: &str, message: &str) -> Value {
    json!({"type": "response.failed", "response": {
        "id": "resp_failed", "status": "failed", "error": {"code": code, "message": message},
    }})
}

/// `response.incomplete` with its reason, such as `max_output_tokens`.
pub fn ev_incomplete(reason: &str) -> Value {
    json!({"type": "response.incomplete", "response": {
        "id": "resp_incomplete", "status": "incomplete", "incomplete_details": {"reason": reason},
    }})
}

/// A bare `error` event.
pub fn ev_error(code: &str, message: &str) -> Value {
    json!({"type": "error", "code": code, "message": message, "param": null})
}

fn item_done(item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": 0, "item": item})
}
