//! Judging what arrived at the callback: is it the answer of this login?
//!
//! The order of checks is part of the defence. A request that fails path, Host or `state` is a
//! stranger's and must not end the login; only behind the right `state` anything else is believed,
//! and what another issuer says is not even shown.

use codex_host::Secret;
use url::form_urlencoded;

use crate::exchange::plain_text;
use crate::pkce::equal_in_constant_time;

/// What the answer of one login looks like.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The path of the redirect URI, as it stands.
    pub(crate) path: String,
    /// The parameters of the redirect URI itself.
    pub(crate) query: Vec<(String, String)>,
    /// The `Host` headers that are right; `None` behind an ingress, which may set its own.
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) state: Secret,
    pub(crate) issuer: String,
    /// Whether the server promised to name itself in its answer.
    pub(crate) names_itself: bool,
}

/// What a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not ours: the login goes on.
    Invalid,
    /// The state is right and the issuer is wrong: the login ends.
    OtherIssuer,
    /// The provider said no: the login ends.
    Denied { code: String, description: String },
    /// The code.
    Code(Secret),
}

/// The head of an HTTP request, as far as it matters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) host: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Reads the head of an HTTP/1 request.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !version.starts_with("HTTP/1.") || words.next().is_some() {
            return None;
        }
        let mut hosts = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("host").then_some(value.trim())
        });
        let host = hosts.next();
        if hosts.next().is_some() {
            return None;
        }
        Some(Self {
            method,
            target,
            host,
        })
    }
}

/// Judges a request to the listener.
pub(crate) fn judge(head: Head<'_>, expected: &Expected) -> Verdict {
    let is_host_right = match (&expected.hosts, head.host) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(hosts), Some(host)) => {
            let host = without_port(host);
            hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
        }
    };
    if head.method != "GET" || !is_host_right {
        return Verdict::Invalid;
    }
    judge_target(head.target, expected)
}

