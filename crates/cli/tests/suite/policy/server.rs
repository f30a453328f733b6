//! The gate of a program that runs for long: whatever a client writes, sends or makes it read again.

use codex_test_support::{FakeStdio, MockResponses};
use serde_json::{Value, json};

use super::guarded::{Guarded, MODEL};
use crate::app_server_support::{Client, LIMIT};
use crate::exec_support::says;

fn write(key: &str, value: Value) -> Value {
    json!({"keyPath": key, "value": value, "mergeStrategy": "upsert"})
}

/// Returns where a server stands.
fn row(client: &mut Client, name: &str) -> Value {
    let params = json!({"serverName": name});
    let list = client.ask("mcpServerStatus/list", params);
    list["data"][0].clone()
}

/// Returns where a server of a thread stands.
fn row_of(client: &mut Client, name: &str, thread: &Value) -> Value {
    let params = json!({"serverName": name, "threadId": thread});
    let list = client.ask("mcpServerStatus/list", params);
    list["data"][0].clone()
}

#[track_caller]
fn stays_off(guarded: &Guarded, client: &mut Client, name: &str, what: &str) {
    let row = row(client, name);
    assert_eq!(row["runtimeStatus"], "disabled", "{what}");
    let why = row["toolsError"].as_str().unwrap();
    assert!(
        why.starts_with("requirements (/etc/codex/requirements.toml)"),
        "{what}: {why}"
    );
    guarded.untouched(what);
}

#[test]
fn what_a_client_writes_stays_off() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(&format!(
        "{MODEL}[mcp_servers.evil]\ncommand = \"PROGRAM\"\nenabled = false\n"
    ));
    let mut client = Client::start_as(guarded.codex(&["app-server"]));
    client.ask("mcpServerStatus/list", json!({}));
    let rows = [
        ("turned on again", "evil", json!({"enabled": true})),
        ("required", "evil", json!({"required": true})),
        ("renamed", "docs2", json!({"command": "docs-mcp"})),
        (
            "another program",
            "docs",
            json!({"command": guarded.fill("PROGRAM")}),
        ),
        ("a look-alike", "docs", json!({"command": "Docs-mcp"})),
        ("case of the name", "Docs", json!({"command": "docs-mcp"})),
        (
            "another path",
            "web",
            json!({"url": guarded.fill("http://ADDRESS/mcp")}),
        ),
        (
            "a variable",
            "web",
            json!({"url": "${URL}", "expand_env": true}),
        ),
        (
            "the name of another rule",
            "below",
            json!({"url": guarded.fill("http://ADDRESS/okay/mcp")}),
        ),
    ];
    for (what, name, value) in rows {
        client.ask(
            "config/value/write",
            write(&format!("mcp_servers.{name}"), value),
        );
        stays_off(&guarded, &mut client, name, what);
        client.ask("config/mcpServer/reload", json!({}));
        stays_off(&guarded, &mut client, name, what);
    }
    // The requirements themselves are no key of the user's file, and no file that can be written.
    let mut elsewhere = write("mcp_server_allowlist", Value::Null);
    elsewhere["filePath"] = json!("/etc/codex/requirements.toml");
    client.refused("config/value/write", elsewhere);
    guarded.untouched("all of it");
}

/// Waits until the allowed program, which leads to the trap, was started.
fn wait_for_mark(guarded: &Guarded) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !guarded.mark.exists() {
        assert!(std::time::Instant::now() < deadline, "it was not started");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

const DOCS: &str = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\n";

#[test]
fn newer_requirements_hold_while_a_file_of_the_user_cannot_be_used() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(&format!("{MODEL}{DOCS}"));
    let command = guarded.codex(&["app-server"]);
    let mut client = Client::start_as(command.env("CODEX_API_KEY", "test-key-of-the-mock"));
    client.ask("mcpServerStatus/list", json!({}));
    wait_for_mark(&guarded);
    std::fs::remove_file(&guarded.mark).unwrap();
    let thread = client.ask("thread/start", json!({}))["thread"]["id"].clone();
    wait_for_mark(&guarded);
    guarded.user("model = \n");
    client.refused("config/mcpServer/reload", json!({}));
    assert_eq!(row(&mut client, "docs")["runtimeStatus"], "starting");
    guarded.requirements(
        "allowed_sandbox_modes = [\"read-only\"]\n[mcp_servers.docs.identity]\ncommand = \"other\"\n",
    );
    // Who breaks a file may do so once more.
    guarded.user("model = 1 2\n");
    std::fs::remove_file(&guarded.mark).unwrap();
    stays_off(
        &guarded,
        &mut client,
        "docs",
        "closed while a file was broken",
    );
    let read = client.ask("configRequirements/read", json!({}));
    assert_eq!(read["requirements"]["allowedMcpServers"], json!(["docs"]));
    assert_eq!(
        row_of(&mut client, "docs", &thread)["runtimeStatus"],
        "disabled"
    );
    let mut turn = json!({"threadId": thread, "input": []});
    turn["sandboxPolicy"] = json!({"type": "dangerFullAccess"});
    let refused = client.refused("turn/start", turn);
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("/etc/codex/requirements.toml"), "{why}");
    // It stays so when the file is repaired.
    guarded.user(&format!("{MODEL}{DOCS}"));
    client.ask("config/mcpServer/reload", json!({}));
    stays_off(&guarded, &mut client, "docs", "closed");
}

