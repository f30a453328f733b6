//! The end of a server's stderr as an error may show it: short, and without escape sequences.

use codex_process::ProcessTree;

/// So many lines of stderr are shown at most.
const MAX_LINES: usize = 12;

/// And so many characters.
const MAX_CHARS: usize = 2_000;

/// Returns the end of a process's stderr for an error.
pub(crate) fn of(tree: &ProcessTree) -> String {
    shorten(&tree.stderr_tail().text)
}

fn shorten(text: &str) -> String {
    let plain = without_escapes(text);
    let lines: Vec<&str> = plain
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let shown = lines[lines.len().saturating_sub(MAX_LINES)..].join("\n");
    let n_chars = shown.chars().count();
    match n_chars.checked_sub(MAX_CHARS) {
        Some(surplus) if surplus > 0 => {
            format!("…{}", shown.chars().skip(surplus).collect::<String>())
        }
        _ => shown,
    }
}

/// Drops terminal sequences (`ESC [ … letter`) and every other control character but line breaks.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    // Parameters and intermediates end with the first letter or the like.
                    while chars
                        .next_if(|c| !('\u{40}'..='\u{7e}').contains(c))
                        .is_some()
                    {}
                    chars.next();
                }
            }
            '\n' => plain.push('\n'),
            '\t' => plain.push(' '),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_bells_are_left_out() {
        assert_eq!(
            shorten("\u{1b}[1;31merror\u{1b}[0m:\tno \u{7}key\r\n\n"),
            "error: no key"
        );
    }

    #[test]
    fn only_the_last_lines_are_shown() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let shown = shorten(&text);
        assert_eq!(shown.lines().count(), MAX_LINES);
        assert!(shown.ends_with("line 99"));
        assert_eq!(shorten(&"x".repeat(9_000)).chars().count(), MAX_CHARS + 1);
    }
}
