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
    fn the_nearest_comes_first_whatever_the_order() {
        assert_eq!(
            nearest_all("abcd", ["abxx", "abcx", "abcd", "zzzz"]),
            ["abcd", "abcx", "abxx"]
        );
    }
}
