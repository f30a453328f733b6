//! Why a request or its body failed, as data and as one sentence without secrets.
//!
//! The sentence is complete: there is no source below it that would say the same again, and none
//! whose `Debug` could show a URL with its query.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use codex_host::plain_io_text;
use url::Url;

use crate::dns::{AddressForbidden, NameNotFound};

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
    /// The host leads to an address that this client must not connect to.
    AddressForbidden,
    /// Nobody listens there.
    Refused,
    /// There is no way to the host, or connecting failed in another way.
    Unreachable,
    /// Connecting took longer than its limit.
    ConnectTimeout,
    /// The TLS handshake failed, the certificate for instance, or the CA roots did not load.
    Tls,
    /// The server's certificate is for another host.
    TlsName,
    /// The server's certificate is none to use, whoever is trusted: too old, or that of a CA.
    TlsCertificate,
    /// What listens on an https address does not speak TLS.
    NotTls,
    /// What listens on an https address hung up in the handshake; it may not speak TLS either.
    TlsCut,
    /// The proxy's address is bad or unsupported.
    Proxy,
    /// No headers came within the limit.
    HeadersTimeout,
    /// The body was silent longer than its limit.
    IdleTimeout,
    /// The connection broke.
    Reset,
    /// What came is not HTTP, or broke its rules.
    Protocol,
    /// What came from an http address is not HTTP; it may be TLS.
    NotHttp,
    /// The body is larger than its limit.
    BodyTooLarge,
    /// A redirect led to another origin, nowhere, or too far.
    Redirect,
    /// The body is not the JSON that was expected.
    NotJson,
    /// One server-sent event is larger than its limit.
    EventTooLarge,
}

impl HttpErrorKind {
    /// Returns the word of machine-readable output; it stays what it is.
    pub fn word(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::BadRequest => "bad_request",
            Self::Dns => "dns",
            Self::AddressForbidden => "address_forbidden",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls | Self::TlsName | Self::TlsCertificate | Self::NotTls | Self::TlsCut => "tls",
            Self::Proxy => "proxy",
            Self::HeadersTimeout => "headers_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Reset => "reset",
            Self::Protocol | Self::NotHttp => "protocol",
            Self::BodyTooLarge => "body_too_large",
            Self::Redirect => "redirect",
            Self::NotJson => "not_json",
            Self::EventTooLarge => "event_too_large",
        }
    }

    /// Returns what the user can do now.
    pub fn hints(self) -> Vec<&'static str> {
        match self {
            Self::Dns => vec!["check the host name in the URL"],
            Self::Refused => vec!["check that the server runs and that the port is right"],
            Self::Tls => vec![
                "a CA of your own goes into a PEM file that `http.ca_file` of the MCP server or SSL_CERT_FILE names",
            ],
            Self::TlsName => vec!["write the host in the URL as the certificate names it"],
            Self::TlsCertificate => {
                vec!["the server needs another certificate, of its own and not expired"]
            }
            Self::NotTls | Self::TlsCut => vec!["use http:// if a server without TLS is meant"],
            Self::NotHttp => vec!["use https:// if the server speaks TLS"],
            _ => Vec::new(),
        }
    }
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
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    kind: HttpErrorKind,
    message: Box<str>,
}

impl HttpError {
    /// Returns what went wrong.
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// Returns whether the same request may be sent again.
    pub fn retry(&self) -> Retry {
        use HttpErrorKind as Kind;

        match self.kind {
            Kind::Dns | Kind::Refused | Kind::Unreachable | Kind::ConnectTimeout | Kind::TlsCut => {
                Retry::Safe
            }
            Kind::HeadersTimeout
            | Kind::IdleTimeout
            | Kind::Reset
            | Kind::Protocol
            | Kind::NotHttp => Retry::IfIdempotent,
            Kind::BadUrl
            | Kind::BadRequest
            | Kind::AddressForbidden
            | Kind::Tls
            | Kind::TlsName
            | Kind::TlsCertificate
            | Kind::NotTls
            | Kind::Proxy
            | Kind::BodyTooLarge
            | Kind::Redirect
            | Kind::NotJson
            | Kind::EventTooLarge => Retry::Never,
        }
    }

