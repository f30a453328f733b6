//! "Did you mean": one answer for every crate.
//!
//! A candidate is near when at most two edits (insert, delete, replace, swap neighbours) lead to it,
//! and fewer than the word is long: `ab` is not near `xy`.

/// The largest number of edits that still counts as a slip of the fingers.
pub const MAX_EDITS: usize = 2;

/// Returns the nearest candidate; among equally near ones the first in byte order.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    nearest_all(word, candidates).into_iter().next()
}

/// Returns every near candidate, nearest first, then in byte order.
pub fn nearest_all<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Vec<&'c str> {
    let length = word.chars().count();
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= MAX_EDITS)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(edits, candidate)| edits <= MAX_EDITS && edits < length.max(candidate.len()))
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Returns the key of a settings file that was probably meant by an unknown one.
///
/// That is the nearest one, also when the unknown one is spelled as other formats spell keys
/// (`mcpServers`, `tool-timeout-sec`), else the only one that goes on where the unknown one ends
/// (`tool_timeout` for `tool_timeout_sec`).
pub fn nearest_key<'c>(word: &str, keys: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let keys: Vec<&str> = keys.into_iter().collect();
    let snake = snake_case(word);
    let near = nearest(word, keys.iter().copied());
    near.or_else(|| nearest(&snake, keys.iter().copied()))
        .or_else(|| {
            let goes_on = |key: &&str| {
                let rest = key.strip_prefix(&snake);
                !snake.is_empty() && rest.is_some_and(|rest| rest.starts_with('_'))
            };
            let mut longer = keys.iter().copied().filter(goes_on);
            longer.next().filter(|_| longer.next().is_none())
        })
}

/// Spells `camelCase` and `kebab-case` as `snake_case`.
fn snake_case(word: &str) -> String {
    let mut snake = String::with_capacity(word.len());
    let mut after_small = false;
    for c in word.chars() {
        if c.is_uppercase() && after_small {
            snake.push('_');
        }
        after_small = c.is_lowercase() || c.is_ascii_digit();
        match c {
            '-' => snake.push('_'),
            c => snake.extend(c.to_lowercase()),
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_finds_the_word() {
        assert_eq!(nearest("figam", ["docs", "figma"]), Some("figma"));
        assert_eq!(
            nearest("headers", ["http_headers", "header"]),
            Some("header")
        );
    }

    #[test]
    fn three_edits_are_another_word() {
        assert_eq!(nearest("docs", ["dragons"]), None);
        assert_eq!(nearest("", ["a", "ab"]), None);
        assert_eq!(nearest("ab", ["xy"]), None);
    }

    #[test]
    fn a_key_is_found_in_other_spellings_and_by_its_beginning() {
        let keys = [
            "mcp_servers",
            "tool_timeout_sec",
            "startup_timeout_sec",
            "startup_timeout_ms",
        ];
        let rows = [
            ("mcp_server", Some("mcp_servers")),
            ("mcpServers", Some("mcp_servers")),
            ("tool-timeout-sec", Some("tool_timeout_sec")),
            ("toolTimeout", Some("tool_timeout_sec")),
            ("startupTimeoutMs", Some("startup_timeout_ms")),
            ("startup_timeout", None),
            ("tool_time", None),
            ("", None),
        ];
        for (word, expected) in rows {
            assert_eq!(nearest_key(word, keys), expected, "{word}");
        }
    }

    #[test]
    fn the_nearest_comes_first_whatever_the_order() {
        assert_eq!(
            nearest_all("abcd", ["abxx", "abcx", "abcd", "zzzz"]),
            ["abcd", "abcx", "abxx"]
        );
    }
}
