//! The servers of a running app-server, and settings that change under it.

use codex_test_support::{
    AuthSettings, FakeAuth, FakeHttp, FakeStdio, Journal, TestHome, process_lives, wait_until_gone,
};
use serde_json::{Value, json};

use crate::app_server_support::{Client, LIMIT};
use crate::mcp_login::log_in;

fn server<'a>(list: &'a Value, name: &str) -> &'a Value {
    let rows = list["data"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

/// Asks until a server stands where it should.
fn wait_for(client: &mut Client, name: &str, status: &str) -> Value {
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let list = client.ask("mcpServerStatus/list", json!({}));
        let row = server(&list, name);
        if row["runtimeStatus"] == status {
            return row.clone();
        }
        assert!(std::time::Instant::now() < deadline, "{list}");
        client.next("news of a server", |line| {
            line["method"] == "mcpServer/startupStatus/updated"
        });
    }
}

struct Two {
    home: TestHome,
}

impl Two {
    fn new() -> Self {
        Self {
            home: TestHome::new(),
        }
    }

    fn journal(&self, name: &str) -> Journal {
        Journal::new(self.home.path().join(name))
    }

    fn toml(&self, name: &str, tools: &[&str]) -> String {
        let fake = FakeStdio::new().tools(tools).noting_in(&self.journal(name));
        fake.toml(name)
    }

    fn pids(&self, name: &str) -> Vec<u32> {
        self.journal(name).pids()
    }
}

#[test]
fn servers_are_started_once_and_told_as_they_stand() {
    let two = Two::new();
    let gate = two.home.path().join("gate");
    let slow = FakeStdio::new().start_when(&gate).toml("slow");
    let http = FakeHttp::new().start();
    two.home.write_config(&format!(
        "{}{slow}{}[mcp_servers.gone]\ncommand = \"/no/such/program\"\n[mcp_servers.off]\ncommand = \"x\"\nenabled = false\n[mcp_servers.broken]\ncommand = 3\n[mcp_servers.web]\nurl = \"{}\"\n",
        two.toml("a", &["echo"]),
        two.toml("b", &["echo"]),
        http.url(),
    ));
    let mut client = Client::start(&two.home);
    // Nothing is started before somebody asks.
    client.ask("config/read", json!({}));
    assert_eq!(two.pids("a"), [] as [u32; 0]);
    let first = client.ask("mcpServerStatus/list", json!({}));
    assert_eq!(server(&first, "slow")["runtimeStatus"], "starting");
    let a = wait_for(&mut client, "a", "connected");
    assert_eq!(a["tools"]["echo"]["name"], "echo");
    assert!(a["serverInfo"]["version"].is_string(), "{a}");
    assert_eq!(a["authStatus"], "unsupported");
    assert_eq!(a["httpOrigin"], Value::Null);
    let web = wait_for(&mut client, "web", "connected");
    assert_eq!(web["authStatus"], "unsupported");
    assert!(http.url().starts_with(web["httpOrigin"].as_str().unwrap()));
    let gone = wait_for(&mut client, "gone", "failed");
    assert!(
        gone["toolsError"]
            .as_str()
            .unwrap()
            .contains("/no/such/program"),
        "{gone}"
    );
    let list = client.ask("mcpServerStatus/list", json!({}));
    // The slow one keeps nobody waiting.
    assert_eq!(server(&list, "slow")["runtimeStatus"], "starting");
    assert_eq!(server(&list, "off")["runtimeStatus"], "disabled");
    assert_eq!(server(&list, "broken")["runtimeStatus"], "failed");
    let names: Vec<&Value> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["name"])
        .collect();
    assert_eq!(names, ["a", "b", "broken", "gone", "off", "slow", "web"]);
    std::fs::write(&gate, "").unwrap();
    wait_for(&mut client, "slow", "connected");
    // The same processes, however often somebody asks.
    assert_eq!((two.pids("a").len(), two.pids("b").len()), (1, 1));
    let one = client.ask(
        "mcpServerStatus/list",
        json!({"serverName": "a", "limit": 1}),
    );
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    let refused = client.refused("mcpServerStatus/list", json!({"serverName": "zebra"}));
    assert_eq!(refused["message"], "No MCP server named 'zebra' found.");
    let refused = client.refused("mcpServerStatus/list", json!({"threadId": "x"}));
    assert_eq!(refused["message"], "thread not found: x");
    // Each start was told, its end after its beginning, and after the answer that caused it.
    let lines = client.lines();
    let told = |name: &str| -> Vec<Value> {
        let of = lines
            .iter()
            .filter(|line| line["method"] == "mcpServer/startupStatus/updated");
        let of = of.filter(|line| line["params"]["name"] == name);
        of.map(|line| line["params"]["status"].clone()).collect()
    };
    assert_eq!(told("a"), ["starting", "ready"]);
    assert_eq!(told("gone"), ["starting", "failed"]);
    assert_eq!(told("off"), [] as [Value; 0]);
    let is_told = |line: &Value| line["method"] == "mcpServer/startupStatus/updated";
    let first_told = lines.iter().position(is_told).unwrap();
    let answer = lines.iter().position(|line| line["id"] == 1003).unwrap();
    assert!(answer < first_told);
    let pids = [two.pids("a"), two.pids("b")].concat();
    assert_eq!(client.end().exit(), Some(0));
    for pid in pids {
        assert!(wait_until_gone(pid, LIMIT));
    }
}

