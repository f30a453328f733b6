//! `codex mcp check`: each thing that can be wrong with a server has its step and its exit code.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use codex_test_support::{
    AuthFault, AuthSettings, CommandOutput, FakeAuth, FakeHttp, FakeStdio, HttpFault, Journal,
    TestHome, wait_until_gone,
};
use insta::assert_snapshot;
use serde_json::Value;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, crypto};

fn check(home: &TestHome, more: &[&str]) -> CommandOutput {
    let fixed = ["mcp", "check"];
    home.codex(fixed.iter().chain(more)).run()
}

/// Checks one server; returns the exit code and the step that failed.
fn failing(config: &str) -> (i32, Value) {
    let home = TestHome::with_config(config);
    let output = check(&home, &["x", "--json", "--timeout", "4"]);
    let report = output.json();
    let steps = report["servers"][0]["steps"].as_array().unwrap().clone();
    let step = steps.iter().find(|step| step["status"] == "fail");
    let step = step.unwrap_or_else(|| panic!("no step fails: {output}"));
    let exit = output.exit().unwrap_or(-1);
    assert_eq!(report["exit_code"], exit, "{output}");
    assert_eq!(report["servers"][0]["exit_code"], exit, "{output}");
    assert_eq!(report["servers"][0]["status"], "fail", "{output}");
    let place = steps.iter().position(|other| other == step).unwrap();
    let is_skipped = |step: &Value| step["status"] == "skip";
    assert!(steps[place + 1..].iter().all(is_skipped), "{output}");
    (exit, step.clone())
}

/// Checks one server, whose step `place` (`id: kind`) is to fail with these words in its summary.
#[track_caller]
fn fails_with(config: &str, exit: i32, place: &str, words: &str) {
    let (found_exit, step) = failing(config);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found = [&step["id"], &step["details"]["kind"]].map(text).join(": ");
    assert_eq!((found_exit, found.as_str()), (exit, place), "{step}");
    assert_documented(&step);
    assert!(
        !words.is_empty() && text(&step["summary"]).contains(words),
        "{step}"
    );
}

/// The words that programs read stand in the docs, in the row of their step.
#[track_caller]
fn assert_documented(step: &Value) {
    let docs = include_str!("../../../../docs/mcp.md");
    let table = docs.split_once("| step | `details.kind` |").unwrap().1;
    let (id, kind) = (&step["id"], &step["details"]["kind"]);
    let row = format!("| {} |", id.as_str().unwrap());
    let row = table.lines().find(|line| line.starts_with(&row)).unwrap();
    let word = format!("`{}`", kind.as_str().unwrap());
    assert!(row.contains(&word), "{step}");
}

fn stdio(more: &str) -> String {
    format!("{}{more}\n", FakeStdio::new().toml("x"))
}

fn url(url: &str) -> String {
    format!("[mcp_servers.x]\nurl = \"{url}\"\n")
}

/// A server that answers the first connection in clear, whatever comes.
fn plain_text_server() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        // Closing with unread bytes would reset the connection.
        let _ = stream.read(&mut [0; 4096]);
    });
    (port, answering)
}

/// A server with a certificate of its own for this host, and its PEM; it ends after one handshake.
fn tls_server(host: &str) -> (u16, String, JoinHandle<()>) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        // A client that does not trust it breaks off.
        let _ = tls.complete_io(&mut stream);
    });
    (port, made.cert.pem(), serving)
}

