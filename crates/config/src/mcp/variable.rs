//! Names of environment variables, in whose place a token is easily pasted, and those of every server.
//!
//! A text that is no name is never shown: it may be the token.

use super::convert::{BEARER_HINT, EntryError};
use super::raw::RawMcpServer;
use crate::mask::looks_secret;

/// What every stdio server gets.
const INHERITED: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "__CF_USER_TEXT_ENCODING",
];

/// Returns whether every stdio server gets this variable; `LC_ALL`, `LC_CTYPE` and so on are among them.
pub(crate) fn is_inherited(name: &str) -> bool {
    INHERITED.contains(&name) || name.starts_with("LC_")
}

/// Returns whether a text can be the name of a variable: a word of letters, digits and `_` that does
/// not look like a token itself.
pub(crate) fn is_name(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(is_word)
        && text.starts_with(|c: char| !c.is_ascii_digit())
        && !looks_secret(text)
}

/// Returns whether a process can have a variable of this name; on Windows above all they have odd ones.
/// With a `=` in it the name ends there, and is another one than it seems.
pub(crate) fn can_be_set(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// Refuses values in the place of names, and names that no variable can have.
pub(super) fn check(raw: &RawMcpServer) -> Result<(), EntryError> {
    const HINT: &str = "put the value into an environment variable and give its name here";
    let oauth = raw.oauth.as_ref();
    let client_secret = oauth.and_then(|oauth| oauth.client_secret_env_var.as_ref());
    let headers = raw.env_http_headers.iter().flatten();
    let mut env = raw.env.iter().flatten().map(|(name, _)| name);
    let mut copied = raw.env_vars.iter().flatten().map(|copy| &copy.name);
    let rows = [
        (
            &["env"][..],
            "a key of env",
            env.all(|name| can_be_set(name)),
            "a name is not empty and has no `=` in it: env = { NAME = \"value\" }",
        ),
        (
            &["env_vars"],
            "an item of env_vars",
            copied.all(|name| can_be_set(name)),
            HINT,
        ),
        (
            &["bearer_token_env_var"],
            "bearer_token_env_var",
            raw.bearer_token_env_var.iter().all(|name| is_name(name)),
            BEARER_HINT,
        ),
        (
            &["env_http_headers"],
            "a value of env_http_headers",
            headers.map(|(_, name)| name).all(|name| is_name(name)),
            HINT,
        ),
        (
            &["oauth", "client_secret_env_var"],
            "oauth.client_secret_env_var",
            client_secret.into_iter().all(|name| is_name(name)),
            HINT,
        ),
    ];
    match rows.into_iter().find(|(_, _, good, _)| !good) {
        None => Ok(()),
        Some((key, what, _, hint)) => {
            let text = format!("{what} is not the name of an environment variable");
            Err(EntryError::new(key, text).hint(hint))
        }
    }
}

/// Takes out of an entry what must not be shown.
pub(super) fn without_values(mut raw: RawMcpServer) -> RawMcpServer {
    raw.bearer_token_env_var = raw.bearer_token_env_var.filter(|name| is_name(name));
    if let Some(headers) = &mut raw.env_http_headers {
        headers.retain(|_, name| is_name(name));
    }
    if let Some(env) = &mut raw.env {
        env.retain(|name, _| can_be_set(name));
    }
    if let Some(copied) = &mut raw.env_vars {
        copied.retain(|copy| can_be_set(&copy.name));
    }
    if let Some(oauth) = &mut raw.oauth {
        let name = oauth.client_secret_env_var.take();
        oauth.client_secret_env_var = name.filter(|name| is_name(name));
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_that_is_no_token() {
        for name in ["A", "_a1", "GITHUB_TOKEN", "gh"] {
            assert!(is_name(name), "{name}");
        }
        for text in [
            "",
            "1A",
            "A B",
            "A=B",
            "sk-a",
            "ä",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ] {
            assert!(!is_name(text), "{text}");
        }
    }
}
