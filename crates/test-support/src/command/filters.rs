//! Replaces what differs from run to run, so that a whole output can be pinned.
//!
//! | text | becomes |
//! |---|---|
//! | the folders of the test home | `[CODEX_HOME]`, `[HOME]`, `[CWD]`, `[TEMP]` |
//! | `127.0.0.1:PORT`, `localhost:PORT` | `127.0.0.1:[PORT]` |
//! | a UUID | `[UUID]` |
//! | `2026-11-21T10:00:00Z` and the like | `[TIME]` |
//! | `0.0123 seconds`, `1.2s`, `15ms` after a word for time | `[DURATION]` |

pub(super) fn apply(text: &str, places: &[(String, &'static str)]) -> String {
    let mut text = text.to_owned();
    for (path, name) in places {
        text = text.replace(path, name);
    }
    text = ports(&text);
    text = tokens(&text);
    wall_times(&text)
}

fn ports(text: &str) -> String {
    let mut result = text.to_owned();
    for host in ["127.0.0.1:", "localhost:"] {
        let mut pieces = result.split(host);
        let mut joined = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let rest = piece.trim_start_matches(|digit: char| digit.is_ascii_digit());
            joined.push_str(host);
            joined.push_str(if rest.len() == piece.len() {
                ""
            } else {
                "[PORT]"
            });
            joined.push_str(rest);
        }
        result = joined;
    }
    result
}

/// Replaces UUIDs and timestamps: runs of letters, digits, `-`, `:` and `.` that look like one.
fn tokens(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(name) = rest
            .get(..36)
            .filter(|head| is_uuid(head))
            .map(|_| "[UUID]")
        {
            result.push_str(name);
            rest = &rest[36..];
        } else if let Some(length) = timestamp_length(rest) {
            result.push_str("[TIME]");
            rest = &rest[length..];
        } else {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            result.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    result.push_str(rest);
    result
}

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(index, c)| match index {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    })
}

/// Returns the length of a timestamp at the start of the text: date, `T` or `-` forms of the time,
/// fraction and zone.
fn timestamp_length(text: &str) -> Option<usize> {
    let shape = |pattern: &str| {
        let head = text.get(..pattern.len())?;
        head.bytes()
            .zip(pattern.bytes())
            .all(|(byte, wanted)| {
                if wanted == b'0' {
                    byte.is_ascii_digit()
                } else {
                    byte == wanted
                }
            })
            .then_some(pattern.len())
    };
    let mut length = shape("0000-00-00T00:00:00").or_else(|| shape("0000-00-00T00-00-00"))?;
    let fraction = &text[length..];
    if let Some(digits) = fraction.strip_prefix('.') {
        let n_digits = digits.bytes().take_while(u8::is_ascii_digit).count();
        length += if n_digits > 0 { 1 + n_digits } else { 0 };
    }
    if text[length..].starts_with('Z') {
        length += 1;
    }
    Some(length)
}

/// Replaces the number in `Wall time: 0.0123 seconds`.
fn wall_times(text: &str) -> String {
    const MARK: &str = "Wall time: ";
    let mut pieces = text.split(MARK);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        result.push_str(MARK);
        result.push_str("[DURATION]");
        result.push_str(rest);
    }
    result
}
