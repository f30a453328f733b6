//! Every type of item, in each of its ends.

use codex_test_support::{
    FakeStdio, ev_assistant_message, ev_custom_tool_call, ev_function_call, ev_namespaced_call,
    ev_reasoning, ev_web_search,
};
use serde_json::{Value, json};

use crate::room::{Room, answers, calls, item_of, items_of, runs, says, types};

pub(crate) fn reasoning_is_an_item(room: &Room) {
    room.provider.queue(answers(vec![
        ev_reasoning("r1", &["**Plan**", "look first"]),
        ev_reasoning("r2", &[]),
        ev_assistant_message("m", "x"),
    ]));
    let turn = room.run(json!({}));
    assert_eq!(
        item_of(&turn, "reasoning")["text"],
        "**Plan**\n\nlook first",
        "one without words is none"
    );
}

pub(crate) fn a_command_that_ends_well_is_completed(room: &Room) {
    room.provider
        .queue(runs("echo out; echo err >&2"))
        .queue(says("x"));
    let events = room.events(json!({}));
    let of_command: Vec<&Value> = events
        .iter()
        .filter(|event| event["item"]["type"] == "command_execution")
        .collect();
    let [started, completed] = of_command[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (
            &started["type"],
            &started["item"]["status"],
            &started["item"]["exit_code"]
        ),
        (&json!("item.started"), &json!("in_progress"), &Value::Null)
    );
    let item = &completed["item"];
    assert_eq!(
        (&completed["type"], &item["status"], &item["exit_code"]),
        (&json!("item.completed"), &json!("completed"), &json!(0))
    );
    assert_eq!(item["aggregated_output"], "out\nerr\n");
    let command = item["command"].as_str().unwrap();
    assert!(
        command.ends_with("'echo out; echo err >&2'"),
        "as it was run: {command}"
    );
}

pub(crate) fn a_command_that_fails_has_its_exit_code(room: &Room) {
    room.provider
        .queue(runs("echo no; exit 3"))
        .queue(runs("kill -9 $$"))
        .queue(says("x"));
    let turn = room.run(json!({}));
    let ended: Vec<_> = items_of(&turn, "command_execution")
        .iter()
        .map(|item| (item["status"].clone(), item["exit_code"].clone()))
        .collect();
    assert_eq!(
        ended,
        [
            (json!("failed"), json!(3)),
            (json!("failed"), json!(128 + 9))
        ],
        "{turn}"
    );
    assert_eq!(turn["final_response"], "x");
}

pub(crate) fn a_command_that_wants_out_of_the_sandbox_is_declined(room: &Room) {
    room.provider
        .queue(calls(json!({
            "cmd": "touch new", "sandbox_permissions": "require_escalated",
            "justification": "I want it",
        })))
        .queue(says("x"));
    let turn = room.run(json!({"sandbox_mode": "read-only"}));
    let command = item_of(&turn, "command_execution");
    assert_eq!(
        (&command["status"], &command["exit_code"]),
        (&json!("failed"), &Value::Null),
        "{turn}"
    );
    let why = command["aggregated_output"].as_str().unwrap();
    assert!(why.contains("approval policy is never"), "{why}");
    assert!(!room.home.cwd().join("new").exists());
}

pub(crate) fn a_large_output_of_a_command_fits_the_reader(room: &Room) {
    // One of the packages reads lines of at most 64 KiB, and quotes count double on the wire.
    room.provider
        .queue(runs("yes '\"quoted\" words' | head -c 3000000"))
        .queue(says("x"));
    let turn = room.run(json!({}));
    let command = item_of(&turn, "command_execution");
    assert_eq!(command["status"], "completed", "{}", turn["error"]);
    let output = command["aggregated_output"].as_str().unwrap();
    assert!(output.contains(" bytes omitted "), "{}", output.len());
    assert!(output.starts_with("\"quoted\" words\n"));
    let sent = room.provider.request(1);
    let told = sent.function_call_output_text("c1").unwrap();
    assert!(told.len() < 64 * 1024, "{}", told.len());
}

/// An answer that patches.
fn patches(body: &str) -> codex_test_support::Reply {
    let text = format!("*** Begin Patch\n{body}\n*** End Patch\n");
    answers(vec![ev_custom_tool_call("c1", "apply_patch", &text)])
}

