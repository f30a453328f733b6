//! Requirements of the machine, against the real program: what is not allowed starts no process and
//! opens no connection, whatever the way round.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;

use codex_test_support::{CommandOutput, MockResponses, TestHome, private_etc};
use insta::assert_snapshot;

use crate::exec_support::says;

const MODEL: &str = "model = \"gpt-5.5\"\n";

/// A machine that allows one command and one address, a program that leaves a mark when it is started,
/// and an address where a visit is noticed.
struct Guarded {
    home: TestHome,
    mark: PathBuf,
    program: PathBuf,
    listener: TcpListener,
}

impl Guarded {
    fn new() -> Option<Self> {
        Self::with(
            "[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n[mcp_servers.web.identity]\nurl = { match = \"prefix\", value = \"https://mcp.example.com/\" }\n",
        )
    }

    fn with(requirements: &str) -> Option<Self> {
        if !private_etc() {
            return None;
        }
        let home = TestHome::new();
        home.write_system_file("requirements.toml", requirements);
        let mark = home.path().join("mark");
        let text = format!("#!/bin/sh\ntouch {}\nexec cat\n", mark.display());
        let program = home.write_file("evil-mcp", text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Some(Self {
            home,
            mark,
            program,
            listener,
        })
    }

    /// Fills in the program and the address.
    fn fill(&self, text: &str) -> String {
        let address = self.listener.local_addr().unwrap().to_string();
        text.replace("PROGRAM", &self.program.display().to_string())
            .replace("ADDRESS", &address)
    }

    fn user(&self, text: &str) {
        self.home.write_config(&self.fill(text));
    }

    #[track_caller]
    fn untouched(&self, what: &str) {
        assert!(!self.mark.exists(), "a process was started: {what}");
        match self.listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("somebody connected: {what}: {other:?}"),
        }
    }

    fn run(&self, args: &[&str]) -> CommandOutput {
        let args: Vec<String> = args.iter().map(|arg| self.fill(arg)).collect();
        // The name of the allowed program leads to the other one.
        let folder = self.home.cwd().display().to_string();
        let path = std::env::var("PATH").unwrap();
        let command = self
            .home
            .codex(&args)
            .env("PATH", format!("{path}:{folder}"));
        let address = self.listener.local_addr().unwrap();
        command
            .env("EVIL", self.program.as_os_str())
            .env("URL", format!("http://{address}/mcp"))
            .run()
    }

