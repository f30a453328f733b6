//! The built-in tools: every call one item with one end and one output, whatever becomes of it.

use std::path::Path;

use codex_api_types::{CustomToolCall, LocalShellCall, ResponseItem};
use codex_core::{BuiltInTools, CommandTools};
use codex_host::Env;
use codex_model::ModelEvent;
use codex_protocol::{EventKind, Op, SandboxMode};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, Room, answer, called, line, said};

/// A room in which everything is allowed.
fn room(answers: Vec<Answer>) -> Room {
    let mut room = Room::new(answers);
    room.settings.tools = BuiltInTools::default();
    room.settings.sandbox = SandboxMode::DangerFullAccess;
    room.settings.env = Env::from_pairs([("PATH", std::env::var("PATH").unwrap())]);
    room
}

fn exec(call_id: &str, arguments: Value) -> ModelEvent {
    called(call_id, "exec_command", &arguments.to_string())
}

fn run(call_id: &str, cmd: &str) -> ModelEvent {
    exec(call_id, json!({"cmd": cmd, "login": false}))
}

pub(crate) fn patch(call_id: &str, body: &str) -> ModelEvent {
    ModelEvent::ItemDone(ResponseItem::CustomToolCall(CustomToolCall {
        call_id: call_id.to_owned(),
        name: "apply_patch".to_owned(),
        input: format!("*** Begin Patch\n{body}\n*** End Patch\n"),
    }))
}

