//! Turns with real MCP servers: what the model is offered, what runs, what it is told.

use codex_config::McpServerConfig;
use codex_protocol::{EventKind, Op, SandboxMode, ServerName, ToolApprovalMode};
use codex_test_support::{FakeStdio, Journal};
use insta::assert_snapshot;

use crate::support::{LIMIT, Room, answer, called, called_in, line, said};

pub(crate) fn stdio(name: &str, fake: &FakeStdio) -> McpServerConfig {
    let name = ServerName::from_config(name);
    let mut server = McpServerConfig::stdio(name, fake.program().to_string_lossy());
    let codex_config::McpTransport::Stdio(transport) = &mut server.transport else {
        unreachable!("made above");
    };
    transport.args = fake.args().to_vec();
    server
}

pub(crate) fn output(input: &[String], call_id: &str) -> String {
    let call_id = format!(r#""call_id":"{call_id}","output":"#);
    let found = input.iter().find(|line| line.contains(&call_id));
    let line = found.unwrap_or_else(|| panic!("no output of {call_id} in {input:#?}"));
    let time = line.find("Wall time: ").map(|at| &line[at + 11..at + 17]);
    time.map_or(line.clone(), |time| line.replace(time, "*.****"))
}

/// Returns the offered tools without those that are the engine's own.
fn of_servers(tools: &str) -> String {
    let mut tools: Vec<serde_json::Value> = serde_json::from_str(tools).unwrap();
    tools.retain(|tool| tool["name"].as_str().unwrap().starts_with("mcp__"));
    serde_json::to_string(&tools).unwrap()
}

#[tokio::test]
async fn a_call_runs_and_its_result_reaches_the_item_and_the_model() {
    let mut room = Room::new(vec![
        answer(vec![called_in(
            "call_1",
            "mcp__test",
            "echo",
            r#"{"text":"x"}"#,
        )]),
        answer(vec![said("done")]),
    ]);
    room.server(stdio(
        "test",
        &FakeStdio::new().instructions("Say things twice."),
    ));
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("echo").await, @r#"
    turn started
    item_0 started: test/echo {"text":"x"} runs
    item_0 completed: test/echo {"text":"x"} done result=[{"type":"text","text":"ECHO:x"}] structured={"echo":"x"}
    item_1 completed: message "done"
    turn completed: 20 in, 4 out
    "#);
    thread.shutdown().await;

    let asked = room.model.asked();
    assert_snapshot!(of_servers(&asked[0].tools), @r#"[{"type":"namespace","name":"mcp__test","description":"Say things twice.","tools":[{"type":"function","name":"echo","description":"The fake tool `echo`.","strict":false,"parameters":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}]}]"#);
    assert_eq!(asked[0].tools, asked[1].tools);
    assert_snapshot!(output(&asked[1].input, "call_1"), @r#"{"type":"function_call_output","call_id":"call_1","output":"Wall time: *.**** seconds\nOutput:\nECHO:x\n{\"echo\":\"x\"}"}"#);
}

#[tokio::test]
async fn every_spelling_of_a_tool_is_accepted_and_plain_dialects_see_flat_names() {
    let arguments = r#"{"text":"x"}"#;
    let mut room = Room::new(vec![
        answer(vec![
            called("call_1", "mcp__test__echo", arguments),
            called_in("call_2", "mcp__test", "mcp__test__echo", arguments),
            called("call_3", "mcp__test__ehco", arguments),
        ]),
        answer(vec![said("done")]),
    ]);
    room.settings.dialect = codex_core::ToolDialect::Plain;
    room.server(stdio("test", &FakeStdio::new()));
    let mut thread = room.start().await;
    let events = thread.turn("echo").await;
    assert_eq!(events.matches("ECHO:x").count(), 2, "{events}");
    assert!(
        events.contains("unsupported call: mcp__test__ehco; nearest: mcp__test__echo"),
        "{events}"
    );
    let tools = of_servers(&room.model.asked()[0].tools);
    assert!(
        tools.starts_with(r#"[{"type":"function","name":"mcp__test__echo""#),
        "{tools}"
    );
}

#[tokio::test]
async fn a_tool_that_may_write_is_refused_under_never_until_it_is_approved() {
    let call = || vec![called("call_1", "mcp__test__write", r#"{"text":"x"}"#)];
    let mut room = Room::new(vec![
        answer(call()),
        answer(vec![said("no")]),
        answer(call()),
        answer(vec![said("yes")]),
        answer(call()),
        answer(vec![said("free")]),
    ]);
    let mut server = stdio("test", &FakeStdio::new().tools(["write"]));
    room.server(server.clone());
    let mut thread = room.start().await;
    assert_snapshot!(thread.turn("write").await, @r#"
    turn started
    item_0 started: test/write {"text":"x"} runs
    item_0 completed: test/write {"text":"x"} failed error=MCP tool call requires approval, but approval policy is never; to allow it set [mcp_servers.test.tools.write] approval_mode = "approve"
    item_1 completed: message "no"
    turn completed: 20 in, 4 out
    "#);
    thread.shutdown().await;

    server.default_tools_approval_mode = Some(ToolApprovalMode::Approve);
    room.server(server.clone());
    let mut thread = room.start().await;
    assert!(thread.turn("write").await.contains("wrote x"));
    thread.shutdown().await;

    server.default_tools_approval_mode = Some(ToolApprovalMode::Prompt);
    room.server(server);
    room.settings.sandbox = SandboxMode::DangerFullAccess;
    let mut thread = room.start().await;
    assert!(thread.turn("write").await.contains("wrote x"));
}

#[tokio::test]
async fn where_a_person_would_be_asked_and_nobody_can_the_call_is_refused_with_the_way_out() {
    let mut room = Room::new(vec![
        answer(vec![called("call_1", "mcp__test__write", "{}")]),
        answer(vec![said("no")]),
    ]);
    room.settings.approval = codex_protocol::AskForApproval::OnRequest;
    room.server(stdio("test", &FakeStdio::new().tools(["write"])));
    let mut thread = room.start().await;
    let events = thread.turn("write").await;
    assert!(
        events.contains("error=MCP tool call requires approval, and this frontend cannot ask; to allow it set [mcp_servers.test.tools.write] approval_mode = \"approve\""),
        "{events}"
    );
}

#[tokio::test]
async fn errors_of_tool_and_protocol_are_told_apart() {
    let mut room = Room::new(vec![
        answer(vec![
            called("call_1", "mcp__test__fail", r#"{"text":"broken"}"#),
            called("call_2", "mcp__test__rpc_error", ""),
            called("call_3", "mcp__test__fail", "[1]"),
            called("call_4", "mcp__test__image", "{}"),
        ]),
        answer(vec![said("done")]),
    ]);
    let mut server = stdio(
        "test",
        &FakeStdio::new().tools(["fail", "rpc_error", "image"]),
    );
    server.default_tools_approval_mode = Some(ToolApprovalMode::Approve);
    room.server(server);
    let mut thread = room.start().await;
    let events = thread.turn("fail").await;
    let completed = |id: &str| {
        let line = events
            .lines()
            .find(|line| line.starts_with(&format!("{id} completed")));
        line.unwrap_or_else(|| panic!("{id} is not completed in\n{events}"))
            .to_owned()
    };
    assert_snapshot!(completed("item_0"), @r#"item_0 completed: test/fail {"text":"broken"} failed result=[{"type":"text","text":"broken"}]"#);
    assert!(
        completed("item_1").contains("test/rpc_error {} failed error="),
        "{events}"
    );
    assert!(completed("item_1").contains("the fake refuses"), "{events}");
    assert_snapshot!(completed("item_2"), @r#"item_2 completed: test/fail "[1]" failed error=failed to parse function arguments: expected a JSON object"#);

    let input = &room.model.asked()[1].input;
    assert_snapshot!(output(input, "call_1"), @r#"{"type":"function_call_output","call_id":"call_1","output":"Wall time: *.**** seconds\nOutput:\nThe tool reported an error.\nbroken"}"#);
    let image = output(input, "call_4");
    assert!(
        image.contains(r#"{"type":"input_image","image_url":"data:image/png;base64,iVBOR"#),
        "{image}"
    );
    let order: Vec<usize> = (1..=4)
        .map(|n| {
            let call_id = format!(r#""call_id":"call_{n}","output":"#);
            input
                .iter()
                .position(|line| line.contains(&call_id))
                .unwrap()
        })
        .collect();
    assert!(
        order.is_sorted(),
        "outputs follow in the order of the calls: {order:?}"
    );
}

#[tokio::test]
async fn calls_of_one_response_run_side_by_side() {
    // The first call ends only after the second has written the file, so one after the other would
    // hang; the outputs still stand in the order of the calls.
    let mut room = Room::new(Vec::new());
    let file = room.path("ready");
    let arguments = serde_json::json!({"file": file}).to_string();
    let mut server = stdio("a", &FakeStdio::new().tools(["wait_for"]));
    server.default_tools_approval_mode = Some(ToolApprovalMode::Approve);
    room.server(server);
    room.server(stdio("b", &FakeStdio::new()));
    room.script(vec![
        answer(vec![
            called("call_1", "mcp__a__wait_for", &arguments),
            called("call_2", "mcp__b__echo", r#"{"text":"x"}"#),
        ]),
        answer(vec![said("done")]),
    ]);
    let mut thread = room.start().await;
    thread.say("both").await;
    let mut lines = Vec::new();
    loop {
        let event = thread.next().await;
        lines.push(line(&event));
        if lines.last().unwrap().starts_with("item_1 completed") {
            break;
        }
    }
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("item_0 completed"))
    );
    std::fs::write(&file, "").unwrap();
    let rest = thread.until_end().await;
    assert!(rest.starts_with("item_0 completed"), "{rest}");
    let input = &room.model.asked()[1].input;
    assert!(
        input[5].contains("it is there") && input[6].contains("ECHO:x"),
        "{input:#?}"
    );
}

#[tokio::test]
async fn an_interrupt_completes_the_item_cancels_the_call_and_records_aborted() {
    let mut room = Room::new(vec![
        answer(vec![called("call_1", "mcp__test__slow", "{}")]),
        answer(vec![said("back")]),
    ]);
    let journal = Journal::new(room.path("seen.jsonl"));
    room.server(stdio(
        "test",
        &FakeStdio::new().tools(["slow"]).noting_in(&journal),
    ));
    let mut thread = room.start().await;
    thread.say("wait").await;
    while !matches!(thread.next().await, EventKind::ItemStarted(_)) {}
    let seen = journal.clone();
    tokio::task::spawn_blocking(move || seen.wait_for_method("tools/call", LIMIT))
        .await
        .unwrap();
    thread.handle.submit(Op::Interrupt).await.unwrap();
    assert_snapshot!(thread.until_end().await, @r#"
    item_0 completed: test/slow {} failed error=interrupted
    turn interrupted
    "#);
    let seen = journal.clone();
    tokio::task::spawn_blocking(move || seen.wait_for("cancelled", 1, LIMIT))
        .await
        .unwrap();
    thread.turn("go on").await;
    assert_snapshot!(output(&room.model.asked()[1].input, "call_1"), @r#"{"type":"function_call_output","call_id":"call_1","output":"aborted"}"#);
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_fails_the_item_and_is_noticed() {
    let mut room = Room::new(vec![
        answer(vec![called("call_1", "mcp__test__die", "{}")]),
        answer(vec![said("oh")]),
    ]);
    let mut server = stdio("test", &FakeStdio::new().tools(["die"]));
    server.default_tools_approval_mode = Some(ToolApprovalMode::Approve);
    room.server(server);
    let mut thread = room.start().await;
    let events = thread.turn("die").await;
    assert!(
        events.contains("item_0 completed: test/die {} failed error="),
        "{events}"
    );
    assert!(events.ends_with("turn completed: 20 in, 4 out"), "{events}");
    let is_noticed =
        |line: &str| line.starts_with("notice: MCP server `test` ended unexpectedly (");
    if !events.lines().any(is_noticed) {
        // The turn was faster than the end of the process.
        let notice = line(&thread.next().await);
        assert!(is_noticed(&notice), "{notice}");
    }
}

#[tokio::test]
async fn a_required_server_that_fails_is_one_sentence_and_leaves_nothing() {
    let mut room = Room::new(Vec::new());
    room.server(stdio("test", &FakeStdio::new().exit_at_once(3)).required());
    let Err(error) = room.begin(codex_core::Begin::New).await else {
        panic!("the server is required");
    };
    let text = error.to_string();
    assert!(
        text.starts_with("required MCP servers failed to initialize: test: "),
        "{text}"
    );
    assert!(!room.path("home").exists());
}

#[tokio::test]
async fn an_optional_server_that_fails_is_noticed_before_the_turn_starts() {
    let mut room = Room::new(vec![answer(vec![said("alone")])]);
    room.server(stdio("test", &FakeStdio::new().exit_at_once(3)));
    let mut thread = room.start().await;
    let events = thread.turn("hi").await;
    let (notice, rest) = events.split_once('\n').unwrap();
    assert!(
        notice.starts_with("notice: MCP server `test` failed to start: "),
        "{events}"
    );
    assert!(rest.starts_with("turn started\n"), "{events}");
}

#[tokio::test]
async fn tools_that_come_late_join_the_next_request() {
    let mut room = Room::new(Vec::new());
    let door = room.path("door");
    room.server(stdio("late", &FakeStdio::new().start_when(&door)));
    room.server(stdio("opener", &FakeStdio::new().tools(["echo"])));
    room.settings.optional_startup_grace = Some(std::time::Duration::from_millis(500));
    room.script(vec![
        answer(vec![said("first")]),
        answer(vec![said("second")]),
    ]);
    let mut thread = room.start().await;
    let events = thread.turn("hi").await;
    assert!(
        events.contains(
            "notice: MCP servers still starting: late; their tools join when they are ready"
        ),
        "{events}"
    );
    std::fs::write(&door, "").unwrap();
    // A further turn does not wait, so ask until the tools are there.
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let asked = room.model.asked();
        if asked.last().unwrap().tools.contains("mcp__late") {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "the tools never came"
        );
        room.script(vec![answer(vec![said("still")])]);
        thread.turn("and now?").await;
    }
    assert!(!room.model.asked()[0].tools.contains("mcp__late"));
}

#[tokio::test]
async fn a_turn_after_an_interrupted_wait_waits_for_the_servers_too() {
    let mut room = Room::new(vec![answer(vec![said("all here")])]);
    let door = room.path("door");
    room.server(stdio("late", &FakeStdio::new().start_when(&door)));
    let mut thread = room.start().await;
    thread.say("hi").await;
    thread.handle.submit(Op::Interrupt).await.unwrap();
    assert_eq!(thread.until_end().await, "turn started\nturn interrupted");
    std::fs::write(&door, "").unwrap();
    thread.turn("now").await;
    let asked = room.model.asked();
    assert!(asked[0].tools.contains("mcp__late"), "{}", asked[0].tools);
}

/// Row 5.tools.output_token_limit.
#[tokio::test]
async fn too_much_output_is_cut_and_kept_in_a_private_file() {
    let mut room = Room::new(vec![
        answer(vec![called(
            "call_1",
            "mcp__test__big",
            r#"{"bytes":100000}"#,
        )]),
        answer(vec![said("long")]),
    ]);
    let mut server = stdio("test", &FakeStdio::new().tools(["big"]));
    server.default_tools_approval_mode = Some(ToolApprovalMode::Approve);
    room.server(server);
    let mut thread = room.start().await;
    let events = thread.turn("much").await;
    assert!(events.len() > 100_000, "the item is never cut");
    let told = output(&room.model.asked()[1].input, "call_1");
    assert!(told.len() < 41_000);
    let file = room
        .path("home/tool-outputs")
        .join(thread.handle.id.to_string())
        .join("call_1.txt");
    assert!(
        told.contains(&format!(
            "60000 bytes omitted; the whole text is in {}",
            file.display()
        )),
        "{told}"
    );
    assert_eq!(std::fs::metadata(file).unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_call_of_a_server_that_is_still_starting_says_so() {
    let arguments = r#"{"text":"x"}"#;
    let mut room = Room::new(vec![
        answer(vec![
            called("call_1", "mcp__late__echo", arguments),
            called_in("call_2", "mcp__late", "echo", arguments),
            called_in("call_3", "mcp__late", "mcp__late__echo", arguments),
            called("call_4", "mcp__late__er__ecoh", arguments),
            called("call_5", "mcp__later__echo", arguments),
        ]),
        answer(vec![said("done")]),
    ]);
    let never = room.path("never");
    room.server(stdio("late", &FakeStdio::new().start_when(&never)));
    let mut ready = stdio("late__er", &FakeStdio::new());
    ready.required = true;
    room.server(ready);
    room.settings.optional_startup_grace = Some(std::time::Duration::from_millis(500));
    let mut thread = room.start().await;
    let events = thread.turn("echo").await;
    let completed: Vec<&str> = events
        .lines()
        .filter(|line| line.starts_with("item_") && line.contains(" completed: "))
        .collect();
    assert_snapshot!(completed.join("\n"), @r#"
    item_0 completed: late/echo {"text":"x"} failed error=MCP server `late` is still starting; its tools join when they are ready
    item_1 completed: late/echo {"text":"x"} failed error=MCP server `late` is still starting; its tools join when they are ready
    item_2 completed: late/echo {"text":"x"} failed error=MCP server `late` is still starting; its tools join when they are ready
    item_3 completed: codex/mcp__late__er__ecoh {"text":"x"} failed error=unsupported call: mcp__late__er__ecoh; nearest: mcp__late__er__echo
    item_4 completed: codex/mcp__later__echo {"text":"x"} failed error=unsupported call: mcp__later__echo
    item_5 completed: message "done"
    "#);
    let asked = room.model.asked();
    assert_snapshot!(output(&asked[1].input, "call_1"), @r#"{"type":"function_call_output","call_id":"call_1","output":"MCP server `late` is still starting; its tools join when they are ready"}"#);
}

#[tokio::test]
async fn an_interrupt_ends_the_wait_for_servers_too() {
    let mut room = Room::new(vec![answer(vec![said("later")])]);
    let journal = Journal::new(room.path("seen.jsonl"));
    let fake = FakeStdio::new().hang_in_initialize().noting_in(&journal);
    room.server(stdio("test", &fake));
    let mut thread = room.start().await;
    thread.say("hi").await;
    let seen = journal.clone();
    tokio::task::spawn_blocking(move || seen.wait_for("start", 1, LIMIT))
        .await
        .unwrap();
    thread.handle.submit(Op::Interrupt).await.unwrap();
    assert_eq!(thread.until_end().await, "turn started\nturn interrupted");
    assert_eq!(room.model.n_requests(), 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_shutdown_ends_a_call_that_never_answers_and_every_process_within_its_limits() {
    let mut room = Room::new(vec![answer(vec![called(
        "call_1",
        "mcp__test__never",
        "{}",
    )])]);
    let journal = Journal::new(room.path("seen.jsonl"));
    let fake = FakeStdio::new()
        .tools(["never"])
        .ignore_sigterm()
        .ignore_stdin_end();
    let mut server = stdio("test", &fake.grandchildren(1).noting_in(&journal));
    server.default_tools_approval_mode = Some(ToolApprovalMode::Approve);
    room.server(server);
    let mut thread = room.start().await;
    thread.say("wait").await;
    while !matches!(thread.next().await, EventKind::ItemStarted(_)) {}
    let seen = journal.clone();
    tokio::task::spawn_blocking(move || seen.wait_for_method("tools/call", LIMIT))
        .await
        .unwrap();

    let begin = std::time::Instant::now();
    assert_snapshot!(thread.shutdown().await, @r#"
    item_0 completed: test/never {} failed error=interrupted
    turn interrupted
    "#);
    let took = begin.elapsed();
    assert!(
        took < std::time::Duration::from_secs(3),
        "the end took {took:?}"
    );
    for pid in journal.pids() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_alive = !state.is_empty() && !state.contains(") Z ");
        assert!(!is_alive, "process {pid} is still there: {state}");
    }
}
