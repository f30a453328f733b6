//! One request to a token endpoint and the reading of its answer.

use codex_host::Secret;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use crate::dpop::{self, Prover};
use crate::fetch::{Fetcher, POST_LIMIT, PostError, Posted};
use crate::form::Form;
use crate::jwt::{self, SigningKey};
use crate::{AuthMethod, ClientRecord, ClientSettings, Scopes};

/// Why a token endpoint gave no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRequestError {
    /// It said no, with an OAuth error code.
    #[error("the token endpoint answered `{code}`{}", detail(.description))]
    Denied {
        /// `invalid_grant`, `invalid_client`, …
        code: String,
        /// Its words, fit to be shown.
        description: Option<String>,
    },
    /// It answered with a status that means: not now, or not like this.
    #[error("the token endpoint answered with HTTP {status}")]
    Status {
        /// The status.
        status: u16,
        /// The wait that it asked for.
        retry_after: Option<std::time::Duration>,
    },
    /// It could not be reached, or its answer broke off.
    #[error("{message}")]
    Network {
        /// What happened.
        message: String,
        /// Whether it cannot have seen the request.
        is_unsent: bool,
    },
    /// Its answer is no token answer.
    #[error("the token endpoint's answer cannot be used: {0}")]
    Answer(&'static str),
    /// We cannot prove who we are in the way that is asked for.
    #[error("{0}")]
    Client(String),
}

impl TokenRequestError {
    /// Whether the same request may be answered otherwise a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Denied { code, .. } => matches!(
                code.as_str(),
                "temporarily_unavailable" | "server_error" | "slow_down"
            ),
            Self::Answer(_) | Self::Client(_) => false,
        }
    }

    /// The wait that the server asked for.
    pub(crate) fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Denied { .. } | Self::Network { .. } | Self::Answer(_) | Self::Client(_) => None,
        }
    }
}

impl From<PostError> for TokenRequestError {
    fn from(error: PostError) -> Self {
        Self::Network {
            message: error.message,
            is_unsent: error.is_unsent,
        }
    }
}

fn detail(description: &Option<String>) -> String {
    match description {
        Some(text) => format!(": {text}"),
        None => String::new(),
    }
}

/// What a token endpoint gave.
#[derive(Debug, Clone)]
pub(crate) struct TokenAnswer {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) obtained_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Scopes>,
    /// Whether the access token is bound to the key that was shown.
    pub(crate) is_bound: bool,
}

/// Who asks, and how that is proved.
#[derive(Debug, Clone)]
pub(crate) struct Client<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) method: AuthMethod,
    pub(crate) signing_key: Option<&'a SigningKey>,
    /// The audience of an assertion.
    pub(crate) issuer: &'a str,
    /// The key that tokens are to be bound to.
    pub(crate) dpop: Option<Dpop>,
}

/// A key that tokens are to be bound to.
#[derive(Debug, Clone)]
pub(crate) struct Dpop {
    pub(crate) prover: Prover,
    /// Whether a token that is not bound is of no use.
    pub(crate) is_required: bool,
}

impl<'a> Client<'a> {
    /// The client of a login: the secret of its record, which a registration or the user gave, beats
    /// one from the config.
    pub(crate) fn of(record: &'a ClientRecord, settings: &'a ClientSettings) -> Self {
        let configured = settings.pre_registered.as_ref();
        let configured = configured.filter(|client| client.client_id == record.client_id);
        let secret = record.client_secret.as_ref();
        Self {
            client_id: &record.client_id,
            secret: secret.or(configured.and_then(|client| client.secret.as_ref())),
            method: settings.auth_method.unwrap_or(record.auth_method),
            signing_key: settings.signing_key.as_ref(),
            issuer: &record.issuer,
            dpop: None,
        }
    }

    /// The same with a key that tokens are to be bound to, if there is one.
    pub(crate) fn bound_to(self, dpop: Option<Dpop>) -> Self {
        Self { dpop, ..self }
    }

