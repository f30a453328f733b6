//! The public SDKs, installed from their registries, drive `codex exec` unchanged.
//!
//! Each case is one script that both drivers (`tests/sdk/`) play: the TypeScript package and the
//! Python package. `cargo xtask test` installs them; without it these tests say that they are left
//! out, and under CI they fail.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot prepare stops there"
)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use codex_test_support::{
    FakeStdio, Gate, Journal, MockResponses, RealParts, Reply, TestHome, UsageCounts,
    codex_program, ev_assistant_message, ev_completed_with_usage, ev_custom_tool_call,
    ev_function_call, ev_namespaced_call, ev_reasoning, ev_response_created, sse, wait_until_gone,
};
use serde_json::{Value, json};

/// One of the two packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sdk {
    TypeScript,
    Python,
}

const BOTH: [Sdk; 2] = [Sdk::TypeScript, Sdk::Python];

/// A provider, a home, and the package that drives us.
struct Room {
    sdk: Sdk,
    parts: RealParts,
    provider: MockResponses,
    home: TestHome,
}

impl Room {
    fn new(sdk: Sdk, config: &str) -> Option<Self> {
        let parts = RealParts::find()?;
        let provider = MockResponses::start();
        // The address comes through the environment, as both packages leave it.
        let home = TestHome::with_config(config);
        Some(Self {
            sdk,
            parts,
            provider,
            home,
        })
    }

    /// Plays a script and returns what the driver printed.
    fn play(&self, mut script: Value) -> Value {
        script["codex"]["codex_path_override"] = json!(codex_program());
        script["codex"]["api_key"] = json!("sdk-key");
        let thread = script["thread"].as_object_mut().unwrap();
        thread.entry("skip_git_repo_check").or_insert(json!(true));
        thread
            .entry("working_directory")
            .or_insert(json!(self.home.cwd()));
        let mut command = self.driver();
        command
            .env_clear()
            .envs(self.home.env_pairs())
            .env("OPENAI_BASE_URL", self.provider.base_url())
            .current_dir(self.home.cwd())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.to_string().as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text)
            .unwrap_or_else(|why| panic!("{:?}: {why}\n{output:?}", self.sdk))
    }

    fn driver(&self) -> Command {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");
        match self.sdk {
            Sdk::TypeScript => {
                let mut command = Command::new(self.parts.node());
                let module = self.parts.npm_folder();
                let module = module.join("node_modules/@openai/codex-sdk/dist/index.js");
                command.arg(format!("{scripts}/drive.mjs")).arg(module);
                command
            }
            Sdk::Python => {
                let mut command = Command::new(self.parts.python());
                command.arg(format!("{scripts}/drive.py"));
                command
            }
        }
    }

    /// Plays one turn and returns it.
    fn turn(&self, step: Value) -> Value {
        self.play(json!({"codex": {}, "thread": {}, "turns": [step]}))["turns"][0].clone()
    }
}

fn answers(mut items: Vec<Value>) -> Reply {
    items.insert(0, ev_response_created("r"));
    items.push(ev_completed_with_usage(
        "r",
        UsageCounts {
            input: 10,
            cached: 4,
            output: 3,
            reasoning: 1,
        },
    ));
    sse(items)
}

fn says(text: &str) -> Reply {
    answers(vec![ev_assistant_message("m", text)])
}

fn types(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap();
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

fn items_of<'a>(turn: &'a Value, kind: &str) -> Vec<&'a Value> {
    let items = turn["items"].as_array().unwrap_or_else(|| panic!("{turn}"));
    items.iter().filter(|item| item["type"] == kind).collect()
}

/// Runs a case with both packages.
fn both(config: &str, case: impl Fn(&Room)) {
    for sdk in BOTH {
        let Some(room) = Room::new(sdk, config) else {
            return;
        };
        case(&room);
    }
}

#[test]
fn a_run_returns_the_answer_the_usage_and_the_items() {
    both("", |room| {
        room.provider.queue(answers(vec![
            ev_reasoning("rs", &["**Think**"]),
            ev_assistant_message("m", "Hello"),
        ]));
        let played = room.play(json!({"codex": {}, "thread": {}, "turns": [{"input": "hi"}]}));
        let turn = &played["turns"][0];
        assert_eq!(turn["final_response"], "Hello", "{played}");
        assert_eq!(items_of(turn, "reasoning")[0]["text"], "**Think**");
        let usage = &turn["usage"];
        assert_eq!(
            (
                &usage["input_tokens"],
                &usage["cached_input_tokens"],
                &usage["output_tokens"]
            ),
            (&json!(10), &json!(4), &json!(3))
        );
        assert_eq!(played["id"].as_str().unwrap().len(), 36);
        let request = room.provider.request(0);
        assert_eq!(request.header("authorization"), Some("Bearer sdk-key"));
        let originator = request.header("originator").unwrap();
        assert!(originator.contains("sdk"), "{originator}");
    });
}

