//! What happens to a stored login when things go wrong around it, seen through whole commands.

use std::time::Duration;

use codex_test_support::{
    AuthFault, AuthSettings, CodexCommand, FakeAuth, Gate, TestHome, browser_follow,
};

const LIMIT: Duration = Duration::from_secs(30);

/// A server, and a home that is logged in to it.
struct World {
    auth: FakeAuth,
    home: TestHome,
}

impl World {
    fn new() -> Self {
        let auth = FakeAuth::start(AuthSettings::default());
        let home = TestHome::with_config(&format!(
            "mcp_oauth_credentials_store = \"file\"\n[mcp_servers.oa]\nurl = \"{}\"\n",
            auth.mcp_url()
        ));
        let world = Self { auth, home };
        let login = world.codex(&["mcp", "login", "oa"]).spawn();
        let shown = login.wait_for_stdout("\n\n");
        let url = shown.lines().find(|line| line.contains("/authorize?"));
        browser_follow(url.unwrap_or_default());
        assert_eq!(login.wait().exit(), Some(0));
        world
    }

    fn codex(&self, words: &[&str]) -> CodexCommand {
        // No browser opens in a test: the test is the browser.
        self.home.codex(words).env("BROWSER", "true").limit(LIMIT)
    }

    /// Waits until the server has this many token requests.
    fn wait_for_requests(&self, n_requests: usize) {
        while self.auth.requests("/token").len() < n_requests {
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
