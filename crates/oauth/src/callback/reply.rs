//! The few pages that a browser gets: plain text that nothing can hide in.

use url::Url;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// What a browser gets.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Page(Page),
    /// Back to the provider, once more.
    Redirect(Url),
}

impl Page {
    fn new(status: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    pub(crate) fn complete() -> Self {
        Self::new(200, "Authentication complete. You may close this window.")
    }

    pub(crate) fn failed() -> Self {
        Self::new(
            502,
            "Authentication failed. Return to the terminal for the reason.",
        )
    }

    /// The exchange goes on longer than a browser should wait.
    pub(crate) fn pending() -> Self {
        Self::new(202, "Return to the terminal for the outcome.")
    }

    pub(crate) fn invalid() -> Self {
        Self::new(400, "Invalid OAuth callback")
    }

    pub(crate) fn denied(sentence: &str) -> Self {
        Self::new(400, sentence)
    }
}

impl Reply {
    /// Returns the whole response.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (status, location, text) = match self {
            Self::Page(page) => (page.status, None, page.text.as_str()),
            Self::Redirect(url) => (302, Some(url), ""),
        };
        let reason = match status {
            200 => "OK",
            202 => "Accepted",
            302 => "Found",
            400 => "Bad Request",
            _ => "Bad Gateway",
        };
        let location = location.map(|url| format!("Location: {url}\r\n"));
        format!(
            "HTTP/1.1 {status} {reason}\r\n{}Content-Type: text/plain; charset=UTF-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}",
            location.unwrap_or_default(),
            text.len(),
        )
        .into_bytes()
    }
}