    /// Returns whether no connection came about.
    pub fn is_connect(&self) -> bool {
        use HttpErrorKind as Kind;

        let is_later = matches!(
            self.kind,
            Kind::Tls
                | Kind::TlsName
                | Kind::TlsCertificate
                | Kind::NotTls
                | Kind::Proxy
                | Kind::AddressForbidden
        );
        self.retry() == Retry::Safe || is_later
    }

    /// Returns what the user can do now.
    pub fn hints(&self) -> Vec<&'static str> {
        self.kind.hints()
    }

    pub(crate) fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
        }
    }

    pub(crate) fn with_note(self, note: &str) -> Self {
        Self::new(self.kind, format!("{} ({note})", self.message))
    }

    pub(crate) fn bad_url(url: &Url) -> Self {
        let message = format!("`{}` is not an http or https URL", shown_url(url));
        Self::new(HttpErrorKind::BadUrl, message)
    }

    pub(crate) fn unreachable(kind: HttpErrorKind, url: &Url, why: impl fmt::Display) -> Self {
        Self::new(kind, format!("cannot reach `{}`: {why}", shown_origin(url)))
    }

    pub(crate) fn forbidden_address(url: &Url) -> Self {
        Self::unreachable(
            HttpErrorKind::AddressForbidden,
            url,
            "the address is not allowed",
        )
    }

    pub(crate) fn headers_timeout(url: &Url, limit: Duration) -> Self {
        let message = format!("`{}` did not answer within {limit:?}", shown_url(url));
        Self::new(HttpErrorKind::HeadersTimeout, message)
    }

    pub(crate) fn idle(url: &Url, limit: Duration) -> Self {
        let message = format!("`{}` sent nothing for {limit:?}", shown_url(url));
        Self::new(HttpErrorKind::IdleTimeout, message)
    }

    pub(crate) fn too_large(url: &Url, limit: u64) -> Self {
        let message = format!(
            "the answer of `{}` is larger than {limit} bytes",
            shown_url(url)
        );
        Self::new(HttpErrorKind::BodyTooLarge, message)
    }

    pub(crate) fn redirect(url: &Url, why: impl fmt::Display) -> Self {
        let message = format!(
            "the redirect of `{}` was not followed: {why}",
            shown_url(url)
        );
        Self::new(HttpErrorKind::Redirect, message)
    }

    /// Reads what the HTTP library says. Kinds come from types in the chain of sources; only the
    /// innermost sentence is kept.
    pub(crate) fn from_library(url: &Url, connect_limit: Duration, error: &reqwest::Error) -> Self {
        use HttpErrorKind as Kind;

        let cause = Cause::find(error);
        if error.is_builder() {
            let message = format!("cannot ask `{}`: {}", shown_url(url), cause.text);
            return Self::new(Kind::BadRequest, message);
        }
        if error.is_connect() {
            return match cause.kind {
                CauseKind::Dns => Self::unreachable(Kind::Dns, url, cause.text),
                CauseKind::Forbidden => Self::unreachable(Kind::AddressForbidden, url, cause.text),
                CauseKind::Tls(kind) => Self::unreachable(kind, url, cause.text),
                CauseKind::Io(io::ErrorKind::UnexpectedEof) if url.scheme() == "https" => {
                    Self::unreachable(Kind::TlsCut, url, TLS_CUT)
                }
                CauseKind::Io(io::ErrorKind::ConnectionRefused) => {
                    Self::unreachable(Kind::Refused, url, "connection refused")
                }
                _ if error.is_timeout() => {
                    let why = format!("no connection within {connect_limit:?}");
                    Self::unreachable(Kind::ConnectTimeout, url, why)
                }
                _ => Self::unreachable(Kind::Unreachable, url, cause.text),
            };
        }
        match cause.kind {
            // In TLS 1.3 a server refuses our certificate after the handshake is done for us.
            CauseKind::Tls(_) => Self::unreachable(Kind::Tls, url, cause.text),
            CauseKind::Parse => {
                let kind = match url.scheme() {
                    "http" => Kind::NotHttp,
                    _ => Kind::Protocol,
                };
                let url = shown_url(url);
                let message = format!("`{url}` did not answer in HTTP: {}", cause.text);
                Self::new(kind, message)
            }
            _ => {
                let origin = shown_origin(url);
                let message = format!("the connection to `{origin}` broke: {}", cause.text);
                Self::new(Kind::Reset, message)
            }
        }
    }
}

