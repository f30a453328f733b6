//! Logins at authorization servers that nobody here wrote, through the whole command: in, used,
//! renewed, and out again, with what `mcp list`, `get` and `tools` say in between.
//!
//! | server | what is special |
//! |---|---|
//! | oidc-provider + MCP SDK (npm) | pages, `iss`, rotation with reuse detection, device codes |
//! | FastMCP (PyPI) | confidential clients only |
//! | the MCP SDK's example (npm) | no refresh tokens, no revocation, an issuer with a slash |
//! | canaille + FastMCP (PyPI) | pages; gives a secret to a client that must not use it |
//!
//! `cargo xtask test` installs them; without it these tests say that they are left out, and under
//! CI they fail.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test that cannot prepare stops there; the store is aged directly"
)]

use std::net::TcpListener;
use std::time::Duration;

use codex_test_support::{
    CodexCommand, CommandOutput, PartServer, RealParts, RunningCodex, TestHome, browser_get,
};
use serde_json::{Value, json};

/// Node, Python and Chromium start slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A server, a home that knows it as `ev`, and what the truth about its logins is.
struct World {
    parts: RealParts,
    home: TestHome,
    _server: PartServer,
    truth: Truth,
    _database: Option<TestHome>,
}

/// What differs from server to server.
struct Truth {
    /// One of its tools.
    tool: &'static str,
    /// Whether a login can be renewed.
    renews: bool,
    /// How the first line of a logout on stderr begins.
    revocation: String,
}

impl World {
    fn new(
        parts: RealParts,
        server: PartServer,
        mcp_url: &str,
        config: &str,
        truth: Truth,
    ) -> Self {
        let home = TestHome::with_config(&format!(
            "mcp_oauth_credentials_store = \"file\"\n{config}\n[mcp_servers.ev]\nurl = \"{mcp_url}\"\n"
        ));
        Self {
            parts,
            home,
            _server: server,
            truth,
            _database: None,
        }
    }

    /// The certified server, with pages; `config` stands before the tables.
    fn oidc(clients: Value, config: &str) -> Option<Self> {
        let parts = RealParts::find()?;
        let server = parts.oidc_server(&json!({"pages": true, "clients": clients}));
        let (issuer, url) = (server.word(0).to_owned(), server.word(1).to_owned());
        let truth = Truth {
            tool: "get-sum",
            renews: true,
            revocation: format!("note: revoked at {issuer}"),
        };
        Some(Self::new(parts, server, &url, config, truth))
    }

    fn fastmcp() -> Option<Self> {
        let parts = RealParts::find()?;
        let server = parts.python_server("fastmcp_server.py", &[]);
        let url = server.word(0).to_owned();
        let truth = Truth {
            tool: "add",
            renews: true,
            // It wants the secret of every client in the form, and from this one also in the header.
            revocation: "warning: not revoked: HTTP 400, `invalid_request`: client_secret"
                .to_owned(),
        };
        Some(Self::new(parts, server, &url, "", truth))
    }

    fn sdk_demo() -> Option<Self> {
        let parts = RealParts::find()?;
        let server = parts.node_server("sdk-demo.mjs", &[]);
        let url = server.word(0).to_owned();
        let truth = Truth {
            tool: "greet",
            renews: false,
            revocation: "note: not revoked: the server offers no revocation".to_owned(),
        };
        Some(Self::new(parts, server, &url, "", truth))
    }

    fn canaille() -> Option<Self> {
        let parts = RealParts::find()?;
        let database = TestHome::new();
        let folder = database.path().to_string_lossy().into_owned();
        let server = parts.python_server("canaille_server.py", &[&folder]);
        let url = server.word(1).to_owned();
        let truth = Truth {
            tool: "add",
            renews: true,
            revocation: format!("note: revoked at {}", server.word(0)),
        };
        let home = Self::new(parts, server, &url, "", truth);
        Some(Self {
            _database: Some(database),
            ..home
        })
    }

    fn codex(&self, words: &[&str]) -> CodexCommand {
        self.home.codex(words).limit(LIMIT)
    }

    /// Logs in with a program as the browser.
    fn log_in(&self, browser: &str) {
        let login = self.codex(&["mcp", "login", "ev"]);
        succeeded(&login.env("BROWSER", browser).run());
    }

    /// The browser without a window, with words between it and the address.
    fn browser(&self, words: &str) -> String {
        let (node, script) = (self.parts.node(), RealParts::script("browser.mjs"));
        format!("{} {} {words}", node.display(), script.display())
    }

