//! Approvals: who is asked what, and what each answer does.

use codex_test_support::{FakeStdio, MockResponses, TestHome};
use serde_json::{Value, json};

use super::threads::{completed, say, start};
use crate::app_server_support::Client;
use crate::exec_hands::{patches, runs};
use crate::exec_support::{calls, says};

const COMMAND: &str = "item/commandExecution/requestApproval";
const PATCH: &str = "item/fileChange/requestApproval";
const ELICITATION: &str = "mcpServer/elicitation/request";

/// A thread in which nothing is confined and everything is asked.
fn careful(client: &mut Client) -> String {
    start(
        client,
        json!({"approvalPolicy": "untrusted", "sandbox": "danger-full-access"}),
    )
}

/// Waits for a question and answers it; returns the question's params.
#[track_caller]
fn answer(client: &mut Client, method: &str, result: Value) -> Value {
    let request = client.next(method, |line| line["method"] == method);
    let reply = json!({"id": request["id"], "result": result});
    client.type_line(&reply.to_string());
    request["params"].clone()
}

fn item(client: &mut Client, kind: &str) -> Value {
    let line = client.next(kind, |line| {
        line["method"] == "item/completed" && line["params"]["item"]["type"] == kind
    });
    line["params"]["item"].clone()
}

#[test]
fn a_command_is_asked_about_between_its_start_and_its_end() {
    let provider = MockResponses::start();
    for command in ["touch a", "touch a", "touch b", "touch c"] {
        provider.queue(runs("c", command));
    }
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let thread = careful(&mut client);
    let turn = say(&mut client, &thread, "go");
    let asked = answer(
        &mut client,
        COMMAND,
        json!({"decision": "acceptForSession"}),
    );
    assert_eq!(asked["threadId"], thread);
    assert_eq!(asked["turnId"], turn);
    assert_eq!(asked["cwd"], home.cwd().to_str().unwrap());
    assert!(
        asked["command"].as_str().unwrap().contains("touch a"),
        "{asked}"
    );
    assert!(
        asked["reason"].as_str().unwrap().contains("untrusted"),
        "{asked}"
    );
    let first = item(&mut client, "commandExecution");
    let end = (&first["status"], &first["exitCode"]);
    assert_eq!(end, (&json!("completed"), &json!(0)));
    assert_eq!(asked["itemId"], first["id"]);
    // The same again is not asked, another one is.
    assert_eq!(item(&mut client, "commandExecution")["status"], "completed");
    answer(&mut client, COMMAND, json!({"decision": "decline"}));
    assert_eq!(item(&mut client, "commandExecution")["status"], "declined");
    answer(&mut client, COMMAND, json!({"decision": "cancel"}));
    assert_eq!(item(&mut client, "commandExecution")["status"], "declined");
    assert_eq!(completed(&mut client)["status"], "interrupted");
    let there = |name: &str| home.cwd().join(name).exists();
    assert!(there("a") && !there("b") && !there("c"));
    // Start < question < settled < end, and the status says what is waited for.
    let lines = client.lines();
    let at = |holds: &dyn Fn(&Value) -> bool| lines.iter().position(holds).unwrap();
    let is_first = |line: &Value| line["params"]["item"]["id"] == first["id"];
    let started = at(&|line: &Value| line["method"] == "item/started" && is_first(line));
    let waits =
        at(&|line: &Value| line["params"]["status"]["activeFlags"] == json!(["waitingOnApproval"]));
    let question = at(&|line: &Value| line["method"] == COMMAND);
    let settled = at(&|line: &Value| line["method"] == "serverRequest/resolved");
    let ended = at(&|line: &Value| line["method"] == "item/completed" && is_first(line));
    assert!([started, waits, question, settled, ended].is_sorted());
    assert_eq!(lines[settled]["params"]["requestId"], lines[question]["id"]);
    // The model hears why.
    let told = provider.request(3).input();
    assert!(
        told.iter()
            .any(|item| item.to_string().contains("the user declined"))
    );
}

