//! The mock is an oracle, so its own words are tested with a bare socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::MockResponses;
use crate::{
    Gate, Reply, ev_assistant_message, ev_completed, ev_function_call, ev_response_created, sse,
};

/// Sends a turn and returns everything until the server closes.
fn post(provider: &MockResponses, body: &serde_json::Value) -> String {
    let mut stream = connect(provider);
    send(&mut stream, body);
    let mut bytes = Vec::new();
    // A cut connection may end in a reset; what came before is what counts.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn connect(provider: &MockResponses) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", provider.port())).expect("the mock listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a limit can be set");
    stream
}

fn send(stream: &mut TcpStream, body: &serde_json::Value) {
    let body = body.to_string();
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-One: 1\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("the mock reads");
}

#[test]
fn answers_come_in_the_order_of_the_queue_and_requests_are_kept() {
    let provider = MockResponses::start();
    provider.queue(sse(vec![ev_response_created("r1"), ev_completed("r1")]));
    provider.queue(Reply::error(429, "slow_down", "later").retry_after("7"));
    let first = post(
        &provider,
        &json!({"input": [{"role": "user", "content": [{"text": "hi"}]}]}),
    );
    let second = post(&provider, &json!({"n": 2}));
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert!(
        first.contains("event: response.completed\ndata: {"),
        "{first}"
    );
    assert!(first.ends_with("0\r\n\r\n"), "{first}");
    assert!(
        second.contains("429") && second.contains("retry-after: 7"),
        "{second}"
    );
    assert_eq!(provider.request(0).texts("user"), ["hi"]);
    assert_eq!(provider.request(1).header("x-one"), Some("1"));
    assert_eq!(provider.n_unused(), 0);
}

#[test]
fn a_request_without_a_script_fails_visibly() {
    let provider = MockResponses::start();
    assert!(post(&provider, &json!({})).contains("MockResponses has no answer for /v1/responses"));
    provider.otherwise(Reply::status(503));
    assert!(post(&provider, &json!({})).starts_with("HTTP/1.1 503 "));
    assert!(post(&provider, &json!({})).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_cut_stream_has_its_bytes_but_no_end() {
    let provider = MockResponses::start();
    provider.queue(sse(vec![ev_assistant_message("m", "x")]).cut_after(10));
    let answer = post(&provider, &json!({}));
    assert!(answer.ends_with("a\r\nevent: res\r\n"), "{answer:?}");
}

#[test]
fn a_gate_holds_the_answer_back_but_not_the_record() {
    let provider = MockResponses::start();
    let gate = Gate::new();
    provider.queue(Reply::status(200).body("late").hold_until(&gate));
    let mut stream = connect(&provider);
    send(&mut stream, &json!({"n": 1}));
    let seen = provider.wait_for_requests(1, Duration::from_secs(10));
    assert_eq!(seen[0].json()["n"], 1);
    gate.open();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    assert!(answer.ends_with("late"), "{answer}");
}

#[test]
fn tools_and_outputs_of_a_request_are_found() {
    let provider = MockResponses::start();
    provider.queue(sse(vec![ev_function_call("c1", "f", "{}")]));
    post(
        &provider,
        &json!({
            "tools": [
                {"type": "function", "name": "update_plan"},
                {"type": "namespace", "name": "mcp__t", "tools": [{"type": "function", "name": "echo"}]},
                {"type": "web_search"},
            ],
            "input": [
                {"type": "function_call", "call_id": "c1"},
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "a"}]},
            ],
        }),
    );
    let request = provider.request(0);
    assert_eq!(
        request.tool_names(),
        ["update_plan", "mcp__t.echo", "web_search"]
    );
    assert_eq!(
        request.tool("mcp__t.echo").expect("offered")["type"],
        "function"
    );
    assert_eq!(
        request.function_call_output_text("c1").as_deref(),
        Some("a")
    );
    assert_eq!(request.function_call_output_text("c2"), None);
}

#[tokio::test]
async fn a_test_of_a_runtime_waits_without_blocking_it() {
    let provider = MockResponses::start();
    provider.queue(Reply::status(200));
    let port = provider.port();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the mock listens");
        send(&mut stream, &json!({"n": 1}));
        stream
    });
    assert_eq!(
        provider
            .requests_reached(1, Duration::from_secs(10))
            .await
            .len(),
        1
    );
    drop(client.join());
}