    fn stored(&self) -> Value {
        let path = self.home.codex_home().join(".credentials.json");
        let text = std::fs::read_to_string(path).expect("there is a login");
        let file: Value = serde_json::from_str(&text).expect("the file is JSON");
        let mut entries = file.as_object().expect("an object").values();
        entries.next().expect("one login").clone()
    }

    /// Lets the stored access token be past its end.
    fn age(&self) {
        let path = self.home.codex_home().join(".credentials.json");
        let text = std::fs::read_to_string(&path).expect("there is a login");
        let end = self.stored()["expires_at"].to_string();
        std::fs::write(&path, text.replace(&end, "1000")).expect("the file is ours");
    }

    /// What `list` and `get` say: the same as long as there is a login, and without one `get`, which
    /// asks no server, does not know.
    fn status(&self) -> (String, String) {
        let words = |value: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&value["auth_status"]),
                text(&value["auth_detail"]["state"]),
            )
        };
        let listed = words(&self.codex(&["mcp", "list", "--json"]).run().json()[0]);
        let shown = self.codex(&["mcp", "get", "ev", "--json"]).run().json();
        match listed.1.as_str() {
            "not_logged_in" => assert_eq!(words(&shown), ("unknown".into(), "unknown".into())),
            _ => assert_eq!(words(&shown), listed),
        }
        listed
    }

    fn tools(&self) -> CommandOutput {
        self.codex(&["mcp", "tools", "ev"]).run()
    }

    fn assert_tools(&self) {
        let tools = self.tools().success();
        assert!(tools.stdout.contains(self.truth.tool), "{tools}");
    }

    /// From a login that was just made to its end.
    fn assert_life(&self) {
        assert_eq!(self.status(), ("o_auth".into(), "logged_in".into()));
        self.assert_tools();
        let before = self.stored();
        assert_eq!(before["refresh_token"].is_string(), self.truth.renews);
        self.age();
        match self.truth.renews {
            true => {
                let expected = ("o_auth".into(), "expired_refreshable".into());
                assert_eq!(self.status(), expected);
                self.assert_tools();
                assert_ne!(self.stored()["access_token"], before["access_token"]);
                assert_eq!(self.status(), ("o_auth".into(), "logged_in".into()));
            }
            false => {
                assert_eq!(self.status(), ("not_logged_in".into(), "expired".into()));
                let tools = self.tools();
                let sentence = "The login of the ev MCP server has expired.";
                assert!(tools.stderr.contains(sentence), "{tools}");
                assert_eq!(tools.exit(), Some(14));
            }
        }
        let logout = self.codex(&["mcp", "logout", "ev"]).run();
        assert_eq!(logout.stdout, "Removed OAuth credentials for 'ev'.\n");
        assert!(
            logout.stderr.starts_with(&self.truth.revocation),
            "{logout}"
        );
        assert_eq!(
            self.status(),
            ("not_logged_in".into(), "not_logged_in".into())
        );
        let tools = self.tools();
        assert!(tools.stderr.contains("is not logged in."), "{tools}");
        assert_eq!(tools.exit(), Some(14));
    }

    fn log_in_by_paste(&self) {
        let login = self.codex(&["mcp", "login", "ev", "--no-browser"]);
        let mut login = login.stdin_stays_open().spawn();
        let url = url_of(&login);
        let (node, script) = (self.parts.node(), RealParts::script("browser.mjs"));
        let words = [&script.to_string_lossy(), "--stop", url.as_str()];
        let browser = self.home.program(node, words).limit(LIMIT).run().success();
        login.type_line(browser.stdout.trim());
        succeeded(&login.wait());
    }
}

/// The address that a login prints.
fn url_of(login: &RunningCodex) -> String {
    login.wait_for_stdout("state=");
    let shown = login.wait_for_stdout("resource=");
    let url = shown.lines().find(|line| line.starts_with("http"));
    url.expect("the address stands on a line of its own")
        .to_owned()
}

fn succeeded(login: &CommandOutput) {
    let last = "Successfully logged in to MCP server 'ev'.\n";
    assert!(login.stdout.ends_with(last), "{login}");
    assert_eq!(login.exit(), Some(0), "{login}");
}

/// A port that was free a moment ago: the login takes one and does not choose it.
fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    free.local_addr()
        .expect("a bound socket has an address")
        .port()
}

