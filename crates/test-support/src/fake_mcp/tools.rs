//! The tools of a fake server, each made to show one thing.
//!
//! | tool | arguments | does |
//! |---|---|---|
//! | `echo` | text | says `ECHO:<text>`, with `structuredContent {"echo": text}`; read only |
//! | `write` | text | the same as `wrote <text>`, but not read only, so that it wants approval |
//! | `destroy` | | `destroyed`; `destructiveHint: true` |
//! | `plain` | text | as echo, without any annotation |
//! | `add` | a, b | text and `structuredContent {"sum"}`, with an output schema |
//! | `image` | | text and a PNG of one pixel |
//! | `audio`, `resource_link`, `embedded` | | one block of that kind |
//! | `odd_blocks` | | a known text between blocks that no revision knows or that lack fields |
//! | `structured_only` | | `structuredContent` with an empty `content` |
//! | `no_content` | | a result without `content` |
//! | `fail` | text | `isError: true` with the text |
//! | `rpc_error` | | a JSON-RPC error -32050 with data |
//! | `progress` | steps | so many progress notifications, then `done` |
//! | `log` | text | a log message, then `logged` |
//! | `elicit` | message | asks the user and says what came back |
//! | `confirm` | message | as `elicit`, with a form that has no fields |
//! | `slow` | | waits until it is cancelled and notes it in the journal |
//! | `never` | | no answer, not even after a cancellation |
//! | `wait_for` | file | answers when the file exists (for tests that order steps) |
//! | `pause` | ms | answers after so many milliseconds |
//! | `die` | | ends the server in mid-call |
//! | `big` | bytes | a text of so many bytes |
//! | `change_tools` | name | adds a tool and sends `tools/list_changed` |
//! | `env` | name | the value of a variable, or `(unset)` |
//! | `cwd`, `pid` | | of the server's process |
//! | `bad_schema`, `no_schema`, `remote_ref` | | as echo; their input schemas are broken |
//! | `task_only` | text | listed as a tool that runs only as a task |
//!
//! Any other name is offered as a tool that says `<name>:<arguments as JSON>`.

use std::time::Duration;

use serde_json::{Value, json};

use super::script::{Answer, Peer, Script};

/// What `--tools all` offers.
pub(crate) const WELL_FORMED: [&str; 27] = [
    "echo",
    "write",
    "destroy",
    "plain",
    "add",
    "image",
    "audio",
    "resource_link",
    "embedded",
    "odd_blocks",
    "structured_only",
    "no_content",
    "fail",
    "rpc_error",
    "progress",
    "log",
    "elicit",
    "slow",
    "never",
    "wait_for",
    "pause",
    "die",
    "big",
    "change_tools",
    "env",
    "cwd",
    "pid",
];

const HOLD_LIMIT: Duration = Duration::from_secs(60);

/// A PNG of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Returns what `tools/list` says about a tool.
pub(crate) fn definition(name: &str) -> Value {
    let schema = match name {
        "echo" | "plain" | "write" | "fail" | "log" | "task_only" => object(&[("text", "string")]),
        "add" => object(&[("a", "number"), ("b", "number")]),
        "progress" => object(&[("steps", "integer")]),
        "elicit" | "confirm" => object(&[("message", "string")]),
        "wait_for" => object(&[("file", "string")]),
        "pause" => object(&[("ms", "integer")]),
        "big" => object(&[("bytes", "integer")]),
        "change_tools" | "env" => object(&[("name", "string")]),
        "bad_schema" => json!({"type": "object", "properties": {"text": {"type": "nonsense"}}}),
        "remote_ref" => {
            json!({"type": "object", "properties": {"text": {"$ref": "http://127.0.0.1:1/x.json"}}})
        }
        _ => json!({"type": "object", "properties": {}}),
    };
    let mut tool = json!({
        "name": name,
        "description": format!("The fake tool `{name}`."),
        "inputSchema": schema,
    });
    match name {
        "echo" | "add" | "slow" | "env" | "pause" => {
            tool["annotations"] = json!({"readOnlyHint": true});
        }
        "write" => tool["annotations"] = json!({"readOnlyHint": false, "destructiveHint": false}),
        "destroy" => tool["annotations"] = json!({"readOnlyHint": false, "destructiveHint": true}),
        "task_only" => tool["execution"] = json!({"taskSupport": "required"}),
        "no_schema" => {
            if let Some(fields) = tool.as_object_mut() {
                fields.remove("inputSchema");
            }
        }
        _ => {}
    }
    if name == "add" {
        tool["outputSchema"] = object(&[("sum", "number")]);
    }
    tool
}

