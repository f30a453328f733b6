//! One request to a token endpoint and the reading of its answer.

use codex_host::Secret;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

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
}

impl<'a> Client<'a> {
    /// The client of a login: a configured secret beats the one of a registration.
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
        }
    }

    /// Nobody in particular: an assertion says who asks.
    pub(crate) fn anonymous() -> Self {
        Self {
            client_id: "",
            secret: None,
            method: AuthMethod::None,
            signing_key: None,
            issuer: "",
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
    let form = client.prove(form, now)?;
    let posted = post_form(fetcher, endpoint, &form).await?;
    read_answer(&posted, now)
}

/// Posts a form to a token endpoint.
pub(crate) async fn post_form(
    fetcher: &Fetcher,
    endpoint: &Url,
    form: &Form,
) -> Result<Posted, TokenRequestError> {
    Ok(fetcher.post_form(endpoint, form, POST_LIMIT).await?)
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
    if !token_type.eq_ignore_ascii_case("bearer") {
        return Err(TokenRequestError::Answer("its `token_type` is not Bearer"));
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
        };
        read_answer(&posted, Timestamp::UNIX_EPOCH)
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
