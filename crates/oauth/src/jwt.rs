//! Signed assertions: `private_key_jwt` (RFC 7523) with ES256, ES384, RS256 or EdDSA.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use codex_host::Secret;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::pkce;

/// The grant that an assertion buys a token with.
pub(crate) const BEARER_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion lives.
const LIFE: i64 = 60;

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It is no PEM text with a `PRIVATE KEY`.
    #[error("the private key is not a PEM file in PKCS#8 (`-----BEGIN PRIVATE KEY-----`)")]
    NotPem,
    /// The key is of another kind.
    #[error("the private key is none of P-256, P-384, RSA (2048 bits and more) and Ed25519")]
    Unsupported,
    /// Signing failed.
    #[error("the private key cannot sign")]
    CannotSign,
}

/// A private key that proves a client. Cloning is cheap; nothing of it is ever shown.
#[derive(Clone)]
pub struct SigningKey(Arc<Kind>);

enum Kind {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a PEM text in PKCS#8.
    pub fn from_pem(pem: &Secret) -> Result<Self, SigningKeyError> {
        let inside = pem.expose().split_once("-----BEGIN PRIVATE KEY-----");
        let inside = inside.and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"));
        let (inside, _) = inside.ok_or(SigningKeyError::NotPem)?;
        let inside: String = inside.split_ascii_whitespace().collect();
        let der = STANDARD
            .decode(inside)
            .map_err(|_| SigningKeyError::NotPem)?;
        let random = SystemRandom::new();
        let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &der, &random).ok();
        let kind = if let Some(pair) = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING) {
            Kind::P256(pair)
        } else if let Some(pair) = ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING) {
            Kind::P384(pair)
        } else if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            Kind::Rsa(Box::new(pair))
        } else if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            Kind::Ed25519(pair)
        } else {
            return Err(SigningKeyError::Unsupported);
        };
        Ok(Self(Arc::new(kind)))
    }

    /// Returns the name of the algorithm in a JWT.
    pub fn algorithm(&self) -> &'static str {
        match &*self.0 {
            Kind::P256(_) => "ES256",
            Kind::P384(_) => "ES384",
            Kind::Rsa(_) => "RS256",
            Kind::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        let random = SystemRandom::new();
        let failed = |_| SigningKeyError::CannotSign;
        match &*self.0 {
            Kind::P256(pair) | Kind::P384(pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Kind::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}

/// Signs an assertion that this client speaks: issuer and subject are the client, the audience is
/// the authorization server; 60 s, one use.
pub(crate) fn client_assertion(
    key: &SigningKey,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Secret, SigningKeyError> {
    let header = json!({"alg": key.algorithm(), "typ": "JWT"});
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now.as_second(),
        "exp": now.as_second() + LIFE,
        "jti": pkce::random::<16>().map_err(|_| SigningKeyError::CannotSign)?,
    });
    compact(&header, &claims, |message| key.sign(message))
}

/// Signs a JWT and writes it in its compact form.
pub(crate) fn compact(
    header: &Value,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, SigningKeyError>,
) -> Result<Secret, SigningKeyError> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes())?);
    Ok(Secret::new(format!("{message}.{signature}")))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};

    use super::*;

    fn pem(der: &[u8]) -> Secret {
        let inside = STANDARD.encode(der);
        Secret::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{inside}\n-----END PRIVATE KEY-----\n"
        ))
    }

    #[test]
    fn an_assertion_verifies_and_says_who_for_whom_and_how_long() {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let key = SigningKey::from_pem(&pem(der.as_ref())).unwrap();
        let now = Timestamp::from_second(1000).unwrap();
        let assertion = client_assertion(&key, "me", "https://as", now).unwrap();
        let (message, signature) = assertion.expose().rsplit_once('.').unwrap();
        let Kind::P256(pair) = &*key.0 else {
            panic!("{key:?}")
        };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            .verify(
                message.as_bytes(),
                &URL_SAFE_NO_PAD.decode(signature).unwrap(),
            )
            .unwrap();
        let claims = URL_SAFE_NO_PAD
            .decode(message.split('.').nth(1).unwrap())
            .unwrap();
        let mut claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["jti"].take().as_str().unwrap().len(), 22);
        assert_eq!(
            claims,
            json!({"iss": "me", "sub": "me", "aud": "https://as", "iat": 1000, "exp": 1060, "jti": null})
        );
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let error = |text: &str| SigningKey::from_pem(&Secret::new(text)).unwrap_err();
        assert_eq!(
            error("-----BEGIN RSA PRIVATE KEY-----"),
            SigningKeyError::NotPem
        );
        assert_eq!(
            SigningKey::from_pem(&pem(b"nonsense")).unwrap_err(),
            SigningKeyError::Unsupported
        );
    }
}
