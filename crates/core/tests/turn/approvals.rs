//! Questions to the user: asked between the start and the end of an item, answered once.

use codex_core::{Asking, BuiltInTools};
use codex_host::Env;
use codex_protocol::{
    ApprovalDecision, AskForApproval, EventKind, Op, SandboxMode, SandboxPolicy, ThreadChanges,
    WorkspaceWrite,
};
use codex_test_support::FakeStdio;
use insta::assert_snapshot;
use serde_json::json;

use crate::hands::patch;
use crate::mcp::stdio;
use crate::support::{Answer, Room, Thread, answer, called, called_in, line, said};

/// A room in which nothing is confined and everything is asked.
fn room(answers: Vec<Answer>) -> Room {
    let mut room = Room::new(answers);
    room.settings.tools = BuiltInTools::default();
    room.settings.sandbox = SandboxMode::DangerFullAccess;
    room.settings.approval = AskForApproval::Untrusted;
    room.settings.asking = Asking::Frontend;
    room.settings.env = Env::from_pairs([("PATH", std::env::var("PATH").unwrap())]);
    room
}

fn run(call_id: &str, cmd: &str) -> codex_model::ModelEvent {
    let arguments = json!({"cmd": cmd, "login": false});
    called(call_id, "exec_command", &arguments.to_string())
}

