//! The fakes are oracles, so their own words are tested without any client library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Era, FakeHttp, FakeStdio, HttpFault, Journal, PostAnswer, TestHome, wait_until_gone};

const LIMIT: Duration = Duration::from_secs(20);

struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    fn start(server: &FakeStdio) -> Self {
        let mut child = Command::new(server.program())
            .args(server.args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the fake starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self {
            child,
            stdin,
            stdout,
        }
    }

    fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{message}").expect("the fake reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the fake writes");
        line
    }

    fn receive(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("a JSON line")
    }

    fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.receive()
    }

    fn call(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.ask(
            id,
            "tools/call",
            json!({"name": tool, "arguments": arguments}),
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_stdio_server_shakes_hands_lists_and_echoes() {
    let mut session = Session::start(&FakeStdio::new().instructions("be kind"));
    let hello = session.ask(1, "initialize", json!({"protocolVersion": "2025-06-18"}));
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(hello["result"]["instructions"], "be kind");
    let list = session.ask(2, "tools/list", json!({}));
    assert_eq!(list["result"]["tools"][0]["name"], "echo");
    let echo = session.call(3, "echo", json!({"text": "x"}));
    assert_eq!(echo["result"]["content"][0]["text"], "ECHO:x");
    assert_eq!(session.call(4, "nope", json!({}))["error"]["code"], -32602);
    assert_eq!(
        session.ask(5, "server/discover", json!({}))["error"]["code"],
        -32601
    );
}

#[test]
fn pages_join_to_the_whole_list() {
    let mut session = Session::start(&FakeStdio::new().tool_count(5).pages_of(2));
    let mut names = Vec::new();
    let mut params = json!({});
    loop {
        let page = session.ask(1, "tools/list", params)["result"].clone();
        for tool in page["tools"].as_array().expect("a list") {
            names.push(tool["name"].as_str().unwrap_or_default().to_owned());
        }
        match page.get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => break,
        }
    }
    assert_eq!(names, ["tool_0", "tool_1", "tool_2", "tool_3", "tool_4"]);
}

#[test]
fn a_slow_call_notes_its_cancellation_and_stays_silent() {
    let home = TestHome::new();
    let journal = Journal::new(home.path().join("seen.jsonl"));
    let mut session = Session::start(&FakeStdio::new().tools(["slow", "echo"]).noting_in(&journal));
    let params = json!({"name": "slow", "arguments": {}});
    session.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}));
    let why = json!({"requestId": 7, "reason": "enough"});
    session.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": why}));
    let seen = journal.wait_for("cancelled", 1, LIMIT);
    assert_eq!(
        seen[0],
        json!({"event": "cancelled", "id": 7, "params": why})
    );
    // The next line is the next answer, not one for the cancelled call.
    assert_eq!(session.call(8, "echo", json!({"text": "y"}))["id"], 8);
}

#[test]
fn progress_elicitation_and_noise_come_before_the_answer() {
    let mut session = Session::start(
        &FakeStdio::new()
            .tools(["progress", "elicit"])
            .stdout_noise(),
    );
    assert!(session.line().starts_with("Welcome"));
    let params =
        json!({"name": "progress", "arguments": {"steps": 1}, "_meta": {"progressToken": 9}});
    let progress = session.ask(1, "tools/call", params);
    assert_eq!(
        progress["params"],
        json!({
            "progressToken": 9, "progress": 1, "total": 1, "message": "step 1",
        })
    );
    assert_eq!(session.line(), "some library prints here\n");
    assert_eq!(session.receive()["result"]["content"][0]["text"], "done");
    let question = session.call(2, "elicit", json!({"message": "name?"}));
    assert_eq!(question["method"], "elicitation/create");
    session.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}));
    session.line();
    let answer = session.receive();
    assert_eq!(
        answer["result"]["content"][0]["text"],
        r#"answer {"action":"decline"}"#
    );
}

#[test]
fn a_server_without_a_handshake_wants_its_marks() {
    let mut session = Session::start(&FakeStdio::new().era(Era::Modern).tools(["elicit"]));
    assert_eq!(
        session.ask(1, "initialize", json!({}))["error"]["code"],
        -32601
    );
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let found = session.ask(2, "server/discover", json!({ "_meta": meta }));
    assert_eq!(found["result"]["resultType"], "complete");
    assert_eq!(found["result"]["supportedVersions"], json!(["2026-07-28"]));
    let other = json!({"io.modelcontextprotocol/protocolVersion": "2031-01-01"});
    assert_eq!(
        session.ask(3, "tools/list", json!({ "_meta": other }))["error"]["code"],
        -32022
    );
    let call = json!({"name": "elicit", "arguments": {}, "_meta": meta});
    let wants = session.ask(4, "tools/call", call)["result"].clone();
    assert_eq!(wants["resultType"], "input_required");
    let again = json!({
        "name": "elicit", "arguments": {}, "_meta": meta, "requestState": wants["requestState"],
        "inputResponses": {"question": {"action": "accept", "content": {"name": "Ann"}}},
    });
    let done = session.ask(5, "tools/call", again);
    assert_eq!(done["result"]["resultType"], "complete");
}

