//! An argument vector as one would type it.

/// Joins words so that a shell would read them back.
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    words.join(" ")
}

fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_read_otherwise_are_quoted() {
        let rows: [(&[&str], &str); 4] = [
            (&["/bin/bash", "-lc", "echo hi"], "/bin/bash -lc 'echo hi'"),
            (&["a", ""], "a ''"),
            (&["it's"], r"'it'\''s'"),
            (&["a=b", "*"], "a=b '*'"),
        ];
        for (words, expected) in rows {
            assert_eq!(join(words), expected);
        }
    }
}