#[test]
fn requirements_that_change_while_a_thread_starts_hold_for_it() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.requirements("");
    let gate = guarded.home.path().join("gate");
    let slow = FakeStdio::new().start_when(&gate).toml("slow");
    guarded.user(&format!("{MODEL}{DOCS}{slow}required = true\n"));
    let command = guarded.codex(&["app-server"]);
    let mut client = Client::start_as(command.env("CODEX_API_KEY", "test-key-of-the-mock"));
    let start = client.send("thread/start", json!({}));
    wait_for_mark(&guarded);
    guarded.requirements("[mcp_servers]\n");
    client.ask("config/mcpServer/reload", json!({}));
    std::fs::write(&gate, "").unwrap();
    let started = client.answer(start);
    let thread = &started["result"]["thread"]["id"];
    assert_eq!(
        row_of(&mut client, "docs", thread)["runtimeStatus"],
        "disabled"
    );
}

#[test]
fn what_is_allowed_runs_until_the_requirements_change() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user(MODEL);
    let mut client = Client::start_as(guarded.codex(&["app-server"]));
    client.ask("mcpServerStatus/list", json!({}));
    // The trap works: the allowed name leads to it in the same way.
    client.ask(
        "config/value/write",
        write("mcp_servers.docs", json!({"command": "docs-mcp"})),
    );
    wait_for_mark(&guarded);
    assert_eq!(row(&mut client, "docs")["runtimeStatus"], "starting");
    guarded.requirements("[mcp_servers]\n");
    client.ask("config/mcpServer/reload", json!({}));
    std::fs::remove_file(&guarded.mark).unwrap();
    stays_off(&guarded, &mut client, "docs", "closed while it ran");
}

#[test]
fn what_a_client_sends_for_a_thread_stays_off() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    let provider = MockResponses::start();
    provider.otherwise(says("done"));
    guarded.user(&format!(
        "openai_base_url = {:?}\n{MODEL}[mcp_servers.docs]\ncommand = \"docs-mcp\"\nenabled = false\n",
        provider.base_url()
    ));
    let command = guarded
        .codex(&["app-server"])
        .env("CODEX_API_KEY", "test-key-of-the-mock");
    let mut client = Client::start_as(command);
    let program = guarded.fill("PROGRAM");
    let address = guarded.fill("http://ADDRESS/mcp");
    let rows = [
        (
            "evil",
            json!({"mcp_servers": {"evil": {"command": program}}}),
        ),
        ("evil", json!({"mcp_servers.evil.command": program})),
        (
            "docs",
            json!({"mcp_servers": {"docs": {"enabled": true, "command": program}}}),
        ),
        ("web", json!({"mcp_servers": {"web": {"url": address}}})),
        (
            "web",
            json!({"mcp_servers": {"web": {"url": "${URL}", "expand_env": true, "required": true}}}),
        ),
        (
            "docs2",
            json!({"mcp_servers": {"docs2": {"command": "docs-mcp"}}}),
        ),
    ];
    for (name, config) in rows {
        let what = config.to_string();
        let thread = client.ask("thread/start", json!({"config": config}));
        let thread = thread["thread"]["id"].clone();
        let told = client.next("a warning", |line| line["method"] == "warning");
        let told = told["params"]["message"].as_str().unwrap().to_owned();
        assert!(
            told.starts_with(&format!("MCP server '{name}' is disabled: requirements")),
            "{told}"
        );
        let turn = json!({"threadId": thread, "input": [{"type": "text", "text": "hi"}]});
        client.ask("turn/start", turn);
        client.notification("turn/completed");
        let row = row_of(&mut client, name, &thread);
        assert_eq!(row["runtimeStatus"], "disabled", "{what}");
        guarded.untouched(&what);
    }
}

#[test]
fn what_a_turn_changes_stays_within_the_requirements() {
    let Some(guarded) = Guarded::with(
        "allowed_sandbox_modes = [\"read-only\"]\nallowed_approval_policies = [\"untrusted\", \"never\"]\n",
    ) else {
        return;
    };
    guarded.user(MODEL);
    let mut client = Client::start_as(guarded.codex(&["app-server"]));
    let started = client.ask(
        "thread/start",
        json!({"sandbox": "danger-full-access", "approvalPolicy": "on-request"}),
    );
    assert_eq!(started["sandbox"]["type"], "readOnly");
    assert_eq!(started["approvalPolicy"], "untrusted");
    let thread = started["thread"]["id"].clone();
    let changes = [
        json!({"sandboxPolicy": {"type": "dangerFullAccess"}}),
        json!({"sandboxPolicy": {"type": "workspaceWrite"}}),
        json!({"approvalPolicy": "on-request"}),
        json!({"approvalPolicy": {"granular": {}}}),
    ];
    for change in changes {
        let mut turn = json!({"threadId": thread, "input": []});
        for (key, value) in change.as_object().unwrap() {
            turn[key] = value.clone();
        }
        let refused = client.refused("turn/start", turn);
        let why = refused["message"].as_str().unwrap();
        assert!(why.contains("/etc/codex/requirements.toml"), "{why}");
    }
}
