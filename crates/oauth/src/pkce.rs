//! What only the login itself may know: `state` (128 bit) and the PKCE verifier (S256 only).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_host::Secret;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// The machine gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(crate) struct NoRandomness;

/// Returns `N` random bytes as base64url.
pub(crate) fn random<const N: usize>() -> Result<String, NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the base64url of the SHA-256 of a text.
pub(crate) fn base64url_sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// A verifier and what may be shown of it.
#[derive(Debug, Clone)]
pub(crate) struct Pkce {
    pub(crate) verifier: Secret,
    pub(crate) challenge: String,
}

impl Pkce {
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        Ok(Self::of(random::<32>()?))
    }

    fn of(verifier: String) -> Self {
        Self {
            challenge: base64url_sha256(&verifier),
            verifier: Secret::new(verifier),
        }
    }
}

/// Compares two texts in a time that tells nothing but their lengths.
pub(crate) fn equal_in_constant_time(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let pkce = Pkce::of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(
            pkce.challenge,
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn verifiers_are_long_enough_and_differ() {
        let (one, other) = (Pkce::new().unwrap(), Pkce::new().unwrap());
        assert_eq!(one.verifier.expose().len(), 43);
        assert_ne!(one.verifier, other.verifier);
        assert_eq!(random::<16>().unwrap().len(), 22);
    }

    #[test]
    fn equality_is_equality() {
        for (one, other, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "aa", false),
            ("", "", true),
        ] {
            assert_eq!(
                equal_in_constant_time(one, other),
                expected,
                "{one} {other}"
            );
        }
    }
}
