//! What goes wrong over HTTP, as one type that passes through rmcp unharmed.

use std::error::Error as StdError;

use codex_http::{HttpError, HttpErrorKind};
use codex_oauth::{LoginWanted, WhyLogin};
use codex_protocol::ServerName;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use url::Url;

use crate::{CallError, ConnectError};

/// Why an HTTP exchange with an MCP server failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum HttpFault {
    /// 401, or 403 with a challenge.
    #[error("the server wants a login (HTTP {status})")]
    Login {
        status: u16,
        challenge: Option<String>,
        token_sent: bool,
        wanted: Option<Box<LoginWanted>>,
    },
    /// There is a login that gives no token now, or that the server takes for no reason we can heal.
    #[error("{why}")]
    NoToken { why: String, may_pass: bool },
    /// An answer that is no MCP; `start` tells content type and first words.
    #[error("the server answered HTTP {status}: {start}")]
    NotMcp { status: u16, start: String },
    /// No answer, or not all of it.
    #[error("{why}")]
    Network { kind: HttpErrorKind, why: String },
    /// The request cannot be made.
    #[error("{why}")]
    Unsendable { why: String },
    /// We stopped it.
    #[error("cancelled")]
    Cancelled,
}

impl From<HttpError> for HttpFault {
    fn from(error: HttpError) -> Self {
        Self::Network {
            kind: error.kind(),
            why: error.to_string(),
        }
    }
}

impl HttpFault {
    /// Whether another attempt in another era would fail in the same way.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Login { .. }
            | Self::NoToken { .. }
            | Self::Unsendable { .. }
            | Self::Cancelled => true,
            Self::NotMcp { .. } => false,
            Self::Network { kind, .. } => !matches!(
                kind,
                HttpErrorKind::HeadersTimeout
                    | HttpErrorKind::IdleTimeout
                    | HttpErrorKind::Reset
                    | HttpErrorKind::Protocol
                    | HttpErrorKind::NotHttp
                    | HttpErrorKind::BodyTooLarge
                    | HttpErrorKind::EventTooLarge
            ),
        }
    }

    /// Whether the login is worth nothing any more: another one will be another's.
    pub(crate) fn ends_login(&self) -> bool {
        match self {
            Self::Login {
                wanted: Some(wanted),
                ..
            } => wanted.why != WhyLogin::MoreScopes,
            _ => false,
        }
    }

    pub(crate) fn into_connect_error(self, server: &ServerName, url: &Url) -> ConnectError {
        let server = server.clone();
        match self {
            Self::Login {
                status,
                challenge,
                token_sent,
                wanted,
            } => ConnectError::LoginRequired {
                server,
                status,
                challenge,
                token_sent,
                wanted,
            },
            Self::NoToken { why, may_pass } => ConnectError::NoToken {
                server,
                why,
                may_pass,
            },
            Self::NotMcp { status, start } => ConnectError::Http {
                server,
                status,
                body_start: start,
            },
            Self::Network { kind, why } => match unreachable_reason(&why) {
                Some(reason) => ConnectError::Unreachable {
                    server,
                    url: codex_http::shown_url(url),
                    reason: reason.to_owned(),
                    hints: kind.hints().into_iter().map(str::to_owned).collect(),
                },
                None => ConnectError::BrokenAnswer { server, why },
            },
            Self::Unsendable { why } => ConnectError::BrokenAnswer { server, why },
            Self::Cancelled => ConnectError::Cancelled { server },
        }
    }
}

/// Returns what the network said, when that is why; the address is named by whoever shows it.
fn unreachable_reason(why: &str) -> Option<&str> {
    let rest = why.strip_prefix("cannot reach `")?;
    rest.split_once("`: ").map(|(_, reason)| reason)
}

impl From<HttpFault> for CallError {
    fn from(fault: HttpFault) -> Self {
        match fault {
            HttpFault::Login {
                status,
                challenge,
                wanted,
                ..
            } => Self::LoginRequired {
                status,
                challenge,
                wanted,
            },
            HttpFault::Cancelled => Self::Cancelled,
            other => Self::Transport {
                why: other.to_string(),
            },
        }
    }
}

/// Finds the fault within an error of rmcp's transport.
pub(crate) fn fault_of(error: &(dyn StdError + 'static)) -> Option<HttpFault> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(fault) = error.downcast_ref::<HttpFault>() {
            return Some(fault.clone());
        }
        if let Some(error) = error.downcast_ref::<StreamableHttpError<HttpFault>>() {
            return Some(match error {
                StreamableHttpError::Client(fault) => fault.clone(),
                StreamableHttpError::SessionExpired => HttpFault::NotMcp {
                    status: 404,
                    start: "the session has expired and no new one could be made".to_owned(),
                },
                other => HttpFault::Unsendable {
                    why: other.to_string(),
                },
            });
        }
        current = error.source();
    }
    None
}
