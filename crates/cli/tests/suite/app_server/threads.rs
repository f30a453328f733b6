//! Threads and turns of the app-server: order, ends, limits.

use std::time::Duration;

use codex_test_support::{
    FakeStdio, Gate, Journal, MockResponses, Reply, TestHome, ev_assistant_message, ev_completed,
    ev_reasoning, ev_reasoning_delta, ev_response_created, ev_text_delta, process_lives, sse,
    wait_until_gone,
};
use serde_json::{Value, json};

use crate::app_server_support::{Client, LIMIT};
use crate::exec_hands::runs;
use crate::exec_support::{calls, says};

/// Starts a thread and returns its id.
pub(super) fn start(client: &mut Client, params: Value) -> String {
    let started = client.ask("thread/start", params);
    started["thread"]["id"].as_str().unwrap().to_owned()
}

/// Starts a turn that says something.
pub(super) fn say(client: &mut Client, thread: &str, text: &str) -> String {
    let params = json!({"threadId": thread, "input": [{"type": "text", "text": text}]});
    let turn = client.ask("turn/start", params);
    assert_eq!(turn["turn"]["status"], "inProgress");
    turn["turn"]["id"].as_str().unwrap().to_owned()
}

pub(super) fn completed(client: &mut Client) -> Value {
    client.notification("turn/completed")["turn"].clone()
}

/// The methods of all notifications, items with their type, in order.
fn told(client: &Client) -> Vec<String> {
    let lines = client.lines().into_iter();
    lines
        .filter_map(|line| {
            let method = line["method"].as_str()?.to_owned();
            let kind = line["params"]["item"]["type"].as_str();
            let kind = kind.or(line["params"]["status"]["type"].as_str());
            Some(kind.map_or(method.clone(), |kind| format!("{method} {kind}")))
        })
        .collect()
}

#[test]
fn a_turn_is_told_in_its_order() {
    let provider = MockResponses::start();
    provider.queue(sse(vec![
        ev_response_created("r"),
        ev_reasoning_delta("rs", "think"),
        ev_reasoning("rs", &["think"]),
        ev_text_delta("msg", "hel"),
        ev_text_delta("msg", "lo"),
        ev_assistant_message("msg", "hello"),
        ev_completed("r"),
    ]));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let params = json!({"approvalPolicy": "on-request", "sandbox": "read-only"});
    let result = client.ask("thread/start", params);
    let thread = result["thread"]["id"].as_str().unwrap().to_owned();
    assert_eq!(result["model"], "gpt-5.5");
    assert_eq!(result["modelProvider"], "openai");
    assert_eq!(result["cwd"], home.cwd().to_str().unwrap());
    let sandbox = json!({"type": "readOnly", "networkAccess": false});
    assert_eq!(result["sandbox"], sandbox);
    assert_eq!(result["approvalPolicy"], "on-request");
    assert_eq!(result["approvalsReviewer"], "user");
    assert_eq!(result["thread"]["status"], json!({"type": "idle"}));
    assert_eq!(result["thread"]["cliVersion"], env!("CARGO_PKG_VERSION"));
    let turn = say(&mut client, &thread, "hi");
    let end = completed(&mut client);
    assert_eq!(end["id"], turn);
    assert_eq!(end["status"], "completed");
    assert_eq!(end["itemsView"], "summary");
    assert_eq!(end["items"][0]["text"], "hello");
    assert!(
        end["durationMs"].is_u64() && end["completedAt"].is_u64(),
        "{end}"
    );
    let mut told = told(&client);
    // How a text is cut into pieces is nobody's promise.
    told.dedup_by(|a, b| a == b && a.ends_with("/delta"));
    assert_eq!(
        told,
        [
            "thread/started",
            "thread/status/changed active",
            "turn/started",
            "item/started userMessage",
            "item/completed userMessage",
            "item/started reasoning",
            "item/reasoning/summaryTextDelta",
            "item/completed reasoning",
            "item/started agentMessage",
            "item/agentMessage/delta",
            "item/completed agentMessage",
            "thread/tokenUsage/updated",
            "thread/status/changed idle",
            "turn/completed",
        ]
    );
    let lines = client.lines();
    let is_end = |line: &&Value| line["method"] == "item/completed";
    let id = &lines.iter().rfind(is_end).unwrap()["params"]["item"]["id"];
    let deltas = lines
        .iter()
        .filter(|line| line["method"] == "item/agentMessage/delta");
    let text = deltas.map(|line| {
        assert_eq!(line["params"]["itemId"], *id);
        line["params"]["delta"].as_str().unwrap()
    });
    assert_eq!(text.collect::<String>(), "hello");
    // Each answer stands before what it causes, and each notification has its time.
    let at = |holds: &dyn Fn(&Value) -> bool| lines.iter().position(holds).unwrap();
    let answered = at(&|line: &Value| line["result"]["turn"]["id"] == turn.as_str());
    assert!(answered < at(&|line: &Value| line["method"] == "turn/started"));
    let mut notifications = lines.iter().filter(|line| line.get("method").is_some());
    assert!(notifications.all(|line| line["emittedAtMs"].is_u64()));
    // The provider sees who drives us.
    let request = provider.request(0);
    assert_eq!(request.header("originator"), Some("probe"));
    let agent = request.header("user-agent").unwrap_or_default();
    assert!(agent.ends_with(" (probe; 0.1)"), "{agent}");
    // The next turn goes on with what was said.
    provider.queue(says("again"));
    say(&mut client, &thread, "more");
    assert_eq!(completed(&mut client)["items"][0]["text"], "again");
    let input = provider.request(1).input();
    assert!(input.iter().any(|item| item.to_string().contains("hello")));
    let lines = client.lines();
    let is_usage = |line: &&Value| line["method"] == "thread/tokenUsage/updated";
    let tokens = &lines.iter().rfind(is_usage).unwrap()["params"]["tokenUsage"];
    let (total, last) = (
        &tokens["total"]["totalTokens"],
        &tokens["last"]["totalTokens"],
    );
    assert_eq!(total.as_u64().unwrap(), 2 * last.as_u64().unwrap());
}

