//! Requests to authorization servers: small answers, short limits, no credentials that travel.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_http::{
    HttpClient, HttpError, HttpErrorKind, Limits, Redirects, Request, Response, RetryAfter,
    shown_url,
};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use crate::Services;
use crate::address::AddressRule;
use crate::dpop::{Nonces, PROOF};
use crate::form::Form;
use crate::services::NEWEST_REVISION;

/// For one metadata document.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(3);

/// For registration, tokens, device codes.
pub(crate) const POST_LIMIT: Duration = Duration::from_secs(15);

const MAX_BODY: u64 = 64 * 1024;

/// What a metadata address answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A JSON object.
    Document {
        /// The object.
        json: Value,
        /// The status.
        status: u16,
    },
    /// Something else that means: there is nothing here.
    Absent {
        /// What came.
        why: String,
        /// The status.
        status: u16,
    },
    /// We do not ask there.
    Forbidden(String),
    /// It did not work now.
    Failed {
        /// What happened.
        why: String,
        /// The status, if one came.
        status: Option<u16>,
    },
}

impl Answer {
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Document { status, .. } | Self::Absent { status, .. } => Some(*status),
            Self::Forbidden(_) => None,
            Self::Failed { status, .. } => *status,
        }
    }

    pub(crate) fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Sends requests of one login or renewal.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    /// Connects only to addresses that the rule allows.
    http: HttpClient,
    version: String,
    rule: AddressRule,
    nonces: Nonces,
}

/// An answer to a POST: the status and whatever JSON came.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) status: u16,
    /// `Null` when the body is no JSON.
    pub(crate) json: Value,
    pub(crate) retry_after: Option<RetryAfter>,
    /// Whether it brought a nonce for the next proof.
    pub(crate) has_nonce: bool,
}

/// Why no answer came to a POST.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct PostError {
    pub(crate) message: String,
    /// Whether the peer cannot have seen it: only then it may be sent again.
    pub(crate) is_unsent: bool,
}

impl From<HttpError> for PostError {
    fn from(error: HttpError) -> Self {
        Self {
            message: error.to_string(),
            is_unsent: error.retry() == codex_http::Retry::Safe,
        }
    }
}

impl Posted {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Fetcher {
    pub(crate) fn new(services: &Services, rule: AddressRule) -> Self {
        let filter = Arc::new(move |address| rule.allows_address(address));
        Self {
            http: services.http.only_to(filter),
            version: services.version.clone(),
            rule,
            nonces: services.nonces.clone(),
        }
    }

    /// For an endpoint that a login recorded: it was checked when the login was made, but a name
    /// may lead elsewhere today.
    pub(crate) async fn for_record(
        services: &Services,
        key: &crate::ServerKey,
        settings: &crate::ClientSettings,
    ) -> Self {
        let is_pinned = settings.pinned_issuer.is_some();
        let rule = match key.url.parse() {
            Ok(server_url) => AddressRule::for_server(&server_url, is_pinned).await,
            Err(_) => AddressRule::public(),
        };
        Self::new(services, rule)
    }

    /// Gets a metadata document.
    pub(crate) async fn document(&self, url: &Url) -> Answer {
        if let Some(why) = self.rule.refuse_shape(url) {
            return Answer::Forbidden(why);
        }
        let work = async {
            let request = self
                .request(Method::GET, url, DOCUMENT_LIMIT)
                .redirects(Redirects::SameScheme)
                .header(
                    HeaderName::from_static("mcp-protocol-version"),
                    HeaderValue::from_static(NEWEST_REVISION),
                );
            let response = self.http.send(request).await?;
            let status = response.status.as_u16();
            let end = response.url.clone();
            // A server that opens a stream at any path below its own has no document there.
            let is_stream = response.content_type().as_deref() == Some("text/event-stream");
            let body = match response.status.is_success() && !is_stream {
                true => response.body.bytes().await?,
                false => Bytes::new(),
            };
            Ok::<_, HttpError>((status, body, end))
        };
        let outcome = tokio::time::timeout(DOCUMENT_LIMIT, work).await;
        let shown = shown_url(url);
        match outcome {
            Err(_) => Answer::Failed {
                why: format!("`{shown}` did not answer within {DOCUMENT_LIMIT:?}"),
                status: None,
            },
            Ok(Err(error)) => failed_document(&error),
            // A redirect leads to the same kind of place or nowhere.
            Ok(Ok((_, _, end))) if self.rule.refuse_shape(&end).is_some() => {
                let why = self.rule.refuse_shape(&end).unwrap_or_default();
                Answer::Forbidden(why)
            }
            Ok(Ok((status @ 500.., ..))) => Answer::Failed {
                why: format!("`{shown}` answered with HTTP {status}"),
                status: Some(status),
            },
            Ok(Ok((status, body, _))) => match serde_json::from_slice::<Value>(&body) {
                Ok(json) if json.is_object() && status < 300 => Answer::Document { json, status },
                _ if status >= 300 => Answer::Absent {
                    why: format!("HTTP {status}"),
                    status,
                },
                _ => Answer::Absent {
                    why: "not a JSON object".to_owned(),
                    status,
                },
            },
        }
    }

