//! Requests of a server that people log in to: a token for each, and what follows a refusal.
//!
//! The [`TokenSource`] decides what a refusal means, since it alone knows which token is stored and what
//! was tried; here is the loop around it and its bound. A refused token is never sent a second time
//! unless the source says so, and each request is sent [`MAX_SENT`] times at most, whatever it says.

use codex_http::{HttpClient, Request, Response};
use codex_oauth::{
    AccessToken, Challenge, LoginWanted, Nonce, Rejection, Retry, TokenError, TokenSource,
};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use rmcp::model::ClientJsonRpcMessage;
use serde_json::Value;

use crate::fault::HttpFault;
use crate::own_secrets::OwnSecrets;

/// The first attempt, one renewal, one login, and step-ups that each ask for more than the last.
const MAX_SENT: usize = 5;

/// Sends a request with the source's token, again while the source knows how to go on.
pub(crate) async fn send(
    http: &HttpClient,
    source: &dyn TokenSource,
    request: Request,
    operation: &str,
    secrets: &OwnSecrets,
) -> Result<Response, HttpFault> {
    let mut n_sent = 0;
    let mut had_nonce = false;
    loop {
        let token = source.token().await.map_err(no_token)?;
        let request = signed(&request, token.as_ref())?;
        if let Some(authorization) = request.headers.get(AUTHORIZATION) {
            secrets.sent(authorization);
        }
        let mut response = http.send(request).await?;
        let nonce = token.as_ref().map_or(Nonce::None, |token| {
            token.seen(&response.url, &response.headers)
        });
        match nonce {
            Nonce::None => {}
            // The token is as good as before: its source need not know.
            Nonce::Wanted if !had_nonce => {
                had_nonce = true;
                continue;
            }
            Nonce::Wanted | Nonce::Withheld => {
                return Err(HttpFault::NoToken {
                    why: "it keeps asking for a nonce in the proof of our key (DPoP)".to_owned(),
                    may_pass: false,
                });
            }
        }
        n_sent += 1;
        if !is_refusal(&response) {
            return Ok(response);
        }
        redact_challenges(&mut response.headers, secrets);
        let status = response.status.as_u16();
        let rejection = Rejection {
            status,
            challenge: Challenge::from_headers(&response.headers),
            operation: operation.to_owned(),
            is_repeat: n_sent > 1,
        };
        let fault = |wanted: Option<LoginWanted>| HttpFault::Login {
            status,
            challenge: challenge_text(&response.headers),
            token_sent: token.is_some(),
            wanted: wanted.map(Box::new),
        };
        match source.rejected(token.as_ref(), &rejection).await {
            Retry::Again if n_sent < MAX_SENT => {}
            Retry::Again => return Err(fault(None)),
            Retry::Login(wanted) => return Err(fault(Some(wanted))),
            Retry::Refused(why) => {
                return Err(HttpFault::NoToken {
                    why,
                    may_pass: false,
                });
            }
            Retry::NotNow(why) => {
                return Err(HttpFault::NoToken {
                    why,
                    may_pass: true,
                });
            }
        }
    }
}

/// What is tried, for the bound on step-ups: `tools/call echo`.
pub(crate) fn operation(message: &ClientJsonRpcMessage) -> String {
    let message = serde_json::to_value(message).unwrap_or_default();
    let method = message.get("method").and_then(Value::as_str);
    let method = method.unwrap_or("answer");
    match message.pointer("/params/name").and_then(Value::as_str) {
        Some(name) => format!("{method} {name}"),
        None => method.to_owned(),
    }
}

/// Returns all challenges of a response as one field.
pub(crate) fn challenge_text(headers: &HeaderMap) -> Option<String> {
    let fields = headers.get_all(WWW_AUTHENTICATE).into_iter();
    let fields: Vec<&str> = fields.filter_map(|value| value.to_str().ok()).collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}

/// A challenge is shown and kept, and its description is free text.
fn redact_challenges(headers: &mut HeaderMap, secrets: &OwnSecrets) {
    for (name, value) in headers.iter_mut() {
        if name == WWW_AUTHENTICATE
            && let Ok(words) = value.to_str()
            && let Ok(redacted) = HeaderValue::from_str(&secrets.redacted(words))
        {
            *value = redacted;
        }
    }
}

fn is_refusal(response: &Response) -> bool {
    match response.status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => response.headers.contains_key(WWW_AUTHENTICATE),
        _ => false,
    }
}

fn signed(request: &Request, token: Option<&AccessToken>) -> Result<Request, HttpFault> {
    let mut request = request.clone();
    if let Some(token) = token {
        let signed = token.sign(&request.method, &request.url, &mut request.headers);
        signed.map_err(|why| HttpFault::Unsendable {
            why: why.to_owned(),
        })?;
    }
    Ok(request)
}

fn no_token(error: TokenError) -> HttpFault {
    match error {
        TokenError::LoginRequired(wanted) => HttpFault::Login {
            status: StatusCode::UNAUTHORIZED.as_u16(),
            challenge: None,
            token_sent: false,
            wanted: Some(Box::new(wanted)),
        },
        TokenError::NotNow { why, .. } => HttpFault::NoToken {
            why: format!("its login cannot be renewed: {why}"),
            may_pass: true,
        },
        TokenError::Refused { why, .. } => HttpFault::NoToken {
            why: format!("there is no token: {why}"),
            may_pass: false,
        },
        TokenError::Store { why, .. } => HttpFault::NoToken {
            why: format!("its stored login cannot be used: {why}"),
            may_pass: false,
        },
    }
}