#[test]
fn what_is_no_answer_is_a_no_and_an_interrupt_settles_the_question() {
    let provider = MockResponses::start();
    for _ in 0..3 {
        provider.queue(runs("c", "touch a"));
    }
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let thread = careful(&mut client);
    let turn = say(&mut client, &thread, "go");
    answer(&mut client, COMMAND, json!({"decision": "perhaps"}));
    assert_eq!(item(&mut client, "commandExecution")["status"], "declined");
    let request = client.next(COMMAND, |line| line["method"] == COMMAND);
    let refusal = json!({"id": request["id"], "error": {"code": -1, "message": "no"}});
    client.type_line(&refusal.to_string());
    assert_eq!(item(&mut client, "commandExecution")["status"], "declined");
    let request = client.next(COMMAND, |line| line["method"] == COMMAND);
    client.ask(
        "turn/interrupt",
        json!({"threadId": thread, "turnId": turn}),
    );
    let settled = client.notification("serverRequest/resolved");
    assert_eq!(settled["requestId"], request["id"]);
    assert_eq!(completed(&mut client)["status"], "interrupted");
    // An answer that comes too late changes nothing.
    let late = json!({"id": request["id"], "result": {"decision": "accept"}});
    client.type_line(&late.to_string());
    client.ask("config/read", json!({}));
    assert!(!home.cwd().join("a").exists());
}

#[test]
fn a_patch_is_shown_before_it_is_applied() {
    let provider = MockResponses::start();
    provider.queue(patches("p1", "*** Add File: new\n+x"));
    provider.queue(patches("p2", "*** Add File: new\n+x"));
    provider.queue(patches("p3", "*** Update File: new\n@@\n-x\n+y"));
    let moves = "*** Update File: new\n*** Move to: sub/moved\n@@\n-y\n+z";
    provider.queue(patches("p4", moves));
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let thread = careful(&mut client);
    say(&mut client, &thread, "go");
    let shown = client.next("the patch", |line| {
        line["method"] == "item/started" && line["params"]["item"]["type"] == "fileChange"
    });
    let path = home.cwd().join("new");
    assert_eq!(
        shown["params"]["item"]["changes"],
        json!([{"path": path, "kind": {"type": "add"}, "diff": "x\n"}])
    );
    answer(&mut client, PATCH, json!({"decision": "decline"}));
    assert_eq!(item(&mut client, "fileChange")["status"], "declined");
    assert!(!path.exists());
    answer(&mut client, PATCH, json!({"decision": "acceptForSession"}));
    assert_eq!(item(&mut client, "fileChange")["status"], "completed");
    let last = item(&mut client, "fileChange");
    assert_eq!(last["changes"][0]["diff"], "@@\n-x\n+y\n");
    assert_eq!(
        last["changes"][0]["kind"],
        json!({"type": "update", "move_path": null})
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "y\n");
    // The file may be changed; where it goes is another one.
    let shown = client.next("the move", |line| {
        line["method"] == "item/started" && line["params"]["item"]["type"] == "fileChange"
    });
    let target = home.cwd().join("sub/moved");
    let diff = format!("@@\n-y\n+z\n\nMoved to: {}", target.display());
    assert_eq!(
        shown["params"]["item"]["changes"],
        json!([{"path": path, "kind": {"type": "update", "move_path": target}, "diff": diff}])
    );
    answer(&mut client, PATCH, json!({"decision": "decline"}));
    assert_eq!(item(&mut client, "fileChange")["status"], "declined");
    assert!(!target.exists());
    assert_eq!(completed(&mut client)["status"], "completed");
}