pub(crate) fn a_patch_adds_changes_moves_and_deletes(room: &Room) {
    room.home.write_file("old", "a\nb\n");
    room.home.write_file("gone", "x\n");
    room.home.write_file("here", "m\n");
    room.provider
        .queue(patches(
            "*** Add File: sub/new\n+x\n\
             *** Update File: old\n@@\n a\n-b\n+c\n\
             *** Delete File: gone\n\
             *** Update File: here\n*** Move to: there\n@@\n-m\n+n",
        ))
        .queue(says("done"));
    let events = room.events(json!({"sandbox_mode": "workspace-write"}));
    let told: Vec<_> = types(&events)
        .into_iter()
        .filter(|event| event.ends_with("file_change"))
        .collect();
    // Its type knows no "in progress", so there is no start.
    assert_eq!(told, ["item.completed file_change"], "{events:?}");
    let item = events
        .iter()
        .find(|event| event["item"]["type"] == "file_change")
        .map(|event| &event["item"])
        .unwrap();
    assert_eq!(item["status"], "completed", "{item}");
    let changes: Vec<_> = item["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let path = std::path::Path::new(change["path"].as_str().unwrap());
            let name = path.strip_prefix(room.home.cwd()).unwrap();
            (
                name.to_string_lossy().into_owned(),
                change["kind"].as_str().unwrap(),
            )
        })
        .collect();
    for wanted in [("sub/new", "add"), ("old", "update"), ("gone", "delete")] {
        let found = changes
            .iter()
            .any(|(name, kind)| (name.as_str(), *kind) == wanted);
        assert!(found, "{wanted:?} in {changes:?}");
    }
    let text = |name: &str| std::fs::read_to_string(room.home.cwd().join(name)).ok();
    assert_eq!(text("sub/new").as_deref(), Some("x\n"));
    assert_eq!(text("old").as_deref(), Some("a\nc\n"));
    assert_eq!(text("there").as_deref(), Some("n\n"));
    assert_eq!((text("gone"), text("here")), (None, None));
}

pub(crate) fn a_patch_that_does_not_fit_is_a_failed_change(room: &Room) {
    room.home.write_file("old", "a\n");
    room.provider
        .queue(patches("*** Update File: old\n@@\n-not there\n+x"))
        .queue(patches("*** Delete File: none"))
        .queue(says("done"));
    let turn = room.run(json!({"sandbox_mode": "workspace-write"}));
    let changes = items_of(&turn, "file_change");
    assert_eq!(changes.len(), 2, "{turn}");
    for change in changes {
        assert_eq!(change["status"], "failed", "{turn}");
    }
    room.provider
        .queue(patches("*** Add File: new\n+x"))
        .queue(says("done"));
    let turn = room.run(json!({"sandbox_mode": "read-only"}));
    assert_eq!(item_of(&turn, "file_change")["status"], "failed", "{turn}");
    assert!(!room.home.cwd().join("new").exists());
}

/// Configures the fake server `test`.
fn serve(room: &Room, tools: &[&str], more: &str) {
    let server = FakeStdio::new().tools(tools).toml("test");
    room.home.write_config(&format!("{server}{more}\n"));
}

const APPROVED: &str = "default_tools_approval_mode = \"approve\"";

/// Plays one call of a tool of `test` and returns its item.
fn called(room: &Room, tool: &str, arguments: Value) -> Value {
    room.provider
        .queue(answers(vec![ev_namespaced_call(
            "c1",
            "mcp__test",
            tool,
            &arguments.to_string(),
        )]))
        .queue(says("done"));
    let turn = room.run(json!({}));
    assert_eq!(turn["final_response"], "done", "{turn}");
    item_of(&turn, "mcp_tool_call").clone()
}

pub(crate) fn a_call_of_an_mcp_tool_has_its_result(room: &Room) {
    serve(room, &["echo", "image"], APPROVED);
    let call = called(room, "echo", json!({"text": "x"}));
    assert_eq!(
        (
            &call["server"],
            &call["tool"],
            &call["arguments"],
            &call["status"]
        ),
        (
            &json!("test"),
            &json!("echo"),
            &json!({"text": "x"}),
            &json!("completed")
        ),
        "{call}"
    );
    let result = &call["result"];
    assert_eq!(result["content"][0]["text"], "ECHO:x");
    assert_eq!(result["structured_content"], json!({"echo": "x"}));
    assert_eq!(call["error"], Value::Null);
    let call = called(room, "image", json!({}));
    let content = &call["result"]["content"];
    assert_eq!(content[1]["mimeType"], "image/png", "{call}");
}

