//! `codex mcp tools` and `codex mcp call`: servers asked live, without any model.

use std::process::Command;
use std::time::Duration;

use codex_test_support::{FakeHttp, FakeStdio, Journal, TestHome, wait_until_gone};
use insta::assert_snapshot;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

fn home(config: &str) -> TestHome {
    TestHome::with_config(config)
}

fn one(fake: &FakeStdio) -> TestHome {
    home(&fake.toml("x"))
}

#[test]
fn tools_lists_every_enabled_server() {
    let config = format!(
        "{}disabled_tools = [\"write\"]\n{}{}enabled = false\n",
        FakeStdio::new().tools(["echo", "write"]).toml("docs"),
        FakeStdio::new().tools(["add"]).toml("calc"),
        FakeStdio::new().toml("off"),
    );
    assert_snapshot!(home(&config).codex(["mcp", "tools"]).run(), @"
        Server  Tool  State  Approval  Description
        calc    add   on     auto      The fake tool `add`.
        docs    echo  on     auto      The fake tool `echo`.
        [stderr]
        note: docs hides 1 tool; --show-hidden shows them
        [exit 0]
        ");
    assert_snapshot!(home(&config).codex(["mcp", "tools", "docs", "--show-hidden"]).run(), @"
        Server  Tool   State                 Approval  Description
        docs    echo   on                    auto      The fake tool `echo`.
        docs    write  off (disabled_tools)  -         The fake tool `write`.
        [exit 0]
        ");
}

#[test]
fn tools_shows_which_are_approved_by_their_arguments() {
    let config = format!(
        "{}default_tools_approval_mode = \"approve\"\n\
         tools.write.approve_when = {{ text = {{ max = 3 }} }}\n",
        FakeStdio::new().tools(["echo", "write"]).toml("x"),
    );
    let home = home(&config);
    assert_snapshot!(home.codex(["mcp", "tools"]).run(), @"
        Server  Tool   State  Approval              Description
        x       echo   on     approve               The fake tool `echo`.
        x       write  on     prompt, approve_when  The fake tool `write`.
        [exit 0]
        ");
    let rows = home
        .codex(["mcp", "tools", "--json"])
        .run()
        .success()
        .json();
    let rules: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.get("approve_when").cloned())
        .collect();
    let rule = serde_json::json!({"text": {"max": 3}});
    assert_eq!(rules, [None, Some(rule)]);
}

#[test]
fn a_bad_tool_is_told_where_tools_are_listed_and_not_beside_each_call() {
    let home = one(&FakeStdio::new().tools(["echo", "remote_ref"]));
    assert_snapshot!(home.codex(["mcp", "tools", "--show-hidden"]).run(), @"
        Server  Tool        State    Approval  Description
        x       echo        on       auto      The fake tool `echo`.
        x       remote_ref  invalid  -         its input schema is bad: the schema refers to `http://127.0.0.1:[PORT]/x.json`, and remote schemas are n…
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "call", "x", "echo", "-a", "text=hi"]).run(), @r#"
        ECHO:hi
        {
          "echo": "hi"
        }
        [exit 0]
        "#);
    assert_snapshot!(home.codex(["mcp", "call", "x", "remote_ref"]).run(), @"
        [stderr]
        Error: tool 'remote_ref' of MCP server 'x' cannot be used

        Caused by:
            its input schema is bad: the schema refers to `http://127.0.0.1:[PORT]/x.json`, and remote schemas are never fetched
        [exit 16]
        ");
}

#[test]
fn one_tool_is_shown_in_full() {
    let home = one(&FakeStdio::new().tools(["add"]));
    assert_snapshot!(home.codex(["mcp", "tools", "x", "add"]).run(), @r#"
        x/add
          state: on
          approval: auto
          wire name: mcp__x__add
          schema bytes: 97
          readOnlyHint: true

        The fake tool `add`.

        input schema:
        {
          "type": "object",
          "properties": {
            "a": {
              "type": "number"
            },
            "b": {
              "type": "number"
            }
          },
          "required": [
            "a",
            "b"
          ]
        }

        output schema:
        {
          "type": "object",
          "properties": {
            "sum": {
              "type": "number"
            }
          },
          "required": [
            "sum"
          ]
        }
        [exit 0]
        "#);
    assert_snapshot!(home.codex(["mcp", "tools", "--json", "x", "add"]).run(), @r#"
        [
          {
            "server": "x",
            "name": "add",
            "wire_name": "mcp__x__add",
            "title": null,
            "description": "The fake tool `add`.",
            "state": "on",
            "reason": null,
            "approval_mode": "auto",
            "annotations": {
              "readOnlyHint": true
            },
            "input_schema": {
              "type": "object",
              "properties": {
                "a": {
                  "type": "number"
                },
                "b": {
                  "type": "number"
                }
              },
              "required": [
                "a",
                "b"
              ]
            },
            "output_schema": {
              "type": "object",
              "properties": {
                "sum": {
                  "type": "number"
                }
              },
              "required": [
                "sum"
              ]
            },
            "schema_bytes": 97
          }
        ]
        [exit 0]
        "#);
}

#[test]
fn a_tool_that_cannot_be_used_is_shown_as_the_server_sent_it() {
    let home = one(&FakeStdio::new().tools(["echo", "task_only"]));
    assert_snapshot!(home.codex(["mcp", "tools", "x", "task_only"]).run(), @r#"
        x/task_only
          state: invalid (it runs only as a task, which this client does not support)
          approval: -
          wire name: -
          schema bytes: 77

        The fake tool `task_only`.

        input schema:
        {
          "type": "object",
          "properties": {
            "text": {
              "type": "string"
            }
          },
          "required": [
            "text"
          ]
        }

        output schema: -
        [exit 0]
        "#);
}

#[test]
fn without_any_server_that_started_there_is_no_table() {
    let config = FakeStdio::new().exit_at_once(3).toml("bad");
    assert_snapshot!(home(&config).codex(["mcp", "tools"]).run(), @"
        [stderr]
        Error: MCP server 'bad' failed to start: ended before it was ready (exit status 3)
        hint: run the server's command by hand to see what it needs
        [exit 13]
        ");
}

#[test]
fn names_that_are_not_there_come_with_what_is_near() {
    let home = one(&FakeStdio::new());
    assert_snapshot!(home.codex(["mcp", "tools", "y"]).run(), @"
        [stderr]
        Error: No MCP server named 'y' found.
        [exit 1]
        ");
    assert_snapshot!(home.codex(["mcp", "call", "x", "ecoh"]).run(), @"
        [stderr]
        Error: MCP server 'x' has no tool named 'ecoh'.
        hint: did you mean `echo`?
        [exit 1]
        ");
    assert_snapshot!(TestHome::new().codex(["mcp", "tools"]).run(), @"
        No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.
        [exit 0]
        ");
    let off = TestHome::with_config("[mcp_servers.x]\ncommand = \"p\"\nenabled = false\n");
    assert_snapshot!(off.codex(["mcp", "tools"]).run(), @"
        [stderr]
        note: every configured MCP server is disabled; `codex mcp list` shows them
        [exit 0]
        ");
    assert_snapshot!(TestHome::new().codex(["mcp", "tools", "--json"]).run(), @"
        []
        [exit 0]
        ");
}

#[test]
fn a_failing_server_does_not_hide_the_others() {
    let config = format!(
        "{}{}",
        FakeStdio::new().toml("good"),
        FakeStdio::new()
            .stderr("no database")
            .exit_at_once(3)
            .toml("bad"),
    );
    assert_snapshot!(home(&config).codex(["mcp", "tools"]).run(), @"
        Server  Tool  State  Approval  Description
        good    echo  on     auto      The fake tool `echo`.
        [stderr]
        Error: MCP server 'bad' failed to start: ended before it was ready (exit status 3); its stderr ended with: no database
        hint: run the server's command by hand to see what it needs
        [exit 13]
        ");
    assert_snapshot!(home(&config).codex(["mcp", "tools", "bad"]).run(), @"
        [stderr]
        Error: MCP server 'bad' failed to start: ended before it was ready (exit status 3); its stderr ended with: no database
        hint: run the server's command by hand to see what it needs
        [exit 13]
        ");
}

#[test]
fn the_exit_code_names_the_step_that_failed() {
    let exit = |config: &str, args: &[&str]| home(config).codex(args).run().exit();
    let tools: &[&str] = &["mcp", "tools", "x"];
    assert_eq!(
        exit(
            "[mcp_servers.x]\ncommand = \"p\"\nurl = \"http://a/b\"\n",
            tools
        ),
        Some(10)
    );
    assert_eq!(
        exit("[mcp_servers.x]\ncommand = \"p\"\nenabled = false\n", tools),
        Some(11)
    );
    assert_eq!(
        exit("[mcp_servers.x]\ncommand = \"/no/such/program\"\n", tools),
        Some(12)
    );
    assert_eq!(
        exit(
            "[mcp_servers.x]\ncommand = \"sh\"\nenv_vars = [\"NOPE\"]\n",
            tools
        ),
        Some(12)
    );
    assert_eq!(
        exit(&FakeStdio::new().exit_at_once(3).toml("x"), tools),
        Some(13)
    );
    assert_eq!(
        exit("[mcp_servers.x]\nurl = \"http://127.0.0.1:1/mcp\"\n", tools),
        Some(13)
    );
    assert_eq!(
        exit(
            &FakeStdio::new().protocol_version("1999-01-01").toml("x"),
            tools
        ),
        Some(15)
    );
    assert_eq!(
        exit(&FakeStdio::new().error_on("tools/list").toml("x"), tools),
        Some(16)
    );
    let locked = FakeHttp::new().require_bearer("key").start();
    assert_eq!(exit(&locked.toml("x"), tools), Some(14));
    let all = FakeStdio::new().tools(["fail", "rpc_error", "never", "die", "echo"]);
    let filtered = format!("{}disabled_tools = [\"echo\"]\n", all.toml("x"));
    assert_eq!(exit(&filtered, &["mcp", "call", "x", "echo"]), Some(11));
    assert_eq!(
        exit(
            &all.toml("x"),
            &["mcp", "call", "x", "fail", r#"{"text":"t"}"#]
        ),
        Some(20)
    );
    assert_eq!(
        exit(&all.toml("x"), &["mcp", "call", "x", "rpc_error"]),
        Some(21)
    );
    assert_eq!(
        exit(
            &all.toml("x"),
            &["mcp", "call", "x", "never", "--timeout", "0.3"]
        ),
        Some(22)
    );
    assert_eq!(exit(&all.toml("x"), &["mcp", "call", "x", "die"]), Some(13));
}

#[test]
fn a_call_prints_what_the_tool_says() {
    let home =
        one(&FakeStdio::new().tools(["echo", "image", "resource_link", "structured_only", "fail"]));
    assert_snapshot!(home.codex(["mcp", "call", "x", "echo", r#"{"text":"hi"}"#]).run(), @r#"
        ECHO:hi
        {
          "echo": "hi"
        }
        [exit 0]
        "#);
    assert_snapshot!(home.codex(["mcp", "call", "x", "image"]).run(), @"
        an image
        [image image/png, 70 bytes]
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "call", "x", "resource_link"]).run(), @"
        [resource fake://notes/1]
        [exit 0]
        ");
    assert_snapshot!(home.codex(["mcp", "call", "x", "structured_only"]).run(), @r#"
        {
          "only": [
            1,
            2
          ]
        }
        [exit 0]
        "#);
    assert_snapshot!(home.codex(["mcp", "call", "x", "fail", "-a", "text=no luck"]).run(), @"
        no luck
        [exit 20]
        ");
}

#[test]
fn json_holds_the_whole_answer() {
    let home = one(&FakeStdio::new());
    let output = home
        .codex(["mcp", "call", "--json", "x", "echo", "-a", "text=hi"])
        .run();
    let mut answer = output.json();
    assert!(answer["duration_ms"].is_u64(), "{output}");
    answer["duration_ms"] = 0.into();
    assert_snapshot!(answer, @r#"{"server":"x","tool":"echo","is_error":false,"content":[{"type":"text","text":"ECHO:hi"}],"structured_content":{"echo":"hi"},"_meta":null,"duration_ms":0}"#);
}

#[test]
fn arguments_come_from_stdin_and_from_files_too() {
    let home = one(&FakeStdio::new());
    home.write_file("args.json", r#"{"text":"from a file"}"#);
    let output = home
        .codex(["mcp", "call", "x", "echo", "@args.json"])
        .run()
        .success();
    assert!(
        output.filtered_stdout().starts_with("ECHO:from a file\n"),
        "{output}"
    );
    let output = home
        .codex(["mcp", "call", "x", "echo", "-"])
        .stdin(r#"{"text":"from stdin"}"#)
        .run()
        .success();
    assert!(
        output.filtered_stdout().starts_with("ECHO:from stdin\n"),
        "{output}"
    );
}

#[test]
fn ctrl_c_ends_the_wait_for_arguments() {
    let home = one(&FakeStdio::new());
    let pipe = home.cwd().join("args.json");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let running = home
        .codex(["mcp", "call", "x", "echo", "@args.json"])
        .spawn();
    // Opening a pipe to write waits until somebody opens it to read.
    let writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    running.interrupt();
    assert_snapshot!(running.wait(), @"
    [stderr]
    Error: interrupted
    [exit 130]
    ");
    drop(writer);
}

#[test]
fn arguments_are_checked_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"));
    let home = one(&FakeStdio::new().tools(["add"]).noting_in(&journal));
    assert_snapshot!(home.codex(["mcp", "call", "x", "add", r#"{"a": 1, "b": "two"}"#]).run(), @r#"
        [stderr]
        Error: the arguments do not fit the input schema of x/add

        Caused by:
            /b: "two" is not of type "number"
        hint: `codex mcp tools x add` shows the schema
        [exit 21]
        "#);
    assert!(!journal.methods().contains(&"tools/call".to_owned()));
    home.codex([
        "mcp",
        "call",
        "x",
        "add",
        "--no-validate",
        r#"{"a": 1, "b": "two"}"#,
    ])
    .run();
    assert!(journal.methods().contains(&"tools/call".to_owned()));
    assert_snapshot!(home.codex(["mcp", "call", "x", "add", "[1]"]).run(), @"
        [stderr]
        error: the arguments must be a JSON object

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(home.codex(["mcp", "call", "x", "add", "a=1"]).run(), @"
        [stderr]
        error: the arguments must be a JSON object

        Caused by:
            expected value at line 1 column 1

        hint: single arguments are given as `-a KEY=VALUE`

        For more information, try '--help'.
        [exit 2]
        ");
    assert_snapshot!(home.codex(["mcp", "call", "x", "add", "-a", "a"]).run(), @"
        [stderr]
        error: Invalid argument (missing '='): a

        For more information, try '--help'.
        [exit 2]
        ");
}

#[test]
fn a_question_without_a_terminal_is_declined_and_said() {
    let home = one(&FakeStdio::new().tools(["elicit"]));
    assert_snapshot!(home.codex(["mcp", "call", "x", "elicit", "-a", "message=Your name?"]).run(), @r#"
        answer {"action":"decline"}
        [stderr]
        warning: MCP server `x` asked for input ("Your name?"); declined, there is no terminal to ask on
        [exit 0]
        "#);
}

#[test]
fn ctrl_c_cancels_the_call_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"));
    let home = one(&FakeStdio::new().tools(["slow"]).noting_in(&journal));
    let running = home.codex(["mcp", "call", "x", "slow"]).spawn();
    journal.wait_for_method("tools/call", LIMIT);
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    journal.wait_for_method("notifications/cancelled", LIMIT);
    for pid in journal.pids() {
        assert!(
            wait_until_gone(pid, Duration::from_secs(10)),
            "{pid} is still alive"
        );
    }
}
