//! Delays that providers write into their sentences, and how we write delays.

use std::time::Duration;

/// Finds `try again in 1.5s`, `Please retry after 20 seconds`, `in 1m30s`, `in 350ms`.
pub(crate) fn from_text(text: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    [
        "try again in ",
        "retry in ",
        "retry after ",
        "try again after ",
    ]
    .iter()
    .find_map(|lead| {
        let start = lower.find(lead)? + lead.len();
        parse(&lower[start..])
    })
}

/// Writes a wait for people: `90 s`, `5 minutes`, `3 hours`.
pub(crate) fn in_words(delay: Duration) -> String {
    let seconds = delay.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        7200..172_800 => format!("{} hours", seconds.div_ceil(3600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

/// Reads numbers with units as long as they follow each other; a number without a unit is seconds.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = None;
    loop {
        let n_digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        // A full stop at the end of the sentence is not part of the number.
        let number = rest[..n_digits].trim_end_matches('.');
        let Ok(value) = number.parse::<f64>() else {
            return total;
        };
        let after_number = &rest[number.len()..];
        let word = after_number.strip_prefix(' ').unwrap_or(after_number);
        let n_letters = word
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(word.len());
        let unit = match &word[..n_letters] {
            "ms" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ if total.is_none() => 1.0,
            _ => return total,
        };
        let delay = Duration::try_from_secs_f64(value * unit).ok()?;
        total = Some(total.unwrap_or(Duration::ZERO).saturating_add(delay));
        rest = word[n_letters..].trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_found_in_sentences() {
        let seconds = |text: &str| from_text(text).map(|delay| delay.as_secs_f64());
        for (text, expected) in [
            (
                "Rate limit reached. Please try again in 1.5s. Visit …",
                Some(1.5),
            ),
            ("Please try again in 20ms.", Some(0.02)),
            ("Try again in 6m0s.", Some(360.0)),
            ("try again in 1h2m3s", Some(3723.0)),
            ("Please retry after 20 seconds.", Some(20.0)),
            ("retry after 7", Some(7.0)),
            ("Try again in 2 minutes and 3 seconds", Some(120.0)),
            ("Please try again later.", None),
            ("try again in a while", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn waits_are_written_in_the_unit_that_people_use() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(90), "90 s");
        assert_eq!(words(121), "3 minutes");
        assert_eq!(words(7200), "2 hours");
        assert_eq!(words(200_000), "3 days");
    }
}
