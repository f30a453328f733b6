//! One string for many words, which programs take apart again by the rules of `CommandLineToArgvW`.

use std::ffi::OsString;

use crate::WindowsSandboxError;

/// Windows takes no longer ones.
const MAX_LENGTH: usize = 32_766;

/// Joins a program and its arguments.
pub(crate) fn command_line(words: &[OsString]) -> Result<String, WindowsSandboxError> {
    let refused = |why| Err(WindowsSandboxError::Command(why));
    let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    let Some(words) = words else {
        return refused("a word of it is no text");
    };
    let Some((program, arguments)) = words.split_first() else {
        return refused("there is none");
    };
    let lower = program.to_ascii_lowercase();
    // `cmd.exe` would read the words of such a file by rules that no quoting satisfies.
    if lower.ends_with(".bat") || lower.ends_with(".cmd") {
        return refused("it is a batch file: run `cmd.exe /d /c` with it");
    }
    if program.contains('"') {
        return refused("its name has a quote in it");
    }
    let mut line = format!("\"{program}\"");
    for argument in arguments {
        line.push(' ');
        quote(argument, &mut line);
    }
    if line.contains('\0') || line.encode_utf16().count() > MAX_LENGTH {
        return refused("its words are too long, or have a NUL in them");
    }
    Ok(line)
}

/// A quote is written `\"`, and backslashes before a quote are doubled.
fn quote(word: &str, line: &mut String) {
    let is_plain = |letter: char| !matches!(letter, ' ' | '\t' | '\n' | '\u{b}' | '"');
    if !word.is_empty() && word.chars().all(is_plain) {
        line.push_str(word);
        return;
    }
    line.push('"');
    let mut n_backslashes = 0;
    for letter in word.chars() {
        match letter {
            '\\' => n_backslashes += 1,
            '"' => {
                line.push_str(&"\\".repeat(n_backslashes + 1));
                n_backslashes = 0;
            }
            _ => n_backslashes = 0,
        }
        line.push(letter);
    }
    line.push_str(&"\\".repeat(n_backslashes));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Result<String, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        command_line(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_quoted_so_that_programs_find_them_again() {
        let rows = [
            ("a", "a"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            (r"a\b", r"a\b"),
            (r"a b\", r#""a b\\""#),
            (r#"a"b"#, r#""a\"b""#),
            (r#"a\"b"#, r#""a\\\"b""#),
            (r#"a\\ "#, r#""a\\ ""#),
            ("%PATH%&x", "%PATH%&x"),
        ];
        for (word, quoted) in rows {
            let expected = format!(r#""C:\Program Files\x.exe" {quoted}"#);
            assert_eq!(
                line(&[r"C:\Program Files\x.exe", word]),
                Ok(expected),
                "{word}"
            );
        }
    }

    #[test]
    fn what_cannot_be_told_safely_is_refused() {
        let long = "x".repeat(40_000);
        for words in [
            &[][..],
            &["run.BAT", "a"],
            &["run.cmd"],
            &["a\"b.exe"],
            &["x.exe", "a\0b"],
            &["x.exe", &long],
        ] {
            assert!(line(words).is_err(), "{:?}", words.first());
        }
    }
}