/// Judges path and query, wherever they came from.
pub(crate) fn judge_target(target: &str, expected: &Expected) -> Verdict {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != expected.path {
        return Verdict::Invalid;
    }
    let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    if !expected.query.iter().all(|pair| query.contains(pair)) {
        return Verdict::Invalid;
    }
    // A parameter that comes twice means two things: none of them counts.
    let one = |name: &str| {
        let mut found = query.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(Some(value.as_str())),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(()),
        }
    };
    let (Ok(Some(state)), Ok(issuer), Ok(error), Ok(code)) =
        (one("state"), one("iss"), one("error"), one("code"))
    else {
        return Verdict::Invalid;
    };
    if !equal_in_constant_time(state, expected.state.expose()) {
        return Verdict::Invalid;
    }
    match issuer {
        Some(issuer) if issuer != expected.issuer => return Verdict::OtherIssuer,
        None if expected.names_itself && (error.is_some() || code.is_some()) => {
            return Verdict::OtherIssuer;
        }
        _ => {}
    }
    // The provider may send back what it was sent.
    let shown = |words: &str, max| {
        let words = plain_text(words, usize::MAX).replace(expected.state.expose(), "[redacted]");
        plain_text(&words, max)
    };
    match (error, code) {
        (Some(error), _) => Verdict::Denied {
            code: shown(error, 100),
            description: shown(
                one("error_description").ok().flatten().unwrap_or_default(),
                300,
            ),
        },
        (None, Some(code)) if !code.is_empty() => Verdict::Code(Secret::new(code)),
        (None, _) => Verdict::Invalid,
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // `[::1]` has colons of its own.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(names_itself: bool) -> Expected {
        Expected {
            path: "/callback/x".into(),
            query: vec![("tenant".into(), "a b".into())],
            hosts: Some(vec!["127.0.0.1".into(), "localhost".into(), "[::1]".into()]),
            state: Secret::new("right"),
            issuer: "https://as".into(),
            names_itself,
        }
    }

    fn word(verdict: Verdict) -> String {
        match verdict {
            Verdict::Invalid => "invalid".into(),
            Verdict::OtherIssuer => "other issuer".into(),
            Verdict::Denied { code, description } => format!("denied {code} {description}"),
            Verdict::Code(code) => format!("code {}", code.expose()),
        }
    }

    fn judged(target: &str, names_itself: bool) -> String {
        word(judge_target(target, &expected(names_itself)))
    }

    #[test]
    fn the_callback_path_is_exact() {
        let rows = [
            ("/callback/x?tenant=a+b&state=right&code=c", "code c"),
            ("/callback/x/?tenant=a+b&state=right&code=c", "invalid"),
            ("/callback/%78?tenant=a+b&state=right&code=c", "invalid"),
            ("//callback/x?tenant=a+b&state=right&code=c", "invalid"),
            (
                "/callback/../callback/x?tenant=a+b&state=right&code=c",
                "invalid",
            ),
            ("/callback/X?tenant=a+b&state=right&code=c", "invalid"),
            (
                "http://127.0.0.1/callback/x?tenant=a+b&state=right&code=c",
                "invalid",
            ),
            ("/callback/x?state=right&code=c", "invalid"),
            ("/callback/x?tenant=a&state=right&code=c", "invalid"),
            ("/callback/x", "invalid"),
        ];
        for (target, expected) in rows {
            assert_eq!(judged(target, false), expected, "{target}");
        }
    }

    #[test]
    fn state_and_issuer_come_before_anything_else() {
        let rows = [
            ("state=wrong&code=c", false, "invalid"),
            ("state=&code=c", false, "invalid"),
            ("code=c", false, "invalid"),
            ("state=right&state=right&code=c", false, "invalid"),
            ("state=right&code=c&code=d", false, "invalid"),
            ("state=right&code=", false, "invalid"),
            ("state=right", false, "invalid"),
            ("state=wrong&error=access_denied", false, "invalid"),
            ("state=right&code=c&iss=https%3A%2F%2Fas", true, "code c"),
            ("state=right&code=c&iss=https%3A%2F%2Fas", false, "code c"),
            (
                "state=right&code=c&iss=https%3A%2F%2Fas%2F",
                false,
                "other issuer",
            ),
            ("state=right&code=c", true, "other issuer"),
            ("state=right&error=access_denied", true, "other issuer"),
            (
                "state=right&error=access_denied&iss=https://evil",
                false,
                "other issuer",
            ),
            (
                "state=right&error=access_denied&code=c",
                false,
                "denied access_denied ",
            ),
        ];
        for (query, names_itself, expected) in rows {
            let target = format!("/callback/x?tenant=a%20b&{query}");
            assert_eq!(
                judged(&target, names_itself),
                expected,
                "{query} {names_itself}"
            );
        }
    }

    #[test]
    fn a_denial_with_escape_codes_is_plain_text() {
        assert_eq!(
            judged(
                "/callback/x?tenant=a%20b&state=right&error=no&error_description=ri%0aght",
                false
            ),
            "denied no [redacted]"
        );
        let long = "x".repeat(500);
        let target = format!(
            "/callback/x?tenant=a%20b&state=right&error=a%1b%5Bb&error_description=no+way%0d%0a%1b]0;{long}"
        );
        let shown = judged(&target, false);
        assert!(shown.starts_with("denied a[b no way]0;xxx"), "{shown}");
        assert_eq!(shown.len(), "denied a[b ".len() + 300);
    }

    #[test]
    fn a_rebound_host_is_refused() {
        let rows = [
            ("GET", Some("127.0.0.1:5555"), "code c"),
            ("GET", Some("LOCALHOST"), "code c"),
            ("GET", Some("[::1]:5555"), "code c"),
            ("GET", Some("[::1]"), "code c"),
            ("GET", Some("evil.example:5555"), "invalid"),
            ("GET", Some("127.0.0.1.evil.example"), "invalid"),
            ("GET", None, "invalid"),
            ("POST", Some("127.0.0.1"), "invalid"),
            ("HEAD", Some("127.0.0.1"), "invalid"),
        ];
        for (method, host, verdict) in rows {
            let target = "/callback/x?tenant=a%20b&state=right&code=c";
            let head = Head {
                method,
                target,
                host,
            };
            assert_eq!(
                word(judge(head, &expected(false))),
                verdict,
                "{method} {host:?}"
            );
        }
    }

    #[test]
    fn a_head_with_two_hosts_is_no_head() {
        assert!(Head::read("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n").is_none());
        assert!(Head::read("GET / HTTP/1.1 x\r\n").is_none());
        assert!(Head::read("GET /\r\n").is_none());
        assert_eq!(
            Head::read("GET /a?b HTTP/1.1\r\nX: y\r\nHost:  h \r\n")
                .unwrap()
                .host,
            Some("h")
        );
    }
}
