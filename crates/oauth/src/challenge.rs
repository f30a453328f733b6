//! `WWW-Authenticate`, read by the grammar of RFC 9110, 11.6.1.
//!
//! One field may hold several challenges and one response several fields; commas separate both
//! challenges and parameters, so that only the grammar tells them apart. The first Bearer or DPoP
//! challenge counts. What cannot be read ends that field; challenges before it are kept.

use std::iter::Peekable;
use std::str::Chars;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::Scopes;

/// How a token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

/// What a server asks for when it refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme it wants.
    pub scheme: AuthScheme,
    /// Where its resource metadata is (RFC 9728).
    pub resource_metadata: Option<String>,
    /// The scopes that the request needs; never empty.
    pub scope: Option<Scopes>,
    /// `invalid_token`, `insufficient_scope`, …
    pub error: Option<String>,
}

impl Challenge {
    /// Reads the first Bearer or DPoP challenge of all `WWW-Authenticate` fields.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(WWW_AUTHENTICATE).into_iter();
        fields
            .flat_map(|value| read(&String::from_utf8_lossy(value.as_bytes())))
            .find_map(|raw| raw.into_challenge())
    }

    /// Reads a challenge from text, as an error that kept the header may have it.
    pub fn from_text(field: &str) -> Option<Self> {
        read(field)
            .into_iter()
            .find_map(RawChallenge::into_challenge)
    }

    /// Whether the token is good but not for this.
    pub fn wants_more_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

/// One challenge as it stands: the scheme in lower case, names of parameters too.
#[derive(Debug, PartialEq, Eq)]
struct RawChallenge {
    scheme: String,
    params: Vec<(String, String)>,
}

impl RawChallenge {
    fn into_challenge(self) -> Option<Challenge> {
        let scheme = match self.scheme.as_str() {
            "bearer" => AuthScheme::Bearer,
            "dpop" => AuthScheme::Dpop,
            _ => return None,
        };
        let param = |name: &str| {
            let found = self.params.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        Some(Challenge {
            scheme,
            resource_metadata: param("resource_metadata"),
            scope: param("scope")
                .map(|text| Scopes::parse(&text))
                .filter(|scopes| !scopes.is_empty()),
            error: param("error"),
        })
    }
}

fn read(field: &str) -> Vec<RawChallenge> {
    let mut reader = Reader(field.chars().peekable());
    let mut challenges: Vec<RawChallenge> = Vec::new();
    loop {
        reader.skip(|letter| matches!(letter, ' ' | '\t' | ','));
        let Some(word) = reader.token() else {
            return challenges;
        };
        let had_space = reader.skip(is_blank);
        if reader.0.peek() == Some(&'=')
            && let Some(challenge) = challenges.last_mut()
        {
            // A name and its value: it belongs to the challenge before.
            reader.0.next();
            reader.skip(is_blank);
            let Some(value) = reader.value() else {
                return challenges;
            };
            challenge.params.push((word.to_ascii_lowercase(), value));
            continue;
        }
        challenges.push(RawChallenge {
            scheme: word.to_ascii_lowercase(),
            params: Vec::new(),
        });
        if had_space {
            reader.skip_token68();
        }
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t')
}

fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) -> bool {
        let mut any = false;
        while self.0.next_if(|letter| is_skipped(*letter)).is_some() {
            any = true;
        }
        any
    }

    fn token(&mut self) -> Option<String> {
        let mut token = String::new();
        while let Some(letter) = self.0.next_if(|letter| is_token(*letter)) {
            token.push(letter);
        }
        (!token.is_empty()).then_some(token)
    }

    fn value(&mut self) -> Option<String> {
        if self.0.next_if_eq(&'"').is_none() {
            return self.token();
        }
        let mut value = String::new();
        loop {
            match self.0.next()? {
                '"' => return Some(value),
                '\\' => value.push(self.0.next()?),
                letter => value.push(letter),
            }
        }
    }

    /// Steps over `scheme token68`: letters up to the next comma, with `=` only at their end.
    fn skip_token68(&mut self) {
        let mut ahead = self.0.clone();
        let is_letter =
            |letter: &char| letter.is_ascii_alphanumeric() || "-._~+/".contains(*letter);
        let mut any = false;
        while ahead.next_if(is_letter).is_some() {
            any = true;
        }
        while ahead.next_if_eq(&'=').is_some() {}
        while ahead.next_if(|letter| is_blank(*letter)).is_some() {}
        if any && ahead.peek().is_none_or(|letter| *letter == ',') {
            self.0 = ahead;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn schemes(field: &str) -> Vec<(String, Vec<(String, String)>)> {
        let raw = read(field).into_iter();
        raw.map(|challenge| (challenge.scheme, challenge.params))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn commas_separate_challenges_and_parameters() {
        assert_eq!(
            schemes(r#"Basic realm="a, b", Bearer scope="x y", error = invalid_token , Negotiate"#),
            [
                ("basic".into(), vec![pair("realm", "a, b")]),
                (
                    "bearer".into(),
                    vec![pair("scope", "x y"), pair("error", "invalid_token")]
                ),
                ("negotiate".into(), vec![]),
            ]
        );
    }

    #[test]
    fn quotes_hide_what_looks_like_a_parameter() {
        let rows = [
            (r#"Bearer realm="resource_metadata=\"https://evil\"""#, None),
            (r#"Basic x="Bearer resource_metadata=a""#, None),
            (
                r#"bEaReR RESOURCE_METADATA="https://h/a\"b""#,
                Some("https://h/a\"b"),
            ),
            (
                r#"Negotiate abc==, Bearer resource_metadata="u""#,
                Some("u"),
            ),
            (r#"Basic realm=a, , ,Bearer resource_metadata=u"#, Some("u")),
            (r#"Bearer resource_metadata="unclosed"#, None),
            ("Bearer resource_metadata=", None),
            ("=, Bearer resource_metadata=u", None),
        ];
        for (field, expected) in rows {
            let found = Challenge::from_text(field).and_then(|it| it.resource_metadata);
            assert_eq!(found.as_deref(), expected, "{field}");
        }
    }

    #[test]
    fn every_field_is_looked_at() {
        let mut headers = HeaderMap::new();
        let fields = [
            "Basic realm=x",
            r#"Bearer error="insufficient_scope", scope="a b""#,
        ];
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(field));
        }
        let challenge = Challenge::from_headers(&headers).unwrap();
        assert!(challenge.wants_more_scope());
        assert_eq!(challenge.scope.unwrap().to_string(), "a b");
        assert_eq!(Challenge::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn dpop_counts_and_an_empty_scope_does_not() {
        let challenge = Challenge::from_text(r#"DPoP algs="ES256", scope="  ""#).unwrap();
        assert_eq!(challenge.scheme, AuthScheme::Dpop);
        assert_eq!(challenge.scope, None);
    }
}