#[test]
fn a_tool_is_asked_about_by_elicitation() {
    let provider = MockResponses::start();
    for text in ["1", "2", "3", "4"] {
        let arguments = json!({"text": text}).to_string();
        provider.queue(calls("test", "echo", &arguments));
    }
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, "");
    let entry = FakeStdio::new().toml("test") + "default_tools_approval_mode = \"prompt\"\n";
    home.write_config(&(home.config() + &entry));
    let mut client = Client::start(&home);
    let thread = start(&mut client, json!({"approvalPolicy": "on-failure"}));
    say(&mut client, &thread, "go");
    let accept = json!({"action": "accept", "content": {}});
    let asked = answer(&mut client, ELICITATION, accept);
    let message = "Allow the test MCP server to run tool \"echo\"?";
    assert_eq!(asked["message"], message);
    assert_eq!(asked["mode"], "form");
    let schema = json!({"type": "object", "properties": {}});
    assert_eq!(asked["requestedSchema"], schema);
    let meta = &asked["_meta"];
    assert_eq!(meta["codex_approval_kind"], "mcp_tool_call");
    assert_eq!(meta["tool_params"], json!({"text": "1"}));
    assert_eq!(
        meta["tool_params_display"],
        json!([{"display_name": "text", "name": "text", "value": "1"}])
    );
    assert_eq!(item(&mut client, "mcpToolCall")["status"], "completed");
    answer(&mut client, ELICITATION, json!({"action": "decline"}));
    let declined = item(&mut client, "mcpToolCall");
    assert_eq!(declined["status"], "failed");
    let why = "user rejected MCP tool call";
    assert_eq!(declined["error"]["message"], why);
    // For ever: written into the file, and not asked again here.
    let always = json!({"action": "accept", "content": {}, "_meta": {"persist": "always"}});
    answer(&mut client, ELICITATION, always);
    assert_eq!(item(&mut client, "mcpToolCall")["status"], "completed");
    assert_eq!(item(&mut client, "mcpToolCall")["status"], "completed");
    assert_eq!(completed(&mut client)["status"], "completed");
    let config = client.ask("config/read", json!({}))["config"].clone();
    let mode = &config["mcp_servers"]["test"]["tools"]["echo"]["approval_mode"];
    assert_eq!(mode, "approve");
}

#[test]
fn a_tool_with_approve_when_is_allowed_for_this_thread_and_its_server_stays_on() {
    let provider = MockResponses::start();
    for _ in 0..2 {
        provider.queue(calls("test", "echo", r#"{"text":"1"}"#));
    }
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, "");
    let rule = "tools.echo.approve_when = { text = { equals = \"0\" } }\n";
    home.write_config(&(home.config() + &FakeStdio::new().toml("test") + rule));
    let before = home.config();
    let mut client = Client::start(&home);
    let thread = start(&mut client, json!({"approvalPolicy": "on-request"}));
    say(&mut client, &thread, "go");
    let always = json!({"action": "accept", "content": {}, "_meta": {"persist": "always"}});
    answer(&mut client, ELICITATION, always);
    let warning = client.notification("warning");
    let said = warning["message"].as_str().unwrap();
    assert!(
        said.starts_with("`test/echo` is allowed in this thread only: its `approve_when` says"),
        "{said}"
    );
    assert_eq!(item(&mut client, "mcpToolCall")["status"], "completed");
    assert_eq!(item(&mut client, "mcpToolCall")["status"], "completed");
    assert_eq!(completed(&mut client)["status"], "completed");
    assert_eq!(home.config(), before);
}

#[test]
fn without_a_reviewer_everything_is_declined_and_nobody_is_asked() {
    let provider = MockResponses::start();
    provider.queue(runs("c", "touch a"));
    provider.queue(runs("c", "touch b"));
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let params = json!({
        "approvalPolicy": "untrusted", "sandbox": "danger-full-access",
        "approvalsReviewer": "auto_review",
    });
    let started = client.ask("thread/start", params);
    assert_eq!(started["approvalsReviewer"], "auto_review");
    let thread = started["thread"]["id"].as_str().unwrap().to_owned();
    say(&mut client, &thread, "go");
    assert_eq!(item(&mut client, "commandExecution")["status"], "declined");
    assert_eq!(item(&mut client, "commandExecution")["status"], "declined");
    assert_eq!(completed(&mut client)["status"], "completed");
    let lines = client.lines();
    assert!(!lines.iter().any(|line| line["method"] == COMMAND));
    let warnings = lines.iter().filter(|line| line["method"] == "warning");
    assert_eq!(warnings.count(), 1);
}
