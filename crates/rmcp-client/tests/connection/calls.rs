//! Tools: listed page by page, called, timed out, cancelled, and answered in odd ways.

use std::sync::{Arc, Mutex};

use codex_rmcp_client::{CallError, Progress};
use codex_test_support::{FakeStdio, Journal};
use serde_json::json;

use super::*;

#[tokio::test]
async fn every_page_of_tools_is_fetched_in_order() {
    let client = connect(&FakeStdio::new().tool_count(7).pages_of(3))
        .await
        .unwrap();
    let list = client.list_tools(LONG).await.unwrap();
    let names: Vec<_> = list.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "tool_0", "tool_1", "tool_2", "tool_3", "tool_4", "tool_5", "tool_6"
        ]
    );
    assert_eq!(list.truncated, None);
}

#[tokio::test]
async fn endless_pages_end_at_the_repeated_cursor() {
    let server = FakeStdio::new().tool_count(4).pages_of(2).endless_pages();
    let client = connect(&server).await.unwrap();
    let list = client.list_tools(LONG).await.unwrap();
    assert_eq!(list.truncated.as_deref(), Some("page 2 repeats a cursor"));
    assert_eq!(list.tools.len(), 2);
}

#[tokio::test]
async fn a_tool_without_a_schema_takes_no_arguments() {
    let client = connect(&FakeStdio::new().tools(["no_schema", "echo"]))
        .await
        .unwrap();
    let list = client.list_tools(LONG).await.unwrap();
    assert_eq!(
        list.tools[0].input_schema,
        json!({ "type": "object", "properties": {} })
    );
    assert_eq!(list.tools[1].annotations.read_only_hint, Some(true));
    assert_eq!(list.tools[1].raw["name"], "echo");
}