pub(crate) fn an_mcp_tool_that_fails_keeps_its_words(room: &Room) {
    serve(room, &["fail", "rpc_error", "die"], APPROVED);
    let call = called(room, "fail", json!({"text": "no such row"}));
    assert_eq!(call["status"], "failed", "{call}");
    assert_eq!(call["result"]["content"][0]["text"], "no such row");
    assert_eq!(call["error"], Value::Null);
    for (tool, words) in [
        ("rpc_error", "the fake refuses"),
        ("none", "unsupported call"),
    ] {
        let call = called(room, tool, json!({}));
        let error = call["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(call["status"], "failed", "{call}");
        assert!(error.contains(words), "{call}");
    }
}

pub(crate) fn an_mcp_call_that_is_refused_says_what_allows_it(room: &Room) {
    serve(room, &["write"], "");
    let call = called(room, "write", json!({"text": "x"}));
    assert_eq!(
        (&call["status"], &call["result"]),
        (&json!("failed"), &Value::Null),
        "{call}"
    );
    let error = call["error"]["message"].as_str().unwrap();
    assert!(
        error.ends_with("[mcp_servers.test.tools.write] approval_mode = \"approve\""),
        "{error}"
    );
}

/// An answer that tells a plan.
fn plans(steps: &[(&str, &str)]) -> codex_test_support::Reply {
    let steps: Vec<Value> = steps
        .iter()
        .map(|(step, status)| json!({"step": step, "status": status}))
        .collect();
    let arguments = json!({"plan": steps}).to_string();
    answers(vec![ev_function_call("c1", "update_plan", &arguments)])
}

pub(crate) fn a_plan_starts_changes_and_ends_with_its_turn(room: &Room) {
    room.home
        .write_config("tools.update_plan = {enabled = true}\n");
    room.provider
        .queue(plans(&[("A", "in_progress"), ("B", "pending")]))
        .queue(plans(&[("A", "completed"), ("B", "in_progress")]))
        .queue(says("done"));
    let events = room.events(json!({}));
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["item"]["type"] == "todo_list")
        .map(|event| (event["type"].as_str().unwrap(), &event["item"]["items"]))
        .collect();
    let list =
        |done: bool| json!([{"text": "A", "completed": done}, {"text": "B", "completed": false}]);
    assert_eq!(
        told,
        [
            ("item.started", &list(false)),
            ("item.updated", &list(true)),
            ("item.completed", &list(true))
        ],
        "{events:?}"
    );
    assert_eq!(
        types(&events).last().map(String::as_str),
        Some("turn.completed")
    );
}

pub(crate) fn a_web_search_is_an_item(room: &Room) {
    room.provider.queue(answers(vec![
        ev_web_search("ws", "rust mcp"),
        ev_assistant_message("m", "found"),
    ]));
    let events = room.events(json!({}));
    let search: Vec<_> = events
        .iter()
        .filter(|event| event["item"]["type"] == "web_search")
        .map(|event| {
            (
                event["type"].as_str().unwrap(),
                event["item"]["query"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        search,
        [("item.started", ""), ("item.completed", "rust mcp")],
        "{events:?}"
    );
}

pub(crate) fn a_server_that_does_not_start_is_an_error_item(room: &Room) {
    let server = FakeStdio::new().exit_at_once(7).toml("test");
    room.home.write_config(&server);
    room.provider.queue(says("x"));
    let turn = room.run(json!({}));
    assert_eq!(turn["final_response"], "x", "{turn}");
    let told = item_of(&turn, "error")["message"].as_str().unwrap();
    assert!(
        told.starts_with("MCP server `test` failed to start"),
        "{told}"
    );
}

pub(crate) fn an_item_of_every_type_passes_the_typed_models(room: &Room) {
    serve(room, &["echo"], APPROVED);
    let broken = FakeStdio::new().exit_at_once(7).toml("broken");
    let config = room.home.config();
    room.home.write_config(&format!(
        "tools.update_plan = {{enabled = true}}\n{config}{broken}"
    ));
    let plan = json!({"plan": [{"step": "A", "status": "pending"}]}).to_string();
    let patch = "*** Begin Patch\n*** Add File: new\n+x\n*** End Patch\n";
    room.provider
        .queue(answers(vec![
            ev_reasoning("rs", &["a"]),
            ev_web_search("ws", "q"),
            ev_function_call("c1", "update_plan", &plan),
            ev_function_call("c2", "exec_command", r#"{"cmd":"true"}"#),
            ev_custom_tool_call("c3", "apply_patch", patch),
            ev_namespaced_call("c4", "mcp__test", "echo", r#"{"text":"x"}"#),
        ]))
        .queue(says("done"));
    let events = room.events(json!({"sandbox_mode": "workspace-write"}));
    let seen = types(&events);
    for kind in [
        "error",
        "reasoning",
        "web_search",
        "todo_list",
        "command_execution",
        "file_change",
        "mcp_tool_call",
        "agent_message",
    ] {
        let completed = format!("item.completed {kind}");
        assert!(seen.contains(&completed), "{kind}: {seen:?}");
    }
}