#[test]
fn a_streamed_run_tells_every_event_in_order() {
    both("", |room| {
        room.provider.queue(says("Hello"));
        let turn = room.turn(json!({"input": "hi", "streamed": true}));
        assert_eq!(
            types(&turn["events"]),
            [
                "thread.started",
                "turn.started",
                "item.completed",
                "turn.completed"
            ],
            "{turn}"
        );
    });
}

#[test]
fn turns_of_one_thread_and_a_resumed_one_know_what_was_said() {
    both("", |room| {
        for text in ["one", "two", "three"] {
            room.provider.queue(says(text));
        }
        let first = room.play(json!({
            "codex": {}, "thread": {}, "turns": [{"input": "a"}, {"input": "b"}],
        }));
        assert_eq!(first["turns"][1]["final_response"], "two", "{first}");
        let resumed = room.play(json!({
            "codex": {}, "thread": {}, "resume": first["id"], "turns": [{"input": "c"}],
        }));
        assert_eq!(
            (&resumed["id"], &resumed["turns"][0]["final_response"]),
            (&first["id"], &json!("three"))
        );
        let users = room.provider.request(2).texts("user");
        for text in ["a", "b", "c"] {
            assert!(users.iter().any(|user| user == text), "{users:?}");
        }
        assert_eq!(room.provider.request(2).texts("assistant"), ["one", "two"]);
    });
}

#[test]
fn pictures_go_along_also_when_a_thread_is_resumed() {
    both("", |room| {
        let png =
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
        let file = room.home.cwd().join("p.png");
        std::fs::write(&file, png).unwrap();
        room.provider.queue(says("one")).queue(says("two"));
        let input = json!([
            {"type": "text", "text": "look"},
            {"type": "local_image", "path": file},
            {"type": "local_image", "path": file},
        ]);
        let played = room.play(json!({
            "codex": {}, "thread": {}, "turns": [{"input": input}, {"input": input}],
        }));
        assert_eq!(played["turns"][1]["final_response"], "two", "{played}");
        let n_images = |request: usize| {
            room.provider
                .request(request)
                .json()
                .to_string()
                .matches("\"input_image\"")
                .count()
        };
        assert_eq!((n_images(0), n_images(1)), (2, 4));
    });
}