/// Returns the output of a call, its times and names left out.
fn output(room: &Room, call_id: &str) -> String {
    let asked = room.model.asked();
    let items = asked.last().unwrap().input.iter();
    let items = items.map(|item| serde_json::from_str::<Value>(item).unwrap());
    let mut items = items.filter(|item| {
        item["call_id"] == call_id && item["type"].as_str().unwrap().ends_with("_output")
    });
    let item = items
        .next()
        .unwrap_or_else(|| panic!("no output of {call_id}"));
    assert!(items.next().is_none(), "two outputs of {call_id}");
    let text = match &item["output"] {
        Value::String(text) => text.clone(),
        parts => parts.to_string(),
    };
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("Wall time: ") && !line.starts_with("Chunk ID: "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a told turn with the paths of this test left out.
fn shown(room: &Room, turn: &str) -> String {
    turn.replace(&*room.path("work").to_string_lossy(), "<work>")
}

#[tokio::test]
async fn a_command_is_one_item_and_one_answer() {
    let room = room(vec![
        answer(vec![run("c1", "echo hi; echo oh >&2"), run("c2", "exit 3")]),
        answer(vec![said("done")]),
    ]);
    let turn = room.start().await.turn("run").await;
    let mut lines: Vec<&str> = turn.lines().collect();
    lines.sort_unstable();
    assert_snapshot!(lines.join("\n"), @r#"
    item_0 completed: ran "/bin/bash -c 'echo hi; echo oh >&2'" done exit=0 "hi\noh\n"
    item_0 started: ran "/bin/bash -c 'echo hi; echo oh >&2'" runs ""
    item_1 completed: ran "/bin/bash -c 'exit 3'" failed exit=3 ""
    item_1 started: ran "/bin/bash -c 'exit 3'" runs ""
    item_2 completed: message "done"
    turn completed: 20 in, 4 out
    turn started
    "#);
    assert_snapshot!(output(&room, "c1"), @r"
    Process exited with code 0
    Original token count: 2
    Output:
    hi
    oh
    ");
    assert_snapshot!(output(&room, "c2"), @r"
    Process exited with code 3
    Original token count: 0
    Output:
    ");
}

#[tokio::test]
async fn a_command_that_asks_is_answered_by_write_stdin_and_stays_one_item() {
    let ask = json!({
        "cmd": "read -p 'name? ' n; echo \"hello $n\"", "login": false, "tty": true,
        "yield_time_ms": 250,
    });
    let room = room(vec![
        answer(vec![exec("c1", ask)]),
        answer(vec![called(
            "c2",
            "write_stdin",
            r#"{"session_id":1,"chars":"Ada\n","yield_time_ms":30000}"#,
        )]),
        answer(vec![called(
            "c3",
            "write_stdin",
            r#"{"session_id":1,"chars":"x"}"#,
        )]),
        answer(vec![said("done")]),
    ]);
    let turn = room.start().await.turn("run").await;
    assert_snapshot!(turn, @r#"
    turn started
    item_0 started: ran "/bin/bash -c 'read -p '\\''name? '\\'' n; echo \"hello $n\"'" runs ""
    item_0 completed: ran "/bin/bash -c 'read -p '\\''name? '\\'' n; echo \"hello $n\"'" done exit=0 "name? Ada\r\nhello Ada\r\n"
    item_1 started: codex/write_stdin {"session_id":1,"chars":"x"} runs
    item_1 completed: codex/write_stdin {"session_id":1,"chars":"x"} failed error=there is no session 1, or it has ended
    item_2 completed: message "done"
    turn completed: 40 in, 8 out
    "#);
    assert_snapshot!(output(&room, "c1"), @r"
    Process running with session ID 1
    Original token count: 2
    Output:
    name? 
    ");
    assert_snapshot!(output(&room, "c2"), @r"
    Process exited with code 0
    Original token count: 4
    Output:
    Ada
    hello Ada
    ");
}

#[tokio::test]
async fn words_for_a_command_without_a_terminal_are_a_failed_item_and_the_command_goes_on() {
    let runs = json!({"cmd": "sleep 1000", "login": false, "yield_time_ms": 250});
    let types = r#"{"session_id":1,"chars":"x"}"#;
    let room = room(vec![
        answer(vec![exec("c1", runs)]),
        answer(vec![called("c2", "write_stdin", types)]),
        answer(vec![said("done")]),
    ]);
    let turn = room.start().await.turn("run").await;
    assert_snapshot!(turn, @r#"
    turn started
    item_0 started: ran "/bin/bash -c 'sleep 1000'" runs ""
    item_1 started: codex/write_stdin {"session_id":1,"chars":"x"} runs
    item_1 completed: codex/write_stdin {"session_id":1,"chars":"x"} failed error=the command has no terminal, so its stdin is empty; run it again with tty = true to type into it
    item_2 completed: message "done"
    item_0 completed: ran "/bin/bash -c 'sleep 1000'" failed ""
    turn completed: 30 in, 6 out
    "#);
    let told = output(&room, "c2");
    assert!(
        told.ends_with("; run it again with tty = true to type into it"),
        "{told}"
    );
}

#[tokio::test]
async fn a_command_that_outlives_its_turn_is_ended_before_the_turn_is() {
    let server = json!({"cmd": "echo $$; sleep 1000", "login": false, "yield_time_ms": 250});
    let room = room(vec![
        answer(vec![exec("c1", server)]),
        answer(vec![said("it runs")]),
    ]);
    let turn = room.start().await.turn("serve").await;
    let pid = output(&room, "c1").lines().last().unwrap().to_owned();
    assert_snapshot!(turn.replace(&pid, "<pid>"), @r#"
    turn started
    item_0 started: ran "/bin/bash -c 'echo $$; sleep 1000'" runs ""
    item_1 completed: message "it runs"
    item_0 completed: ran "/bin/bash -c 'echo $$; sleep 1000'" failed "<pid>\n"
    turn completed: 20 in, 4 out
    "#);
    assert!(
        !Path::new(&format!("/proc/{pid}/cwd")).exists(),
        "{pid} lives"
    );
}

#[tokio::test]
async fn an_interrupt_ends_the_command_its_item_and_the_turn() {
    let room = room(vec![answer(vec![run(
        "c1",
        "trap '' TERM; echo go; sleep 1000",
    )])]);
    let mut thread = room.start().await;
    thread.say("run").await;
    let mut lines = Vec::new();
    loop {
        let event = thread.next().await;
        lines.push(line(&event));
        match event {
            EventKind::ItemStarted(_) => thread.handle.submit(Op::Interrupt).await.unwrap(),
            EventKind::TurnInterrupted => break,
            _ => {}
        }
    }
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].starts_with("item_0 completed: ran "), "{lines:?}");
    assert!(lines[2].contains(" failed "), "{lines:?}");
}

#[tokio::test]
async fn the_classic_shell_ends_what_takes_too_long() {
    let mut room = room(vec![
        answer(vec![
            called(
                "c1",
                "shell",
                r#"{"command":["sh","-c","echo a; sleep 1000"],"timeout_ms":300}"#,
            ),
            called(
                "c2",
                "shell",
                r#"{"command":["sh","-c","echo b"],"workdir":"sub"}"#,
            ),
            called("c3", "container.exec", r#"{"command":["no-such-program"]}"#),
            ModelEvent::ItemDone(ResponseItem::LocalShellCall(LocalShellCall {
                call_id: "c4".to_owned(),
                action: json!({"type": "exec", "command": ["pwd"]}),
            })),
        ]),
        answer(vec![said("done")]),
    ]);
    room.settings.tools.commands = CommandTools::Classic;
    std::fs::create_dir(room.path("work/sub")).unwrap();
    let turn = room.start().await.turn("run").await;
    assert_eq!(turn.matches(" started: ran ").count(), 4, "{turn}");
    assert_eq!(turn.matches(" completed: ran ").count(), 4, "{turn}");
    assert_snapshot!(output(&room, "c1"), @r"
    Exit code: 124
    Output:
    command timed out after 300 milliseconds
    a
    ");
    assert_eq!(output(&room, "c2"), "Exit code: 0\nOutput:\nb");
    assert_eq!(
        output(&room, "c3"),
        "program not found on PATH: `no-such-program`"
    );
    assert_snapshot!(shown(&room, &output(&room, "c4")), @r"
    Exit code: 0
    Output:
    <work>
    ");
    assert!(room.model.asked()[0].tools.contains(r#""name":"shell""#));
}

#[tokio::test]
async fn long_output_keeps_head_and_tail_and_the_whole_is_in_a_file() {
    let long = json!({
        "cmd": "seq 1 5000", "login": false, "max_output_tokens": 100,
    });
    let room = room(vec![
        answer(vec![exec("c1", long)]),
        answer(vec![said("done")]),
    ]);
    room.start().await.turn("run").await;
    let told = output(&room, "c1");
    assert!(
        told.contains("Output:\n1\n2\n") && told.ends_with("\n5000"),
        "{told}"
    );
    let (_, file) = told.split_once("the whole text is in ").unwrap();
    let file = file.split_once(" …").unwrap().0;
    let whole = std::fs::read_to_string(file).unwrap();
    assert_eq!(whole.lines().count(), 5000);
}

#[tokio::test]
async fn a_patch_is_one_item_whatever_becomes_of_it() {
    let room = room(vec![
        answer(vec![
            patch(
                "c1",
                "*** Add File: sub/new\n+x\n*** Update File: old\n@@\n-1\n+2",
            ),
            run("c2", "cat old sub/new"),
        ]),
        answer(vec![
            patch(
                "c3",
                "*** Update File: old\n@@\n-7\n+8\n*** Delete File: sub/new",
            ),
            patch("c4", "*** Rename File: old"),
            exec(
                "c5",
                json!({"cmd": "cd sub && apply_patch <<'EOF'\n*** Begin Patch\n*** Delete File: new\n*** End Patch\nEOF\n"}),
            ),
            exec("c6", json!({"cmd": "ls; apply_patch < x"})),
        ]),
        answer(vec![said("done")]),
    ]);
    std::fs::write(room.path("work/old"), "1\n").unwrap();
    let turn = room.start().await.turn("patch").await;
    assert_snapshot!(shown(&room, &turn), @r#"
    turn started
    item_0 started: patch [Update <work>/old, Add <work>/sub/new] runs
    item_0 completed: patch [Update <work>/old, Add <work>/sub/new] done
    item_1 started: ran "/bin/bash -c 'cat old sub/new'" runs ""
    item_1 completed: ran "/bin/bash -c 'cat old sub/new'" done exit=0 "2\nx\n"
    item_2 started: codex/exec_command "{\"cmd\":\"ls; apply_patch < x\"}" runs
    item_2 completed: codex/exec_command "{\"cmd\":\"ls; apply_patch < x\"}" failed error=apply_patch is a tool and no program: call it by itself, or as the only command of a script
    item_3 started: patch [Update <work>/old, Delete <work>/sub/new] runs
    item_3 completed: patch [Update <work>/old, Delete <work>/sub/new] failed error=the patch was not applied, no file was changed: the hunk on line 3 of the patch does not fit `<work>/old`: the line `7` is not there
    item_4 started: patch [] runs
    item_4 completed: patch [] failed error=the patch cannot be read: line 2 of the patch: expected `*** Add File: PATH`, `*** Update File: PATH`, `*** Delete File: PATH` or `*** End Patch`, found `*** Rename File: old`
    item_5 started: patch [Delete <work>/sub/new] runs
    item_5 completed: patch [Delete <work>/sub/new] done
    item_6 completed: message "done"
    turn completed: 30 in, 6 out
    "#);
    assert_snapshot!(output(&room, "c1"), @r"
    Exit code: 0
    Output:
    Success. Updated the following files:
    A sub/new
    M old
    ");
    assert_snapshot!(output(&room, "c2"), @r"
    Process exited with code 0
    Original token count: 1
    Output:
    2
    x
    ");
    assert!(!room.path("work/sub/new").exists());
    assert_eq!(
        std::fs::read_to_string(room.path("work/old")).unwrap(),
        "2\n"
    );
}

#[tokio::test]
async fn nothing_is_written_and_nothing_unconfined_runs_in_read_only_mode() {
    let mut room = room(vec![
        answer(vec![
            patch("c1", "*** Add File: new\n+x"),
            exec(
                "c2",
                json!({"cmd": "ls", "sandbox_permissions": "require_escalated"}),
            ),
        ]),
        answer(vec![said("done")]),
    ]);
    room.settings.sandbox = SandboxMode::ReadOnly;
    let turn = room.start().await.turn("write").await;
    assert_snapshot!(shown(&room, &turn), @r#"
    turn started
    item_0 started: patch [Add <work>/new] runs
    item_0 completed: patch [Add <work>/new] failed error=the patch was rejected, no file was changed: sandbox mode `read-only` allows no writing; to allow it use `--sandbox workspace-write`
    item_1 started: ran "/bin/bash -lc ls" runs ""
    item_1 completed: ran "/bin/bash -lc ls" failed "running outside of the sandbox requires approval, but approval policy is never; find a way within the sandbox or say what is missing"
    item_2 completed: message "done"
    turn completed: 20 in, 4 out
    "#);
    assert!(!room.path("work/new").exists());
}

#[tokio::test]
async fn patches_stay_below_the_roots_and_out_of_what_is_kept() {
    let mut room = room(vec![
        answer(vec![
            patch("c1", "*** Add File: ../out\n+x"),
            patch("c2", "*** Add File: .git/hooks/post-commit\n+x"),
            patch("c3", "*** Add File: link/out\n+x"),
            patch("c4", "*** Add File: in\n+x"),
        ]),
        answer(vec![said("done")]),
    ]);
    room.settings.sandbox = SandboxMode::WorkspaceWrite;
    // The test itself lies there.
    room.settings.workspace.exclude_slash_tmp = true;
    room.settings.workspace.exclude_tmpdir_env_var = true;
    std::fs::create_dir_all(room.path("work/.git/hooks")).unwrap();
    std::os::unix::fs::symlink(room.path(""), room.path("work/link")).unwrap();
    room.start().await.turn("write").await;
    for (call, why) in [
        ("c1", "is outside of what may be written"),
        ("c2", "is kept read-only"),
        ("c3", "is a symbolic link"),
        ("c4", "Success."),
    ] {
        assert!(output(&room, call).contains(why), "{}", output(&room, call));
    }
    assert!(!room.path("out").exists() && room.path("work/in").exists());
}

#[tokio::test]
async fn a_picture_is_shown_to_the_model() {
    let room = room(vec![
        answer(vec![
            called("c1", "view_image", r#"{"path":"p.png"}"#),
            called("c2", "view_image", r#"{"path":"none.png"}"#),
            called("c3", "view_image", "{}"),
        ]),
        answer(vec![said("done")]),
    ]);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
    std::fs::write(room.path("work/p.png"), png).unwrap();
    let turn = room.start().await.turn("look").await;
    let mut lines: Vec<&str> = turn
        .lines()
        .filter(|line| line.starts_with("item_"))
        .collect();
    lines.sort_unstable();
    assert_snapshot!(lines.join("\n"), @r#"
    item_0 completed: codex/view_image "{}" failed error=failed to parse function arguments: missing field `path` at line 1 column 2
    item_0 started: codex/view_image "{}" runs
    item_1 completed: codex/view_image {"path":"p.png"} done result=[{"type":"text","text":"showed p.png"}]
    item_1 started: codex/view_image {"path":"p.png"} runs
    item_2 completed: codex/view_image {"path":"none.png"} failed error=cannot read image `none.png`: No such file or directory (os error 2)
    item_2 started: codex/view_image {"path":"none.png"} runs
    item_3 completed: message "done"
    "#);
    assert!(
        output(&room, "c1")
            .starts_with(r#"[{"type":"input_image","image_url":"data:image/png;base64,iVBOR"#)
    );
}

#[tokio::test]
async fn what_is_turned_off_is_neither_offered_nor_run() {
    let mut room = room(vec![
        answer(vec![
            run("c1", "ls"),
            called("c2", "view_image", r#"{"path":"x"}"#),
        ]),
        answer(vec![said("done")]),
    ]);
    room.settings.tools = BuiltInTools {
        commands: CommandTools::Absent,
        apply_patch: true,
        view_image: false,
    };
    let turn = room.start().await.turn("run").await;
    assert!(
        turn.contains("error=unsupported call: exec_command"),
        "{turn}"
    );
    assert!(
        turn.contains("error=unsupported call: view_image"),
        "{turn}"
    );
    let tools = &room.model.asked()[0].tools;
    assert!(
        tools.starts_with(r#"[{"type":"custom","name":"apply_patch""#)
            && !tools.contains("exec_command")
    );
}