#[tokio::test]
async fn a_server_that_answers_the_list_with_an_error_says_so() {
    let client = connect(&FakeStdio::new().error_on("tools/list"))
        .await
        .unwrap();
    let error = client.list_tools(LONG).await.unwrap_err();
    assert!(matches!(error, CallError::Rpc { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_list_ends_with_its_limit() {
    let client = connect(&FakeStdio::new().silent_on("tools/list"))
        .await
        .unwrap();
    let limit = Duration::from_millis(200);
    let error = client.list_tools(limit).await.unwrap_err();
    assert_eq!(error.to_string(), "timed out after 0.2s");
}

#[tokio::test]
async fn a_question_in_mid_list_does_not_prolong_it() {
    let server = FakeStdio::new().ask_on("tools/list");
    // Somebody could answer and does not; the clocks of a call would stand still.
    let (client, _events) = connect_with(stdio_endpoint(&server), options())
        .await
        .unwrap();
    let limit = Duration::from_millis(200);
    let listing = tokio::time::timeout(LONG, client.list_tools(limit)).await;
    let error = listing.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "timed out after 0.2s");
}

#[tokio::test]
async fn no_block_of_a_result_is_lost() {
    let tools = [
        "odd_blocks",
        "structured_only",
        "no_content",
        "fail",
        "add",
        "resource_link",
    ];
    let client = connect(&FakeStdio::new().tools(tools)).await.unwrap();
    let odd = call(&client, "odd_blocks", json!({})).await.unwrap();
    assert_eq!(
        odd.content,
        [
            json!({ "type": "hologram", "depth": 3 }),
            json!({ "type": "resource_link", "uri": "fake://nameless" }),
            json!({ "type": "text", "text": "between", "annotations": { "audience": ["robots"] } }),
            json!({ "no": "type" }),
        ]
    );
    let only = call(&client, "structured_only", json!({})).await.unwrap();
    assert_eq!(only.structured, Some(json!({ "only": [1, 2] })));
    let bare = call(&client, "no_content", json!({})).await.unwrap();
    assert_eq!(
        (bare.content, bare.structured),
        (vec![], Some(json!({ "bare": true })))
    );
    let failed = call(&client, "fail", json!({ "text": "sorry" }))
        .await
        .unwrap();
    assert!(failed.is_error);
    assert_eq!(text(&failed), "sorry");
    let sum = call(&client, "add", json!({ "a": 1, "b": 2 }))
        .await
        .unwrap();
    assert_eq!(sum.structured.unwrap()["sum"], 3.0);
}

#[tokio::test]
async fn an_error_of_the_server_keeps_code_and_data() {
    let client = connect(&FakeStdio::new().tools(["rpc_error"]))
        .await
        .unwrap();
    let error = call(&client, "rpc_error", json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "the fake refuses (-32050)");
    let CallError::Rpc { data, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(data, Some(json!({ "why": "asked to" })));
}

#[tokio::test]
async fn a_call_that_is_too_slow_is_cancelled_at_the_server_which_stays_usable() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal.jsonl"));
    let server = FakeStdio::new().tools(["slow", "echo"]).noting_in(&journal);
    let client = connect(&server).await.unwrap();
    let limit = Duration::from_millis(300);
    let error = call_within(&client, "slow", json!({}), limit).await;
    assert_eq!(error.unwrap_err().to_string(), "timed out after 0.3s");
    let answer = call(&client, "echo", json!({ "text": "next" })).await;
    assert_eq!(text(&answer.unwrap()), "ECHO:next");
    let cancelled = journal.wait_for_method("notifications/cancelled", LONG);
    assert_eq!(cancelled["params"]["reason"], "request timeout");
}

#[tokio::test]
async fn a_call_that_the_user_cancels_is_cancelled_at_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal.jsonl"));
    let server = FakeStdio::new().tools(["slow"]).noting_in(&journal);
    let client = connect(&server).await.unwrap();
    let cancel = CancellationToken::new();
    let options = CallOptions::with_idle_timeout(LONG);
    let calling = client.call_tool("slow", Map::new(), options, cancel.clone());
    let wait_then_cancel = async {
        let noted = journal.clone();
        let waited = tokio::task::spawn_blocking(move || {
            noted.wait_for_method("tools/call", LONG);
        });
        waited.await.unwrap();
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(calling, wait_then_cancel);
    assert!(matches!(outcome, Err(CallError::Cancelled)));
    client.shutdown(LONG).await;
    let cancelled = journal.wait_for_method("notifications/cancelled", LONG);
    assert_eq!(cancelled["params"]["reason"], "cancelled by the user");
}

#[tokio::test]
async fn a_call_whose_caller_is_gone_is_cancelled_at_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal.jsonl"));
    let server = FakeStdio::new().tools(["slow"]).noting_in(&journal);
    let client = connect(&server).await.unwrap();
    let waited = tokio::task::spawn_blocking({
        let journal = journal.clone();
        move || journal.wait_for_method("tools/call", LONG)
    });
    tokio::select! {
        _ = call(&client, "slow", json!({})) => panic!("the call has no answer"),
        waited = waited => {
            waited.unwrap();
        }
    }
    let noted = tokio::task::spawn_blocking(move || {
        journal.wait_for_method("notifications/cancelled", LONG)
    });
    noted.await.unwrap();
}

#[tokio::test]
async fn progress_reaches_its_call() {
    let client = connect(&FakeStdio::new().tools(["progress"]))
        .await
        .unwrap();
    let heard = Arc::<Mutex<Vec<Progress>>>::default();
    let mut options = CallOptions::with_idle_timeout(LONG);
    options.on_progress = Some(Arc::new({
        let heard = Arc::clone(&heard);
        move |progress| heard.lock().unwrap().push(progress)
    }));
    let arguments = Map::from_iter([("steps".to_owned(), json!(3))]);
    let answer = client
        .call_tool("progress", arguments, options, CancellationToken::new())
        .await;
    assert_eq!(text(&answer.unwrap()), "done");
    let heard = heard.lock().unwrap();
    let messages: Vec<_> = heard
        .iter()
        .map(|p| p.message.as_deref().unwrap())
        .collect();
    assert_eq!(messages, ["step 1", "step 2", "step 3"]);
}

#[tokio::test]
async fn ten_calls_at_once_get_their_own_answers() {
    let client = connect(&FakeStdio::new()).await.unwrap();
    let calls = (0..10).map(|n| call(&client, "echo", json!({ "text": n.to_string() })));
    let answers = futures_util::future::join_all(calls).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(text(&answer.unwrap()), format!("ECHO:{n}"));
    }
}

#[tokio::test]
async fn resources_come_verbatim() {
    let client = connect(&FakeStdio::new()).await.unwrap();
    let resources = client.list_resources(LONG).await.unwrap();
    assert_eq!(resources.items[0]["uri"], "fake://notes/1");
    assert_eq!(resources.truncated, None);
    let templates = client.list_resource_templates(LONG).await.unwrap();
    assert_eq!(templates.items[0]["uriTemplate"], "fake://notes/{n}");
    let options = CallOptions::with_idle_timeout(LONG);
    let read = client
        .read_resource("fake://notes/1", options, CancellationToken::new())
        .await;
    assert_eq!(read.unwrap()["contents"][0]["text"], "a note");
}
