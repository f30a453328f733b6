//! The tools of a server, decoded so that one bad tool costs only itself.

use codex_protocol::ToolAnnotations;
use serde_json::{Map, Value};

use crate::param_headers;

/// All pages of `tools/list`.
#[derive(Debug, Clone, Default)]
pub struct ToolList {
    /// The usable tools in the server's order.
    pub tools: Vec<ToolDefinition>,
    /// The others, each with its reason.
    pub rejected: Vec<RejectedTool>,
    /// Why the list is not the whole list: a cap was reached or a cursor came twice.
    pub truncated: Option<String>,
}

/// A tool that cannot be offered.
#[derive(Debug, Clone)]
pub struct RejectedTool {
    /// Its name, or its place in the list when it has none.
    pub name: String,
    /// Why.
    pub why: String,
    /// What the server sent, unchecked: its `input_schema` may be anything, null when it sent none.
    /// `None` when it sent no JSON object.
    pub definition: Option<ToolDefinition>,
}

/// A tool as its server describes it; everything in it is a claim.
#[derive(Debug, Clone)]
pub struct ToolDefinition {
    /// The server's spelling.
    pub name: String,
    /// Name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of the arguments, verbatim; always an object, except in a [`RejectedTool`].
    pub input_schema: Value,
    /// JSON schema of `structuredContent`, verbatim.
    pub output_schema: Option<Value>,
    /// What the server claims about it.
    pub annotations: ToolAnnotations,
    /// `_meta` of the tool.
    pub meta: Option<Value>,
    /// The whole object as received, unknown fields included.
    pub raw: Value,
}

/// Whether `x-mcp-header` means something on this connection: over HTTP, since revision 2026-07-28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderRules {
    Apply,
    Ignore,
}

/// Sorts raw tools into usable and rejected ones.
pub(crate) fn decode(raw_tools: Vec<Value>, rules: HeaderRules) -> ToolList {
    let mut list = ToolList::default();
    let mut seen = std::collections::HashSet::new();
    for (index, raw) in raw_tools.into_iter().enumerate() {
        let name = raw.get("name").and_then(Value::as_str).unwrap_or("");
        let name = if name.is_empty() {
            format!("tool {}", index + 1)
        } else {
            name.to_owned()
        };
        let checked = usable_schema(&raw, rules);
        let definition = describe(name.clone(), raw);
        let (why, definition) = match (checked, definition) {
            (Ok(input_schema), Some(tool)) if seen.insert(name.clone()) => {
                list.tools.push(ToolDefinition {
                    input_schema,
                    ..tool
                });
                continue;
            }
            (Ok(_), definition) => ("the server lists this name twice".to_owned(), definition),
            (Err(why), definition) => (why, definition),
        };
        list.rejected.push(RejectedTool {
            name,
            why,
            definition,
        });
    }
    list
}

/// Checks a tool; returns the schema of its arguments.
fn usable_schema(raw: &Value, rules: HeaderRules) -> Result<Value, String> {
    let Value::Object(tool) = raw else {
        return Err("it is not a JSON object".to_owned());
    };
    match tool.get("name") {
        Some(Value::String(name)) if !name.is_empty() => {}
        Some(_) | None => return Err("it has no name".to_owned()),
    }
    let execution = tool.get("execution");
    if execution.and_then(|execution| execution.get("taskSupport")?.as_str()) == Some("required") {
        return Err("it runs only as a task, which this client does not support".to_owned());
    }
    let input_schema = input_schema(tool)?;
    if rules == HeaderRules::Apply {
        param_headers::validate(&input_schema)?;
    }
    Ok(input_schema)
}

/// Takes down what a server says about a tool, usable or not; `None` when it is no object.
fn describe(name: String, raw: Value) -> Option<ToolDefinition> {
    let tool = raw.as_object()?;
    let annotations = tool.get("annotations").map(annotations);
    let text = |key: &str| tool.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(ToolDefinition {
        title: text("title"),
        description: text("description"),
        output_schema: tool
            .get("outputSchema")
            .filter(|schema| schema.is_object())
            .cloned(),
        annotations: annotations.unwrap_or_default(),
        meta: tool.get("_meta").cloned(),
        name,
        input_schema: tool.get("inputSchema").cloned().unwrap_or_default(),
        raw,
    })
}