    /// Posts a form with secrets; what its receiver says about it does not show them.
    pub(crate) async fn post_form(
        &self,
        url: &Url,
        form: &Form,
        limit: Duration,
    ) -> Result<Posted, PostError> {
        self.post_proven(url, form, None, limit).await
    }

    /// Posts a form with the proof that a key is ours.
    pub(crate) async fn post_proven(
        &self,
        url: &Url,
        form: &Form,
        proof: Option<HeaderValue>,
        limit: Duration,
    ) -> Result<Posted, PostError> {
        let mut request = self.request(Method::POST, url, limit);
        request.body = Bytes::from(form.body());
        request = request.header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if let Some(value) = form.authorization() {
            request = request.secret_header(AUTHORIZATION, value);
        }
        if let Some(proof) = proof {
            request = request.secret_header(PROOF, proof);
        }
        let mut posted = self.post(request, limit).await?;
        for field in ["error", "error_description"] {
            if let Some(words) = posted.json[field].as_str() {
                posted.json[field] = form.redacted(words).into();
            }
        }
        Ok(posted)
    }

    /// Posts JSON.
    pub(crate) async fn post_json(
        &self,
        url: &Url,
        json: &Value,
        limit: Duration,
    ) -> Result<Posted, PostError> {
        let mut request = self.request(Method::POST, url, limit);
        request.body = Bytes::from(json.to_string());
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.post(request, limit).await
    }

    async fn post(&self, request: Request, limit: Duration) -> Result<Posted, PostError> {
        if let Some(message) = self.rule.refuse_shape(&request.url) {
            let is_unsent = true;
            return Err(PostError { message, is_unsent });
        }
        let response = self.http.send(request).await?;
        let has_nonce = self.nonces.learn(&response.url, &response.headers);
        let posted = read(response, limit).await?;
        Ok(Posted {
            has_nonce,
            ..posted
        })
    }

    fn request(&self, method: Method, url: &Url, limit: Duration) -> Request {
        let name = format!("codex-mcp-client/{}", self.version);
        let mut request = Request::new(method, url.clone())
            .redirects(Redirects::None)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .limits(Limits {
                headers: Some(limit),
                idle: Some(limit),
                body: Some(MAX_BODY),
            });
        if let Ok(name) = HeaderValue::from_str(&name) {
            request = request.header(USER_AGENT, name);
        }
        request
    }
}

async fn read(response: Response, limit: Duration) -> Result<Posted, PostError> {
    let status = response.status.as_u16();
    let retry_after = RetryAfter::from_headers(&response.headers);
    let url = response.url.clone();
    // Each piece has its own limit; the sum of many slow pieces has this one.
    let body = tokio::time::timeout(limit, response.body.bytes()).await;
    let json = match body {
        Ok(Ok(bytes)) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => {
            let message = format!("`{}` did not answer within {limit:?}", shown_url(&url));
            let is_unsent = false;
            return Err(PostError { message, is_unsent });
        }
    };
    Ok(Posted {
        status,
        json,
        retry_after,
        has_nonce: false,
    })
}

fn failed_document(error: &HttpError) -> Answer {
    match error.kind() {
        HttpErrorKind::Redirect | HttpErrorKind::AddressForbidden => {
            Answer::Forbidden(error.to_string())
        }
        _ => Answer::Failed {
            why: error.to_string(),
            status: None,
        },
    }
}
