//! Tokens that are bound to a key (DPoP, RFC 9449): whoever steals one cannot use it.
//!
//! Each login has a key of its own, ES256. A proof is signed for one request: its method, its URL
//! without query, the moment, and the token that goes with it. Servers may want a number of theirs in
//! it, a nonce; the last one of each origin is kept and goes into the next proof.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_host::{Clock, Secret};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use url::Url;

use crate::exchange::Dpop;
use crate::jwt::{SigningKeyError, compact};
use crate::pkce::{self, NoRandomness};
use crate::{AuthScheme, Discovery, Services};

/// The algorithm of our keys, as metadata names it.
const ALGORITHM: &str = "ES256";

/// The header of a proof.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// The header of a server's nonce.
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The error that wants the nonce which comes with it.
pub(crate) const WANTS_NONCE: &str = "use_dpop_nonce";

const MAX_NONCE: usize = 512;

/// So many origins are remembered; a process talks to a handful.
const MAX_ORIGINS: usize = 256;

/// Whether tokens are asked for with a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DpopNeed {
    /// No: the server takes bearer tokens.
    Unbound,
    /// The server takes both; whatever comes is used.
    Offered,
    /// The server takes nothing but bound tokens.
    Required,
}

impl DpopNeed {
    /// Judges by what the MCP server says. That an authorization server *can* bind tokens is no
    /// reason: a server that knows bearer tokens only would refuse them.
    pub(crate) fn of(discovery: &Discovery, challenge: Option<AuthScheme>) -> Self {
        let lists = |algorithms: &[String]| algorithms.iter().any(|it| it == ALGORITHM);
        let resource = discovery.resource.as_ref();
        let is_required = challenge == Some(AuthScheme::Dpop)
            || resource.is_some_and(|resource| resource.requires_bound_tokens);
        let is_offered = resource.is_some_and(|resource| lists(&resource.dpop_algorithms))
            && lists(&discovery.server.dpop_algorithms);
        match (is_required, is_offered) {
            (true, _) => Self::Required,
            (false, true) => Self::Offered,
            (false, false) => Self::Unbound,
        }
    }

    /// Returns what goes with a token request.
    pub(crate) fn dpop(self, key: Option<&DpopKey>, services: &Services) -> Option<Dpop> {
        Some(Dpop {
            prover: services.prover(key?),
            is_required: self == Self::Required,
        })
    }

    /// Makes the key that this takes.
    pub(crate) fn key(self) -> Result<Option<DpopKey>, NoRandomness> {
        match self {
            Self::Unbound => Ok(None),
            Self::Offered | Self::Required => DpopKey::generate().map(Some),
        }
    }
}

/// A key that tokens are bound to. Cloning is cheap; nothing of it is ever shown.
#[derive(Clone)]
pub struct DpopKey {
    /// PKCS#8 in base64url, as it is stored.
    text: Secret,
    pair: Arc<EcdsaKeyPair>,
}

impl DpopKey {
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        let der = der.map_err(|_| NoRandomness)?;
        let text = Secret::new(URL_SAFE_NO_PAD.encode(der.as_ref()));
        Self::from_text(text).ok_or(NoRandomness)
    }

    /// Reads a stored key; `None` when it is none.
    pub(crate) fn from_text(text: Secret) -> Option<Self> {
        let der = URL_SAFE_NO_PAD.decode(text.expose()).ok()?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new()).ok()?;
        let pair = Arc::new(pair);
        Some(Self { text, pair })
    }

    /// Returns the key as it is stored.
    pub(crate) fn to_text(&self) -> &Secret {
        &self.text
    }

    /// Returns what authorization servers bind to (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        let [x, y] = self.coordinates();
        // The members in this order and without a blank: the standard says so.
        pkce::base64url_sha256(&format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#
        ))
    }

    fn coordinates(&self) -> [String; 2] {
        // 0x04, then both numbers, 32 bytes each.
        let point = &self.pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        [x, y].map(|number| URL_SAFE_NO_PAD.encode(number))
    }

    fn sign(&self, claims: &Value) -> Result<Secret, SigningKeyError> {
        let [x, y] = self.coordinates();
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        let header = json!({"typ": "dpop+jwt", "alg": ALGORITHM, "jwk": jwk});
        compact(&header, claims, |message| {
            let signature = self.pair.sign(&SystemRandom::new(), message);
            let signature = signature.map_err(|_| SigningKeyError::CannotSign)?;
            Ok(signature.as_ref().to_vec())
        })
    }
}

impl PartialEq for DpopKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for DpopKey {}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DpopKey")
    }
}

/// The nonces of servers by origin. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nonces(Arc<Mutex<HashMap<String, Secret>>>);

impl Nonces {
    /// Keeps the nonce that came with an answer; says whether one came.
    pub(crate) fn learn(&self, url: &Url, headers: &HeaderMap) -> bool {
        let nonce = headers.get(NONCE).and_then(|value| value.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| is_nonce(nonce)) else {
            return false;
        };
        let nonce = Secret::new(nonce);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = url.origin().ascii_serialization();
        if known.len() >= MAX_ORIGINS && !known.contains_key(&origin) {
            known.clear();
        }
        known.insert(origin, nonce);
        true
    }

    fn of(&self, url: &Url) -> Option<Secret> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&url.origin().ascii_serialization()).cloned()
    }
}

/// Whether a text is a nonce by the grammar of RFC 9449, 8.1.
fn is_nonce(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.len() <= MAX_NONCE && text.bytes().all(is_letter)
}