fn by_hand(redirect_uri: &str) -> Value {
    json!([{
        "client_id": "by-hand",
        "application_type": "native",
        "redirect_uris": [redirect_uri],
    }])
}

#[test]
fn the_certified_server_by_browser_through_its_pages() {
    if let Some(world) = World::oidc(json!([]), "") {
        world.log_in(&world.browser(""));
        world.assert_life();
    }
}

#[test]
fn the_certified_server_by_paste() {
    if let Some(world) = World::oidc(json!([]), "") {
        world.log_in_by_paste();
        world.assert_life();
    }
}

#[test]
fn the_certified_server_by_device_code() {
    let Some(world) = World::oidc(json!([]), "") else {
        return;
    };
    let login = world.codex(&["mcp", "login", "ev", "--device"]).spawn();
    let shown = login.wait_for_stdout("\n");
    let words: Vec<&str> = shown.split_whitespace().collect();
    let (page, code) = (words[1], words[words.len() - 1]);
    let approved = browser_get(&page.replace("/device", &format!("/approve?user_code={code}")));
    assert_eq!(approved.body, "approved");
    succeeded(&login.wait());
    world.assert_life();
}

#[test]
fn a_client_registered_by_hand_comes_back_to_its_fixed_port() {
    let port = free_port();
    let clients = by_hand(&format!("http://127.0.0.1:{port}/callback"));
    let config = format!("mcp_oauth_callback_port = {port}");
    let Some(world) = World::oidc(clients, &config) else {
        return;
    };
    let with_client = format!(
        "{}[mcp_servers.ev.oauth]\nclient_id = \"by-hand\"\n",
        world.home.config()
    );
    world.home.write_config(&with_client);
    world.log_in(&world.browser(""));
    assert_eq!(world.stored()["client_id"], "by-hand");
    world.assert_life();
}

#[test]
fn a_callback_url_of_an_ingress_goes_out_as_written() {
    let port = free_port();
    let url = "https://box.example/oauth/back?via=ingress";
    let config = format!("mcp_oauth_callback_url = \"{url}\"\nmcp_oauth_callback_port = {port}");
    let Some(world) = World::oidc(by_hand(url), &config) else {
        return;
    };
    let with_client = format!(
        "{}[mcp_servers.ev.oauth]\nclient_id = \"by-hand\"\n",
        world.home.config()
    );
    world.home.write_config(&with_client);
    world.log_in(&world.browser(&format!("--ingress {port}")));
    world.assert_life();
}

#[test]
fn chromium_goes_through_the_pages() {
    let Some(world) = World::oidc(json!([]), "") else {
        return;
    };
    let Some(chromium) = RealParts::chromium() else {
        return;
    };
    let script = RealParts::script("chromium.mjs");
    let (node, npm) = (world.parts.node(), world.parts.npm_folder());
    let words = [&node, &script, &npm, &chromium].map(|path| path.to_string_lossy());
    world.log_in(&words.join(" "));
    world.assert_life();
}

#[test]
fn fastmcp_by_browser() {
    if let Some(world) = World::fastmcp() {
        world.log_in(&world.browser(""));
        world.assert_life();
    }
}

#[test]
fn fastmcp_by_paste() {
    if let Some(world) = World::fastmcp() {
        world.log_in_by_paste();
        world.assert_life();
    }
}

#[test]
fn the_sdk_example_by_browser() {
    if let Some(world) = World::sdk_demo() {
        world.log_in(&world.browser(""));
        world.assert_life();
    }
}

#[test]
fn the_sdk_example_by_paste() {
    if let Some(world) = World::sdk_demo() {
        world.log_in_by_paste();
        world.assert_life();
    }
}

#[test]
fn canaille_by_browser_through_its_pages() {
    if let Some(world) = World::canaille() {
        world.log_in(&world.browser(""));
        world.assert_life();
    }
}

#[test]
fn canaille_by_paste() {
    if let Some(world) = World::canaille() {
        world.log_in_by_paste();
        world.assert_life();
    }
}

#[test]
fn a_server_without_device_codes_says_so() {
    for world in [World::fastmcp(), World::sdk_demo(), World::canaille()] {
        let Some(world) = world else { return };
        let login = world.codex(&["mcp", "login", "ev", "--device"]).run();
        assert_eq!(login.exit(), Some(1));
        let sentence = "Error: the authorization server offers no login by device code\n";
        assert!(login.stderr.starts_with(sentence), "{login}");
    }
}