#[test]
fn an_interrupt_is_answered_at_once_and_closes_what_is_open() {
    let provider = MockResponses::start();
    provider.queue(runs("c1", "sleep 1000"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let thread = start(&mut client, json!({"sandbox": "danger-full-access"}));
    let turn = say(&mut client, &thread, "run");
    client.next("the command", |line| {
        line["method"] == "item/started" && line["params"]["item"]["type"] == "commandExecution"
    });
    let wrong = json!({"threadId": thread, "turnId": "x"});
    let refused = client.refused("turn/interrupt", wrong);
    assert_eq!(
        refused["message"],
        format!("expected active turn id `x` but found `{turn}`")
    );
    // One turn at a time.
    let second = json!({"threadId": thread, "input": []});
    let refused = client.refused("turn/start", second);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("still running"),
        "{refused}"
    );
    let params = json!({"threadId": thread, "turnId": turn});
    assert_eq!(client.ask("turn/interrupt", params.clone()), json!({}));
    let end = completed(&mut client);
    assert_eq!(end["status"], "interrupted");
    let told = told(&client);
    assert_eq!(
        told[told.len() - 4..],
        [
            "item/completed commandExecution",
            "thread/tokenUsage/updated",
            "thread/status/changed idle",
            "turn/completed",
        ]
    );
    let refused = client.refused("turn/interrupt", params);
    assert_eq!(refused["message"], "no active turn to interrupt");
}

#[test]
fn a_failure_and_a_retry_are_told_as_what_they_are() {
    let provider = MockResponses::start();
    provider.queue(
        sse(vec![
            ev_response_created("r"),
            ev_text_delta("msg", "half"),
            ev_assistant_message("msg", "half of it"),
        ])
        .cut_at_end(),
    );
    provider.queue(says("whole"));
    provider.queue(Reply::error(400, "invalid_value", "no such thing"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let thread = start(&mut client, json!({}));
    say(&mut client, &thread, "hi");
    let error = client.notification("error");
    assert_eq!(error["willRetry"], true);
    assert_eq!(error["error"]["message"], "Reconnecting... 1/5");
    assert!(error["error"]["additionalDetails"].is_string(), "{error}");
    assert_eq!(completed(&mut client)["status"], "completed");
    say(&mut client, &thread, "again");
    let error = client.notification("error");
    assert_eq!(error["willRetry"], false);
    assert_eq!(error["error"]["codexErrorInfo"], "badRequest");
    let status = client.notification("thread/status/changed");
    assert_eq!(status["status"]["type"], "systemError");
    let end = completed(&mut client);
    assert_eq!(end["status"], "failed");
    assert!(
        end["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no such thing"),
        "{end}"
    );
    // Every item that began has ended.
    let lines = client.lines();
    let ids = |method: &str| -> Vec<Value> {
        let of = lines.iter().filter(|line| line["method"] == method);
        of.map(|line| line["params"]["item"]["id"].clone())
            .collect()
    };
    assert_eq!(ids("item/started"), ids("item/completed"));
}

#[test]
fn threads_do_not_wait_for_each_other() {
    let provider = MockResponses::start();
    let gate = Gate::new();
    provider.queue(says("late").hold_until(&gate));
    provider.queue(says("soon"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let slow = start(&mut client, json!({}));
    let quick = start(&mut client, json!({"ephemeral": true}));
    let first = say(&mut client, &slow, "wait");
    provider.wait_for_requests(1, LIMIT);
    say(&mut client, &quick, "go");
    assert_eq!(completed(&mut client)["items"][0]["text"], "soon");
    gate.open();
    let end = completed(&mut client);
    assert_eq!(
        (&end["id"], &end["items"][0]["text"]),
        (&json!(first), &json!("late"))
    );
}

#[test]
fn the_end_of_stdin_ends_turns_commands_and_servers() {
    let provider = MockResponses::start();
    provider.queue(runs("c1", "echo $$ > pid; exec sleep 1000"));
    let home = TestHome::with_provider(&provider, "");
    let journal = Journal::new(home.path().join("journal"));
    home.write_config(&(home.config() + &FakeStdio::new().noting_in(&journal).toml("a")));
    let mut client = Client::start(&home);
    let thread = start(&mut client, json!({"sandbox": "danger-full-access"}));
    say(&mut client, &thread, "run");
    let file = home.cwd().join("pid");
    let deadline = std::time::Instant::now() + LIMIT;
    let pid: u32 = loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Ok(pid) = text.trim().parse() {
            break pid;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the command did not start"
        );
        std::thread::sleep(Duration::from_millis(5));
    };
    let server = journal.pids()[0];
    assert!(process_lives(pid) && process_lives(server));
    let begin = std::time::Instant::now();
    let ended = client.end();
    assert_eq!(ended.exit(), Some(0), "{ended}");
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    assert!(wait_until_gone(pid, LIMIT) && wait_until_gone(server, LIMIT));
    let last = ended.json_lines().pop().unwrap();
    assert_eq!(last["method"], "turn/completed");
    assert_eq!(last["params"]["turn"]["status"], "interrupted");
}

#[test]
fn what_a_turn_changes_holds_for_the_next_ones() {
    let provider = MockResponses::start();
    provider.otherwise(says("ok"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let params = json!({"model": "gpt-5.5", "config": {"model_verbosity": "low"}});
    let thread = start(&mut client, params);
    let folder = home.path().join("other");
    std::fs::create_dir(&folder).unwrap();
    let params = json!({
        "threadId": thread, "input": [{"type": "text", "text": "hi"}], "cwd": folder,
        "model": "gpt-5.4", "effort": "high", "approvalPolicy": "never",
        "sandboxPolicy": {"type": "workspaceWrite", "networkAccess": true},
    });
    client.ask("turn/start", params);
    let updated = client.notification("thread/settings/updated");
    let settings = &updated["threadSettings"];
    assert_eq!(settings["model"], "gpt-5.4");
    assert_eq!(settings["cwd"], folder.to_str().unwrap());
    assert_eq!(settings["sandboxPolicy"]["type"], "workspaceWrite");
    completed(&mut client);
    say(&mut client, &thread, "again");
    completed(&mut client);
    for n in 0..2 {
        let body = provider.request(n).json();
        assert_eq!(body["model"], "gpt-5.4");
        assert_eq!(body["reasoning"]["effort"], "high");
        assert_eq!(body["text"]["verbosity"], "low");
    }
    let lines = client.lines();
    let is_updated = |line: &&Value| line["method"] == "thread/settings/updated";
    assert_eq!(lines.iter().filter(is_updated).count(), 1);
    // What cannot be is refused, and nothing changes.
    let picture = |part: Value| json!({"input": [part]});
    let rows = [
        (
            json!({"cwd": "/no/such"}),
            "working directory `/no/such` does not exist",
        ),
        (
            picture(json!({"type": "image", "url": "https://h/x.png"})),
            "only pictures with a `data:` URL or on this machine can be sent",
        ),
        (
            picture(json!({"type": "localImage", "path": "no.png"})),
            "cannot read image `no.png`: No such file or directory (os error 2)",
        ),
    ];
    for (params, why) in rows {
        let mut turn = json!({"threadId": thread, "input": []});
        for (key, value) in params.as_object().unwrap() {
            turn[key] = value.clone();
        }
        assert_eq!(client.refused("turn/start", turn)["message"], why);
    }
    let refused = client.refused("thread/start", json!({"cwd": "/no/such"}));
    assert_eq!(
        refused["message"],
        "working directory `/no/such` does not exist"
    );
    let refused = client.refused("turn/start", json!({"threadId": "x", "input": []}));
    assert_eq!(refused["message"], "thread not found: x");
}

#[test]
fn a_required_server_that_fails_refuses_the_thread_and_nothing_else() {
    let provider = MockResponses::start();
    provider.queue(says("ok"));
    let home = TestHome::with_provider(&provider, "");
    let mut client = Client::start(&home);
    let bad = json!({"command": "/no/such/program", "required": true});
    let config = json!({"mcp_servers": {"bad": bad}});
    let refused = client.refused("thread/start", json!({"config": config}));
    assert_eq!(refused["code"], -32603);
    let message = refused["message"].as_str().unwrap();
    let begin = "required MCP servers failed to initialize: bad: ";
    assert!(message.starts_with(begin), "{message}");
    assert_eq!(refused["data"]["requiredMcpServers"][0]["name"], "bad");
    let thread = start(&mut client, json!({}));
    say(&mut client, &thread, "hi");
    assert_eq!(completed(&mut client)["status"], "completed");
}

#[test]
fn a_thread_has_the_servers_of_its_client_and_hears_of_their_changes() {
    let provider = MockResponses::start();
    provider.queue(calls("own", "echo", r#"{"text":"x"}"#));
    provider.queue(says("done"));
    let home = TestHome::with_provider(&provider, "");
    let journals = ["file", "own"].map(|name| Journal::new(home.path().join(name)));
    let base = home.config();
    let first = FakeStdio::new().noting_in(&journals[0]);
    home.write_config(&(base.clone() + &first.toml("file")));
    let own = FakeStdio::new().noting_in(&journals[1]);
    let config = json!({"mcp_servers": {"own": {"command": own.program(), "args": own.args()}}});
    let mut client = Client::start(&home);
    let thread = start(
        &mut client,
        json!({"config": config, "approvalPolicy": "never", "sandbox": "danger-full-access"}),
    );
    let started = client.notification("mcpServer/startupStatus/updated");
    assert_eq!(started["threadId"], thread);
    say(&mut client, &thread, "call");
    let call = client.next("the call", |line| {
        line["method"] == "item/completed" && line["params"]["item"]["type"] == "mcpToolCall"
    });
    let item = &call["params"]["item"];
    assert_eq!(item["status"], "completed");
    assert_eq!(item["result"]["structuredContent"], json!({"echo": "x"}));
    completed(&mut client);
    let list = client.ask("mcpServerStatus/list", json!({"threadId": thread}));
    let rows = list["data"].as_array().unwrap().iter();
    let names: Vec<&Value> = rows.map(|row| &row["name"]).collect();
    assert_eq!(names, ["file", "own"]);
    // A changed file reaches the thread: its server is another process, the client's own is not.
    let (file, own) = (journals[0].pids(), journals[1].pids());
    let changed = FakeStdio::new()
        .tools(["echo", "add"])
        .noting_in(&journals[0]);
    home.write_config(&(base + &changed.toml("file")));
    client.ask("config/mcpServer/reload", json!({}));
    client.next("the new server", |line| {
        line["params"]["threadId"] == thread.as_str()
            && line["params"]["name"] == "file"
            && line["params"]["status"] == "ready"
    });
    assert_eq!(journals[0].pids().len(), 2);
    assert!(wait_until_gone(file[0], LIMIT));
    assert_eq!(journals[1].pids(), own);
}
