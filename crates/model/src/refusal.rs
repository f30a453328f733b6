//! From a provider's refusal or failure to our sentence, kind and fault (contract-model-api 10, 11).

use std::time::Duration;

use codex_api_types::ProviderError;
use codex_protocol::TurnErrorKind;

use crate::retry::{Fault, LONGEST_ASKED_WAIT};
use crate::{ErrorOrigin, delay};

/// How much of a body without JSON is shown.
const SHOWN_CHARACTERS: usize = 200;
/// Quotas that no wait of ours outlasts.
const QUOTA: [&str; 3] = [
    "insufficient_quota",
    "usage_limit_reached",
    "usage_not_included",
];
const CONTEXT: &str = "context_length_exceeded";

/// One failed try: what to say, what it is, and what it means for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) origin: ErrorOrigin,
    pub(crate) kind: TurnErrorKind,
    pub(crate) message: String,
    pub(crate) hints: Vec<String>,
}

impl Failure {
    /// Makes a failure without hints.
    pub(crate) fn new(
        fault: Fault,
        origin: ErrorOrigin,
        kind: TurnErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            fault,
            origin,
            kind,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Makes the failure of an answer that broke off.
    pub(crate) fn stream(message: impl Into<String>) -> Self {
        let kind = TurnErrorKind::ResponseStreamDisconnected { status: Some(200) };
        Self::new(Fault::Stream, ErrorOrigin::Stream, kind, message)
    }

    /// Returns the status of the refusal, when there was one.
    pub(crate) fn status(&self) -> Option<u16> {
        match (self.origin, self.kind) {
            (ErrorOrigin::Refused(status), _) => Some(status),
            (_, TurnErrorKind::ResponseStreamDisconnected { status }) => status,
            _ => None,
        }
    }
}

/// Reads a refusal: any status that is not a success.
///
/// `asked` is the delay of the headers; `renewable` says whether the key can be fetched anew.
pub(crate) fn refused(
    status: u16,
    asked: Option<Duration>,
    body: &str,
    renewable: bool,
) -> Failure {
    let error = ProviderError::from_body(body);
    let known = error.clone().unwrap_or_default();
    let words = match &known.message {
        Some(message) => message.clone(),
        None if error.is_some() => String::new(),
        None => codex_http::page_words(body).unwrap_or_else(|| excerpt(body)),
    };
    let asked = asked.or_else(|| delay::from_text(&words));
    let quota = known.is(&QUOTA);
    let fault = match status {
        401 => Fault::Unauthorized { renewable },
        429 if quota => Fault::Permanent,
        429 => Fault::RateLimited { asked },
        503 => Fault::Unavailable { asked },
        408 | 500..=599 => Fault::Server { asked },
        _ => Fault::Permanent,
    };
    let kind = match status {
        401 | 403 => TurnErrorKind::Unauthorized,
        429 if quota => TurnErrorKind::UsageLimitExceeded,
        429 => TurnErrorKind::RateLimitExceeded,
        503 | 529 => TurnErrorKind::ServerOverloaded,
        500..=599 | 408 => TurnErrorKind::InternalServerError,
        _ if known.is(&[CONTEXT]) => TurnErrorKind::ContextWindowExceeded,
        404 if known.is(&["model_not_found"]) => TurnErrorKind::ModelNotFound,
        _ => TurnErrorKind::BadRequest,
    };
    let mut message = sentence(&words, status, known.code.as_deref());
    if quota && let Some(reset) = reset(&known) {
        message.push_str(&reset);
    }
    let mut failure = Failure::new(fault, ErrorOrigin::Refused(status), kind, message);
    if status == 401 {
        failure.hints.push(
            "check the key of this provider: OPENAI_API_KEY, CODEX_API_KEY or its `env_key`"
                .to_owned(),
        );
    }
    if error.is_none() && codex_http::page_words(body).is_some() {
        failure
            .hints
            .push("an API answers in JSON: check the `base_url` of this provider".to_owned());
    }
    failure
}

/// Reads `response.failed` or `error` within an answer.
pub(crate) fn failed(error: &ProviderError) -> Failure {
    let words = error.message.as_deref().unwrap_or("the provider failed");
    let code = error.code.as_deref();
    let (fault, kind) = if error.is(&QUOTA) {
        (Fault::Permanent, TurnErrorKind::UsageLimitExceeded)
    } else if error.is(&[CONTEXT]) {
        (Fault::Permanent, TurnErrorKind::ContextWindowExceeded)
    } else if error.is(&["rate_limit_exceeded"]) {
        let asked = delay::from_text(words);
        (
            Fault::RateLimited { asked },
            TurnErrorKind::RateLimitExceeded,
        )
    } else if error.is(&["server_is_overloaded", "slow_down"]) {
        (Fault::Stream, TurnErrorKind::ServerOverloaded)
    } else if error.is(&["model_not_found"]) {
        (Fault::Permanent, TurnErrorKind::ModelNotFound)
    } else if error.is(&["invalid_api_key", "authentication_error"]) {
        (Fault::Permanent, TurnErrorKind::Unauthorized)
    } else if code.is_some_and(is_client_fault) || error.is(&["invalid_request_error"]) {
        (Fault::Permanent, TurnErrorKind::BadRequest)
    } else {
        (Fault::Stream, TurnErrorKind::InternalServerError)
    };
    let mut message = words.to_owned();
    if let Some(code) = code {
        message.push_str(&format!(" (code {code})"));
    }
    if fault == Fault::Permanent
        && let Some(reset) = reset(error)
    {
        message.push_str(&reset);
    }
    Failure::new(fault, ErrorOrigin::Provider, kind, message)
}

/// Reads `response.incomplete`.
pub(crate) fn incomplete(reason: &str) -> Failure {
    let message = format!("incomplete: {reason}");
    Failure::new(
        Fault::Permanent,
        ErrorOrigin::Provider,
        TurnErrorKind::Other,
        message,
    )
}

/// Returns what to append when a wait is too long to sit out.
pub(crate) fn too_long(delay: Duration) -> String {
    let limit = LONGEST_ASKED_WAIT.as_secs();
    let asked = delay::in_words(delay);
    format!("; the provider asks to wait {asked}, more than the {limit} s that we wait")
}

fn is_client_fault(code: &str) -> bool {
    code.starts_with("invalid_") || code.starts_with("unsupported_") || code.ends_with("_violation")
}

fn sentence(words: &str, status: u16, code: Option<&str>) -> String {
    let words = match words.is_empty() {
        true => http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("refused without a reason"),
        false => words,
    };
    match code {
        Some(code) => format!("{words} (HTTP {status}, code {code})"),
        None => format!("{words} (HTTP {status})"),
    }
}

/// Says when a quota resets, when the provider knows.
fn reset(error: &ProviderError) -> Option<String> {
    if let Some(seconds) = error.resets_in_seconds {
        let wait = delay::in_words(Duration::from_secs(seconds));
        return Some(format!("; it resets in {wait}"));
    }
    let time = jiff::Timestamp::from_second(error.resets_at?).ok()?;
    Some(format!("; it resets at {time}"))
}

/// Returns the beginning of a body on one line, control characters removed.
fn excerpt(body: &str) -> String {
    let words = body.split(|c: char| c.is_whitespace() || c.is_control());
    let line: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    line.join(" ").chars().take(SHOWN_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn row(status: u16, body: &str) -> String {
        let failure = refused(status, None, body, false);
        format!(
            "{} | {:?} | {:?}",
            failure.message, failure.kind, failure.fault
        )
    }

    #[test]
    fn a_refusal_keeps_the_words_of_the_provider_with_status_and_code() {
        assert_snapshot!(row(400, r#"{"error":{"message":"bad thing","code":"invalid_value"}}"#),
            @"bad thing (HTTP 400, code invalid_value) | BadRequest | Permanent");
        assert_snapshot!(row(400, r#"{"error":{"message":"bad thing","type":"invalid_request_error","code":null}}"#),
            @"bad thing (HTTP 400) | BadRequest | Permanent");
        assert_snapshot!(row(400, r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#),
            @"too long (HTTP 400, code context_length_exceeded) | ContextWindowExceeded | Permanent");
        assert_snapshot!(row(404, r#"{"error":{"message":"no model x","code":"model_not_found"}}"#),
            @"no model x (HTTP 404, code model_not_found) | ModelNotFound | Permanent");
        assert_snapshot!(row(401, r#"{"error":{"message":"wrong key","code":"invalid_api_key"}}"#),
            @"wrong key (HTTP 401, code invalid_api_key) | Unauthorized | Unauthorized { renewable: false }");
        assert_snapshot!(row(500, ""),
            @"Internal Server Error (HTTP 500) | InternalServerError | Server { asked: None }");
        assert_snapshot!(row(503, r#"{"error":{"message":"busy"}}"#),
            @"busy (HTTP 503) | ServerOverloaded | Unavailable { asked: None }");
        assert_snapshot!(row(307, ""), @"Temporary Redirect (HTTP 307) | BadRequest | Permanent");
    }

    #[test]
    fn a_page_is_shown_by_its_first_200_characters_on_one_line() {
        let page = format!("<html>\r\n  <body>\u{1b}[31m{}", "ä".repeat(300));
        let failure = refused(502, None, &page, false);
        assert!(
            failure.message.starts_with("<html> <body> [31mää"),
            "{}",
            failure.message
        );
        assert_eq!(failure.message.chars().count(), 200 + " (HTTP 502)".len());
    }

    #[test]
    fn a_page_with_a_title_is_told_by_it_and_the_address_is_doubted() {
        let page = "<html><head><title>Not\nFound</title></head><body>nope</body></html>";
        let failure = refused(404, None, page, false);
        assert_snapshot!(failure.message, @r#"a web page, "Not Found" (HTTP 404)"#);
        assert_eq!(
            failure.hints,
            ["an API answers in JSON: check the `base_url` of this provider"]
        );
    }

    #[test]
    fn rate_limits_and_quotas_are_told_apart() {
        assert_snapshot!(row(429, r#"{"error":{"message":"Please try again in 1.5s.","code":"rate_limit_exceeded"}}"#),
            @"Please try again in 1.5s. (HTTP 429, code rate_limit_exceeded) | RateLimitExceeded | RateLimited { asked: Some(1.5s) }");
        assert_snapshot!(row(429, "slow down"), @"slow down (HTTP 429) | RateLimitExceeded | RateLimited { asked: None }");
        assert_snapshot!(row(429, r#"{"error":{"message":"pay","type":"insufficient_quota"}}"#),
            @"pay (HTTP 429) | UsageLimitExceeded | Permanent");
        assert_snapshot!(row(429, r#"{"error":{"message":"used","type":"usage_limit_reached","resets_in_seconds":7200}}"#),
            @"used (HTTP 429); it resets in 2 hours | UsageLimitExceeded | Permanent");
        assert_snapshot!(row(429, r#"{"error":{"message":"used","type":"usage_limit_reached","resets_at":1700000000}}"#),
            @"used (HTTP 429); it resets at 2023-11-14T22:13:20Z | UsageLimitExceeded | Permanent");
    }

    #[test]
    fn the_delay_of_the_header_wins_over_the_one_in_the_text() {
        let body = r#"{"error":{"message":"try again in 9s"}}"#;
        let failure = refused(429, Some(Duration::from_secs(2)), body, false);
        let asked = Some(Duration::from_secs(2));
        assert_eq!(failure.fault, Fault::RateLimited { asked });
    }

    #[test]
    fn failures_within_an_answer_have_their_own_rows() {
        let row = |code: Option<&str>| {
            let failure = failed(&ProviderError {
                message: Some("boom".to_owned()),
                code: code.map(str::to_owned),
                ..ProviderError::default()
            });
            format!(
                "{} | {:?} | {:?}",
                failure.message, failure.kind, failure.fault
            )
        };
        assert_snapshot!(row(Some("server_error")), @"boom (code server_error) | InternalServerError | Stream");
        assert_snapshot!(row(Some("server_is_overloaded")), @"boom (code server_is_overloaded) | ServerOverloaded | Stream");
        assert_snapshot!(row(Some("never_heard")), @"boom (code never_heard) | InternalServerError | Stream");
        assert_snapshot!(row(None), @"boom | InternalServerError | Stream");
        assert_snapshot!(row(Some("rate_limit_exceeded")), @"boom (code rate_limit_exceeded) | RateLimitExceeded | RateLimited { asked: None }");
        assert_snapshot!(row(Some("context_length_exceeded")), @"boom (code context_length_exceeded) | ContextWindowExceeded | Permanent");
        assert_snapshot!(row(Some("insufficient_quota")), @"boom (code insufficient_quota) | UsageLimitExceeded | Permanent");
        assert_snapshot!(row(Some("invalid_prompt")), @"boom (code invalid_prompt) | BadRequest | Permanent");
    }
}
