//! When a server says that one may come back.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// The wait that a response asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Wait this long.
    Delay(Duration),
    /// Wait until then.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads `retry-after-ms` or `retry-after`; anything that is neither a number nor an HTTP date
    /// counts as absent.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let _ = headers;
        todo!()
    }

    /// Returns how long that is from `now`; zero when it has passed.
    pub fn delay(self, now: Timestamp) -> Duration {
        let _ = now;
        todo!()
    }
}
