//! What must not be shown as it is: secrets and control characters.

use codex_host::Secret;

/// Stands for a secret.
pub(crate) const MASK: &str = "*****";

/// Names of query values that are secrets.
const SECRET_QUERY_KEYS: &[&str] = &[
    "token",
    "key",
    "api_key",
    "apikey",
    "access_token",
    "secret",
    "password",
    "sig",
];
/// Beginnings of well-known tokens.
const TOKEN_BEGINNINGS: &[&str] = &[
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
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

/// Whether configured literals are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// As `*****`.
    Masked,
    /// As they are; asked for by `--show-secrets`.
    Shown,
}

impl Secrets {
    pub(crate) fn from_flag(show: bool) -> Self {
        if show { Self::Shown } else { Self::Masked }
    }

    pub(crate) fn text(self, secret: &Secret) -> &str {
        match self {
            Self::Masked => MASK,
            Self::Shown => secret.expose(),
        }
    }

    pub(crate) fn url(self, url: &str) -> String {
        match self {
            Self::Masked => masked_url(url),
            Self::Shown => url.to_owned(),
        }
    }
}

/// Escapes control characters: what a file says must not move the cursor.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Hides the password and the secret query values of a URL; every other byte stays.
fn masked_url(url: &str) -> String {
    let (head, query) = match url.split_once('?') {
        Some((head, query)) => (head, Some(query)),
        None => (url, None),
    };
    let mut shown = match head.split_once("://") {
        Some((scheme, rest)) => {
            let authority_end = rest.find('/').unwrap_or(rest.len());
            match rest[..authority_end].rsplit_once('@') {
                Some((user_info, host)) => {
                    let user = user_info
                        .split_once(':')
                        .map_or(user_info.to_owned(), |(user, _)| format!("{user}:{MASK}"));
                    format!("{scheme}://{user}@{host}{}", &rest[authority_end..])
                }
                None => head.to_owned(),
            }
        }
        None => head.to_owned(),
    };
    if let Some(query) = query {
        let pairs: Vec<String> = query.split('&').map(masked_pair).collect();
        shown.push('?');
        shown.push_str(&pairs.join("&"));
    }
    shown
}

fn masked_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((key, _)) if SECRET_QUERY_KEYS.contains(&key.to_ascii_lowercase().as_str()) => {
            format!("{key}={MASK}")
        }
        Some(_) | None => pair.to_owned(),
    }
}

/// Returns whether a literal is probably a secret, by its own look.
pub(crate) fn looks_secret(value: &str) -> bool {
    let value = value.strip_prefix("Bearer ").unwrap_or(value);
    value.len() >= 16
        && TOKEN_BEGINNINGS
            .iter()
            .any(|beginning| value.starts_with(beginning))
}

/// Returns whether a literal is probably a secret, by its name or look.
pub(crate) fn is_secret_setting(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let named = SECRET_NAME_PARTS.iter().any(|part| name.contains(part));
    (named && !value.is_empty()) || looks_secret(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_passwords_and_secret_query_values_only() {
        assert_eq!(
            masked_url("https://h/p?Token=x&a=b&sig=&key"),
            "https://h/p?Token=*****&a=b&sig=*****&key"
        );
        assert_eq!(masked_url("http://u:p@h/x"), "http://u:*****@h/x");
        assert_eq!(masked_url("http://h:1/a@b:c?q"), "http://h:1/a@b:c?q");
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
}
