//! What of the settings may be a secret: one judgement for every way in which they are shown.
//!
//! A secret in its right place is known by the place. One in a wrong place can stand anywhere: below
//! a key that nobody knows, where the name of a variable belongs, in a URL, among arguments. When in
//! doubt it is hidden: who may read the file has it there.

use crate::mcp::raw;
use crate::mcp::variable::is_name;

/// Stands for a secret.
pub const MASK: &str = "*****";

/// Beginnings of well-known tokens.
const TOKEN_BEGINNINGS: &[&str] = &[
    "sk-",
    "ghp_",
    "gho_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "eyJ",
];
/// Parts of names whose values are secrets.
const SECRET_NAME_PARTS: &[&str] = &[
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "API_KEY",
    "APIKEY",
    "AUTHORIZATION",
];
/// Further names of query values that are secrets.
const SECRET_QUERY_KEYS: &[&str] = &["KEY", "SIG", "SIGNATURE"];
/// Tables, outside of servers, whose values are secrets whatever their names.
const SECRET_TABLES: &[&str] = &["env", "http_headers", "query_params", "headers"];

/// What a place of the settings holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A secret, or anything at all.
    Secret,
    /// The name of an environment variable.
    Variable,
    /// Arguments of a program.
    Arguments,
    /// An address, in whose password people forget to escape what ends it for a parser.
    Proxy,
    /// Text that can be shown, as far as it does not look like a secret.
    Plain,
}

impl Kind {
    /// Judges the place of a value that is no table.
    pub(crate) fn of(path: &[String]) -> Self {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (["profiles", _, path @ ..] | path) = &path[..];
        match path {
            ["mcp_servers", _, below @ ..] => Self::in_server(below),
            path => Self::elsewhere(path),
        }
    }

    fn in_server(path: &[&str]) -> Self {
        let is_known = (1..=path.len()).all(|n| raw::knows(&path[..n]));
        match path {
            _ if !is_known => Self::Secret,
            ["env" | "http_headers" | "bearer_token", ..] | ["oauth", "client_secret", ..] => {
                Self::Secret
            }
            ["bearer_token_env_var" | "env_http_headers" | "env_vars", ..]
            | ["oauth", "client_secret_env_var", ..] => Self::Variable,
            ["args", ..] => Self::Arguments,
            ["http", "proxy"] => Self::Proxy,
            // A table belongs there.
            [] | ["oauth" | "http" | "tools"] | ["tools", _] => Self::Secret,
            _ => Self::Plain,
        }
    }

    fn elsewhere(path: &[&str]) -> Self {
        // `[projects.env]` is a project.
        let mut below_names = path.iter().skip(2);
        match path {
            _ if below_names.any(|key| SECRET_TABLES.contains(key)) => Self::Secret,
            _ if path.last().is_some_and(|key| ends_so(key)) => Self::Secret,
            ["shell_environment_policy", "set", _, ..] => Self::Secret,
            [.., "env_key"] | [.., "env_http_headers", _] => Self::Variable,
            _ => Self::Plain,
        }
    }

    /// Returns what of a text is shown there.
    pub(crate) fn shown(self, text: &str) -> String {
        let is_secret = match self {
            _ if text.is_empty() => false,
            Self::Secret => true,
            Self::Variable => !is_name(text),
            Self::Proxy => text.contains('@') && masked_url(text) == text,
            Self::Arguments | Self::Plain => text.split(['=', ' ']).any(looks_secret),
        };
        match is_secret {
            true => MASK.to_owned(),
            false => masked_url(text),
        }
    }
}

/// Returns which of the arguments of a program are shown, and how much of them.
pub(crate) fn masked_arguments(arguments: &[&str]) -> Vec<String> {
    let mut is_value_of_secret = false;
    let masked = arguments.iter().map(|argument| {
        if std::mem::take(&mut is_value_of_secret) && !argument.is_empty() {
            return MASK.to_owned();
        }
        // `--token=x`, `TOKEN=x`, and the header `Authorization: x`.
        let name_end = argument.find(['=', ':']);
        is_value_of_secret = name_end.is_none() && argument.starts_with('-') && ends_so(argument);
        match name_end {
            Some(end) if ends_so(&argument[..end]) || looks_secret(&argument[end + 1..]) => {
                format!("{}{MASK}", &argument[..=end])
            }
            Some(_) | None => Kind::Arguments.shown(argument),
        }
    });
    masked.collect()
}

