//! Calls: in turn or side by side, cancelled, silent; and the questions that they raise.

use super::*;

/// Row 5.supports_parallel_tool_calls.
#[tokio::test]
async fn calls_of_one_server_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let journal = Journal::new(folder.path().join("journal"));
    let fake = FakeStdio::new()
        .tools(["wait_for", "echo"])
        .noting_in(&journal);
    let mut world = World::start([stdio("x", &fake)]);
    world.ready(None).await.unwrap();
    let both = async {
        let first = world.call("x", "wait_for", json!({"file": gate}));
        let second = world.call("x", "echo", json!({"text": "2"}));
        tokio::join!(first, second)
    };
    let open_later = async {
        // Long enough for a second call to be sent, if it were.
        let quiet = tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>());
        quiet.await.unwrap_err();
        let n_sent = journal
            .methods()
            .iter()
            .filter(|method| *method == "tools/call")
            .count();
        std::fs::write(&gate, "").unwrap();
        n_sent
    };
    let ((first, second), n_sent) = tokio::join!(both, open_later);
    first.unwrap();
    assert_eq!(text_of(&second.unwrap()), "ECHO:2");
    assert_eq!(n_sent, 1);
    world.stop().await;
}

/// Row 5.supports_parallel_tool_calls.
#[tokio::test]
async fn a_server_that_allows_it_gets_calls_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let mut server = stdio("x", &FakeStdio::new().tools(["wait_for", "echo"]));
    server.supports_parallel_tool_calls = true;
    let mut world = World::start([server]);
    world.ready(None).await.unwrap();
    let overtake = async {
        // The first has no answer before the gate is open, so this comes back only side by side.
        let second = world.call("x", "echo", json!({"text": "2"})).await.unwrap();
        std::fs::write(&gate, "").unwrap();
        second
    };
    let (first, second) =
        tokio::join!(world.call("x", "wait_for", json!({"file": gate})), overtake);
    first.unwrap();
    assert_eq!(text_of(&second), "ECHO:2");
    world.stop().await;
}

#[tokio::test]
async fn a_cancelled_call_is_told_to_the_server_and_harms_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"));
    let mut world = World::start([stdio(
        "x",
        &FakeStdio::new().tools(["slow", "echo"]).noting_in(&journal),
    )]);
    world.ready(None).await.unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let x_slow = tool("x", "slow");
    let call = world
        .handle
        .call(&x_slow, args(json!({})), CallContext::default(), &cancel);
    let sent = journal.clone();
    let cancel_when_sent = async {
        tokio::task::spawn_blocking(move || sent.wait_for_method("tools/call", LIMIT))
            .await
            .unwrap();
        cancel.cancel();
    };
    let (answer, ()) = tokio::join!(call, cancel_when_sent);
    assert_eq!(answer.unwrap_err().to_string(), "cancelled");
    tokio::task::spawn_blocking(move || journal.wait_for("cancelled", 1, LIMIT))
        .await
        .unwrap();
    assert_eq!(
        text_of(
            &world
                .call("x", "echo", json!({"text": "on"}))
                .await
                .unwrap()
        ),
        "ECHO:on"
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

/// Row 5.tool_timeout_sec.
#[tokio::test]
async fn a_silent_call_ends_at_its_limit_and_the_server_stays() {
    let mut server = stdio("x", &FakeStdio::new().tools(["never", "echo"]));
    server.tool_timeout = Some(Duration::from_millis(300));
    let mut world = World::start([server]);
    world.ready(None).await.unwrap();
    let error = world
        .call("x", "never", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "timed out after 0.3s");
    assert_eq!(
        text_of(
            &world
                .call("x", "echo", json!({"text": "on"}))
                .await
                .unwrap()
        ),
        "ECHO:on"
    );
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_question_is_declined_and_told() {
    let mut world = World::start([stdio("x", &FakeStdio::new().tools(["elicit"]))]);
    world.ready(None).await.unwrap();
    let outcome: McpOutcome = world
        .call("x", "elicit", json!({"message": "Your name?"}))
        .await
        .unwrap();
    assert!(text_of(&outcome).contains("decline"), "{outcome:?}");
    let notices = world.stop().await;
    assert_eq!(
        notices,
        ["MCP server `x` asked for input (\"Your name?\"); declined, exec cannot ask"]
    );
}

#[tokio::test]
async fn a_frontend_that_can_ask_gets_the_question() {
    let (sender, mut questions) = tokio::sync::mpsc::channel(1);
    let mut world = World::start_with(
        [stdio("x", &FakeStdio::new().tools(["elicit"]))],
        |settings| {
            settings.elicitation = ElicitationPolicy::Ask(sender);
        },
    );
    world.ready(None).await.unwrap();
    let ask = async {
        let request = questions.recv().await.unwrap();
        assert_eq!(request.server.as_str(), "x");
        request
            .reply
            .send(codex_mcp::ElicitationReply::Cancel)
            .unwrap();
    };
    let (outcome, ()) = tokio::join!(world.call("x", "elicit", json!({"message": "?"})), ask);
    assert!(text_of(&outcome.unwrap()).contains("cancel"));
    assert_eq!(world.stop().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_question_during_the_start_is_answered_at_once() {
    let asking = FakeStdio::new().ask_on("tools/list");
    let mut world = World::start([stdio("x", &asking).required()]);
    world.ready(None).await.unwrap();
    assert_eq!(world.flat_names(), ["mcp__x__echo"]);
    assert_eq!(
        world.stop().await,
        ["MCP server `x` asked for input (\"May I?\"); declined, exec cannot ask"]
    );
}
