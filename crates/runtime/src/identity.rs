//! Who we say we are to a provider.

use codex_host::Env;
use codex_model::ClientIdentity;

use crate::start::VERSION;
use crate::{ClientName, Frontend};

/// Returns the identity of a frontend on this machine.
pub(crate) fn of(frontend: Frontend, client: Option<&ClientName>, env: &Env) -> ClientIdentity {
    let own = env.non_empty("CODEX_INTERNAL_ORIGINATOR_OVERRIDE");
    let name = client.map_or(frontend.originator(), |client| &client.name);
    let identity = ClientIdentity::new(name, own, VERSION, &system(), &terminal(env));
    match client {
        Some(client) => identity.behind_client(&client.name, &client.version),
        None => identity,
    }
}

/// Returns what `initialize` of the app-server answers as user agent: who drives us, the version of
/// the wire that it can count on, the machine, and at last who we are.
pub fn user_agent_behind(client: &ClientName, wire_version: &str, env: &Env) -> String {
    let ClientName { name, version } = client;
    let identity = ClientIdentity::new(name, None, wire_version, &system(), &terminal(env));
    let identity = identity.behind_client(name, version);
    format!("{} codex/{VERSION}", identity.user_agent)
}

/// `<os> <os version>; <arch>`.
fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let os = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS",
        other => other,
    };
    let version = if release.trim().is_empty() {
        "unknown"
    } else {
        release.trim()
    };
    format!("{os} {version}; {}", std::env::consts::ARCH)
}

fn terminal(env: &Env) -> String {
    match (
        env.non_empty("TERM_PROGRAM"),
        env.non_empty("TERM_PROGRAM_VERSION"),
    ) {
        (Some(program), Some(version)) => format!("{program}/{version}"),
        (Some(program), None) => program.to_owned(),
        (None, _) => env.non_empty("TERM").unwrap_or("unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_named_as_well_as_it_names_itself() {
        let name = |pairs: &[(&str, &str)]| terminal(&Env::from_pairs(pairs.iter().copied()));
        assert_eq!(
            name(&[("TERM_PROGRAM", "kitty"), ("TERM_PROGRAM_VERSION", "1")]),
            "kitty/1"
        );
        assert_eq!(name(&[("TERM", "xterm")]), "xterm");
        assert_eq!(name(&[]), "unknown");
    }
}
