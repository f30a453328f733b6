//! What happens to a stored login when things go wrong around it, seen through whole commands.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use codex_test_support::{
    AuthFault, AuthSettings, CodexCommand, FakeAuth, Gate, TestHome, browser_follow, codex_program,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A server, and a home that is logged in to it.
struct World {
    auth: FakeAuth,
    home: TestHome,
}

impl World {
    fn new() -> Self {
        Self::with(AuthSettings::default())
    }

    fn with(settings: AuthSettings) -> Self {
        let auth = FakeAuth::start(settings);
        let home = TestHome::with_config(&format!(
            "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
            auth.mcp_url()
        ));
        let world = Self { auth, home };
        world.log_in();
        world
    }

    fn log_in(&self) {
        let login = self.codex(&["mcp", "login", "oa"]).spawn();
        let shown = login.wait_for_stdout("\n\n");
        let url = shown.lines().find(|line| line.contains("/authorize?"));
        browser_follow(url.unwrap_or_default());
        assert_eq!(login.wait().exit(), Some(0));
    }

    fn file(&self) -> PathBuf {
        self.home.codex_home().join(".credentials.json")
    }

    fn stored(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn status(&self) -> Value {
        self.codex(&["mcp", "list", "--json"]).run().json()[0].clone()
    }

    fn codex(&self, words: &[&str]) -> CodexCommand {
        // No browser opens in a test: the test is the browser.
        self.home.codex(words).env("BROWSER", "true").limit(LIMIT)
    }

    /// Waits until the server has this many token requests.
    fn wait_for_requests(&self, n_requests: usize) {
        let begin = Instant::now();
        while self.auth.requests("/token").len() < n_requests {
            assert!(begin.elapsed() < LIMIT, "fewer than {n_requests} requests");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_kill_between_the_servers_answer_and_the_store_loses_nothing() {
    let world = World::new();
    world.auth.end_access_tokens();
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let running = world.codex(&["mcp", "tools", "oa"]).spawn();
    world.wait_for_requests(2);
    running.kill();
    assert_eq!(running.wait().signal(), Some(9));
    gate.open();
    // It waits for the renewal that goes on, and uses what that one stored.
    world.codex(&["mcp", "tools", "oa"]).run().success();
    assert_eq!(world.auth.requests("/token").len(), 2);
}

#[test]
fn a_new_login_that_is_killed_before_its_store_leaves_the_old_one() {
    let world = World::new();
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let login = world.codex(&["mcp", "login", "oa"]).spawn();
    let shown = login.wait_for_stdout("\n\n");
    let url = shown.lines().find(|line| line.contains("/authorize?"));
    let url = url.unwrap_or_default().to_owned();
    let browser = std::thread::spawn(move || std::panic::catch_unwind(|| browser_follow(&url)));
    world.wait_for_requests(2);
    login.kill();
    assert_eq!(login.wait().signal(), Some(9));
    gate.open();
    // Nobody answers the browser, whichever way it takes that.
    let _ = browser.join().unwrap();
    world.codex(&["mcp", "tools", "oa"]).run().success();
    assert_eq!(world.auth.requests("/token").len(), 2);
}

#[test]
fn an_interrupt_while_the_token_endpoint_is_slow_ends_at_once_and_loses_nothing() {
    let world = World::new();
    world.auth.end_access_tokens();
    let gate = Gate::new();
    world.auth.script("/token", AuthFault::Hold(gate.clone()));
    let running = world.codex(&["mcp", "tools", "oa"]).spawn();
    world.wait_for_requests(2);
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.exit(), Some(130), "{output}");
    assert!(
        output.duration < Duration::from_secs(10),
        "{:?}",
        output.duration
    );
    gate.open();
    world.codex(&["mcp", "tools", "oa"]).run().success();
    assert_eq!(world.auth.requests("/token").len(), 2);
}

#[test]
fn a_sparse_answer_keeps_the_refresh_token_and_the_next_renewal_works() {
    // Who does not rotate gives no refresh token with a renewal.
    let world = World::with(AuthSettings {
        rotates: false,
        ..AuthSettings::default()
    });
    let sparse = json!({"refresh_token": null, "expires_in": null, "scope": null});
    for _ in 0..2 {
        world.auth.end_access_tokens();
        world
            .auth
            .script("/token", AuthFault::Change(sparse.clone()));
        world.codex(&["mcp", "tools", "oa"]).run().success();
        let detail = &world.status()["auth_detail"];
        assert_eq!(detail["state"], "logged_in", "{detail}");
        assert_eq!(detail["refreshable"], true, "{detail}");
    }
}

#[test]
fn a_token_endpoint_in_trouble_is_named_and_the_login_stays() {
    let world = World::new();
    let nobody = "the token endpoint answered with HTTP 500";
    let refused = "the token endpoint answered `invalid_target`";
    let rows = [
        (AuthFault::Answer(500, Value::Null), nobody),
        (
            AuthFault::Answer(400, json!({"error": "invalid_target"})),
            refused,
        ),
    ];
    for (fault, sentence) in rows {
        world.auth.end_access_tokens();
        let before = world.stored();
        world.auth.script("/token", fault);
        let output = world.codex(&["mcp", "tools", "oa"]).run();
        assert!(output.stderr.contains(sentence), "{output}");
        assert_ne!(output.exit(), Some(0));
        assert_eq!(world.stored(), before);
        world.codex(&["mcp", "tools", "oa"]).run().success();
    }
}

#[test]
fn an_ended_login_says_how_to_log_in_again_and_that_heals_it() {
    let world = World::new();
    world.auth.end_access_tokens();
    let ended = AuthFault::Answer(400, json!({"error": "invalid_grant"}));
    world.auth.script("/token", ended);
    let output = world.codex(&["mcp", "tools", "oa"]).run();
    assert_eq!(output.exit(), Some(14), "{output}");
    assert!(
        output.stderr.contains("Run `codex mcp login oa`."),
        "{output}"
    );
    let status = world.status();
    assert_eq!(status["auth_status"], "not_logged_in", "{status}");
    assert_eq!(status["auth_detail"]["state"], "refused", "{status}");
    world.log_in();
    world.codex(&["mcp", "tools", "oa"]).run().success();
}

#[test]
fn a_damaged_store_is_named_and_set_aside_by_the_next_login() {
    let world = World::new();
    let file = world.file();
    let text = world.stored();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    let output = world.codex(&["mcp", "tools", "oa"]).run();
    assert!(output.stderr.contains(".credentials.json"), "{output}");
    assert_ne!(output.exit(), Some(0));
    assert_eq!(world.status()["auth_status"], "unknown");
    assert_eq!(world.stored(), text[..text.len() / 2]);
    world.log_in();
    world.codex(&["mcp", "tools", "oa"]).run().success();
}

#[test]
fn a_store_that_others_can_read_is_narrowed_and_that_is_said() {
    let world = World::new();
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(world.file(), mode).unwrap();
    let output = world.codex(&["mcp", "tools", "oa"]).run().success();
    assert!(output.stderr.contains(".credentials.json"), "{output}");
    let mode = world.file().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_that_is_a_symlink_is_refused() {
    let world = World::new();
    let elsewhere = world.home.path().join("elsewhere.json");
    std::fs::rename(world.file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.file()).unwrap();
    let output = world.codex(&["mcp", "tools", "oa"]).run();
    assert!(
        output.stderr.contains("is a link, which is refused"),
        "{output}"
    );
    assert_ne!(output.exit(), Some(0));
    let output = world.codex(&["mcp", "login", "oa"]).run();
    assert_eq!(
        (output.exit(), output.stdout.as_str()),
        (Some(1), ""),
        "{output}"
    );
    assert!(
        output.stderr.contains("is a link, which is refused"),
        "{output}"
    );
}

#[test]
fn on_a_full_disk_the_old_login_stays_and_the_new_one_serves_this_run() {
    let world = World::new();
    world.auth.end_access_tokens();
    let before = world.stored();
    // No file may be written any more: that cuts a write where a full disk would.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" mcp tools oa";
    let full = world
        .home
        .program("/bin/sh", ["-c".into(), script.into(), codex_program()]);
    let output = full.limit(LIMIT).without_secrets().run().success();
    assert!(output.stderr.contains("could not be stored"), "{output}");
    assert_eq!(world.stored(), before);
}
