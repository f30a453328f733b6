//! Any bytes as `requirements.toml`: a server that nobody listed runs only when there is no list.
#![no_main]

mod home;

use codex_config::{Enablement, LoadRequest, OffReason, SystemPaths, load};
use codex_host::AbsPath;
use home::Home;
use libfuzzer_sys::fuzz_target;

/// The last one has a name that no rule has.
const SERVERS: &str = "[mcp_servers.docs]\ncommand = \"docs-mcp\"\nargs = [\"--ro\", \"db1\"]\n\
                       [mcp_servers.web]\nurl = \"https://mcp.example.com/mcp\"\n\
                       [mcp_servers.unlisted-7f3a]\ncommand = \"docs-mcp\"\n";
const UNLISTED: &str = "unlisted-7f3a";

thread_local! {
    static HOME: Home = {
        let home = Home::new();
        home.write(SERVERS.as_bytes());
        home
    };
}

fuzz_target!(|text: &[u8]| {
    HOME.with(|home| {
        let system = SystemPaths::below(home.home.path().as_path());
        std::fs::write(&system.requirements, text).expect("the folder is ours");
        // The files of the machine lie beside it; this one must not be the user's as well.
        let config = home.home.join("no-config.toml");
        let system = SystemPaths { config, ..system };
        let cwd = AbsPath::new("/").expect("it is");
        let loaded = load(&LoadRequest::new(home.home.clone(), cwd, system));
        let loaded = loaded.expect("no policy ends a command that only looks");
        for notice in &loaded.notices {
            assert!(!notice.message.is_empty());
        }
        let servers: Vec<_> = loaded.config.mcp_servers.values().collect();
        assert_eq!(servers.len(), 3);
        let by_policy = |enablement: &Enablement| {
            matches!(enablement, Enablement::Off(OffReason::Requirements { .. }))
        };
        let n_off = servers
            .iter()
            .filter(|server| by_policy(&server.enablement))
            .count();
        let n_on = servers.iter().filter(|server| server.is_enabled()).count();
        assert_eq!(n_on + n_off, 3, "the policy alone decides here");
        let runs_unlisted = servers
            .iter()
            .any(|server| server.name.as_str() == UNLISTED && server.is_enabled());
        let is_named = String::from_utf8_lossy(text).contains("unlisted");
        assert!(
            n_off == 0 || !runs_unlisted || is_named,
            "a list is there and lets it run"
        );
        if std::str::from_utf8(text).is_err() {
            assert_eq!(n_on, 0, "what cannot be read allows nothing");
            assert!(loaded.config.requirements.refusal().is_some());
        }
    });
});