fn input_schema(tool: &Map<String, Value>) -> Result<Value, String> {
    match tool.get("inputSchema") {
        Some(schema @ Value::Object(object)) => match object.get("type") {
            None => Ok(schema.clone()),
            Some(Value::String(kind)) if kind == "object" => Ok(schema.clone()),
            Some(kind) => Err(format!(
                "its inputSchema describes {kind}, not an object of arguments"
            )),
        },
        // A tool without arguments is often written without a schema.
        None | Some(Value::Null) => Ok(serde_json::json!({ "type": "object", "properties": {} })),
        Some(_) => Err("its inputSchema is not a JSON object".to_owned()),
    }
}

/// Each hint by itself, so that one of a wrong type does not cost the others.
fn annotations(raw: &Value) -> ToolAnnotations {
    let hint = |key: &str| raw.get(key).and_then(Value::as_bool);
    ToolAnnotations {
        title: raw.get("title").and_then(Value::as_str).map(str::to_owned),
        read_only_hint: hint("readOnlyHint"),
        destructive_hint: hint("destructiveHint"),
        idempotent_hint: hint("idempotentHint"),
        open_world_hint: hint("openWorldHint"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_bad_tool_costs_only_itself() {
        let list = decode(
            vec![
                json!({ "name": "good", "inputSchema": { "type": "object" }, "vendor": 1 }),
                json!({ "name": "odd", "inputSchema": { "type": "string" } }),
                json!({ "inputSchema": {} }),
                json!("text"),
                json!({ "name": "later", "execution": { "taskSupport": "required" } }),
                json!({ "name": "good", "inputSchema": {} }),
                json!({ "name": "bare", "annotations": { "readOnlyHint": true, "openWorldHint": "yes" } }),
            ],
            HeaderRules::Ignore,
        );
        let names: Vec<_> = list.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["good", "bare"]);
        assert_eq!(list.tools[0].raw["vendor"], 1);
        assert_eq!(list.tools[1].annotations.read_only_hint, Some(true));
        assert_eq!(list.tools[1].annotations.open_world_hint, None);
        let rejected: Vec<_> = list
            .rejected
            .iter()
            .map(|tool| format!("{}: {}", tool.name, tool.why))
            .collect();
        assert_eq!(
            rejected,
            [
                "odd: its inputSchema describes \"string\", not an object of arguments",
                "tool 3: it has no name",
                "tool 4: it is not a JSON object",
                "later: it runs only as a task, which this client does not support",
                "good: the server lists this name twice",
            ]
        );
    }

    #[test]
    fn a_rejected_tool_keeps_what_the_server_sent() {
        let list = decode(
            vec![
                json!({
                    "name": "later", "title": "Later", "description": "Takes long.",
                    "inputSchema": { "type": "object", "properties": { "a": {} } },
                    "execution": { "taskSupport": "required" },
                }),
                json!({ "name": "odd", "inputSchema": "text" }),
                json!({ "name": "bare", "execution": { "taskSupport": "required" } }),
                json!("text"),
            ],
            HeaderRules::Ignore,
        );
        assert!(list.tools.is_empty());
        let sent = |index: usize| list.rejected[index].definition.as_ref();
        let later = sent(0).unwrap();
        assert_eq!(later.title.as_deref(), Some("Later"));
        assert_eq!(later.description.as_deref(), Some("Takes long."));
        assert_eq!(
            later.input_schema,
            json!({ "type": "object", "properties": { "a": {} } })
        );
        assert_eq!(sent(1).unwrap().input_schema, json!("text"));
        assert_eq!(sent(2).unwrap().input_schema, Value::Null);
        assert!(sent(3).is_none());
    }
}