    /// Runs every verb that could reach a server, and a turn.
    #[track_caller]
    fn stays_off(&self, name: &str, extra: &[&str], what: &str) {
        let run = |args: &[&str]| self.run(&[args, extra].concat());
        let listed = run(&["mcp", "list", "--json"]).success().json();
        let servers = listed.as_array().unwrap();
        let server = servers.iter().find(|server| server["name"] == name);
        let reason = server.map(|server| server["disabled_reason"].to_string());
        assert_eq!(
            reason.as_deref(),
            Some(r#""requirements (/etc/codex/requirements.toml)""#),
            "{what}"
        );
        assert_eq!(
            run(&["mcp", "call", name, "x", "{}"]).exit(),
            Some(11),
            "{what}"
        );
        assert_eq!(run(&["mcp", "tools", name]).exit(), Some(11), "{what}");
        assert_eq!(run(&["mcp", "check", name]).exit(), Some(11), "{what}");
        assert_eq!(
            run(&["mcp", "login", name, "--no-browser"]).exit(),
            Some(1),
            "{what}"
        );
        run(&["mcp", "get", name, "--explain"]).success();
        let turn = self.turn(extra);
        let told = format!("MCP server '{name}' is disabled: requirements");
        assert!(turn.stderr.contains(&told), "{what}\n{turn}");
        self.untouched(what);
    }

    fn turn(&self, extra: &[&str]) -> CommandOutput {
        let model = MockResponses::start();
        model.queue(says("done"));
        let url = format!("openai_base_url={:?}", model.base_url());
        let args = ["exec", "--skip-git-repo-check", "-c", &url, "hi"];
        let args: Vec<&str> = args.iter().chain(extra).copied().collect();
        let args: Vec<String> = args.iter().map(|arg| self.fill(arg)).collect();
        self.home
            .codex(&args)
            .env("CODEX_API_KEY", "test-key-of-the-mock")
            .env("EVIL", self.program.as_os_str())
            .run()
            .success()
    }
}

#[test]
fn the_gate_is_tested_with_traps_that_work() {
    // Without requirements the same program is started and the same address is visited.
    let Some(guarded) = Guarded::with("") else {
        return;
    };
    guarded.user("[mcp_servers.s]\ncommand = \"PROGRAM\"\nstartup_timeout_sec = 1\n");
    guarded.run(&["mcp", "tools", "s"]);
    assert!(guarded.mark.exists());
    guarded.user("[mcp_servers.s]\nurl = \"http://ADDRESS/mcp\"\nstartup_timeout_sec = 1\n");
    guarded.run(&["mcp", "tools", "s"]);
    assert!(guarded.listener.accept().is_ok());
}

#[test]
fn what_is_written_differently_stays_off() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    std::os::unix::fs::symlink(&guarded.program, guarded.home.cwd().join("docs-mcp2")).unwrap();
    std::os::unix::fs::symlink(&guarded.program, guarded.home.cwd().join("docs-mcp")).unwrap();
    let rows = [
        (
            "another name",
            "evil",
            "[mcp_servers.evil]\ncommand = \"PROGRAM\"\n",
        ),
        (
            "renamed",
            "docs2",
            "[mcp_servers.docs2]\ncommand = \"docs-mcp\"\n",
        ),
        (
            "another program",
            "docs",
            "[mcp_servers.docs]\ncommand = \"PROGRAM\"\n",
        ),
        (
            "case of the name",
            "Docs",
            "[mcp_servers.Docs]\ncommand = \"docs-mcp\"\n",
        ),
        (
            "case of the command",
            "docs",
            "[mcp_servers.docs]\ncommand = \"Docs-mcp\"\n",
        ),
        (
            "a link",
            "docs",
            "[mcp_servers.docs]\ncommand = \"./docs-mcp2\"\n",
        ),
        (
            "a link of the same name",
            "docs",
            "[mcp_servers.docs]\ncommand = \"./docs-mcp\"\n",
        ),
        (
            "a slash at the end",
            "docs",
            "[mcp_servers.docs]\ncommand = \"docs-mcp/\"\n",
        ),
        (
            "percent encoding",
            "docs",
            "[mcp_servers.docs]\ncommand = \"docs%2dmcp\"\n",
        ),
        (
            "a variable",
            "docs",
            "[mcp_servers.docs]\ncommand = \"${EVIL}\"\nexpand_env = true\n",
        ),
        (
            "the other transport",
            "docs",
            "[mcp_servers.docs]\nurl = \"http://ADDRESS/docs-mcp\"\n",
        ),
        (
            "another host",
            "web",
            "[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\n",
        ),
        (
            "user info",
            "web",
            "[mcp_servers.web]\nurl = \"http://mcp.example.com@ADDRESS/mcp\"\nexpand_env = true\n",
        ),
        (
            "the url in a query",
            "web",
            "[mcp_servers.web]\nurl = \"http://ADDRESS/?https://mcp.example.com/\"\n",
        ),
        (
            "the url of a variable",
            "web",
            "[mcp_servers.web]\nurl = \"${URL}\"\nexpand_env = true\n",
        ),
        (
            "a static token",
            "web",
            "[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\nhttp_headers = { Authorization = \"Bearer x\" }\n",
        ),
        (
            "a helper",
            "web",
            "[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\nhttp_headers_helper = \"PROGRAM\"\n",
        ),
        (
            "a login of its own",
            "web",
            "[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\noauth = { client_id = \"c\", client_secret_env_var = \"EVIL\", grant = \"client_credentials\" }\n",
        ),
        (
            "required",
            "evil",
            "[mcp_servers.evil]\ncommand = \"PROGRAM\"\nrequired = true\n",
        ),
        (
            "turned off by its user",
            "evil",
            "[mcp_servers.evil]\ncommand = \"PROGRAM\"\nenabled = false\n",
        ),
        (
            "a broken entry",
            "web",
            "[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\nscopes = 3\n",
        ),
    ];
    for (what, name, text) in rows {
        guarded.user(&format!("{MODEL}{text}"));
        guarded.stays_off(name, &[], what);
    }
}