/// Returns whether a text has a mask in it, and is no value for that.
pub(crate) fn is_masked(text: &str) -> bool {
    let in_text = [format!("={MASK}"), format!(":{MASK}"), format!("/{MASK}@")];
    text == MASK || in_text.iter().any(|mask| text.contains(mask))
}

/// Hides the password and the secret query values of a URL; every other byte stays.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let (head, query) = match rest.split_once('?') {
        Some((head, query)) => (head, Some(query)),
        None => (rest, None),
    };
    let authority_end = head.find('/').unwrap_or(head.len());
    let (authority, path) = head.split_at(authority_end);
    let mut shown = match authority.rsplit_once('@') {
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:{MASK}@{host}{path}"),
            None if looks_secret(user_info) => format!("{scheme}://{MASK}@{host}{path}"),
            None => format!("{scheme}://{head}"),
        },
        None => format!("{scheme}://{head}"),
    };
    if let Some(query) = query {
        let pairs: Vec<String> = query.split('&').map(masked_pair).collect();
        shown.push('?');
        shown.push_str(&pairs.join("&"));
    }
    shown + fragment
}

fn masked_pair(pair: &str) -> String {
    let is_secret = |key: &str, value: &str| {
        is_secret_setting(key, value)
            || SECRET_QUERY_KEYS.contains(&key.to_ascii_uppercase().as_str())
    };
    match pair.split_once('=') {
        Some((key, value)) if is_secret(key, value) => format!("{key}={MASK}"),
        Some(_) | None => pair.to_owned(),
    }
}

/// Returns whether a name is that of a secret; `--max-tokens` is none.
fn ends_so(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    SECRET_NAME_PARTS.iter().any(|part| name.ends_with(part))
}

/// Returns whether a literal is probably a secret, by its own look.
pub fn looks_secret(value: &str) -> bool {
    let value = value.strip_prefix("Bearer ").unwrap_or(value);
    value.len() >= 16
        && TOKEN_BEGINNINGS
            .iter()
            .any(|beginning| value.starts_with(beginning))
}

/// Returns whether a literal is probably a secret, by its name or look.
pub fn is_secret_setting(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let named = SECRET_NAME_PARTS.iter().any(|part| name.contains(part));
    (named && !value.is_empty()) || looks_secret(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_passwords_and_secret_query_values_only() {
        for (url, shown) in [
            (
                "https://h/p?Token=x&a=b&sig=y&key",
                "https://h/p?Token=*****&a=b&sig=*****&key",
            ),
            (
                "https://h/p?x-api-key=x&a=b#c",
                "https://h/p?x-api-key=*****&a=b#c",
            ),
            ("http://u:p@h/x", "http://u:*****@h/x"),
            ("http://ghp_0123456789abcdef@h/x", "http://*****@h/x"),
            ("http://h:1/a@b:c?q", "http://h:1/a@b:c?q"),
            ("http://h/#a?b=c", "http://h/#a?b=c"),
            ("token=x", "token=x"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
    }

    #[test]
    fn secrets_are_guessed_by_name_and_by_look() {
        assert!(is_secret_setting("GITHUB_TOKEN", "x"));
        assert!(is_secret_setting("x-api-key", "x"));
        assert!(is_secret_setting("A", "sk-0123456789abcdef"));
        assert!(!is_secret_setting("GITHUB_TOKEN", ""));
        assert!(!is_secret_setting("PORT", "4100"));
        assert!(!looks_secret("sk-short"));
    }

    #[test]
    fn arguments_lose_what_a_flag_calls_a_secret_and_what_looks_so() {
        let shown = |arguments: &[&str]| masked_arguments(arguments).join(" ");
        assert_eq!(
            shown(&["--token", "hunter2", "--max-tokens", "1"]),
            "--token ***** --max-tokens 1"
        );
        assert_eq!(
            shown(&["--header", "Authorization: Bearer hunter2", "a:b"]),
            "--header Authorization:***** a:b"
        );
        assert_eq!(
            shown(&["--api-key=hunter2", "PASSWORD=hunter2", "-y"]),
            "--api-key=***** PASSWORD=***** -y"
        );
        assert_eq!(
            shown(&["sk-0123456789abcdef", "http://u:p@h/", "token"]),
            "***** http://u:*****@h/ token"
        );
    }

    #[test]
    fn a_mask_is_known_wherever_it_stands() {
        for text in [
            "*****",
            "--token=*****",
            "http://u:*****@h/",
            "http://*****@h/",
        ] {
            assert!(is_masked(text), "{text}");
        }
        assert!(!is_masked("a ***** b"));
    }
}