/// The innermost thing that an error knows.
struct Cause {
    kind: CauseKind,
    text: String,
}

enum CauseKind {
    Dns,
    Forbidden,
    Tls(HttpErrorKind),
    Io(io::ErrorKind),
    Parse,
    Other,
}

impl Cause {
    fn find(error: &(dyn StdError + 'static)) -> Self {
        let mut kind = CauseKind::Other;
        let mut text = "unknown cause".to_owned();
        let mut next = error.source();
        while let Some(error) = next {
            text = error.to_string();
            next = error.source();
            if let Some(io_error) = error.downcast_ref::<io::Error>() {
                kind = CauseKind::Io(io_error.kind());
                // An I/O error that wraps another is not in its own chain: look inside.
                next = io_error.get_ref().map(|inner| inner as _);
                if next.is_none() {
                    text = plain_io_text(io_error);
                }
            } else if let Some(tls_error) = error.downcast_ref::<rustls::Error>() {
                let fault = tls_fault(tls_error);
                (kind, text) = (CauseKind::Tls(fault.0), fault.1);
                next = None;
            } else if error.is::<NameNotFound>() {
                kind = CauseKind::Dns;
                next = None;
            } else if error.is::<AddressForbidden>() {
                kind = CauseKind::Forbidden;
                next = None;
            } else if let Some(hyper_error) = error.downcast_ref::<hyper::Error>()
                && hyper_error.is_parse()
            {
                kind = CauseKind::Parse;
            }
        }
        Self { kind, text }
    }
}

/// Why an https address cannot be reached that belongs to a plain http server.
const NO_TLS: &str = "the server does not speak TLS there";

/// The same of a server that hangs up on what is no HTTP to it.
pub(crate) const TLS_CUT: &str = "the server closed the connection in the TLS handshake";

/// Says what kind of trouble with TLS it is, and what it is.
pub(crate) fn tls_fault(error: &rustls::Error) -> (HttpErrorKind, String) {
    use rustls::CertificateError as Bad;

    let kind = match error {
        rustls::Error::InvalidMessage(_) => HttpErrorKind::NotTls,
        rustls::Error::InvalidCertificate(why) => match why {
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => HttpErrorKind::TlsName,
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. } => HttpErrorKind::TlsCertificate,
            // The verifier's own words, which rustls does not know.
            Bad::Other(other) => {
                let words = other.to_string();
                let why = match words.as_str() {
                    "CaUsedAsEndEntity" => "it is the certificate of a CA, not of a server",
                    other => other,
                };
                let text = format!("the server's certificate cannot be used: {why}");
                return (HttpErrorKind::TlsCertificate, text);
            }
            _ => HttpErrorKind::Tls,
        },
        _ => HttpErrorKind::Tls,
    };
    let text = plain_tls_text(error).map_or_else(|| error.to_string(), str::to_owned);
    (kind, text)
}

/// Says in words of users what TLS says in its own.
fn plain_tls_text(error: &rustls::Error) -> Option<&'static str> {
    use rustls::{AlertDescription as Alert, Error};

    match error {
        Error::InvalidMessage(_) => Some(NO_TLS),
        Error::AlertReceived(Alert::CertificateRequired) => {
            Some("the server wants a client certificate")
        }
        Error::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown,
        ) => Some("the server does not accept our client certificate"),
        _ => None,
    }
}

/// Returns a URL that may be shown: no user info, no query values, no fragment.
pub fn shown_url(url: &Url) -> String {
    let mut shown = format!("{}{}", shown_origin(url), url.path());
    for (index, (name, _)) in url.query_pairs().enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(&name);
        shown.push_str("=…");
    }
    shown
}

/// Returns scheme, host and port as written in the URL.
pub fn shown_origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_hold_no_secret() {
        let shown = |text: &str| shown_url(&text.parse().unwrap());
        assert_eq!(
            shown("https://me:secret@h.example:8443/a/b?key=secret&x=1#secret"),
            "https://h.example:8443/a/b?key=…&x=…"
        );
        assert_eq!(shown("http://[::1]:1/"), "http://[::1]:1/");
        assert_eq!(shown("http://h.example"), "http://h.example/");
    }
}