/// Runs a call.
pub(crate) fn call(script: &Script, request: &Value, modern: bool, peer: &dyn Peer) -> Answer {
    let params = &request["params"];
    let name = params["name"].as_str().unwrap_or_default();
    let arguments = &params["arguments"];
    if !script.offered().iter().any(|tool| tool["name"] == name) {
        return Answer::error(-32602, format!("Unknown tool: {name}"));
    }
    let given = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
    match name {
        "echo" | "plain" | "bad_schema" | "no_schema" | "remote_ref" => {
            let said = given("text");
            Answer::Result(json!({
                "content": [text(&format!("ECHO:{said}"))],
                "structuredContent": {"echo": said},
            }))
        }
        "write" => say(&format!("wrote {}", given("text"))),
        "destroy" => say("destroyed"),
        "add" => add(arguments),
        "image" => blocks(vec![
            text("an image"),
            json!({"type": "image", "data": PNG, "mimeType": "image/png"}),
        ]),
        "audio" => blocks(vec![
            json!({"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"}),
        ]),
        "resource_link" => blocks(vec![json!({
            "type": "resource_link", "uri": "fake://notes/1", "name": "first note",
        })]),
        "embedded" => blocks(vec![json!({"type": "resource", "resource": {
            "uri": "fake://notes/1", "mimeType": "text/plain", "text": "a note",
        }})]),
        "odd_blocks" => blocks(vec![
            json!({"type": "hologram", "depth": 3}),
            json!({"type": "resource_link", "uri": "fake://nameless"}),
            json!({"type": "text", "text": "between", "annotations": {"audience": ["robots"]}}),
            json!({"no": "type"}),
        ]),
        "structured_only" => {
            Answer::Result(json!({"content": [], "structuredContent": {"only": [1, 2]}}))
        }
        "no_content" => Answer::Result(json!({"structuredContent": {"bare": true}})),
        "fail" => Answer::Result(json!({"content": [text(&given("text"))], "isError": true})),
        "rpc_error" => Answer::Error {
            code: -32050,
            message: "the fake refuses".into(),
            data: Some(json!({"why": "asked to"})),
        },
        "progress" => progress(params, peer),
        "log" => {
            let data = given("text");
            peer.send(notification(
                "notifications/message",
                json!({"level": "warning", "logger": "fake", "data": data}),
            ));
            say("logged")
        }
        "elicit" => elicit(request, modern, peer, name_form()),
        "confirm" => elicit(request, modern, peer, object(&[])),
        "slow" => {
            let seen = peer.wait_for_cancel(&request["id"], HOLD_LIMIT);
            if seen {
                Answer::Silence
            } else {
                say("nobody cancelled")
            }
        }
        "never" => {
            peer.wait_for_cancel(&request["id"], HOLD_LIMIT);
            Answer::Silence
        }
        "wait_for" => {
            let found = wait_for_file(&given("file"), HOLD_LIMIT);
            say(if found {
                "it is there"
            } else {
                "it never came"
            })
        }
        "pause" => {
            std::thread::sleep(Duration::from_millis(arguments["ms"].as_u64().unwrap_or(0)));
            say("rested")
        }
        "die" => {
            peer.die();
            Answer::Silence
        }
        "big" => {
            let n_bytes = arguments["bytes"]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok());
            say(&"x".repeat(n_bytes.unwrap_or(1024 * 1024)))
        }
        "change_tools" => {
            let name = given("name");
            let name = if name.is_empty() {
                "late".to_owned()
            } else {
                name
            };
            script
                .late_tools
                .lock()
                .expect("no holder panics")
                .push(name);
            peer.broadcast(notification("notifications/tools/list_changed", json!({})));
            say("changed")
        }
        "env" => say(&std::env::var(given("name")).unwrap_or_else(|_| "(unset)".to_owned())),
        "cwd" => say(&std::env::current_dir()
            .unwrap_or_default()
            .to_string_lossy()),
        "pid" => say(&std::process::id().to_string()),
        other => say(&format!("{other}:{arguments}")),
    }
}

/// Waits for a file; a marker of the test stands in for a sleep.
pub(crate) fn wait_for_file(path: &str, limit: Duration) -> bool {
    let deadline = std::time::Instant::now() + limit;
    while !std::path::Path::new(path).exists() {
        if std::time::Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn add(arguments: &Value) -> Answer {
    match (arguments["a"].as_f64(), arguments["b"].as_f64()) {
        (Some(a), Some(b)) => Answer::Result(json!({
            "content": [text(&format!("{}", a + b))],
            "structuredContent": {"sum": a + b},
        })),
        _ => Answer::error(-32602, "a and b must be numbers"),
    }
}

fn progress(params: &Value, peer: &dyn Peer) -> Answer {
    let steps = params["arguments"]["steps"].as_u64().unwrap_or(3);
    if let Some(token) = params["_meta"].get("progressToken") {
        for step in 1..=steps {
            peer.send(notification(
                "notifications/progress",
                json!({
                    "progressToken": token, "progress": step, "total": steps,
                    "message": format!("step {step}"),
                }),
            ));
        }
    }
    say("done")
}

/// Asks by a request of its own, or (without a handshake) by a result that wants input.
fn name_form() -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"type": "string", "default": "nobody"}},
        "required": ["name"],
    })
}

fn elicit(request: &Value, modern: bool, peer: &dyn Peer, form: Value) -> Answer {
    let params = &request["params"];
    let question = json!({
        "mode": "form",
        "message": params["arguments"]["message"].as_str().unwrap_or("Who are you?"),
        "requestedSchema": form,
    });
    if !modern {
        return match peer.ask("elicitation/create", question) {
            Some(answer) if answer.get("error").is_some() => {
                say(&format!("error {}", answer["error"]))
            }
            Some(answer) => say(&format!("answer {}", answer["result"])),
            None => say("no answer"),
        };
    }
    match params["inputResponses"].get("question") {
        Some(answer) => {
            assert_eq!(
                params["requestState"], "state of the fake",
                "requestState must come back"
            );
            say(&format!("answer {answer}"))
        }
        None => Answer::Result(json!({
            "resultType": "input_required",
            "inputRequests": {"question": {"method": "elicitation/create", "params": question}},
            "requestState": "state of the fake",
        })),
    }
}

fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

fn say(words: &str) -> Answer {
    blocks(vec![text(words)])
}

fn blocks(content: Vec<Value>) -> Answer {
    Answer::Result(json!({ "content": content }))
}

fn text(words: &str) -> Value {
    json!({"type": "text", "text": words})
}

fn object(fields: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}
