//! When a server says that one may come back.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The wait that a response asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Wait this long.
    Delay(Duration),
    /// Wait until then.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads `retry-after-ms` (milliseconds) or `retry-after` (seconds or an HTTP date); anything
    /// else counts as absent.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = |name| headers.get(name)?.to_str().ok().map(str::trim);
        let milliseconds: Option<f64> = value("retry-after-ms").and_then(|text| text.parse().ok());
        if let Some(milliseconds) = milliseconds {
            let delay = Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?;
            return Some(Self::Delay(delay));
        }
        let text = value(RETRY_AFTER.as_str())?;
        // Fractions are not in the standard but on the wire.
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).ok().map(Self::Delay);
        }
        let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self::At(date))
    }

    /// Returns how long that is from `now`; zero when it has passed.
    pub fn delay(self, now: Timestamp) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(time) => Duration::try_from(time.duration_since(now)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(name: &'static str, value: &'static str) -> Option<RetryAfter> {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )]);
        RetryAfter::from_headers(&headers)
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let rows = [
            ("retry-after", "7", 7000),
            ("retry-after", " 1.5 ", 1500),
            ("retry-after", "0", 0),
            ("retry-after", "Fri, 20 Nov 2026 10:00:30 GMT", 30_000),
            ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT", 0),
            ("retry-after-ms", "250", 250),
        ];
        for (name, value, milliseconds) in rows {
            let wait = parse(name, value).map(|wait| wait.delay(now));
            assert_eq!(wait, Some(Duration::from_millis(milliseconds)), "{value}");
        }
    }

    #[test]
    fn nonsense_counts_as_absent() {
        for value in ["", "soon", "-1", "NaN", "inf", "1e400", "2026-11-20"] {
            assert_eq!(parse("retry-after", value), None, "{value}");
        }
    }
}