    /// Nobody in particular: an assertion says who asks.
    pub(crate) fn anonymous() -> Self {
        Self {
            client_id: "",
            secret: None,
            method: AuthMethod::None,
            signing_key: None,
            issuer: "",
            dpop: None,
        }
    }

    /// Adds the client and its proof to a form.
    pub(crate) fn prove(&self, form: Form, now: Timestamp) -> Result<Form, TokenRequestError> {
        let missing = |what: &str| {
            let method = self.method;
            TokenRequestError::Client(format!("`{method}` needs {what}, and there is none"))
        };
        match self.method {
            AuthMethod::None => {
                let named = Some(self.client_id).filter(|id| !id.is_empty());
                Ok(form.with_some("client_id", named))
            }
            AuthMethod::ClientSecretBasic => {
                let secret = self.secret.ok_or_else(|| missing("a client secret"))?;
                // Some servers look for the client in the form whatever the header says.
                let form = form.with("client_id", self.client_id);
                Ok(form.with_basic(self.client_id, secret))
            }
            AuthMethod::ClientSecretPost => {
                let secret = self.secret.ok_or_else(|| missing("a client secret"))?;
                Ok(form
                    .with("client_id", self.client_id)
                    .with("client_secret", secret.expose()))
            }
            AuthMethod::PrivateKeyJwt => {
                let key = self.signing_key.ok_or_else(|| missing("a private key"))?;
                let assertion = jwt::client_assertion(key, self.client_id, self.issuer, now)
                    .map_err(|error| TokenRequestError::Client(error.to_string()))?;
                Ok(form
                    .with("client_id", self.client_id)
                    .with("client_assertion_type", jwt::ASSERTION_TYPE)
                    .with("client_assertion", assertion.expose()))
            }
        }
    }
}

/// Asks for tokens.
pub(crate) async fn request_tokens(
    fetcher: &Fetcher,
    endpoint: &Url,
    form: Form,
    client: &Client<'_>,
    now: Timestamp,
) -> Result<TokenAnswer, TokenRequestError> {
    let mut posted = ask(fetcher, endpoint, &form, client, now).await?;
    // Nothing was judged yet but the proof, so that even a code is as good as before.
    if posted.json["error"] == dpop::WANTS_NONCE && posted.has_nonce && client.dpop.is_some() {
        posted = ask(fetcher, endpoint, &form, client, now).await?;
    }
    read_answer(&posted, now, client.dpop.as_ref())
}

/// Posts a form with every proof that its client has, each made for this one time.
pub(crate) async fn ask(
    fetcher: &Fetcher,
    endpoint: &Url,
    form: &Form,
    client: &Client<'_>,
    now: Timestamp,
) -> Result<Posted, TokenRequestError> {
    let form = client.prove(form.clone(), now)?;
    let proof = client.dpop.as_ref();
    let proof = proof.map(|dpop| dpop.prover.proof(&Method::POST, endpoint, None));
    let proof = proof.transpose();
    let proof = proof.map_err(|error| TokenRequestError::Client(error.to_string()))?;
    Ok(fetcher
        .post_proven(endpoint, &form, proof, POST_LIMIT)
        .await?)
}

/// Reads what a token endpoint has against a request.
pub(crate) fn refusal(posted: &Posted, now: Timestamp) -> Option<TokenRequestError> {
    let json = &posted.json;
    // Some providers send their error with 200.
    if let Some(code) = json["error"].as_str() {
        return Some(TokenRequestError::Denied {
            code: plain_text(code, 100),
            description: json["error_description"]
                .as_str()
                .map(|text| plain_text(text, 300))
                .filter(|text| !text.is_empty()),
        });
    }
    (!posted.is_success()).then(|| TokenRequestError::Status {
        status: posted.status,
        retry_after: posted.retry_after.map(|wait| wait.delay(now)),
    })
}

