//! Which scopes a login asks for, and from where they come.
//!
//! The authorization server's own list is never a source: it names everything that server knows,
//! for all its resources, and asking for all of it is refused or grants far too much.

use std::fmt;

use crate::Challenge;
use crate::metadata::{ResourceMetadata, ServerMetadata};

/// Scopes in the order in which they were named, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads scopes that blanks separate.
    pub fn parse(text: &str) -> Self {
        text.split_ascii_whitespace().collect()
    }

    /// Returns these and then those that are new in `more`.
    #[must_use]
    pub fn union(&self, more: &Self) -> Self {
        self.0.iter().chain(&more.0).collect()
    }

    /// Whether every one of `others` is here.
    pub fn contains_all(&self, others: &Self) -> bool {
        others.0.iter().all(|scope| self.0.contains(scope))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<T: AsRef<str>> FromIterator<T> for Scopes {
    fn from_iter<I: IntoIterator<Item = T>>(scopes: I) -> Self {
        let mut list: Vec<String> = Vec::new();
        for scope in scopes {
            let scope = scope.as_ref();
            if !scope.is_empty() && !list.iter().any(|known| known == scope) {
                list.push(scope.to_owned());
            }
        }
        Self(list)
    }
}

/// As a request and a stored record spell them: one blank between two.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// What the user said about scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeWish {
    /// `--scopes`, the app-server's parameter, or the union of a step-up.
    pub explicit: Option<Scopes>,
    /// `scopes` of the server's config.
    pub configured: Option<Scopes>,
}

/// Where scopes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeSource {
    /// The command line or a caller.
    Explicit,
    /// The config file.
    Configured,
    /// The challenge of the server.
    Challenge,
    /// The resource metadata.
    ResourceMetadata,
    /// Nowhere: the parameter is left out.
    None,
}

/// The scopes of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeChoice {
    /// What is asked for.
    pub scopes: Scopes,
    /// Who said so.
    pub source: ScopeSource,
}

impl ScopeChoice {
    pub(crate) fn none() -> Self {
        Self {
            scopes: Scopes::default(),
            source: ScopeSource::None,
        }
    }

    /// Whether `invalid_scope` may be answered by asking again without scopes: never when the user
    /// named them.
    pub fn may_be_dropped(&self) -> bool {
        matches!(
            self.source,
            ScopeSource::Challenge | ScopeSource::ResourceMetadata
        )
    }
}

/// Chooses the scopes of a login: explicit, configured, the challenge's, the resource metadata's,
/// none. `offline_access` joins only those that a server named, and only when its metadata lists it.
pub fn choose_scopes(
    wish: &ScopeWish,
    challenge: Option<&Challenge>,
    resource: Option<&ResourceMetadata>,
    server: &ServerMetadata,
) -> ScopeChoice {
    let some = |scopes: Option<&Scopes>| scopes.filter(|scopes| !scopes.is_empty()).cloned();
    let named = [
        (some(wish.explicit.as_ref()), ScopeSource::Explicit),
        (some(wish.configured.as_ref()), ScopeSource::Configured),
        (
            some(challenge.and_then(|challenge| challenge.scope.as_ref())),
            ScopeSource::Challenge,
        ),
        (
            some(resource.map(|resource| &resource.scopes_supported)),
            ScopeSource::ResourceMetadata,
        ),
    ];
    let found = named.into_iter().find_map(|(scopes, source)| {
        Some(ScopeChoice {
            scopes: scopes?,
            source,
        })
    });
    let Some(mut choice) = found else {
        return ScopeChoice::none();
    };
    let offline = Scopes::parse("offline_access");
    if choice.may_be_dropped() && server.scopes_supported.contains_all(&offline) {
        choice.scopes = choice.scopes.union(&offline);
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chooses among what the four sources and the server's own list say; empty is absent.
    fn chosen(
        explicit: &str,
        configured: &str,
        challenge: &str,
        resource: &str,
        server: &str,
    ) -> String {
        let wish = ScopeWish {
            explicit: Some(Scopes::parse(explicit)),
            configured: Some(Scopes::parse(configured)),
        };
        let challenge = Challenge::from_text(&format!("Bearer scope=\"{challenge}\""));
        let resource = ResourceMetadata {
            resource: "https://h/".into(),
            authorization_servers: vec!["https://as".into()],
            scopes_supported: Scopes::parse(resource),
            requires_bound_tokens: false,
            dpop_algorithms: Vec::new(),
        };
        let server = ServerMetadata {
            scopes_supported: Scopes::parse(server),
            ..ServerMetadata::legacy(&"https://as/".parse().unwrap())
        };
        let choice = choose_scopes(&wish, challenge.as_ref(), Some(&resource), &server);
        format!("{:?}: {}", choice.source, choice.scopes)
    }

    #[test]
    fn the_first_source_that_names_any_wins() {
        let rows = [
            (
                chosen("e", "c", "ch", "r", "s offline_access"),
                "Explicit: e",
            ),
            (
                chosen("", "c", "ch", "r", "s offline_access"),
                "Configured: c",
            ),
            (chosen("", "", "ch", "r", "s"), "Challenge: ch"),
            (
                chosen("", "", "", "r1 r2 r1", "s"),
                "ResourceMetadata: r1 r2",
            ),
            (chosen("", "", "", "", "s all"), "None: "),
        ];
        for (choice, expected) in rows {
            assert_eq!(choice, expected);
        }
    }

    #[test]
    fn offline_access_joins_what_a_server_named_when_it_is_listed() {
        let rows = [
            (
                chosen("", "", "ch", "r", "x offline_access"),
                "Challenge: ch offline_access",
            ),
            (
                chosen("", "", "", "r", "offline_access"),
                "ResourceMetadata: r offline_access",
            ),
            (
                chosen("", "", "", "offline_access r", "offline_access"),
                "ResourceMetadata: offline_access r",
            ),
            (chosen("", "", "", "", "offline_access"), "None: "),
        ];
        for (choice, expected) in rows {
            assert_eq!(choice, expected);
        }
    }

    #[test]
    fn a_union_keeps_order_and_names_each_once() {
        let union = Scopes::parse("a b").union(&Scopes::parse("b c a"));
        assert_eq!(union.to_string(), "a b c");
        assert!(union.contains_all(&Scopes::parse("c b")));
        assert!(!union.contains_all(&Scopes::parse("c d")));
    }
}