/// Takes out what differs between machines and runs.
fn steady(output: &CommandOutput) -> String {
    let program = FakeStdio::new().program().to_string_lossy().into_owned();
    let text = output.to_string().replace(&program, "[FAKE]");
    let lines = text.lines().map(|line| match line.strip_suffix(" ms") {
        Some(rest) => {
            let rest = rest.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{rest}[N] ms")
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Row 7.views.
#[test]
fn what_is_wrong_before_anything_is_started() {
    fails_with(
        &stdio("url = \"http://a/b\""),
        10,
        "config: invalid_entry",
        "url is not supported for stdio",
    );
    fails_with(
        &stdio("enabled = false"),
        11,
        "policy: disabled",
        "enabled = false",
    );
    fails_with(
        "[mcp_servers.x]\ncommand = \"no-such-program\"\n",
        12,
        "environment: program_not_found",
        "program not found on PATH: `no-such-program`",
    );
    fails_with(
        &stdio("cwd = \"/no/such/place\""),
        12,
        "environment: bad_cwd",
        "`/no/such/place` is not a directory",
    );
    fails_with(
        &stdio("env_vars = [\"NOPE\"]"),
        12,
        "environment: missing_env",
        "Environment variable NOPE is not set",
    );
    let token = format!(
        "{}bearer_token_env_var = \"NOPE\"\n",
        url("http://127.0.0.1:1/mcp")
    );
    fails_with(
        &token,
        12,
        "environment: missing_env",
        "Environment variable NOPE is not set",
    );
}

#[test]
fn what_is_wrong_with_the_connection() {
    let crash = FakeStdio::new()
        .stderr("first line")
        .stderr("no database")
        .exit_at_once(3);
    fails_with(
        &crash.toml("x"),
        13,
        "connect: exited",
        "(exit status 3); its stderr ended with: no database",
    );
    fails_with(
        &url("http://127.0.0.1:1/mcp"),
        13,
        "connect: refused",
        "connection refused",
    );
    fails_with(
        &url("http://no-such-host.invalid/mcp"),
        13,
        "connect: dns",
        "not found",
    );
    let (port, plain) = plain_text_server();
    fails_with(
        &url(&format!("https://127.0.0.1:{port}/mcp")),
        13,
        "connect: tls",
        "the server does not speak TLS there",
    );
    plain.join().unwrap();
    let broken = FakeHttp::new().start();
    broken.fault_always("initialize", HttpFault::Status(503));
    broken.fault_always("server/discover", HttpFault::Status(503));
    fails_with(&broken.toml("x"), 13, "connect: http_status", "HTTP 503");
}

#[test]
fn what_is_wrong_with_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let checked = |host: &str, trusted: bool| {
        let (port, certificate, serving) = tls_server(host);
        let ca_file = folder.path().join(format!("{host}.pem"));
        std::fs::write(&ca_file, certificate).unwrap();
        let mut config = url(&format!("https://127.0.0.1:{port}/mcp"));
        if trusted {
            config.push_str(&format!("http = {{ ca_file = {ca_file:?} }}\n"));
        }
        let found = failing(&config);
        serving.join().unwrap();
        found
    };
    for (host, trusted, words) in [
        ("127.0.0.1", false, "UnknownIssuer"),
        ("other.example.com", true, "not valid for name"),
    ] {
        let (exit, step) = checked(host, trusted);
        assert_eq!(exit, 13, "{step}");
        assert_eq!(step["id"], "connect", "{step}");
        assert_eq!(step["details"]["kind"], "tls", "{step}");
        assert_documented(&step);
        let summary = step["summary"].as_str().unwrap();
        assert!(summary.contains(words), "{step}");
    }
    // The right name and the right CA: the handshake is over, and it is the silence after it that fails.
    let (_, step) = checked("127.0.0.1", true);
    assert_ne!(step["details"]["kind"], "tls", "{step}");
}

#[test]
fn what_is_wrong_with_the_login() {
    let auth = FakeAuth::start(AuthSettings::default());
    let store = "mcp_oauth_credentials_store = \"file\"\n";
    let config = format!("{store}{}", url(&auth.mcp_url()));
    let issuer = format!("the server wants a login (issuer {})", auth.issuer());
    fails_with(&config, 14, "auth: login_required", &issuer);

    let lost = FakeAuth::start(AuthSettings::default());
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        (0..4).for_each(|_| lost.script(path, AuthFault::Answer(500, Value::Null)));
    }
    let config = format!("{store}{}", url(&lost.mcp_url()));
    fails_with(
        &config,
        14,
        "auth: no_authorization_server",
        "its authorization server cannot be found",
    );

    let locked = FakeHttp::new().require_bearer("key").start();
    fails_with(
        &locked.toml("x"),
        14,
        "auth: login_required",
        "wants a login",
    );
}

#[test]
fn what_is_wrong_with_the_protocol() {
    fails_with(
        &FakeStdio::new().protocol_version("1999-01-01").toml("x"),
        15,
        "handshake: unknown_protocol",
        "1999-01-01",
    );
    fails_with(
        &FakeStdio::new().hang_in_initialize().toml("x"),
        15,
        "handshake: timeout",
        "no answer within",
    );
    fails_with(
        &FakeStdio::new().error_on("initialize").toml("x"),
        15,
        "handshake: handshake_refused",
        "refused the handshake",
    );
    let page = FakeHttp::new().start();
    for method in ["initialize", "server/discover"] {
        page.fault_always(method, HttpFault::Html);
    }
    fails_with(&page.toml("x"), 15, "handshake: http_status", "HTTP 200");
    let silent = FakeHttp::new().start();
    for method in ["initialize", "server/discover"] {
        silent.fault_always(method, HttpFault::NoAnswer);
    }
    fails_with(
        &silent.toml("x"),
        15,
        "handshake: timeout",
        "no answer within",
    );
}

#[test]
fn what_is_wrong_with_the_tools() {
    fails_with(
        &FakeStdio::new().error_on("tools/list").toml("x"),
        16,
        "catalog: rpc_error",
        "cannot be listed",
    );
    fails_with(
        &FakeStdio::new().silent_on("tools/list").toml("x"),
        16,
        "catalog: timeout",
        "timed out",
    );
    fails_with(
        &FakeStdio::new().exit_on("tools/list").toml("x"),
        16,
        "catalog: exited",
        "it ended: exit status",
    );
    fails_with(
        &FakeStdio::new().tools(["bad_schema"]).toml("x"),
        16,
        "catalog: no_usable_tool",
        "no tool can be used: 0 tools, 1 invalid",
    );
    fails_with(
        &stdio("enabled_tools = []"),
        16,
        "catalog: no_usable_tool",
        "no tool can be used: 0 tools, 1 off",
    );
    fails_with(
        &FakeStdio::new().tools(["none"]).toml("x"),
        16,
        "catalog: no_tools",
        "the server lists no tools",
    );
}

#[test]
fn what_a_server_offers_is_counted() {
    let fake = FakeStdio::new().tools(["echo", "a.b", "a b", "write"]);
    let home = TestHome::with_config(&format!("{}disabled_tools = [\"write\"]\n", fake.toml("x")));
    let output = check(&home, &["x", "--json"]);
    let step = output.json()["servers"][0]["steps"][6].clone();
    assert_snapshot!(step["summary"].as_str().unwrap(), @"3 tools, 1 off, 2 share a name, 143 bytes of schemas, 1 resource, 1 prompt");
    let details = &step["details"];
    assert_eq!(
        details["collisions"],
        serde_json::json!(["a b", "a.b"]),
        "{output}"
    );
    assert_eq!(details["resources"], 1);
    assert_eq!(details["prompts"], 1);
    let silent = FakeStdio::new().error_on("prompts/list");
    let home = TestHome::with_config(&silent.toml("x"));
    let output = check(&home, &["x", "--json"]);
    assert_eq!(output.exit(), Some(0), "{output}");
    let server = output.json()["servers"][0].clone();
    assert_eq!(server["status"], "warning", "{output}");
    assert_eq!(server["steps"][6]["details"]["prompts"], Value::Null);
}

#[test]
fn all_servers_are_told_in_order_and_the_smallest_code_counts() {
    let config = format!(
        "{}{}headers = {{}}\n{}enabled = false\n{}",
        FakeStdio::new().error_on("tools/list").toml("zeta"),
        FakeStdio::new()
            .tools(["echo", "bad_schema", "write"])
            .toml("docs"),
        FakeStdio::new().toml("off"),
        "[mcp_servers.far]\nurl = \"http://127.0.0.1:1/mcp\"\n",
    );
    let home = TestHome::with_config(&config);
    assert_snapshot!(steady(&check(&home, &[])), @r#"
    docs  [FAKE] --tools echo,bad_schema,write  (user, [CODEX_HOME]/config.toml:4)
      warn  config       3 keys
      ok    policy       no restriction
      ok    environment  [FAKE]
      ok    connect      started
      skip  auth
      ok    handshake    2025-11-25, fake 1.0.0, [N] ms
      warn  catalog      2 tools, 1 invalid, 154 bytes of schemas, 1 resource, 1 prompt
      warning: [CODEX_HOME]/config.toml:7:1: `headers` is ignored. Did you mean `http_headers`?
      warning: tool `bad_schema` of MCP server `docs` is left out: its input schema is bad: invalid schema at `#/properties/text/type`: `"nonsense"` is not a type
    far  http://127.0.0.1:[PORT]/mcp  (user, [CODEX_HOME]/config.toml:12)
      ok    config       1 key
      ok    policy       no restriction
      ok    environment
      fail  connect      cannot reach `http://127.0.0.1:[PORT]`: connection refused
      skip  auth
      skip  handshake
      skip  catalog
      hint: check that the server runs and that the port is right
    off  [FAKE]  (user, [CODEX_HOME]/config.toml:8)
      ok    config       3 keys
      skip  policy       enabled = false
      skip  environment
      skip  connect
      skip  auth
      skip  handshake
      skip  catalog
    zeta  [FAKE] --error-on tools/list  (user, [CODEX_HOME]/config.toml:1)
      ok    config       2 keys
      ok    policy       no restriction
      ok    environment  [FAKE]
      ok    connect      started
      skip  auth
      ok    handshake    2025-11-25, fake 1.0.0, [N] ms
      fail  catalog      its tools cannot be listed: the fake refuses tools/list (-32603)
    2 of 4 servers failed
    [stderr]
    warning: Codex is ignoring 1 unrecognized configuration setting. Check for typos or deprecated settings.
      user ([CODEX_HOME]/config.toml:7:1): `mcp_servers.docs.headers` is ignored. Did you mean `http_headers`?
    [exit 13]
    "#);
}

#[test]
fn a_server_behind_a_login_is_told_with_each_document() {
    let auth = FakeAuth::start(AuthSettings::default());
    let home = TestHome::with_config(&url(&auth.mcp_url()));
    let output = check(&home, &["x", "--json"]);
    let step = &output.json()["servers"][0]["steps"][4];
    assert_eq!(step["id"], "auth", "{output}");
    assert_eq!(step["hint"], "codex mcp login x");
    let requests = step["details"]["requests"].as_array().unwrap();
    assert!(requests.len() >= 2, "{output}");
    assert!(
        requests
            .iter()
            .all(|request| request["method"] == "GET" && request["ms"].is_u64())
    );
    assert_eq!(requests[0]["status"], 200);
    // Nobody was registered and nothing was stored.
    assert!(auth.requests("/register").is_empty());
    assert!(!home.codex_home().join(".credentials.json").exists());
}

#[test]
fn nothing_configured_is_no_failure() {
    assert_snapshot!(check(&TestHome::new(), &[]), @"
        No MCP servers configured yet. Try `codex mcp add my-tool -- my-command`.
        [exit 0]
        ");
    assert_snapshot!(check(&TestHome::new(), &["--json"]), @r#"
        {
          "schema_version": 1,
          "exit_code": 0,
          "servers": []
        }
        [exit 0]
        "#);
    assert_snapshot!(check(&TestHome::new(), &["nope"]), @"
        [stderr]
        Error: No MCP server named 'nope' found.
        [exit 1]
        ");
}

#[test]
fn a_hanging_server_costs_its_limit_only() {
    let deaf = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = deaf.local_addr().unwrap().port();
    let home = TestHome::with_config(&format!(
        "{}startup_timeout_sec = 1\n",
        url(&format!("http://127.0.0.1:{port}/mcp"))
    ));
    let output = check(&home, &["--json"]);
    assert_eq!(output.exit(), Some(15), "{output}");
    let steps = output.json()["servers"][0]["steps"].clone();
    assert_eq!(steps[3]["status"], "ok", "{output}");
    assert_eq!(steps[5]["details"]["kind"], "timeout", "{output}");
    // What connecting took is taken off its second.
    let summary = steps[5]["summary"].as_str().unwrap();
    assert!(summary.starts_with("no answer within "), "{output}");
}

#[test]
fn ctrl_c_prints_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"));
    let config = FakeStdio::new().hang_in_initialize().noting_in(&journal);
    let home = TestHome::with_config(&config.toml("x"));
    let running = home.codex(["mcp", "check"]).spawn();
    journal.wait_for_method("initialize", Duration::from_secs(20));
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    assert!(
        output.stdout.contains("fail  connect      interrupted"),
        "{output}"
    );
    for pid in journal.pids() {
        assert!(wait_until_gone(pid, Duration::from_secs(10)));
    }
}
