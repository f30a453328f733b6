//! What must not stand in a text that is kept or shown: known secrets and token shapes.

use std::borrow::Cow;

use codex_host::Secret;

/// What stands where a secret was.
pub(crate) const MASK: &str = "*****";
/// A shorter value is no secret: its replacement would spoil ordinary words.
const SHORTEST_SECRET: usize = 8;

/// The secrets of a run.
#[derive(Debug, Clone, Default)]
pub struct RedactionRules {
    /// Longest first, so that a secret that contains another is replaced as a whole.
    values: Vec<Secret>,
}

impl RedactionRules {
    /// Takes the values of all known secrets: the provider's key, MCP tokens and configured header
    /// values, and what [`RedactionRules::is_secret_name`] finds in the environment. Values under 8
    /// bytes are left out. Of a value such as `Bearer abc` the part behind the scheme is a secret too:
    /// it is what others echo.
    pub fn new(values: impl IntoIterator<Item = Secret>) -> Self {
        let long = |value: &Secret| value.expose().len() >= SHORTEST_SECRET;
        let with_token = |value: Secret| [behind_scheme(&value), Some(value)];
        let values = values.into_iter().flat_map(with_token).flatten();
        let mut values: Vec<Secret> = values.filter(long).collect();
        values.sort_by(|a, b| (b.expose().len(), b.expose()).cmp(&(a.expose().len(), a.expose())));
        values.dedup();
        Self { values }
    }

    /// Adds secrets that became known later.
    pub(crate) fn learn(&mut self, values: Vec<Secret>) {
        if values.iter().any(|value| !self.values.contains(value)) {
            let known = std::mem::take(&mut self.values);
            *self = Self::new(known.into_iter().chain(values));
        }
    }

    /// Whether a variable of this name holds a secret.
    pub fn is_secret_name(name: &str) -> bool {
        let upper = name.to_ascii_uppercase();
        ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "AUTH"]
            .iter()
            .any(|word| upper.contains(word))
    }

    /// Replaces every secret in `text` and returns how many there were.
    pub fn redact<'a>(&self, text: &'a str) -> (Cow<'a, str>, usize) {
        let mut n_found = 0;
        let mut clean = Cow::Borrowed(text);
        for value in &self.values {
            let plain = value.expose();
            // Within JSON text, such as the arguments of a call, quotes and backslashes are escaped.
            let quoted = serde_json::Value::from(plain).to_string();
            let escaped = &quoted[1..quoted.len() - 1];
            let forms = [plain, escaped];
            for form in &forms[..if plain == escaped { 1 } else { 2 }] {
                let n_here = clean.matches(form).count();
                if n_here > 0 {
                    n_found += n_here;
                    clean = Cow::Owned(clean.replace(form, MASK));
                }
            }
        }
        let (shaped, n_shapes) = redact_shapes(&clean);
        if n_shapes > 0 {
            return (Cow::Owned(shaped), n_found + n_shapes);
        }
        (clean, n_found)
    }
}

