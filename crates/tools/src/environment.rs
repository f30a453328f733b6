//! What a command sees as its environment.

use std::ffi::OsString;
use std::path::PathBuf;

use codex_host::{Env, OWN_TOKENS};

/// What makes programs talk to a program and not to a person. A terminal changes none of it: who
/// reads it cannot see colours, and a pager would wait for a key.
const QUIET: &[(&str, &str)] = &[
    ("NO_COLOR", "1"),
    ("TERM", "dumb"),
    ("PAGER", "cat"),
    ("GIT_PAGER", "cat"),
    ("GH_PAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_EDITOR", "true"),
];

/// Returns the environment of a command; variables that the config names as tokens are gone already.
pub fn of_command(env: &Env) -> Env {
    let env = env.without(OWN_TOKENS.iter().copied());
    let inherited = env.iter_os();
    let mut pairs: Vec<(OsString, OsString)> = inherited
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    pairs.extend(
        QUIET
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    Env::from_pairs(pairs)
}

/// Returns the shell of the user when commands can be written for it, else one that is there.
pub fn shell(env: &Env) -> PathBuf {
    let is_known = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        matches!(name, Some("bash" | "zsh" | "sh")) && path.is_absolute()
    };
    let users = env.non_empty("SHELL").map(PathBuf::from).filter(is_known);
    let usual = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].map(PathBuf::from);
    users
        .into_iter()
        .chain(usual)
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from("/bin/sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_inherits_everything_but_our_keys_and_is_told_to_be_quiet() {
        let ours = OWN_TOKENS.iter().map(|name| (*name, "k"));
        let env = Env::from_pairs(ours.chain([("HOME", "/h"), ("TERM", "xterm")]));
        let seen = of_command(&env);
        assert_eq!(
            (seen.get("HOME"), seen.get("TERM")),
            (Some("/h"), Some("dumb"))
        );
        for ours in ["CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY"] {
            assert_eq!(seen.get(ours), None, "{ours}");
        }
    }

    #[test]
    fn a_shell_that_we_cannot_write_for_is_not_used() {
        let shell = |path: &str| shell(&Env::from_pairs([("SHELL", path)]));
        assert_eq!(shell("/usr/bin/fish"), shell(""));
        assert_eq!(shell("/bin/sh"), PathBuf::from("/bin/sh"));
        assert_ne!(shell("/nowhere/zsh"), PathBuf::from("/nowhere/zsh"));
    }
}