/// Runs a turn and answers its questions in their order.
async fn turn(thread: &mut Thread, decisions: &[ApprovalDecision]) -> String {
    thread.say("go").await;
    let mut decisions = decisions.iter();
    let mut lines = Vec::new();
    loop {
        let event = thread.next().await;
        lines.push(line(&event));
        match event {
            EventKind::ApprovalRequested(request) => {
                let decision = *decisions.next().expect("an answer for every question");
                let decide = Op::Decide {
                    id: request.id,
                    decision,
                };
                thread.handle.submit(decide).await.unwrap();
            }
            EventKind::TurnCompleted { .. }
            | EventKind::TurnFailed(_)
            | EventKind::TurnInterrupted => return lines.join("\n"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_command_waits_for_its_answer_and_what_is_allowed_for_the_session_is_not_asked_again() {
    use ApprovalDecision::{Accept, AcceptForSession, Decline};
    let room = room(vec![
        answer(vec![run("c1", "touch a")]),
        answer(vec![run("c2", "touch b")]),
        answer(vec![run("c3", "touch c")]),
        answer(vec![run("c4", "touch c")]),
        answer(vec![run("c5", "touch a")]),
        answer(vec![said("done")]),
    ]);
    let mut thread = room.start().await;
    let turn = turn(&mut thread, &[Accept, Decline, AcceptForSession, Decline]).await;
    assert_snapshot!(turn, @r#"
    turn started
    item_0 started: ran "/bin/bash -c 'touch a'" runs ""
    item_0 asks 0: /bin/bash -c 'touch a' (approval policy `untrusted` asks for all that is not known to read only)
    0 is settled
    item_0 completed: ran "/bin/bash -c 'touch a'" done exit=0 ""
    item_1 started: ran "/bin/bash -c 'touch b'" runs ""
    item_1 asks 1: /bin/bash -c 'touch b' (approval policy `untrusted` asks for all that is not known to read only)
    1 is settled
    item_1 completed: ran "/bin/bash -c 'touch b'" declined ""
    item_2 started: ran "/bin/bash -c 'touch c'" runs ""
    item_2 asks 2: /bin/bash -c 'touch c' (approval policy `untrusted` asks for all that is not known to read only)
    2 is settled
    item_2 completed: ran "/bin/bash -c 'touch c'" done exit=0 ""
    item_3 started: ran "/bin/bash -c 'touch c'" runs ""
    item_3 completed: ran "/bin/bash -c 'touch c'" done exit=0 ""
    item_4 started: ran "/bin/bash -c 'touch a'" runs ""
    item_4 asks 3: /bin/bash -c 'touch a' (approval policy `untrusted` asks for all that is not known to read only)
    3 is settled
    item_4 completed: ran "/bin/bash -c 'touch a'" declined ""
    item_5 completed: message "done"
    turn completed: 60 in, 12 out
    "#);
    let there = |name: &str| room.path("work").join(name).exists();
    assert!(there("a") && !there("b") && there("c"));
    thread.shutdown().await;
}

#[tokio::test]
async fn to_cancel_a_command_ends_the_turn_and_to_cancel_a_tool_does_not() {
    use ApprovalDecision::{AcceptForSession, Cancel, Decline};
    let mut room = room(vec![
        answer(vec![called_in(
            "c1",
            "mcp__test",
            "echo",
            r#"{"text":"1"}"#,
        )]),
        answer(vec![called_in(
            "c2",
            "mcp__test",
            "echo",
            r#"{"text":"2"}"#,
        )]),
        answer(vec![called_in(
            "c3",
            "mcp__test",
            "echo",
            r#"{"text":"3"}"#,
        )]),
        answer(vec![called_in(
            "c4",
            "mcp__test",
            "echo",
            r#"{"text":"4"}"#,
        )]),
        answer(vec![run("c5", "touch a")]),
    ]);
    let mut server = stdio("test", &FakeStdio::new());
    server.default_tools_approval_mode = Some(codex_protocol::ToolApprovalMode::Prompt);
    room.server(server);
    let mut thread = room.start().await;
    let turn = turn(&mut thread, &[Cancel, Decline, AcceptForSession, Cancel]).await;
    assert_snapshot!(turn, @r#"
    turn started
    item_0 started: test/echo {"text":"1"} runs
    item_0 asks 0: test/echo {"text":"1"} (the approval mode of the tool asks first)
    0 is settled
    item_0 completed: test/echo {"text":"1"} failed error=user cancelled MCP tool call
    item_1 started: test/echo {"text":"2"} runs
    item_1 asks 1: test/echo {"text":"2"} (the approval mode of the tool asks first)
    1 is settled
    item_1 completed: test/echo {"text":"2"} failed error=user rejected MCP tool call
    item_2 started: test/echo {"text":"3"} runs
    item_2 asks 2: test/echo {"text":"3"} (the approval mode of the tool asks first)
    2 is settled
    item_2 completed: test/echo {"text":"3"} done result=[{"type":"text","text":"ECHO:3"}] structured={"echo":"3"}
    item_3 started: test/echo {"text":"4"} runs
    item_3 completed: test/echo {"text":"4"} done result=[{"type":"text","text":"ECHO:4"}] structured={"echo":"4"}
    item_4 started: ran "/bin/bash -c 'touch a'" runs ""
    item_4 asks 3: /bin/bash -c 'touch a' (approval policy `untrusted` asks for all that is not known to read only)
    3 is settled
    item_4 completed: ran "/bin/bash -c 'touch a'" declined ""
    turn interrupted
    "#);
    assert!(!room.path("work/a").exists());
    thread.shutdown().await;
}

#[tokio::test]
async fn a_patch_is_seen_before_it_is_allowed() {
    use ApprovalDecision::{AcceptForSession, Decline};
    let room = room(vec![
        answer(vec![patch("c1", "*** Add File: new\n+x")]),
        answer(vec![patch("c2", "*** Add File: new\n+x")]),
        answer(vec![patch("c3", "*** Update File: new\n@@\n-x\n+y")]),
        answer(vec![said("done")]),
    ]);
    let mut thread = room.start().await;
    let turn = turn(&mut thread, &[Decline, AcceptForSession]).await;
    let turn = turn.replace(&*room.path("work").to_string_lossy(), "<work>");
    assert_snapshot!(turn, @r#"
    turn started
    item_0 started: patch [Add <work>/new] runs
    item_0 asks 0: the patch (approval policy `untrusted` asks for all that is not known to read only)
    0 is settled
    item_0 completed: patch [Add <work>/new] declined
    item_1 started: patch [Add <work>/new] runs
    item_1 asks 1: the patch (approval policy `untrusted` asks for all that is not known to read only)
    1 is settled
    item_1 completed: patch [Add <work>/new] done
    item_2 started: patch [Update <work>/new] runs
    item_2 completed: patch [Update <work>/new] done
    item_3 completed: message "done"
    turn completed: 40 in, 8 out
    "#);
    assert_eq!(
        std::fs::read_to_string(room.path("work/new")).unwrap(),
        "y\n"
    );
    thread.shutdown().await;
}

#[tokio::test]
async fn a_move_is_shown_and_its_target_is_part_of_what_is_allowed() {
    use ApprovalDecision::{AcceptForSession, Decline};
    let to = |target: &str| format!("*** Update File: a\n*** Move to: {target}\n@@\n-1\n+1");
    let room = room(vec![
        answer(vec![patch("c1", "*** Update File: a\n@@\n-0\n+1")]),
        answer(vec![patch("c2", &to("sub/../b"))]),
        answer(vec![patch("c3", &to("b"))]),
        answer(vec![patch("c4", &to("c"))]),
        answer(vec![said("done")]),
    ]);
    std::fs::write(room.path("work/a"), "0\n").unwrap();
    let mut thread = room.start().await;
    // That `a` may be changed does not say that `b` may be made.
    let decisions = [AcceptForSession, Decline, AcceptForSession, Decline];
    let turn = turn(&mut thread, &decisions).await;
    let turn = turn.replace(&*room.path("work").to_string_lossy(), "<work>");
    let patches = turn.lines().filter(|line| line.contains("patch"));
    assert_snapshot!(patches.collect::<Vec<_>>().join("\n"), @r"
    item_0 started: patch [Update <work>/a] runs
    item_0 asks 0: the patch (approval policy `untrusted` asks for all that is not known to read only)
    item_0 completed: patch [Update <work>/a] done
    item_1 started: patch [Update <work>/a -> <work>/b] runs
    item_1 asks 1: the patch (approval policy `untrusted` asks for all that is not known to read only)
    item_1 completed: patch [Update <work>/a -> <work>/b] declined
    item_2 started: patch [Update <work>/a -> <work>/b] runs
    item_2 asks 2: the patch (approval policy `untrusted` asks for all that is not known to read only)
    item_2 completed: patch [Update <work>/a -> <work>/b] done
    item_3 started: patch [Update <work>/a -> <work>/c] runs
    item_3 asks 3: the patch (approval policy `untrusted` asks for all that is not known to read only)
    item_3 completed: patch [Update <work>/a -> <work>/c] declined
    ");
    assert!(!room.path("work/a").exists() && !room.path("work/c").exists());
    assert_eq!(std::fs::read_to_string(room.path("work/b")).unwrap(), "1\n");
    thread.shutdown().await;
}

#[tokio::test]
async fn what_was_allowed_in_one_sandbox_mode_is_asked_again_in_another() {
    use ApprovalDecision::{AcceptForSession, Decline};
    let files = |call_id: &str| patch(call_id, "*** Update File: f\n@@\n-1\n+1");
    let both = |round: &str| {
        [
            answer(vec![run(&format!("c{round}"), "touch a")]),
            answer(vec![files(&format!("p{round}"))]),
            answer(vec![said("done")]),
        ]
    };
    let room = room(
        [both("1"), both("2"), both("3"), both("4")]
            .into_iter()
            .flatten()
            .collect(),
    );
    std::fs::write(room.path("work/f"), "1\n").unwrap();
    let mut thread = room.start().await;
    let configure = |approval, sandbox| {
        let changes = ThreadChanges {
            approval: Some(approval),
            sandbox: Some(sandbox),
            ..ThreadChanges::default()
        };
        Op::Configure(Box::new(changes))
    };
    let asks = |told: String| told.lines().filter(|line| line.contains(" asks ")).count();
    let workspace = SandboxPolicy::WorkspaceWrite(WorkspaceWrite::default());
    let open = SandboxPolicy::DangerFullAccess;
    let twice = |decision: ApprovalDecision| [decision, decision];
    assert_eq!(asks(turn(&mut thread, &twice(AcceptForSession)).await), 2);
    let untrusted = AskForApproval::Untrusted;
    thread
        .handle
        .submit(configure(untrusted, workspace))
        .await
        .unwrap();
    assert_eq!(asks(turn(&mut thread, &twice(Decline)).await), 2);
    thread
        .handle
        .submit(configure(untrusted, open))
        .await
        .unwrap();
    assert_eq!(asks(turn(&mut thread, &[]).await), 0);
    // With nobody to be asked what was allowed counts no more.
    let closed = SandboxPolicy::ReadOnly {
        network_access: false,
    };
    thread
        .handle
        .submit(configure(AskForApproval::Never, closed))
        .await
        .unwrap();
    let told = turn(&mut thread, &[]).await;
    assert!(told.contains("the patch was rejected"), "{told}");
    thread.shutdown().await;
}

#[tokio::test]
async fn an_interrupt_settles_what_is_asked() {
    let room = room(vec![answer(vec![run("c1", "touch a")])]);
    let mut thread = room.start().await;
    thread.say("go").await;
    let mut lines = Vec::new();
    loop {
        let event = thread.next().await;
        lines.push(line(&event));
        if let EventKind::ApprovalRequested(request) = &event {
            thread.handle.submit(Op::Interrupt).await.unwrap();
            // Too late: it changes nothing.
            let decide = Op::Decide {
                id: request.id,
                decision: ApprovalDecision::Accept,
            };
            thread.handle.submit(decide).await.unwrap();
        }
        if event == EventKind::TurnInterrupted {
            break;
        }
    }
    assert_snapshot!(lines.join("\n"), @r#"
    turn started
    item_0 started: ran "/bin/bash -c 'touch a'" runs ""
    item_0 asks 0: /bin/bash -c 'touch a' (approval policy `untrusted` asks for all that is not known to read only)
    0 is settled
    item_0 completed: ran "/bin/bash -c 'touch a'" failed "interrupted"
    turn interrupted
    "#);
    assert!(!room.path("work/a").exists());
    thread.shutdown().await;
}

#[tokio::test]
async fn changes_hold_from_the_next_turn_on() {
    let room = room(vec![
        answer(vec![run("c1", "touch a")]),
        answer(vec![said("done")]),
    ]);
    let mut thread = room.start().await;
    let elsewhere = room.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let changes = ThreadChanges {
        cwd: Some(elsewhere.clone()),
        model: Some("other".to_owned()),
        approval: Some(AskForApproval::Never),
        sandbox: Some(SandboxPolicy::DangerFullAccess),
        ..ThreadChanges::default()
    };
    let configure = Op::Configure(Box::new(changes));
    thread.handle.submit(configure).await.unwrap();
    turn(&mut thread, &[]).await;
    assert!(elsewhere.join("a").exists());
    thread.shutdown().await;
}
