//! What to send, and how long to wait for it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::error::{HttpError, HttpErrorKind, shown_url};

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From sending to the response's headers, connecting included.
    pub headers: Option<Duration>,
    /// Between two pieces of the body.
    pub idle: Option<Duration>,
    /// Bytes of the body.
    pub body: Option<u64>,
}

impl Limits {
    /// 16 MiB, the limit of a body that is read as a whole.
    pub const DEFAULT_BODY: u64 = 16 * 1024 * 1024;

    /// Returns limits for a stream that may stay open and silent: only the headers are awaited
    /// with a limit.
    pub fn open_ended() -> Self {
        Self {
            idle: None,
            body: None,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: Some(Duration::from_secs(60)),
            idle: Some(Duration::from_secs(300)),
            body: Some(Self::DEFAULT_BODY),
        }
    }
}

/// Which redirects are followed; three at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// Those inside the origin, with method, headers and body.
    #[default]
    SameOrigin,
    /// Those of a GET to any origin with the same scheme. Credentials and all headers that are
    /// marked as secret stay behind.
    SameScheme,
    /// None: the redirect itself is the answer.
    None,
}

/// One request.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// The headers. Secret ones never reach another origin.
    pub headers: HeaderMap,
    /// The body; it is sent again after a redirect.
    pub body: Bytes,
    /// Its limits.
    pub limits: Limits,
    /// Which redirects are followed.
    pub redirects: Redirects,
}

impl Request {
    /// Makes a request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limits: Limits::default(),
            redirects: Redirects::default(),
        }
    }

    /// Makes a GET request.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Makes a POST request with a JSON body that is already text.
    pub fn post_json(url: Url, body: impl Into<Bytes>) -> Self {
        let mut request = Self::new(Method::POST, url);
        request.body = body.into();
        request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header whose value is a secret: it is marked so that nothing shows it.
    #[must_use]
    pub fn secret_header(self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.header(name, value)
    }

    /// Sets `Authorization: Bearer <token>`; fails when the token cannot stand in a header.
    pub fn bearer(self, token: &codex_host::Secret) -> Result<Self, HttpError> {
        let text = format!("Bearer {}", token.expose());
        match HeaderValue::from_str(&text) {
            Ok(value) => Ok(self.secret_header(AUTHORIZATION, value)),
            Err(_) => Err(HttpError::new(
                HttpErrorKind::BadRequest,
                format!(
                    "the token for `{}` has characters that a header cannot carry",
                    shown_url(&self.url)
                ),
            )),
        }
    }

    /// Sets which redirects are followed.
    #[must_use]
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

// Values of headers and the body may be secrets: only names and sizes are shown.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &shown_url(&self.url))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_len", &self.body.len())
            .field("limits", &self.limits)
            .field("redirects", &self.redirects)
            .finish()
    }
}