#[test]
fn a_login_that_was_refused_for_good_is_told_as_such() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = TestHome::with_config(&format!(
        "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
        auth.mcp_url()
    ));
    let reason = || {
        let mut client = Client::start(&home);
        client.ask("mcpServerStatus/list", json!({}));
        let failed = client.next("the failure", |line| line["params"]["status"] == "failed");
        failed["params"]["failureReason"].clone()
    };
    assert_eq!(reason(), Value::Null);
    log_in(&home, &["mcp", "login", "oa"]);
    auth.end_access_tokens();
    auth.end_refresh_tokens();
    assert_eq!(reason(), "reauthenticationRequired");
}

#[test]
fn a_reload_replaces_only_the_server_that_changed() {
    let two = Two::new();
    two.home
        .write_config(&(two.toml("a", &["echo"]) + &two.toml("b", &["echo"])));
    let mut client = Client::start(&two.home);
    wait_for(&mut client, "a", "connected");
    wait_for(&mut client, "b", "connected");
    let (a, b) = (two.pids("a"), two.pids("b"));
    two.home.write_config(
        &(two.toml("a", &["echo"]) + "\n# moved\n" + &two.toml("b", &["echo", "add"])),
    );
    assert_eq!(client.ask("config/mcpServer/reload", json!({})), json!({}));
    let row = wait_for(&mut client, "b", "connected");
    assert_eq!(row["tools"].as_object().unwrap().len(), 2);
    assert_eq!(two.pids("a"), a);
    assert!(process_lives(a[0]) && !process_lives(b[0]));
    assert_eq!(two.pids("b").len(), 2);
    // The same by a write of the client, which needs no reload.
    let write =
        json!({"keyPath": "mcp_servers.b.enabled", "value": false, "mergeStrategy": "replace"});
    client.ask("config/value/write", write);
    let list = client.ask("mcpServerStatus/list", json!({}));
    assert_eq!(server(&list, "b")["runtimeStatus"], "disabled");
    assert_eq!(server(&list, "a")["runtimeStatus"], "connected");
    assert!(wait_until_gone(two.pids("b")[1], LIMIT));
    assert_eq!(two.pids("a"), a);
}

#[test]
fn a_feature_that_is_about_connections_connects_anew() {
    let two = Two::new();
    two.home.write_config(&two.toml("a", &["echo"]));
    let mut client = Client::start(&two.home);
    wait_for(&mut client, "a", "connected");
    let pids = two.pids("a");
    let write = |key: &str, value: bool| json!({"keyPath": key, "value": value, "mergeStrategy": "replace"});
    client.ask("config/value/write", write("features.view_image", false));
    wait_for(&mut client, "a", "connected");
    assert_eq!(two.pids("a"), pids);
    client.ask("config/value/write", write("features.mcp_2026_07_28", true));
    wait_for(&mut client, "a", "connected");
    assert!(two.pids("a").len() > pids.len());
    assert!(!process_lives(pids[0]));
}

#[test]
fn a_changed_file_is_noticed_and_one_that_cannot_be_used_changes_nothing() {
    let two = Two::new();
    let sound = two.toml("a", &["echo"]);
    two.home.write_config(&sound);
    let mut client = Client::start(&two.home);
    wait_for(&mut client, "a", "connected");
    let pids = two.pids("a");
    // Nobody asks: the file alone is enough.
    two.home.write_config(&(sound.clone() + "[mcp_servers.a"));
    let warning = client.notification("configWarning");
    let summary = warning["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("the changed configuration is not used: "),
        "{warning}"
    );
    assert!(summary.contains("config.toml:4:15: "), "{warning}");
    assert_eq!(warning["path"], two.home.config_file().to_str().unwrap());
    assert_eq!(warning["range"]["start"], json!({"line": 4, "column": 15}));
    let refused = client.refused("config/mcpServer/reload", json!({}));
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .starts_with("Invalid configuration: "),
        "{refused}"
    );
    let list = client.ask("mcpServerStatus/list", json!({}));
    assert_eq!(server(&list, "a")["runtimeStatus"], "connected");
    assert!(process_lives(pids[0]));
    assert_eq!(two.pids("a"), pids);
    // And once it can be used again, what changed in it holds.
    two.home.write_config(&(sound + &two.toml("b", &["echo"])));
    client.next("the new server", |line| {
        line["params"]["name"] == "b" && line["params"]["status"] == "ready"
    });
    assert_eq!(two.pids("a"), pids);
    let n_warnings = client
        .lines()
        .iter()
        .filter(|line| line["method"] == "configWarning")
        .count();
    assert_eq!(n_warnings, 1);
}