#[test]
fn no_layer_and_no_flag_leads_round_the_requirements() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    let evil = "[mcp_servers.docs]\ncommand = \"PROGRAM\"\n";
    guarded.user(MODEL);
    let command = guarded.fill("mcp_servers.docs.command=\"PROGRAM\"");
    guarded.stays_off("docs", &["-c", &command], "a flag");
    let on = ["-c", &command, "-c", "mcp_servers.docs.enabled=true"];
    guarded.stays_off("docs", &on, "turned on by a flag");

    let home = &guarded.home;
    std::fs::write(home.codex_home().join("w.config.toml"), guarded.fill(evil)).unwrap();
    guarded.stays_off("docs", &["-p", "w"], "a profile");
    std::fs::write(
        home.codex_home().join("managed_config.toml"),
        guarded.fill(evil),
    )
    .unwrap();
    guarded.stays_off("docs", &[], "a managed file of the home");
    std::fs::remove_file(home.codex_home().join("managed_config.toml")).unwrap();

    home.write_file(".git/HEAD", "");
    home.write_file(".codex/config.toml", guarded.fill(evil));
    let cwd = home.cwd();
    guarded.user(&format!(
        "{MODEL}[projects.{cwd:?}]\ntrust_level = \"trusted\"\n"
    ));
    guarded.stays_off("docs", &[], "a project");

    // A requirements file in the places of a user is no policy.
    home.write_file(".codex/requirements.toml", "");
    std::fs::write(home.codex_home().join("requirements.toml"), "").unwrap();
    guarded.stays_off("docs", &[], "a policy of the user's");
}

