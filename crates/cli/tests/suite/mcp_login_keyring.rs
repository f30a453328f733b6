//! `codex mcp login` beside a real Secret Service, in every state that it can have.
//!
//! The commands run in a shell under the script of the keyring's own suite, which makes the state on
//! a private bus; `crates/credentials/tests/secret_service.rs` has the cases of the store itself.
#![cfg(target_os = "linux")]

use std::time::Duration;

use codex_test_support::{
    AuthSettings, CodexCommand, FakeAuth, RealParts, RunningCodex, TestHome, browser_follow,
    codex_program, workspace_root,
};

/// Of a whole session; a keyring call has 3 s, or 60 s where a user may unlock.
const LIMIT: Duration = Duration::from_secs(50);
const PROGRAMS: [(&str, &str); 4] = [
    ("dbus-run-session", "dbus"),
    ("dbus-send", "dbus"),
    ("gnome-keyring-daemon", "gnome-keyring"),
    ("secret-tool", "libsecret-tools"),
];

struct World {
    auth: FakeAuth,
    home: TestHome,
}

impl World {
    /// A home under this policy; `None` without the programs.
    fn new(policy: &str) -> Option<Self> {
        for (program, package) in PROGRAMS {
            RealParts::of_the_machine(program, package)?;
        }
        let auth = FakeAuth::start(AuthSettings::default());
        let home = TestHome::with_config(&format!(
            "mcp_oauth_credentials_store = \"{policy}\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
            auth.mcp_url()
        ));
        Some(Self { auth, home })
    }

    /// Prepares a shell beside a keyring in this state, with `$CODEX` in it.
    fn shell(&self, state: &str, commands: &str) -> CodexCommand {
        let script = workspace_root().join("crates/credentials/tests/secret-service.sh");
        self.home
            .program(script, [state, "sh", "-c", commands])
            .env("CODEX", codex_program())
            .env("BROWSER", "true")
            // What `locked` keeps from an earlier session.
            .env("RECORD_SERVICE", "Codex MCP Credentials")
            .env("RECORD_USER", "another")
            .limit(LIMIT)
            .without_secrets()
    }

    fn has_file(&self) -> bool {
        self.home.codex_home().join(".credentials.json").exists()
    }
}

/// Goes where the login wants the browser to go.
fn follow(running: &RunningCodex) {
    let shown = running.wait_for_stdout("\n\n");
    let url = shown.lines().find(|line| line.contains("/authorize?"));
    browser_follow(url.unwrap_or_default());
}

/// Row 8.mcp_oauth_credentials_store.
#[test]
fn a_login_in_the_keyring_is_used_renewed_and_ended_there() {
    let Some(world) = World::new("auto") else {
        return;
    };
    let commands = "set -e
        items() { secret-tool search --all service 'Codex MCP Credentials' 2>/dev/null | grep -c '^\\[/' || true; }
        $CODEX mcp login oa
        echo items: $(items)
        $CODEX mcp list --json
        echo logged in; read go
        $CODEX mcp tools oa
        $CODEX mcp tools oa
        $CODEX mcp logout oa
        echo items: $(items)";
    let mut running = world.shell("unlocked", commands).stdin_stays_open().spawn();
    follow(&running);
    let shown = running.wait_for_stdout("logged in\n");
    assert!(shown.contains("\nitems: 1\n"), "{shown}");
    assert!(shown.contains("\"backend\": \"keyring\""), "{shown}");
    assert!(!world.has_file());
    world.auth.end_access_tokens();
    running.type_line("go");
    let output = running.wait().success();
    let end = "Removed OAuth credentials for 'oa'.\nitems: 0\n";
    assert!(output.stdout.ends_with(end), "{output}");
    assert_eq!(
        output.stderr.matches("note: revoked at").count(),
        1,
        "{output}"
    );
    // One for the login, one for both runs after the token had ended.
    assert_eq!(world.auth.requests("/token").len(), 2);
    assert!(!world.has_file());
}

#[test]
fn without_a_usable_keyring_auto_logs_in_to_the_file_and_says_so() {
    for state in ["locked", "empty", "no-bus", "session"] {
        let Some(world) = World::new("auto") else {
            return;
        };
        let commands = "$CODEX mcp login oa && $CODEX mcp tools oa";
        let running = world.shell(state, commands).spawn();
        follow(&running);
        let output = running.wait().success();
        assert!(output.stderr.contains("keyring"), "{state}: {output}");
        assert!(world.has_file(), "{state}");
    }
}

#[test]
fn without_a_usable_keyring_the_strict_policy_fails_before_the_browser() {
    for state in ["locked", "empty", "no-bus", "session"] {
        let Some(world) = World::new("keyring") else {
            return;
        };
        let output = world.shell(state, "$CODEX mcp login oa").run();
        assert_eq!(output.exit(), Some(1), "{state}: {output}");
        let sentence = "Error: the login cannot be stored: the keyring cannot be used: ";
        assert!(output.stderr.contains(sentence), "{state}: {output}");
        assert!(output.stderr.contains("\nhint: "), "{state}: {output}");
        assert_eq!(output.stdout, "", "{state}: {output}");
        assert!(world.auth.requests("/authorize").is_empty() && !world.has_file());
    }
}

#[test]
fn a_keyring_that_hangs_costs_a_run_its_limit_and_no_login() {
    let Some(world) = World::new("auto") else {
        return;
    };
    // The login is made where no keyring is, and used where one hangs.
    let running = world.shell("no-bus", "$CODEX mcp login oa").spawn();
    follow(&running);
    running.wait().success();
    let output = world
        .shell("hanging", "$CODEX mcp tools oa")
        .run()
        .success();
    assert!(output.stdout.contains("whoami"), "{output}");
    assert!(output.stderr.contains("keyring"), "{output}");
    assert!(
        output.duration < Duration::from_secs(20),
        "{:?}",
        output.duration
    );
}