#[test]
fn an_output_schema_reaches_the_provider() {
    both("", |room| {
        room.provider.queue(says(r#"{"ok":true}"#));
        let schema = json!({
            "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
            "additionalProperties": false,
        });
        let turn = room.turn(json!({"input": "x", "output_schema": schema}));
        assert_eq!(turn["final_response"], r#"{"ok":true}"#, "{turn}");
        assert_eq!(
            room.provider.request(0).json()["text"]["format"]["schema"],
            schema
        );
    });
}

#[test]
fn options_of_a_thread_reach_the_request() {
    both("", |room| {
        room.provider.queue(says("x"));
        let thread = json!({
            "model": "gpt-5.5-test", "sandbox_mode": "workspace-write", "approval_policy": "on-request",
            "model_reasoning_effort": "high", "network_access_enabled": true,
            "web_search_enabled": false, "additional_directories": [room.home.path()],
        });
        let played = room.play(json!({"codex": {}, "thread": thread, "turns": [{"input": "x"}]}));
        assert_eq!(played["turns"][0]["final_response"], "x", "{played}");
        let request = room.provider.request(0).json();
        assert_eq!(
            (&request["model"], &request["reasoning"]["effort"]),
            (&json!("gpt-5.5-test"), &json!("high"))
        );
        let permissions = room.provider.request(0).texts("developer").concat();
        assert!(
            permissions.contains("workspace-write") && permissions.contains("network is on"),
            "{permissions}"
        );
        assert!(
            permissions.contains(&*room.home.path().to_string_lossy()),
            "{permissions}"
        );
    });
}

/// An answer that runs a command.
fn runs(cmd: &str) -> Reply {
    let arguments = json!({"cmd": cmd, "login": false}).to_string();
    answers(vec![ev_function_call("c1", "exec_command", &arguments)])
}

#[test]
fn a_command_is_an_item_and_the_sandbox_modes_hold_it() {
    for (mode, is_written) in [
        ("read-only", false),
        ("workspace-write", true),
        ("danger-full-access", true),
    ] {
        both("", |room| {
            room.provider
                .queue(runs("echo hi; echo x > new"))
                .queue(says("done"));
            let played = room.play(json!({
                "codex": {}, "thread": {"sandbox_mode": mode}, "turns": [{"input": "x"}],
            }));
            let turn = &played["turns"][0];
            let command = items_of(turn, "command_execution")[0];
            assert!(
                command["aggregated_output"]
                    .as_str()
                    .unwrap()
                    .starts_with("hi\n"),
                "{mode} {command}"
            );
            assert_eq!(
                command["status"] == "completed",
                is_written,
                "{mode} {command}"
            );
            assert_eq!(room.home.cwd().join("new").exists(), is_written, "{mode}");
        });
    }
}

#[test]
fn a_patch_is_a_file_change() {
    both("", |room| {
        let patch = |body: &str| {
            let text = format!("*** Begin Patch\n{body}\n*** End Patch\n");
            answers(vec![ev_custom_tool_call("c1", "apply_patch", &text)])
        };
        room.provider
            .queue(patch("*** Add File: a/new\n+x"))
            .queue(patch("*** Delete File: none"))
            .queue(says("done"));
        let played = room.play(json!({
            "codex": {}, "thread": {"sandbox_mode": "workspace-write"},
            "turns": [{"input": "x", "streamed": true}],
        }));
        let events = played["turns"][0]["events"]
            .as_array()
            .unwrap_or_else(|| panic!("{played}"));
        let changes: Vec<&Value> = events
            .iter()
            .filter(|event| event["item"]["type"] == "file_change")
            .collect();
        let shown: Vec<_> = changes
            .iter()
            .map(|event| (&event["type"], &event["item"]["status"]))
            .collect();
        assert_eq!(
            shown,
            [
                (&json!("item.completed"), &json!("completed")),
                (&json!("item.completed"), &json!("failed"))
            ],
            "{played}"
        );
        assert_eq!(
            changes[0]["item"]["changes"],
            json!([{"path": room.home.cwd().join("a/new"), "kind": "add"}])
        );
        assert!(room.home.cwd().join("a/new").exists());
    });
}

#[test]
fn a_call_of_an_mcp_tool_is_an_item() {
    let server = FakeStdio::new().tools(["echo"]).toml("test");
    both(
        &format!("{server}default_tools_approval_mode = \"approve\"\n"),
        |room| {
            room.provider
                .queue(answers(vec![ev_namespaced_call(
                    "c1",
                    "mcp__test",
                    "echo",
                    r#"{"text":"x"}"#,
                )]))
                .queue(says("done"));
            let turn = room.turn(json!({"input": "x"}));
            let call = items_of(&turn, "mcp_tool_call")[0];
            assert_eq!(
                (&call["server"], &call["tool"], &call["status"]),
                (&json!("test"), &json!("echo"), &json!("completed")),
                "{turn}"
            );
        },
    );
}

#[test]
fn a_plan_is_a_list_that_starts_changes_and_ends() {
    both("tools.update_plan = {enabled = true}\n", |room| {
        let plan = |status: &str| {
            let arguments = json!({"plan": [{"step": "A", "status": status}]}).to_string();
            answers(vec![ev_function_call("c1", "update_plan", &arguments)])
        };
        room.provider
            .queue(plan("pending"))
            .queue(plan("completed"))
            .queue(says("done"));
        let turn = room.turn(json!({"input": "x", "streamed": true}));
        let events = turn["events"].as_array().unwrap();
        let told: Vec<_> = events
            .iter()
            .filter(|event| event["item"]["type"] == "todo_list")
            .map(|event| {
                (
                    event["type"].as_str().unwrap(),
                    event["item"]["items"][0]["completed"].as_bool().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("item.started", false),
                ("item.updated", true),
                ("item.completed", true)
            ],
            "{turn}"
        );
    });
}

#[test]
fn a_failing_turn_is_an_error_with_the_providers_words() {
    both("", |room| {
        room.provider
            .queue(Reply::error(400, "invalid_value", "bad thing"));
        let turn = room.turn(json!({"input": "x"}));
        assert!(
            turn["error"].as_str().unwrap().contains("bad thing"),
            "{turn}"
        );
    });
}

#[test]
fn what_stops_a_run_early_is_an_error_with_our_words() {
    both("", |room| {
        for (thread, words) in [
            (json!({"working_directory": "/no/such/dir"}), "/no/such/dir"),
            (
                json!({"skip_git_repo_check": false}),
                "Not inside a trusted directory",
            ),
        ] {
            let played =
                room.play(json!({"codex": {}, "thread": thread, "turns": [{"input": "x"}]}));
            let error = played["turns"][0]["error"]
                .as_str()
                .unwrap_or_else(|| panic!("{played}"));
            assert!(error.contains(words), "{error}");
        }
        assert!(room.provider.requests().is_empty());
    });
}

#[test]
fn an_abort_ends_the_run_and_its_servers() {
    for sdk in BOTH {
        let journal_home = TestHome::new();
        let journal = Journal::new(journal_home.path().join("journal.jsonl"));
        let server = FakeStdio::new()
            .tools(["echo"])
            .noting_in(&journal)
            .toml("test");
        let Some(room) = Room::new(sdk, &server) else {
            return;
        };
        let gate = Gate::new();
        room.provider.queue(says("never told").hold_until(&gate));
        let turn = room.turn(json!({"input": "x", "streamed": true, "abort_at": "turn.started"}));
        assert!(turn["error"].is_string(), "{turn}");
        for pid in journal.pids() {
            assert!(
                wait_until_gone(pid, Duration::from_secs(10)),
                "{sdk:?}: {pid} is left"
            );
        }
        gate.open();
    }
}