/// Reads the answer of a token endpoint.
pub(crate) fn read_answer(
    posted: &Posted,
    now: Timestamp,
    dpop: Option<&Dpop>,
) -> Result<TokenAnswer, TokenRequestError> {
    if let Some(error) = refusal(posted, now) {
        return Err(error);
    }
    let json = &posted.json;
    let Some(token) = json["access_token"].as_str() else {
        return Err(TokenRequestError::Answer("it holds no `access_token`"));
    };
    if token.is_empty() || !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(TokenRequestError::Answer(
            "its `access_token` cannot be sent",
        ));
    }
    // RFC 6749 requires it; a server that forgets it means Bearer.
    let token_type = json["token_type"].as_str().unwrap_or("Bearer");
    let is_bound = token_type.eq_ignore_ascii_case("dpop") && dpop.is_some();
    if !is_bound && !token_type.eq_ignore_ascii_case("bearer") {
        return Err(TokenRequestError::Answer("its `token_type` is not Bearer"));
    }
    if !is_bound && dpop.is_some_and(|dpop| dpop.is_required) {
        return Err(TokenRequestError::Answer(
            "the server wants a token that is bound to a key (DPoP), and it is a bearer token",
        ));
    }
    let refresh_token = json["refresh_token"]
        .as_str()
        .filter(|text| !text.is_empty());
    Ok(TokenAnswer {
        access_token: Secret::new(token),
        refresh_token: refresh_token.map(Secret::new),
        obtained_at: whole_milliseconds(now),
        expires_at: expiry(&json["expires_in"], now),
        scopes: json["scope"].as_str().map(Scopes::parse),
        is_bound,
    })
}

/// Reads `expires_in`: seconds, as some write it in a string or with a fraction; else unknown.
fn expiry(value: &Value, now: Timestamp) -> Option<Timestamp> {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    let life = SignedDuration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    whole_milliseconds(now.checked_add(life).ok()?)
}

/// As the records keep times: what is read back is what was written.
fn whole_milliseconds(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.as_millisecond()).ok()
}

/// A stranger's text as something that may be shown: no control characters, a bounded length.
pub(crate) fn plain_text(text: &str, max: usize) -> String {
    // Bidirectional marks can turn a line around as an escape code can.
    let is_harmless = |letter: &char| {
        !letter.is_control()
            && !matches!(*letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(is_harmless).take(max).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: u16, json: Value) -> Result<TokenAnswer, TokenRequestError> {
        let posted = Posted {
            status,
            json,
            retry_after: None,
            has_nonce: false,
        };
        read_answer(&posted, Timestamp::UNIX_EPOCH, None)
    }

    #[test]
    fn expires_in_may_be_a_number_a_text_or_nothing() {
        let rows = [
            (json!(3600), Some(3600)),
            (json!("3600"), Some(3600)),
            (json!(1.5), Some(1)),
            (json!(-5), Some(0)),
            (json!(0), Some(0)),
            (json!(null), None),
            (json!("soon"), None),
            (json!(1e300), None),
        ];
        for (value, seconds) in rows {
            let answer = read(
                200,
                json!({"access_token": "t", "token_type": "bearer", "expires_in": value}),
            );
            let expires_at = answer.unwrap().expires_at;
            assert_eq!(expires_at.map(Timestamp::as_second), seconds, "{value}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for answer in [
            json!({}),
            json!(null),
            json!({"access_token": ""}),
            json!({"access_token": "a b"}),
            json!({"access_token": "a\r\nX: y"}),
            json!({"access_token": "t", "token_type": "mac"}),
            json!({"access_token": "t", "token_type": "DPoP"}),
        ] {
            let error = read(200, answer.clone()).unwrap_err();
            assert!(
                matches!(error, TokenRequestError::Answer(_)),
                "{answer} {error}"
            );
        }
    }

    #[test]
    fn an_error_wins_over_the_status_and_is_shown_without_escape_codes() {
        let error = read(
            200,
            json!({"error": "invalid_grant", "error_description": "\u{1b}[31mno\u{202e}"}),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "the token endpoint answered `invalid_grant`: [31mno"
        );
        let error = read(503, json!(null)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the token endpoint answered with HTTP 503"
        );
    }
}
