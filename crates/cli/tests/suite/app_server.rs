//! `codex app-server` from outside: the envelope, the handshake, the end, the settings.

mod approvals;
mod live;
mod threads;

use std::time::{Duration, Instant};

use codex_test_support::{TestHome, private_etc};
use serde_json::{Value, json};

use crate::app_server_support::{Client, LIMIT};

/// Sends one line and returns the next that comes.
fn reply(client: &mut Client, line: &str) -> Value {
    client.type_line(line);
    client.next(line, |_| true)
}

fn error(code: i64, message: &str) -> Value {
    json!({"code": code, "message": message})
}

#[test]
fn every_fault_of_the_envelope_has_its_answer() {
    let home = TestHome::new();
    let mut client = Client::without_handshake(home.codex(["app-server"]));
    let no_id = |code, message| json!({"id": null, "error": error(code, message)});
    let early = reply(&mut client, r#"{"id":"a","method":"config/read"}"#);
    assert_eq!(
        early,
        json!({"id": "a", "error": error(-32600, "Not initialized")})
    );
    for line in ["{", "nonsense", "\u{fffd}{}"] {
        assert_eq!(
            reply(&mut client, line),
            no_id(-32700, "Parse error"),
            "{line}"
        );
    }
    for line in [
        "[]",
        "7",
        "{}",
        r#"{"id":null,"method":"x"}"#,
        r#"{"id":{},"method":"x"}"#,
    ] {
        let expected = no_id(-32600, "Invalid request");
        assert_eq!(reply(&mut client, line), expected, "{line}");
    }
    let hello = r#"{"id":1,"method":"initialize","params":{"clientInfo":{"name":"probe","version":"0.1"}}}"#;
    let lame = reply(&mut client, r#"{"id":0,"method":"initialize"}"#);
    assert_eq!(
        lame["error"],
        error(-32602, "Invalid params: missing field `clientInfo`")
    );
    assert!(reply(&mut client, hello)["result"].is_object());
    let again = reply(&mut client, hello);
    assert_eq!(again["error"], error(-32600, "Already initialized"));
    // What nobody waits for and what answers no request of ours is let pass.
    client.type_line(r#"{"method":"initialized"}"#);
    client.type_line(r#"{"method":"nobody/knows"}"#);
    client.type_line(r#"{"id":77,"result":{}}"#);
    client.type_line("");
    let rows = [
        ("x/y", -32601, "method not found: `x/y`"),
        (
            "config/raed",
            -32601,
            "method not found: `config/raed`; did you mean `config/read`?",
        ),
        ("turn/steer", -32601, "method not supported: `turn/steer`"),
        (
            "sendUserTurn",
            -32601,
            "method not found: `sendUserTurn`; it is `turn/start` now",
        ),
        (
            "config/value/write",
            -32602,
            "Invalid params: missing field `keyPath`",
        ),
    ];
    for (method, code, message) in rows {
        let line = json!({"jsonrpc": "2.0", "id": method, "method": method});
        let answer = reply(&mut client, &line.to_string());
        assert_eq!(answer, json!({"id": method, "error": error(code, message)}));
    }
    // Unknown params are ignored, absent ones may be.
    let answer = client.request("configRequirements/read", json!({"x": 1}));
    assert_eq!(answer["result"], json!({"requirements": null}));
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_one_is_served() {
    let home = TestHome::new();
    let mut client = Client::start(&home);
    let long = format!(r#"{{"id":9,"method":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
    let answer = reply(&mut client, &long);
    assert_eq!(
        answer,
        json!({"id": null, "error": error(-32600, "Invalid request")})
    );
    client.ask("configRequirements/read", json!({}));
}

#[test]
fn the_handshake_tells_who_and_where_we_are() {
    let home = TestHome::new();
    let command = home.codex(["app-server"]).env("TERM", "xterm");
    let mut client = Client::without_handshake(command);
    let params = json!({"clientInfo": {"name": "my_editor", "title": "E", "version": "2.0"}});
    let result = client.ask("initialize", params);
    let agent = result["userAgent"].as_str().unwrap();
    assert!(agent.starts_with("my_editor/0.169.0 (Linux "), "{agent}");
    let version = env!("CARGO_PKG_VERSION");
    let end = format!(" xterm (my_editor; 2.0) codex/{version}");
    assert!(agent.ends_with(&end), "{agent}");
    assert_eq!(result["codexHome"], home.codex_home().to_str().unwrap());
    assert_eq!(result["platformFamily"], "unix");
    assert_eq!(result["platformOs"], "linux");
    assert_eq!(result.as_object().unwrap().len(), 4);
}

#[test]
fn notifications_that_a_client_does_not_want_are_not_sent() {
    let home = TestHome::with_config("no_such_key = 1\nexperimental_use_rmcp_client = true\n");
    let mut client = Client::start(&home);
    let notice = client.notification("deprecationNotice");
    assert!(notice["details"].is_string(), "{notice}");
    let warning = client.notification("configWarning");
    assert!(
        warning["summary"].as_str().unwrap().contains("ignoring 1"),
        "{warning}"
    );
    client.ask("config/read", json!({}));
    let mut client = Client::without_handshake(home.codex(["app-server"]));
    let unwanted = ["configWarning", "deprecationNotice"];
    client.ask(
        "initialize",
        json!({
            "clientInfo": {"name": "p", "version": "1"},
            "capabilities": {"optOutNotificationMethods": unwanted},
        }),
    );
    client.ask("config/read", json!({}));
    let methods = client
        .lines()
        .into_iter()
        .filter_map(|line| line.get("method").cloned());
    assert_eq!(methods.collect::<Vec<_>>(), [] as [Value; 0]);
}

#[test]
fn the_end_comes_soon_and_in_order() {
    let home = TestHome::new();
    let begin = Instant::now();
    let ended = Client::start(&home).end();
    assert_eq!(
        (ended.exit(), ended.stderr.as_str()),
        (Some(0), ""),
        "{ended}"
    );
    // What was asked before stdin ended is answered.
    let lines = concat!(
        r#"{"id":1,"method":"initialize","params":{"clientInfo":{"name":"p","version":"1"}}}"#,
        "\n",
        r#"{"id":2,"method":"config/read"}"#
    );
    let piped = home.codex(["app-server"]).stdin(lines).run().success();
    let ids: Vec<Value> = piped
        .json_lines()
        .iter()
        .map(|line| line["id"].clone())
        .collect();
    assert_eq!(ids, [json!(1), json!(2)]);
    let signals: [fn(&codex_test_support::RunningCodex); 2] =
        [|codex| codex.terminate(), |codex| codex.interrupt()];
    for signal in signals {
        let codex = Client::start(&home).into_codex();
        signal(&codex);
        let ended = codex.wait();
        assert_eq!(ended.exit(), Some(0), "{ended}");
    }
    // A reader that goes away is an end too.
    let mut client = Client::start(&home);
    client.send("config/read", json!({}));
    let codex = client.into_codex();
    codex.stop_reading();
    let mut codex = codex;
    codex.type_line(r#"{"id":50,"method":"config/read"}"#);
    codex.type_line(r#"{"id":51,"method":"config/read"}"#);
    assert_eq!(codex.wait().exit(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn settings_that_cannot_be_used_are_told_as_by_every_command() {
    let home = TestHome::with_config("model = \n");
    let server = home.codex(["app-server"]).run();
    assert_eq!(server.exit(), Some(1));
    assert_eq!(server.stdout, "");
    let exec = home.codex(["mcp", "list"]).run();
    assert_eq!(server.stderr, exec.stderr);
}

#[test]
fn other_transports_and_subcommands_are_refused_by_name() {
    let home = TestHome::new();
    let run = |args: &[&str]| home.codex([&["app-server"], args].concat()).run();
    let output = run(&["--listen", "ws://127.0.0.1:1"]);
    assert_eq!(output.exit(), Some(2), "{output}");
    assert!(output.stderr.contains("not supported"), "{output}");
    let output = run(&["generate-ts", "--out", "x"]);
    assert_eq!(output.exit(), Some(1), "{output}");
    assert!(output.stderr.contains("not available"), "{output}");
    for args in [
        &["--listen", "stdio://"][..],
        &["--stdio"],
        &["--analytics-default-enabled"],
        &["--startup-client-info", "{}", "--code-mode-host", "x"],
    ] {
        run(args).success();
    }
}

#[test]
fn settings_are_read_with_their_layers_and_origins() {
    let home = TestHome::with_config(
        "model = \"mine\"\n[mcp_servers.a]\ncommand = \"x\"\nenv = { KEY = \"cfg-secret-1234567890\" }\n",
    );
    home.write_file(".git/HEAD", "");
    home.write_file(".codex/config.toml", "model = \"theirs\"\n");
    let command = home.codex([
        "-c",
        "model_verbosity=low",
        "app-server",
        "-c",
        "service_tier=x",
    ]);
    let mut client = Client::start_as(command);
    let read = client.ask("config/read", json!({"includeLayers": true}));
    assert_eq!(read["config"]["model"], "mine");
    assert_eq!(read["config"]["model_verbosity"], "low");
    assert_eq!(read["config"]["mcp_servers"]["a"]["env"]["KEY"], "*****");
    let user = json!({"type": "user", "file": home.config_file(), "profile": null});
    assert_eq!(read["origins"]["mcp_servers.a.command"]["name"], user);
    assert_eq!(
        read["origins"]["service_tier"]["name"],
        json!({"type": "sessionFlags"})
    );
    let layers = read["layers"].as_array().unwrap();
    let types: Vec<&Value> = layers.iter().map(|layer| &layer["name"]["type"]).collect();
    assert_eq!(types, ["sessionFlags", "project", "user"]);
    let folder = home.cwd().join(".codex");
    assert_eq!(
        layers[1]["name"]["dotCodexFolder"],
        folder.to_str().unwrap()
    );
    let reason = layers[1]["disabledReason"].as_str().unwrap();
    assert!(reason.contains("as a trusted project"), "{reason}");
    assert_eq!(layers[2]["disabledReason"], Value::Null);
    let version = layers[2]["version"].as_str().unwrap();
    assert!(
        version.starts_with("sha256:") && version.len() == 71,
        "{version}"
    );
    // Without asking there are no layers; another directory has another project.
    let other = home.path().to_str().unwrap();
    let read = client.ask("config/read", json!({"cwd": other}));
    assert_eq!(read["layers"], Value::Null);
    let missing = client.refused("config/read", json!({"cwd": "/no/such"}));
    assert_eq!(
        missing["message"],
        "working directory `/no/such` does not exist"
    );
}

#[test]
fn one_key_is_written_of_a_server_that_another_layer_has() {
    let home = TestHome::new();
    let other = "[mcp_servers.s]\ncommand = \"x\"\n";
    std::fs::write(home.codex_home().join("managed_config.toml"), other).unwrap();
    let mut client = Client::start(&home);
    let write = |name: &str| json!({"keyPath": format!("mcp_servers.{name}.enabled"), "value": false, "mergeStrategy": "replace"});
    let written = client.ask("config/value/write", write("s"));
    assert_eq!(written["status"], "ok");
    assert_eq!(home.config(), "[mcp_servers.s]\nenabled = false\n");
    let refused = client.refused("config/value/write", write("n"));
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("invalid transport"), "{why}");
}

#[test]
fn a_value_is_written_when_the_file_is_the_one_that_was_read() {
    let home = TestHome::with_config("# mine\nmodel = \"a\" # keep\n");
    let mut client = Client::start(&home);
    let read = client.ask("config/read", json!({"includeLayers": true}));
    let first = read["layers"][0]["version"].clone();
    let write = |key: &str, value: Value| json!({"keyPath": key, "value": value, "mergeStrategy": "replace"});
    let versioned = |mut write: Value, version: &Value| {
        write["expectedVersion"] = version.clone();
        write
    };
    let written = client.ask(
        "config/value/write",
        versioned(write("model", json!("b")), &first),
    );
    assert_eq!(written["status"], "ok");
    assert_eq!(written["filePath"], home.config_file().to_str().unwrap());
    assert_eq!(written["overriddenMetadata"], Value::Null);
    assert_eq!(home.config(), "# mine\nmodel = \"b\" # keep\n");
    let read = client.ask("config/read", json!({"includeLayers": true}));
    assert_eq!(read["layers"][0]["version"], written["version"]);
    // The version that was read first is no longer there.
    let refused = client.refused(
        "config/value/write",
        versioned(write("model", json!("c")), &first),
    );
    assert_eq!(
        refused,
        json!({
            "code": -32600,
            "message": "Configuration was modified since last read. Fetch latest version and retry.",
            "data": {"config_write_error_code": "configVersionConflict"},
        })
    );
    assert_eq!(home.config(), "# mine\nmodel = \"b\" # keep\n");
    // All or nothing.
    let batch = json!({"edits": [
        write("model", json!("c")),
        write("approval_policy", json!("sometimes")),
    ]});
    let refused = client.refused("config/batchWrite", batch);
    assert_eq!(
        refused["data"]["config_write_error_code"],
        "configValidationError"
    );
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .starts_with("Invalid configuration: "),
        "{refused}"
    );
    assert_eq!(home.config(), "# mine\nmodel = \"b\" # keep\n");
    let batch = json!({"edits": [
        {"keyPath": "mcp_servers.\"a.b\"", "value": {"command": "x", "args": ["1"]}, "mergeStrategy": "upsert"},
        {"keyPath": "mcp_servers.\"a.b\"", "value": {"enabled": false}, "mergeStrategy": "upsert"},
        write("model", Value::Null),
    ]});
    client.ask("config/batchWrite", batch);
    let config = client.ask("config/read", json!({}))["config"].clone();
    assert_eq!(
        config,
        json!({"mcp_servers": {"a.b": {"command": "x", "args": ["1"], "enabled": false}}})
    );
    assert!(home.config().starts_with("# mine\n"), "{}", home.config());
    // Another file is not ours to write, and a mask is no secret.
    let mut elsewhere = write("model", json!("x"));
    elsewhere["filePath"] = json!("/etc/codex/config.toml");
    client.refused("config/value/write", elsewhere);
    let mask = write("mcp_servers.\"a.b\".env", json!({"KEY": "*****"}));
    let refused = client.refused("config/value/write", mask);
    assert!(
        refused["message"].as_str().unwrap().contains("mask"),
        "{refused}"
    );
}

#[test]
fn a_value_that_a_higher_layer_overrides_is_written_and_told() {
    let home = TestHome::new();
    let mut client = Client::start_as(home.codex(["app-server", "-c", "model=typed"]));
    let write = json!({"keyPath": "model", "value": "mine", "mergeStrategy": "replace"});
    let written = client.ask("config/value/write", write);
    assert_eq!(written["status"], "okOverridden");
    let told = &written["overriddenMetadata"];
    assert_eq!(told["effectiveValue"], "typed");
    assert_eq!(
        told["overridingLayer"]["name"],
        json!({"type": "sessionFlags"})
    );
    assert_eq!(home.config(), "model = \"mine\"\n");
}

#[test]
fn requirements_that_cannot_be_used_do_not_look_like_none() {
    if !private_etc() {
        return;
    }
    for unusable in [
        "not toml",
        "allowed_sandbox_modes = []\n",
        "sandbox_modes = []\n",
    ] {
        let home = TestHome::new();
        home.write_system_file("requirements.toml", unusable);
        let mut client = Client::start(&home);
        let read = client.ask("configRequirements/read", json!({}));
        let requirements = &read["requirements"];
        assert_eq!(requirements["allowedSandboxModes"], json!([]), "{unusable}");
        assert_eq!(
            requirements["allowedApprovalPolicies"],
            json!([]),
            "{unusable}"
        );
        assert_ne!(requirements["problems"], json!([]), "{unusable}");
    }
}

#[test]
fn a_secret_that_holds_is_not_told_as_overridden() {
    let home = TestHome::with_config("[mcp_servers.s]\ncommand = \"x\"\n");
    let flag = "mcp_servers.s.required=false";
    let mut client = Client::start_as(home.codex(["app-server", "-c", flag]));
    let secret = json!({"command": "x", "env": {"KEY": "secret-1234567890"}});
    let write = json!({"keyPath": "mcp_servers.s", "value": secret, "mergeStrategy": "replace"});
    let written = client.ask("config/value/write", write);
    assert_eq!(written["status"], "ok", "{written}");
    let flag = "mcp_servers.s.env.KEY=\"typed\"";
    let mut client = Client::start_as(home.codex(["app-server", "-c", flag]));
    let write = json!({"keyPath": "mcp_servers.s", "value": secret, "mergeStrategy": "replace"});
    let written = client.ask("config/value/write", write);
    assert_eq!(written["status"], "okOverridden", "{written}");
    let told = &written["overriddenMetadata"]["effectiveValue"];
    assert_eq!(told["env"]["KEY"], "*****");
}

#[test]
fn requirements_and_features_are_told_as_they_are() {
    if !private_etc() {
        return;
    }
    let home = TestHome::with_config("[features]\nmcp_lazy_stdio_startup = true\n");
    home.write_system_file(
        "requirements.toml",
        "allowed_sandbox_modes = [\"read-only\"]\n[features]\nview_image = false\n[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n",
    );
    let mut client = Client::start(&home);
    let read = client.ask("configRequirements/read", json!({}));
    assert_eq!(
        read["requirements"],
        json!({
            "allowedApprovalPolicies": null,
            "allowedSandboxModes": ["read-only"],
            "featureRequirements": {"view_image": false},
            "allowedMcpServers": ["docs"],
            "problems": [],
        })
    );
    let mut rows = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = client.ask(
            "experimentalFeature/list",
            json!({"cursor": cursor, "limit": 5}),
        );
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 5);
        rows.extend(data.clone());
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        *row("view_image"),
        json!({
            "name": "view_image", "stage": "stable", "displayName": null, "description": null,
            "announcement": null, "enabled": false, "defaultEnabled": true,
        })
    );
    assert_eq!(row("mcp_lazy_stdio_startup")["enabled"], true);
    let listed = home.codex(["features", "list", "--json"]).run().json();
    assert_eq!(listed.as_array().unwrap().len(), rows.len());
}

/// Holds the lock that writers of the configuration wait for.
fn hold(home: &TestHome) -> codex_host::FileLock {
    let lock = codex_host::AbsPath::new(home.codex_home().join(".config.lock")).unwrap();
    codex_host::FileLock::acquire(&lock, LIMIT).unwrap()
}

#[test]
fn a_write_that_waits_keeps_only_those_waiting_that_must_see_it() {
    let home = TestHome::new();
    let mut client = Client::start(&home);
    let held = hold(&home);
    let write = |value| json!({"keyPath": "model", "value": value, "mergeStrategy": "replace"});
    let waiting = [
        client.send("config/value/write", write("a")),
        client.send("config/read", json!({})),
        client.send("config/value/write", write("b")),
        client.send("config/mcpServer/reload", json!({})),
        client.send("config/read", json!({})),
    ];
    client.ask("mcpServerStatus/list", json!({}));
    client.ask("configRequirements/read", json!({}));
    client.ask("experimentalFeature/list", json!({}));
    // A file that somebody changes without a lock is noticed as well.
    home.write_config("no_such_key = 1\n");
    client.notification("configWarning");
    let answered = |client: &Client| -> Vec<i64> {
        let ids = client.lines().into_iter();
        let ids = ids.filter_map(|line| line["id"].as_i64());
        ids.filter(|id| waiting.contains(id)).collect()
    };
    assert_eq!(answered(&client), [] as [i64; 0]);
    drop(held);
    let [_, first, _, _, second] = waiting.map(|id| client.answer(id)["result"].clone());
    assert_eq!(first["config"]["model"], "a");
    assert_eq!(second["config"]["model"], "b");
    assert_eq!(answered(&client), waiting);
}

#[test]
fn requests_that_wait_are_bounded_in_bytes() {
    let home = TestHome::new();
    let mut client = Client::start(&home);
    let held = hold(&home);
    let write = json!({"keyPath": "model", "value": "x", "mergeStrategy": "replace"});
    client.send("config/value/write", write);
    let long = json!({"padding": "x".repeat(9 * 1024 * 1024)});
    let ids = [0; 4].map(|_| client.send("config/read", long.clone()));
    assert_eq!(client.answer(ids[3])["error"]["code"], -32001);
    // A short one still finds room.
    let short = client.send("config/read", json!({}));
    drop(held);
    for id in [ids[0], ids[1], ids[2], short] {
        assert!(client.answer(id)["result"].is_object());
    }
    assert!(client.request("config/read", long)["result"].is_object());
}

#[test]
fn more_requests_than_can_wait_are_refused_and_each_has_one_answer() {
    let home = TestHome::new();
    let mut client = Client::start(&home);
    let held = hold(&home);
    let write = json!({"keyPath": "model", "value": "x", "mergeStrategy": "replace"});
    let first = client.send("config/value/write", write);
    let last = (0..600)
        .map(|_| client.send("config/read", json!({})))
        .max()
        .unwrap();
    let refused = client.answer(last);
    assert_eq!(
        refused["error"],
        json!({
            "code": -32001,
            "message": "Server overloaded; retry later.",
            "data": {"codexErrorInfo": "server_overloaded"},
        })
    );
    drop(held);
    assert!(client.answer(first)["result"].is_object());
    client.ask("configRequirements/read", json!({}));
    let mut ids: Vec<i64> = client
        .lines()
        .iter()
        .filter_map(|line| line["id"].as_i64())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1001..=last + 1).collect::<Vec<_>>());
}