#[test]
fn a_stubborn_server_survives_sigterm_and_leaves_grandchildren() {
    let home = TestHome::new();
    let journal = Journal::new(home.path().join("seen.jsonl"));
    let server = FakeStdio::new()
        .ignore_sigterm()
        .ignore_stdin_end()
        .grandchildren(1);
    let run = home
        .program(server.program(), server.noting_in(&journal).args())
        .spawn();
    journal.wait_for("grandchild", 1, LIMIT);
    journal.wait_for("stdin closed", 1, LIMIT);
    run.terminate();
    journal.wait_for("sigterm", 1, LIMIT);
    let pids = journal.pids();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| crate::process_lives(*pid)));
    drop(run);
    assert!(pids.iter().all(|pid| wait_until_gone(*pid, LIMIT)));
}

#[test]
fn a_start_can_fail_with_words_or_once() {
    let home = TestHome::new();
    let server = FakeStdio::new().stderr("no database").exit_at_once(4);
    let output = home.program(server.program(), server.args()).run();
    assert_eq!(output.to_string(), "[stderr]\nno database\n[exit 4]");
    let server = FakeStdio::new().fail_first_start(home.path().join("marker"));
    let exit = |server: &FakeStdio| home.program(server.program(), server.args()).run().exit();
    assert_eq!((exit(&server), exit(&server)), (Some(1), Some(0)));
}

/// Sends one message and returns status line, headers and body as they came.
fn post(url: &str, headers: &str, message: &Value) -> String {
    http(url, "POST", headers, &message.to_string())
}

fn http(url: &str, method: &str, headers: &str, body: &str) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let mut stream = TcpStream::connect(address).expect("the fake listens");
    stream
        .set_read_timeout(Some(LIMIT))
        .expect("a limit can be set");
    write!(
        stream,
        "{method} /mcp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the fake reads");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

const SESSION_1: &str = "Mcp-Session-Id: fake-session-1\r\nMCP-Protocol-Version: 2025-06-18\r\n";

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

#[test]
fn a_session_is_given_wanted_and_forgotten() {
    let server = FakeHttp::new().answer_as(PostAnswer::Json).start();
    let url = server.url();
    let hello = post(
        &url,
        "",
        &request("initialize", json!({"protocolVersion": "2025-06-18"})),
    );
    assert!(hello.contains("mcp-session-id: fake-session-1"), "{hello}");
    let list = request("tools/list", json!({}));
    assert!(post(&url, "", &list).starts_with("HTTP/1.1 400"));
    assert!(post(&url, SESSION_1, &list).contains("\"name\":\"echo\""));
    assert!(http(&url, "DELETE", SESSION_1, "").starts_with("HTTP/1.1 200"));
    assert!(post(&url, SESSION_1, &list).starts_with("HTTP/1.1 404"));
    assert_eq!(
        server.methods(),
        [
            "initialize",
            "tools/list",
            "tools/list",
            "DELETE",
            "tools/list"
        ]
    );
}

#[test]
fn a_fault_hits_its_method_once() {
    let server = FakeHttp::new().without_sessions().start();
    server.fault("tools/list", HttpFault::Html);
    let list = request("tools/list", json!({}));
    assert!(post(&server.url(), "", &list).contains("text/html"));
    assert!(post(&server.url(), "", &list).contains("event: message\ndata: {"));
}

#[test]
fn a_broken_stream_is_resumed_by_its_event_id() {
    let server = FakeHttp::new().without_sessions().start();
    server.fault("tools/call", HttpFault::RetryThenResume(50));
    let call = request(
        "tools/call",
        json!({"name": "echo", "arguments": {"text": "later"}}),
    );
    let first = post(&server.url(), "", &call);
    assert!(first.contains("id: event-of-1\nretry: 50\n"), "{first}");
    assert!(!first.contains("ECHO"), "{first}");
    let rest = http(&server.url(), "GET", "Last-Event-ID: event-of-1\r\n", "");
    assert!(rest.contains("ECHO:later"), "{rest}");
}

#[test]
fn a_modern_server_compares_headers_with_the_body() {
    let server = FakeHttp::new().era(Era::Modern).start();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let call = request(
        "tools/call",
        json!({"name": "echo", "arguments": {}, "_meta": meta}),
    );
    let version = "MCP-Protocol-Version: 2026-07-28\r\n";
    let missing = post(&server.url(), version, &call);
    assert!(
        missing.starts_with("HTTP/1.1 400") && missing.contains("-32020"),
        "{missing}"
    );
    let headers = format!("{version}Mcp-Method: tools/call\r\nMcp-Name: echo\r\n");
    assert!(post(&server.url(), &headers, &call).contains("\"resultType\":\"complete\""));
}

#[test]
fn a_header_can_be_required() {
    let server = FakeHttp::new()
        .without_sessions()
        .require_bearer("sesame")
        .start();
    let list = request("tools/list", json!({}));
    assert!(post(&server.url(), "", &list).starts_with("HTTP/1.1 401"));
    assert!(post(&server.url(), "Authorization: Bearer sesame\r\n", &list).contains("echo"));
}

#[test]
fn a_new_tool_is_announced_on_the_get_stream() {
    let server = FakeHttp::new().without_sessions().start();
    let url = server.url();
    let address = url
        .trim_start_matches("http://")
        .trim_end_matches("/mcp")
        .to_owned();
    let mut stream = TcpStream::connect(address).expect("the fake listens");
    stream
        .set_read_timeout(Some(LIMIT))
        .expect("a limit can be set");
    stream
        .write_all(b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the fake reads");
    server.wait_until(LIMIT, |server| server.n_open_streams() == 1);
    server.add_tool("late");
    let mut lines = BufReader::new(&stream).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("tools/list_changed"))));
    drop(lines);
    drop(stream);
    server.wait_until(LIMIT, |server| server.n_open_streams() == 0);
}
