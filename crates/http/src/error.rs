//! Why a request or its body failed, as data and as one sentence without secrets.

use std::borrow::Cow;
use std::error::Error as StdError;

use url::Url;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The address is not an absolute http or https URL.
    BadUrl,
    /// The request itself cannot be sent (a header or token that is no legal value).
    BadRequest,
    /// The host's name did not resolve.
    Dns,
    /// Nobody listens there.
    Refused,
    /// There is no way to the host, or connecting failed in another way.
    Unreachable,
    /// Connecting took longer than its limit.
    ConnectTimeout,
    /// The TLS handshake failed, the certificate for instance, or the CA roots did not load.
    Tls,
    /// The proxy's address is bad or unsupported, or it refused.
    Proxy,
    /// No headers came within the limit.
    HeadersTimeout,
    /// The body was silent longer than its limit.
    IdleTimeout,
    /// The connection broke.
    Reset,
    /// What came is not HTTP, or broke its rules.
    Protocol,
    /// The body is larger than its limit.
    BodyTooLarge,
    /// A redirect led to another origin, nowhere, or too far.
    Redirect,
    /// The body is not the JSON that was expected.
    NotJson,
    /// One server-sent event is larger than its limit.
    EventTooLarge,
}

/// Whether the same request may be sent again. What is worth a try is the caller's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The peer never saw the request: repeating it is safe, whatever it asks for.
    Safe,
    /// The peer may have acted on it: repeat only what may happen twice.
    IfIdempotent,
    /// The same request would fail in the same way.
    Never,
}

/// Why a request or its body failed.
///
/// Displays as one sentence such as ``cannot reach `http://127.0.0.1:1`: connection refused``:
/// user info and query values of the URL are masked, headers and bodies never appear.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    kind: HttpErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl HttpError {
    /// Makes the sentence for a kind; `detail` is what the kind alone does not say.
    pub(crate) fn new(
        kind: HttpErrorKind,
        url: impl AsRef<str>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let _ = (kind, url, detail.into());
        todo!()
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// Returns whether the same request may be sent again.
    pub fn retry(&self) -> Retry {
        todo!()
    }

    /// Returns whether no connection came about, so that the peer never saw the request.
    pub fn is_connect(&self) -> bool {
        self.retry() == Retry::Safe
    }
}

/// Returns a URL that may be shown: no user info, no query values, no fragment.
pub fn shown_url(url: &Url) -> String {
    let _ = url;
    todo!()
}