/// Signs proofs with one key.
#[derive(Debug, Clone)]
pub(crate) struct Prover {
    pub(crate) key: DpopKey,
    pub(crate) nonces: Nonces,
    pub(crate) clock: Clock,
}

impl Prover {
    /// Keeps the nonce that came with an answer; says whether one came.
    pub(crate) fn learn(&self, url: &Url, headers: &HeaderMap) -> bool {
        self.nonces.learn(url, headers)
    }

    /// Makes the proof of one request, and of the token that goes with it.
    pub(crate) fn proof(
        &self,
        method: &Method,
        url: &Url,
        token: Option<&Secret>,
    ) -> Result<HeaderValue, SigningKeyError> {
        let mut target = url.clone();
        target.set_query(None);
        target.set_fragment(None);
        let mut claims = json!({
            "jti": pkce::random::<16>().map_err(|_| SigningKeyError::CannotSign)?,
            "htm": method.as_str(),
            "htu": target.as_str(),
            "iat": self.clock.now().as_second(),
        });
        if let Some(token) = token {
            claims["ath"] = pkce::base64url_sha256(token.expose()).into();
        }
        if let Some(nonce) = self.nonces.of(url) {
            claims["nonce"] = nonce.expose().into();
        }
        let proof = self.key.sign(&claims)?;
        let value = HeaderValue::from_str(proof.expose());
        let mut value = value.map_err(|_| SigningKeyError::CannotSign)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn prover() -> Prover {
        Prover {
            key: DpopKey::generate().unwrap(),
            nonces: Nonces::default(),
            clock: Clock::fixed(Timestamp::from_second(1000).unwrap()),
        }
    }

    fn part(proof: &HeaderValue, index: usize) -> Value {
        let part = proof.to_str().unwrap().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn headers(nonce: &str) -> HeaderMap {
        HeaderMap::from_iter([(NONCE, HeaderValue::from_str(nonce).unwrap())])
    }

    #[test]
    fn a_proof_verifies_and_names_its_request() {
        let prover = prover();
        let url: Url = "https://h:8443/mcp?secret=1#f".parse().unwrap();
        let token = Secret::new("token");
        let proof = prover.proof(&Method::POST, &url, Some(&token)).unwrap();
        assert!(proof.is_sensitive());
        let text = proof.to_str().unwrap();
        let (message, signature) = text.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = prover.key.pair.public_key();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public.as_ref())
            .verify(message.as_bytes(), &signature)
            .unwrap();
        let header = part(&proof, 0);
        assert_eq!(
            (&header["typ"], &header["alg"]),
            (&json!("dpop+jwt"), &json!("ES256"))
        );
        // The private half would be `d`.
        let members: Vec<_> = header["jwk"].as_object().unwrap().keys().collect();
        assert_eq!(members, ["kty", "crv", "x", "y"]);
        let mut claims = part(&proof, 1);
        assert_eq!(claims["jti"].take().as_str().unwrap().len(), 22);
        // The hash is that of `printf token | openssl dgst -sha256`.
        let ath = "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A";
        assert_eq!(
            claims,
            json!({"jti": null, "htm": "POST", "htu": "https://h:8443/mcp", "iat": 1000, "ath": ath})
        );
    }

    #[test]
    fn no_two_proofs_are_alike() {
        let (prover, url) = (prover(), "https://h/t".parse().unwrap());
        let proof = || prover.proof(&Method::POST, &url, None).unwrap();
        let (one, other) = (part(&proof(), 1), part(&proof(), 1));
        assert_ne!(one["jti"], other["jti"]);
        assert!(one.get("ath").is_none() && one.get("nonce").is_none());
    }

    #[test]
    fn a_nonce_goes_back_to_its_origin_only() {
        let prover = prover();
        let at = |text: &str| text.parse::<Url>().unwrap();
        let nonces = &prover.nonces;
        assert!(nonces.learn(&at("https://h/a"), &headers("one")));
        assert!(nonces.learn(&at("https://h/b"), &headers("two")));
        let nonce = |text: &str| {
            let proof = prover.proof(&Method::GET, &at(text), None).unwrap();
            part(&proof, 1).get("nonce").cloned()
        };
        assert_eq!(nonce("https://h/c"), Some(json!("two")));
        for other in ["https://h:444/c", "http://h/c", "https://g/c"] {
            assert_eq!(nonce(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_nonce_is_not_kept() {
        let (nonces, url) = (Nonces::default(), "https://h/".parse().unwrap());
        for bad in ["", "a b", "a\"b", "a\\b", &"a".repeat(513)] {
            assert!(!nonces.learn(&url, &headers(bad)), "{bad}");
        }
        assert!(!nonces.learn(&url, &HeaderMap::new()));
        for number in 0..1000 {
            nonces.learn(
                &format!("https://h{number}/").parse().unwrap(),
                &headers("n"),
            );
        }
        assert!(nonces.0.lock().unwrap().len() <= MAX_ORIGINS);
    }

    #[test]
    fn a_stored_key_is_the_same_key_and_shows_nothing() {
        let key = DpopKey::generate().unwrap();
        let again = DpopKey::from_text(key.to_text().clone()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!(key.thumbprint().len(), 43);
        assert_eq!(format!("{key:?}"), "DpopKey");
        for bad in ["", "nonsense", "%%%"] {
            assert!(DpopKey::from_text(Secret::new(bad)).is_none());
        }
    }
}
