//! A machine with requirements, and traps right beside what they allow.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;

use codex_test_support::{CodexCommand, CommandOutput, MockResponses, TestHome, private_etc};

use crate::exec_support::says;

pub(super) const MODEL: &str = "model = \"gpt-5.5\"\n";

/// Names that lead to the trap, all of them on `PATH`: what is allowed, and what looks like it.
pub(super) const PROGRAMS: [&str; 6] = [
    "docs-mcp",
    "Docs-mcp",
    "docs-mcp2",
    "docs-mcp ",
    "docs%2dmcp",
    "my-docs-mcp",
];

/// A machine that allows one command and one address, a program that leaves a mark when it is started,
/// and an address where a visit is noticed.
pub(super) struct Guarded {
    pub(super) home: TestHome,
    pub(super) mark: PathBuf,
    program: PathBuf,
    pub(super) listener: TcpListener,
}

impl Guarded {
    /// Allows `docs-mcp`, one address, and what lies below another; the traps lie right beside them.
    pub(super) fn new() -> Option<Self> {
        Self::with(
            "[mcp_server_allowlist.docs]\ncommand = \"docs-mcp\"\n[mcp_server_allowlist.web]\nurl = \"http://ADDRESS/ok\"\n[mcp_server_allowlist.near]\ncommand = \"./docs-mcp\"\n[mcp_servers.below.identity]\nurl = { match = \"prefix\", value = \"http://ADDRESS/ok/\" }\n",
        )
    }

    pub(super) fn with(requirements: &str) -> Option<Self> {
        if !private_etc() {
            return None;
        }
        let home = TestHome::new();
        let mark = home.path().join("mark");
        let text = format!("#!/bin/sh\ntouch {}\nexec cat\n", mark.display());
        let program = home.write_file("evil-mcp", text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        for name in PROGRAMS {
            std::os::unix::fs::symlink(&program, home.cwd().join(name)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let guarded = Self {
            home,
            mark,
            program,
            listener,
        };
        guarded.requirements(requirements);
        Some(guarded)
    }

    pub(super) fn requirements(&self, text: &str) {
        self.home
            .write_system_file("requirements.toml", &self.fill(text));
    }

    /// Fills in the program, its folder, the address and its port.
    pub(super) fn fill(&self, text: &str) -> String {
        let address = self.listener.local_addr().unwrap();
        text.replace("PROGRAM", &self.program.display().to_string())
            .replace("FOLDER", &self.home.cwd().display().to_string())
            .replace("ADDRESS", &address.to_string())
            .replace("PORT", &address.port().to_string())
    }

    pub(super) fn user(&self, text: &str) {
        self.home.write_config(&self.fill(text));
    }

    #[track_caller]
    pub(super) fn untouched(&self, what: &str) {
        assert!(!self.mark.exists(), "a process was started: {what}");
        match self.listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("somebody connected: {what}: {other:?}"),
        }
    }

    /// Prepares a command; the name of the allowed program leads to the trap, as do the variables.
    pub(super) fn codex(&self, args: &[&str]) -> CodexCommand {
        let args: Vec<String> = args.iter().map(|arg| self.fill(arg)).collect();
        let folder = self.home.cwd().display().to_string();
        let path = std::env::var("PATH").unwrap();
        self.home
            .codex(&args)
            .env("PATH", format!("{path}:{folder}"))
            // Nobody listens there; `doctor` looks.
            .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
            .env("EVIL", self.program.as_os_str())
            .env("URL", self.fill("http://ADDRESS/mcp"))
    }

    pub(super) fn run(&self, args: &[&str]) -> CommandOutput {
        self.codex(args).run()
    }

    /// Runs every verb that could reach a server, and a turn.
    #[track_caller]
    pub(super) fn stays_off(&self, name: &str, extra: &[&str], what: &str) {
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
        for way in ["--no-browser", "--device"] {
            let login = run(&["mcp", "login", name, way]);
            assert_eq!(login.exit(), Some(1), "{what}: {way}");
        }
        run(&["mcp", "get", name, "--explain"]).success();
        run(&["doctor", "--json"]);
        run(&["mcp", "logout", name]);
        self.is_told(name, &self.turn(&["hi"], extra), what);
        let config = self.home.config();
        run(&["mcp", "remove", name]);
        self.home.write_config(&config);
        self.untouched(what);
    }

    #[track_caller]
    pub(super) fn is_told(&self, name: &str, turn: &CommandOutput, what: &str) {
        let told = format!("MCP server '{name}' is disabled: requirements");
        assert!(turn.stderr.contains(&told), "{what}\n{turn}");
    }

    /// Runs `codex exec` with these words.
    pub(super) fn turn(&self, words: &[&str], extra: &[&str]) -> CommandOutput {
        let model = MockResponses::start();
        model.queue(says("done"));
        let url = format!("openai_base_url={:?}", model.base_url());
        let fixed = ["exec", "--skip-git-repo-check", "-c", &url];
        self.codex(&[&fixed, extra, words].concat())
            .env("CODEX_API_KEY", "test-key-of-the-mock")
            .run()
            .success()
    }
}
