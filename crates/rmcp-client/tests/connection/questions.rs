//! What a server says on its own: questions, logs, changed lists.

use codex_rmcp_client::{Elicitation, ElicitationReply};
use codex_test_support::{Era, FakeHttp, FakeStdio};
use serde_json::json;

use super::*;

/// Answers the first question and returns it.
async fn answer_one(
    events: &mut mpsc::Receiver<ServerEvent>,
    answer: ElicitationReply,
) -> Elicitation {
    loop {
        match events.recv().await.unwrap() {
            ServerEvent::Elicitation { request, reply } => {
                reply.send(answer).unwrap();
                return request;
            }
            _ => continue,
        }
    }
}

async fn ask(endpoint: ServerEndpoint, answer: ElicitationReply) -> (Elicitation, String) {
    let (client, mut events) = connect_with(endpoint, options()).await.unwrap();
    let calling = call(&client, "elicit", json!({ "message": "Name?" }));
    let (outcome, question) = tokio::join!(calling, answer_one(&mut events, answer));
    (question, text(&outcome.unwrap()).to_owned())
}

#[tokio::test]
async fn a_form_is_answered_with_the_defaults_of_its_schema() {
    let server = FakeStdio::new().tools(["elicit"]);
    let accept = ElicitationReply::Accept(Map::new());
    let (question, said) = ask(stdio_endpoint(&server), accept).await;
    assert_eq!(
        question.default_content(),
        Some(Map::from_iter([("name".to_owned(), json!("nobody"))]))
    );
    let Elicitation::Form { message, .. } = question else {
        panic!("a form");
    };
    assert_eq!(message, "Name?");
    assert_eq!(
        said,
        r#"answer {"action":"accept","content":{"name":"nobody"}}"#
    );
}

#[tokio::test]
async fn a_form_can_be_declined_and_closed() {
    let server = FakeStdio::new().tools(["elicit"]);
    let (_, said) = ask(stdio_endpoint(&server), ElicitationReply::Decline).await;
    assert_eq!(said, r#"answer {"action":"decline"}"#);
    let (_, said) = ask(stdio_endpoint(&server), ElicitationReply::Cancel).await;
    assert_eq!(said, r#"answer {"action":"cancel"}"#);
}

#[tokio::test]
async fn a_question_to_nobody_is_declined() {
    let server = FakeStdio::new().tools(["elicit"]);
    let client = connect(&server).await.unwrap();
    let outcome = call(&client, "elicit", json!({})).await.unwrap();
    assert_eq!(text(&outcome), r#"answer {"action":"decline"}"#);
}

#[tokio::test]
async fn a_server_that_may_not_ask_is_told_so() {
    let mut options = options();
    options.elicitation = ElicitationSupport::None;
    let server = FakeStdio::new().tools(["elicit"]);
    let (client, _events) = connect_with(stdio_endpoint(&server), options)
        .await
        .unwrap();
    let outcome = call(&client, "elicit", json!({})).await.unwrap();
    assert_eq!(
        text(&outcome),
        r#"error {"code":-32601,"message":"elicitation/create"}"#
    );
}

#[tokio::test]
async fn a_question_within_a_result_is_answered_in_the_next_round() {
    let server = FakeHttp::new().era(Era::Modern).tools(["elicit"]).start();
    let endpoint = ServerEndpoint::Http(http_endpoint(&server));
    let content = Map::from_iter([("name".to_owned(), json!("Ada"))]);
    let (_, said) = ask(endpoint, ElicitationReply::Accept(content)).await;
    assert_eq!(
        said,
        r#"answer {"action":"accept","content":{"name":"Ada"}}"#
    );
    let calls = server.seen_of("tools/call");
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].message["id"], calls[1].message["id"]);
}

#[tokio::test]
async fn logs_and_changed_lists_arrive() {
    let server = FakeStdio::new().tools(["log", "change_tools"]);
    let (client, mut events) = connect_with(stdio_endpoint(&server), options())
        .await
        .unwrap();
    call(&client, "log", json!({ "text": "hot" }))
        .await
        .unwrap();
    let Some(ServerEvent::Log {
        level,
        logger,
        data,
    }) = events.recv().await
    else {
        panic!("a log line");
    };
    assert_eq!(
        (level.as_str(), logger.as_deref(), data),
        ("warning", Some("fake"), json!("hot"))
    );
    call(&client, "change_tools", json!({ "name": "late" }))
        .await
        .unwrap();
    assert!(matches!(
        events.recv().await,
        Some(ServerEvent::ToolListChanged)
    ));
    let list = client.list_tools(LONG).await.unwrap();
    assert!(list.tools.iter().any(|tool| tool.name == "late"));
}

#[tokio::test]
async fn a_reader_that_does_not_read_never_stops_the_calls() {
    let server = FakeStdio::new().tools(["log", "change_tools", "echo"]);
    let (client, mut events) = connect_with(stdio_endpoint(&server), options())
        .await
        .unwrap();
    for n in 0..20 {
        call(&client, "log", json!({ "text": n.to_string() }))
            .await
            .unwrap();
    }
    call(&client, "change_tools", json!({})).await.unwrap();
    call(&client, "change_tools", json!({})).await.unwrap();
    let mut changes = 0;
    while changes == 0 {
        if let ServerEvent::ToolListChanged = events.recv().await.unwrap() {
            changes += 1;
        }
    }
}

#[tokio::test]
async fn an_end_does_not_wait_for_a_reader_that_does_not_read() {
    let server = FakeStdio::new().tools(["change_tools"]);
    let (client, _events) = connect_with(stdio_endpoint(&server), options())
        .await
        .unwrap();
    for _ in 0..8 {
        call(&client, "change_tools", json!({})).await.unwrap();
    }
    let shutdown = client.shutdown(100 * LONG);
    assert!(tokio::time::timeout(LONG, shutdown).await.is_ok());
}

#[tokio::test]
async fn a_server_without_a_handshake_reports_changed_lists_on_a_subscription() {
    let server = FakeHttp::new().era(Era::Modern).start();
    let endpoint = ServerEndpoint::Http(http_endpoint(&server));
    let (client, mut events) = connect_with(endpoint, options()).await.unwrap();
    server
        .reached(LONG, |server| server.n_open_streams() == 1)
        .await;
    server.add_tool("late");
    assert!(matches!(
        events.recv().await,
        Some(ServerEvent::ToolListChanged)
    ));
    let list = client.list_tools(LONG).await.unwrap();
    assert!(list.tools.iter().any(|tool| tool.name == "late"));
}