#[test]
fn nothing_that_edits_turns_a_refused_server_on() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded.user("");
    let added = guarded.run(&["mcp", "add", "evil", "--url", "http://ADDRESS/mcp"]);
    assert_snapshot!(added, @"
    Added global MCP server 'evil'.
    [stderr]
    warning: `evil` is disabled: requirements (/etc/codex/requirements.toml)
    [exit 0]
    ");
    let config = guarded.home.config();
    let enabled = guarded.run(&["mcp", "enable", "evil"]);
    assert_snapshot!(enabled, @"
    [stderr]
    Error: MCP server 'evil' is disabled by requirements (/etc/codex/requirements.toml).
    hint: its name is not listed
    [exit 1]
    ");
    assert_eq!(guarded.home.config(), config);
    guarded.user("[mcp_servers.evil]\ncommand = \"PROGRAM\"\nenabled = false\n");
    assert_eq!(guarded.run(&["mcp", "enable", "evil"]).exit(), Some(1));
    guarded.run(&["mcp", "remove", "evil"]).success();
    guarded.untouched("edits");
}

#[test]
fn one_malformed_entry_among_good_ones_allows_nothing_and_is_told() {
    let rules = "[mcp_server_allowlist.evil]\ncommand = \"PROGRAM\"\ncomand = 1\n[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n";
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded
        .home
        .write_system_file("requirements.toml", &guarded.fill(rules));
    guarded.user(&format!("{MODEL}[mcp_servers.evil]\ncommand = \"PROGRAM\"\n[mcp_servers.docs]\ncommand = \"docs-mcp\"\nenabled = false\n"));
    guarded.stays_off("evil", &[], "a malformed entry");
    let listed = guarded.run(&["mcp", "list", "--json"]);
    assert_snapshot!(listed.filtered_stderr(), @"warning: /etc/codex/requirements.toml:3:1: [mcp_server_allowlist.evil] allows nothing: `comand` is not a key that it can have");
    let servers = listed.json();
    assert_snapshot!(servers[1]["problems"], @r#"[{"severity":"error","message":"its entry allows nothing: `comand` is not a key that it can have (/etc/codex/requirements.toml:1:23)","file":null,"line":null,"column":null}]"#);
    // The good entry still works.
    assert_eq!(servers[0]["disabled_reason"], serde_json::Value::Null);
}

#[test]
fn a_policy_that_cannot_be_read_stops_threads_and_nothing_else() {
    let Some(guarded) = Guarded::with("[mcp_servers\n") else {
        return;
    };
    guarded.user(&format!(
        "{MODEL}[mcp_servers.evil]\ncommand = \"PROGRAM\"\n"
    ));
    assert_snapshot!(guarded.run(&["mcp", "get", "evil"]), @"
    evil (disabled: requirements (/etc/codex/requirements.toml))
    [stderr]
    warning: /etc/codex/requirements.toml:1:13: unclosed table, expected `]`
      |
    1 | [mcp_servers
      |             ^
    The requirements cannot be read: every MCP server is off, and no thread starts.
    [exit 0]
    ");
    let exec = guarded.run(&["exec", "--skip-git-repo-check", "hi"]);
    assert_eq!(exec.exit(), Some(1));
    assert!(
        exec.stderr.contains("/etc/codex/requirements.toml:1:13"),
        "{exec}"
    );
    assert_eq!(guarded.run(&["mcp", "tools", "evil"]).exit(), Some(11));
    guarded.untouched("a broken policy");
}

#[test]
fn the_policy_is_seen_in_every_view() {
    let Some(guarded) = Guarded::new() else {
        return;
    };
    guarded
        .user("[mcp_servers.docs]\ncommand = \"docs-mcp\"\n[mcp_servers.evil]\ncommand = \"x\"\n");
    let list = guarded.run(&["mcp", "list"]).success();
    assert!(
        list.stdout
            .contains("disabled: requirements (/etc/codex/requirements.toml)"),
        "{list}"
    );
    assert_snapshot!(guarded.run(&["mcp", "get", "evil"]), @"
    evil (disabled: requirements (/etc/codex/requirements.toml))
    [exit 0]
    ");
    let explained = guarded.run(&["mcp", "get", "evil", "--explain"]).success();
    let policy = |output: &CommandOutput| {
        let mut lines = output
            .stdout
            .lines()
            .filter(|line| line.starts_with("    policy"));
        lines.next().unwrap().to_owned()
    };
    assert_snapshot!(policy(&explained), @"    policy      refused    by /etc/codex/requirements.toml: its name is not listed");
    let allowed = guarded.run(&["mcp", "get", "docs", "--explain"]).success();
    assert_snapshot!(policy(&allowed), @"    policy      allowed    by [mcp_server_allowlist.docs] /etc/codex/requirements.toml:1");
    guarded.user("[mcp_servers.web]\nurl = \"http://ADDRESS/mcp\"\n");
    assert_snapshot!(guarded.run(&["mcp", "login", "web"]), @"
    [stderr]
    Error: the MCP server is disabled by managed requirements (/etc/codex/requirements.toml)
    [exit 1]
    ");
    guarded.untouched("a login");
}

#[test]
fn features_and_policies_of_approval_are_pinned() {
    let Some(guarded) = Guarded::with(
        "allowed_sandbox_modes = [\"read-only\"]\nallowed_approval_policies = [\"untrusted\"]\n[features]\nview_image = false\n",
    ) else {
        return;
    };
    guarded.user(MODEL);
    let list = guarded
        .run(&["features", "list", "--json", "--enable", "view_image"])
        .success();
    let rows = list.json();
    let row = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "view_image")
        .unwrap();
    assert_eq!(
        (row["enabled"].as_bool(), row["source"].as_str()),
        (Some(false), Some("requirements"))
    );
    assert_snapshot!(list.filtered_stderr(), @r#"
    note: `view_image` is set to false by requirements (/etc/codex/requirements.toml:4:1); nothing else changes it
    "#);
    assert_snapshot!(guarded.run(&["features", "enable", "view_image"]), @r#"
    [stderr]
    Error: feature `view_image` is set to false by requirements (/etc/codex/requirements.toml:4:1)
    [exit 1]
    "#);
    let turn = guarded.turn(&["-s", "danger-full-access"]);
    assert_snapshot!(turn.filtered_stderr(), @r#"
    Codex v0.1.0
    --------
    workdir: [CWD]
    model: gpt-5.5
    provider: openai
    approval: untrusted
    sandbox: read-only
    reasoning effort: medium
    reasoning summaries: none
    session id: [UUID]
    --------
    user
    hi
    warning: `approval_policy` = "never" is not allowed by /etc/codex/requirements.toml; allowed: "untrusted"
    warning: `sandbox_mode` = "danger-full-access" is not allowed by /etc/codex/requirements.toml; allowed: "read-only"
    codex
    done
    tokens used
    0
    "#);
}
