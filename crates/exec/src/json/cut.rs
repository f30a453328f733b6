//! Keeps the line of a command within what a public client can read.
//!
//! That client reads lines of at most 64 KiB. The middle of the output is what is least missed, so it
//! goes; sizes are counted as JSON spells them, because a newline takes two bytes there.

use std::borrow::Cow;

/// Longest line of a command, its newline included.
pub(super) const LINE_LIMIT: usize = 60 * 1024;

/// Room for `\n… 12345 bytes omitted …\n` with a number of any length.
const MARKER_ROOM: usize = 64;

/// Returns command and output so cut that a line of `whole` bytes shrinks to [`LINE_LIMIT`].
pub(super) fn command_line<'a>(
    command: &'a str,
    output: &'a str,
    whole: usize,
) -> (Cow<'a, str>, Cow<'a, str>) {
    let frame = whole - spelled(command) - spelled(output);
    // A command line that alone fills the line gives way too; the output keeps at least half.
    let command = middle(command, (LINE_LIMIT - frame) / 2);
    let rest = LINE_LIMIT - frame - spelled(&command);
    (command, middle(output, rest))
}

/// Cuts the middle out of `text` until its JSON spelling fits `budget`.
fn middle(text: &str, budget: usize) -> Cow<'_, str> {
    if spelled(text) <= budget {
        return Cow::Borrowed(text);
    }
    let half = budget.saturating_sub(MARKER_ROOM) / 2;
    let head = fitting(
        text.char_indices().map(|(at, c)| (at + c.len_utf8(), c)),
        half,
    )
    .unwrap_or(0);
    let tail = fitting(text.char_indices().rev(), half).unwrap_or(text.len());
    let omitted = tail - head;
    Cow::Owned(format!(
        "{}\n… {omitted} bytes omitted …\n{}",
        &text[..head],
        &text[tail..]
    ))
}

/// Returns the last position before the characters need more than `budget` bytes.
fn fitting(chars: impl Iterator<Item = (usize, char)>, budget: usize) -> Option<usize> {
    let mut used = 0;
    let mut last = None;
    for (at, c) in chars {
        used += spelled_char(c);
        if used > budget {
            break;
        }
        last = Some(at);
    }
    last
}

fn spelled(text: &str) -> usize {
    text.chars().map(spelled_char).sum()
}

/// Bytes that serde_json writes for one character.
fn spelled_char(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}
