//! Any bytes as `config.toml`: loading ends, without a panic, and says something about each fault.
#![no_main]

mod home;

use codex_config::{LoadRequest, SystemPaths, load};
use codex_host::AbsPath;
use home::Home;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static HOME: Home = Home::new();
}

fuzz_target!(|text: &[u8]| {
    HOME.with(|home| {
        home.write(text);
        let system = SystemPaths::below(home.home.join("no-system").as_path());
        let cwd = AbsPath::new("/").expect("it is");
        let mut request = LoadRequest::new(home.home.clone(), cwd, system);
        for strict in [false, true] {
            request.strict = strict;
            match load(&request) {
                Ok(loaded) => assert!(
                    loaded
                        .notices
                        .iter()
                        .all(|notice| !notice.message.is_empty())
                ),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    });
});
