//! Any file, one server set and removed: the other servers mean what they meant, and ours reads back.
#![no_main]

mod home;

use std::collections::BTreeMap;

use codex_config::{ConfigFile, LoadRequest, McpServerConfig, SystemPaths, load};
use codex_host::AbsPath;
use codex_protocol::ServerName;
use home::Home;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static HOME: Home = Home::new();
}

fuzz_target!(|text: &[u8]| {
    HOME.with(|home| {
        home.write(text);
        let Some(before) = others(home) else { return };
        let wanted = server_b();
        if edit(home, |file| file.set_mcp_server(&wanted).map(drop)) {
            assert_eq!(
                others(home).as_ref(),
                Some(&before),
                "another server changed"
            );
            let file = ConfigFile::open(&home.home).expect("we wrote it");
            let found = file.mcp_server(&wanted.name).expect("it was set");
            assert_eq!(placeless(found), wanted);
        }
        if edit(home, |file| file.remove_mcp_server(&wanted.name).map(drop)) {
            assert_eq!(
                others(home).as_ref(),
                Some(&before),
                "another server changed"
            );
            let file = ConfigFile::open(&home.home).expect("we wrote it");
            assert!(file.mcp_server(&wanted.name).is_none(), "it is still there");
        }
    });
});

fn server_b() -> McpServerConfig {
    let mut server = McpServerConfig::stdio(ServerName::from_config("b"), "prog \"x\"\n");
    server.tools.disabled = vec!["é".to_owned()];
    server
}

/// Makes one edit; a refused one must have left every byte.
fn edit(
    home: &Home,
    change: impl FnOnce(&mut ConfigFile) -> Result<(), codex_config::EditError>,
) -> bool {
    let read = || std::fs::read(home.file()).expect("it was written");
    let before = read();
    let mut file = ConfigFile::open(&home.home).expect("it was read before");
    let outcome = change(&mut file).and_then(|()| file.save());
    if outcome.is_err() {
        assert_eq!(read(), before, "a refused edit wrote");
    }
    outcome.is_ok()
}

/// The servers that can run, without ours and without places; `None` when the file does not load.
fn others(home: &Home) -> Option<BTreeMap<ServerName, McpServerConfig>> {
    let system = SystemPaths::below(home.home.join("no-system").as_path());
    let cwd = AbsPath::new("/").expect("it is absolute");
    let config = load(&LoadRequest::new(home.home.clone(), cwd, system))
        .ok()?
        .config;
    let runs = |(name, server): &(&ServerName, &McpServerConfig)| {
        name.as_str() != "b" && server.is_enabled()
    };
    let servers = config.mcp_servers.iter().filter(runs);
    Some(
        servers
            .map(|(name, server)| (name.clone(), placeless(server.clone())))
            .collect(),
    )
}

fn placeless(mut server: McpServerConfig) -> McpServerConfig {
    server.source = None;
    // Each names its line.
    server.warnings.clear();
    // A table of a tool in which only keys stay that nobody knows sets nothing.
    let nothing = Default::default();
    server
        .tool_settings
        .retain(|_, settings| *settings != nothing);
    server
}