/// Returns the token of a value of an `authorization` header.
fn behind_scheme(value: &Secret) -> Option<Secret> {
    let (scheme, token) = value.expose().trim().split_once(' ')?;
    let is_scheme = ["bearer", "basic", "token", "apikey"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    is_scheme.then(|| Secret::new(token.trim()))
}

/// Beginnings of well-known tokens, and how many more characters make it one.
const PREFIXES: &[(&str, usize)] = &[
    ("sk-", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xoxs-", 16),
    ("hf_", 20),
    ("npm_", 20),
    ("pypi-", 32),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("gsk_", 20),
    ("xai-", 20),
];

/// Replaces tokens that are known by their shape.
fn redact_shapes(text: &str) -> (String, usize) {
    let mut clean = String::new();
    let mut n_found = 0;
    let mut rest = text;
    let mut previous = None;
    while let Some(first) = rest.chars().next() {
        // A token begins where a word begins: `risk-…` is none.
        let at_word = !previous.is_some_and(is_token_char);
        let length = match at_word {
            true => token_length(rest),
            false => pem_length(rest),
        };
        match length {
            Some(length) => {
                clean.push_str(MASK);
                n_found += 1;
                previous = rest[..length].chars().next_back();
                rest = &rest[length..];
            }
            None => {
                clean.push(first);
                previous = Some(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    (clean, n_found)
}

fn token_length(text: &str) -> Option<usize> {
    let prefixed = PREFIXES.iter().find_map(|(prefix, more)| {
        let tail = text.strip_prefix(prefix)?;
        let n_tail = tail.find(|c| !is_token_char(c)).unwrap_or(tail.len());
        (n_tail >= *more).then_some(prefix.len() + n_tail)
    });
    prefixed
        .or_else(|| jwt_length(text))
        .or_else(|| pem_length(text))
}

/// Three parts of base64url joined by dots; the first is a JSON object, so it begins with `eyJ`.
fn jwt_length(text: &str) -> Option<usize> {
    if !text.starts_with("eyJ") {
        return None;
    }
    let is_part = |c: char| is_token_char(c) || c == '.' || c == '=';
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let token = text[..length].trim_end_matches('.');
    let long_parts = token.split('.').filter(|part| part.len() >= 8).count();
    (long_parts >= 3).then_some(token.len())
}

/// A PEM block of a private key, with real line ends or escaped ones.
fn pem_length(text: &str) -> Option<usize> {
    let tail = text.strip_prefix("-----BEGIN ")?;
    let label_end = tail.find("-----")?;
    if label_end > 40 || !tail[..label_end].ends_with("PRIVATE KEY") {
        return None;
    }
    let end_label = format!("-----END {}-----", &tail[..label_end]);
    match text.find(&end_label) {
        Some(start) => Some(start + end_label.len()),
        // A key that is cut off is still a key.
        None => Some(text.len()),
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(secrets: &[&str], text: &str) -> String {
        let rules = RedactionRules::new(secrets.iter().map(|secret| Secret::new(*secret)));
        rules.redact(text).0.into_owned()
    }

    #[test]
    fn known_values_go_longest_first() {
        assert_eq!(
            redacted(
                &["password1", "password1-and-more", "short"],
                "password1-and-more password1 short"
            ),
            "***** ***** short"
        );
    }

    #[test]
    fn the_token_of_a_header_is_found_without_its_scheme() {
        let header = ["Bearer tok-0123456789", "plain words of a header"];
        assert_eq!(
            redacted(&header, "tok-0123456789; Bearer tok-0123456789; words of a"),
            "*****; *****; words of a"
        );
    }

    #[test]
    fn a_value_is_found_within_json_text_too() {
        assert_eq!(
            redacted(&[r#"pass"word\1"#], r#"{"p":"pass\"word\\1"}"#),
            r#"{"p":"*****"}"#
        );
    }

    #[test]
    fn token_shapes_go_without_being_known() {
        let long = "A1b2C3d4E5f6G7h8I9j0K1";
        for token in [
            format!("sk-{long}"),
            format!("sk-proj-{long}"),
            format!("ghp_{long}"),
            format!("github_pat_{long}"),
            format!("xoxb-{long}"),
            format!("eyJ{long}.{long}.{long}"),
            format!("-----BEGIN RSA PRIVATE KEY-----\n{long}\n-----END RSA PRIVATE KEY-----"),
        ] {
            assert_eq!(
                redacted(&[], &format!("a \"{token}\", b")),
                "a \"*****\", b",
                "{token}"
            );
        }
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "risk-based decisions, task-A1b2C3d4E5f6G7h8I9j0K1",
            "sk-short",
            "eyJust.a.word",
            "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----",
            "ümlaut – dash",
        ] {
            assert_eq!(redacted(&[], text), text);
        }
    }

    #[test]
    fn secrets_are_counted_and_clean_text_is_not_copied() {
        let rules = RedactionRules::new([Secret::new("hunter2hunter2")]);
        assert_eq!(rules.redact("hunter2hunter2 hunter2hunter2").1, 2);
        assert!(matches!(
            rules.redact("nothing"),
            (Cow::Borrowed("nothing"), 0)
        ));
    }

    #[test]
    fn names_of_secret_variables_are_known() {
        for name in [
            "GITHUB_TOKEN",
            "openai_api_key",
            "AUTH_HEADER",
            "DB_PASSWORD",
        ] {
            assert!(RedactionRules::is_secret_name(name), "{name}");
        }
        assert!(!RedactionRules::is_secret_name("PATH"));
    }
}
