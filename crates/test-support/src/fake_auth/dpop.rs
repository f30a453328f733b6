//! Proofs of a key, judged as RFC 9449, 4.3 wants it, the signature apart.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::state::State;
use super::{Answer, AuthRequest, DpopRule};

/// Judges the proof of a request; returns the thumbprint of its key.
pub(super) fn judge(
    rule: DpopRule,
    state: &mut State,
    request: &AuthRequest,
    token: Option<&str>,
) -> Result<String, &'static str> {
    let proof = request.dpop.as_deref().ok_or("there is no proof")?;
    let part = |index| -> Option<Value> {
        let bytes = URL_SAFE_NO_PAD.decode(proof.split('.').nth(index)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let (Some(header), Some(claims)) = (part(0), part(1)) else {
        return Err("the proof is no JWT");
    };
    if header["typ"] != "dpop+jwt" || header["alg"] != "ES256" {
        return Err("the proof is of another kind");
    }
    if claims["htm"] != request.method.as_str() {
        return Err("the proof is for another method");
    }
    if claims["htu"] != format!("{}{}", state.base, request.path) {
        return Err("the proof is for another address");
    }
    let hash = |text: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(text));
    if claims.get("ath") != token.map(|token| json!(hash(token))).as_ref() {
        return Err("the proof is for another token");
    }
    if !state.proofs.insert(claims["jti"].to_string()) || !claims["iat"].is_i64() {
        return Err("the proof came before");
    }
    if rule == DpopRule::Nonces && claims["nonce"] != nonce(request) {
        return Err("use_dpop_nonce");
    }
    let jwk = &header["jwk"];
    let [x, y] = ["x", "y"].map(|name| jwk[name].as_str().unwrap_or_default());
    Ok(hash(&format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#
    )))
}

/// The nonce that an address wants; each of both roles has its own.
fn nonce(request: &AuthRequest) -> String {
    format!("nonce-of{}", request.path)
}

/// The refusal of a token request.
pub(super) fn refused_token(request: &AuthRequest, why: &str) -> Answer {
    let (code, headers) = match why {
        "use_dpop_nonce" => (why, vec![("dpop-nonce".to_owned(), nonce(request))]),
        _ => ("invalid_dpop_proof", Vec::new()),
    };
    Answer {
        status: 400,
        headers,
        json: json!({"error": code, "error_description": why}),
    }
}

/// The challenge of the MCP address.
pub(super) fn challenge(request: &AuthRequest, why: &str) -> (String, Vec<(String, String)>) {
    match why {
        "use_dpop_nonce" => (
            "DPoP error=\"use_dpop_nonce\"".to_owned(),
            vec![("dpop-nonce".to_owned(), nonce(request))],
        ),
        _ => ("DPoP algs=\"ES256\"".to_owned(), Vec::new()),
    }
}
