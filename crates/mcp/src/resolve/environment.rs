//! The environment of a stdio server: short by default, so that no secret of the user travels along.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use codex_config::McpServerConfig;
use codex_host::{Env, OWN_TOKENS};

/// Returns the variables that a server gets without naming them; what is not UTF-8 passes too. Our
/// own tokens are never among them; `env_vars` can still name one.
pub(crate) fn base(env: &Env, inherit_all: bool) -> BTreeMap<OsString, OsString> {
    let wanted = |name: &OsStr| match name.to_str() {
        None => inherit_all,
        Some(name) if inherit_all => !name.starts_with("OTEL_") && !OWN_TOKENS.contains(&name),
        Some(name) => McpServerConfig::inherits(name),
    };
    let pairs = env.iter_os().filter(|(name, _)| wanted(name));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inherit_all: bool) -> String {
        let env = Env::from_pairs(
            [
                "HOME",
                "PATH",
                "LANG",
                "LC_ALL",
                "TERM",
                "SECRET_KEY",
                "AWS_SESSION_TOKEN",
                "OTEL_EXPORTER_OTLP_HEADERS",
                "CODEX_API_KEY",
                "OPENAI_API_KEY",
                "SSH_AUTH_SOCK",
                "EDITOR",
            ]
            .map(|name| (name, "x")),
        );
        base(&env, inherit_all)
            .into_keys()
            .map(|name| name.into_string().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn by_default_only_the_short_list_passes() {
        assert_eq!(names(false), "HOME LANG LC_ALL PATH TERM");
    }

    /// Row 5.inherit_env.
    #[test]
    fn inheriting_all_still_keeps_our_own_tokens_and_telemetry() {
        assert_eq!(
            names(true),
            "AWS_SESSION_TOKEN EDITOR HOME LANG LC_ALL PATH SECRET_KEY SSH_AUTH_SOCK TERM"
        );
    }
}
