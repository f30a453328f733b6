//! What the tests of `codex exec` share: a run, scripted turns, and views of the lines.

use std::time::Duration;

use codex_test_support::{
    CodexCommand, CommandOutput, MockResponses, Reply, TestHome, ev_assistant_message,
    ev_completed, ev_namespaced_call, ev_response_created, sse,
};
use serde_json::Value;

/// No wait of these tests is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// `codex exec --json` with these arguments, outside of git.
pub(crate) fn json(home: &TestHome, args: &[&str]) -> CodexCommand {
    let fixed = ["exec", "--json", "--skip-git-repo-check"];
    home.codex(fixed.iter().chain(args)).limit(LIMIT)
}

/// `codex exec` for people with these arguments, outside of git.
pub(crate) fn human(home: &TestHome, args: &[&str]) -> CodexCommand {
    let fixed = ["exec", "--skip-git-repo-check"];
    home.codex(fixed.iter().chain(args)).limit(LIMIT)
}

/// An answer that ends the turn.
pub(crate) fn says(text: &str) -> Reply {
    sse(vec![
        ev_response_created("resp"),
        ev_assistant_message("msg", text),
        ev_completed("resp"),
    ])
}

/// An answer that calls a tool of an MCP server by its namespace.
pub(crate) fn calls(server: &str, tool: &str, arguments: &str) -> Reply {
    sse(vec![
        ev_response_created("resp"),
        ev_namespaced_call("call_1", &format!("mcp__{server}"), tool, arguments),
        ev_completed("resp"),
    ])
}

/// A provider that says one thing, and a home that uses it.
pub(crate) fn one_answer(text: &str) -> (MockResponses, TestHome) {
    let provider = MockResponses::start();
    provider.queue(says(text));
    let home = TestHome::with_provider(&provider, "");
    (provider, home)
}

/// The types of the lines in order, items with their own type: `item.completed agent_message`.
pub(crate) fn types(output: &CommandOutput) -> Vec<String> {
    output.json_lines().iter().map(type_of).collect()
}

fn type_of(line: &Value) -> String {
    let event = line["type"].as_str().unwrap_or_default();
    match line["item"]["type"].as_str() {
        Some(item) => format!("{event} {item}"),
        None => event.to_owned(),
    }
}

/// The items that were completed, in order.
pub(crate) fn completed_items(output: &CommandOutput) -> Vec<Value> {
    let lines = output.json_lines();
    let completed = lines
        .into_iter()
        .filter(|line| line["type"] == "item.completed");
    completed.map(|mut line| line["item"].take()).collect()
}

/// The completed MCP calls, in order.
pub(crate) fn mcp_calls(output: &CommandOutput) -> Vec<Value> {
    let items = completed_items(output).into_iter();
    items
        .filter(|item| item["type"] == "mcp_tool_call")
        .collect()
}

/// The texts of the notices, in order.
pub(crate) fn notices(output: &CommandOutput) -> Vec<String> {
    let items = completed_items(output).into_iter();
    let errors = items.filter(|item| item["type"] == "error");
    errors
        .filter_map(|item| item["message"].as_str().map(str::to_owned))
        .collect()
}

/// The last line.
pub(crate) fn last_line(output: &CommandOutput) -> Value {
    output
        .json_lines()
        .pop()
        .unwrap_or_else(|| panic!("no line at all:\n{output}"))
}

/// The id that the first line names.
pub(crate) fn thread_id(output: &CommandOutput) -> String {
    let lines = output.json_lines();
    assert_eq!(lines[0]["type"], "thread.started", "{output}");
    lines[0]["thread_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The texts of the last user message of a request.
pub(crate) fn last_user_texts(provider: &MockResponses, request: usize) -> Vec<String> {
    let input = provider.request(request).input();
    let mut users = input.iter().filter(|item| item["role"] == "user");
    let content = users
        .next_back()
        .map(|item| item["content"].clone())
        .unwrap_or_default();
    let parts = content.as_array().cloned().unwrap_or_default();
    parts
        .iter()
        .filter_map(|part| part["text"].as_str().map(str::to_owned))
        .collect()
}
