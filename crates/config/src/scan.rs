//! Where the statements of a TOML text begin and end, and what of a line may be shown.
//!
//! Edits splice bytes, because printing a parsed document back loses line endings. The text was
//! parsed before, so the scanner only needs to find ends of strings, brackets and lines.

use std::ops::Range;

/// A header or a key with its value, with its line or lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    /// From the start of its first line to the end of its last one, line end included.
    pub(crate) lines: Range<usize>,
    /// The whole path, header included.
    pub(crate) path: Vec<String>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Header {
        /// `[[path]]`.
        array: bool,
    },
    Pair {
        /// How many keys of the path are the header's.
        header_keys: usize,
        /// The bytes of the value.
        value: Range<usize>,
    },
}

/// Cuts a valid document into its statements. `None` when the text is not what we think.
pub(crate) fn statements(text: &str) -> Option<Vec<Statement>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut header: Vec<String> = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let first = skip_blanks(bytes, start);
        match bytes.get(first) {
            None => break,
            Some(b'\n' | b'\r' | b'#') => start = line_end(bytes, first),
            Some(b'[') => {
                let array = bytes.get(first + 1) == Some(&b'[');
                let from = first + 1 + usize::from(array);
                let to = find(bytes, from, b']')?;
                header = keys(text.get(from..to)?)?;
                let lines = start..line_end(bytes, to);
                start = lines.end;
                found.push(Statement {
                    lines,
                    path: header.clone(),
                    kind: Kind::Header { array },
                });
            }
            Some(_) => {
                let equals = find(bytes, first, b'=')?;
                let own = keys(text.get(first..equals)?)?;
                let from = skip_blanks(bytes, equals + 1);
                let value = from..value_end(bytes, from);
                let lines = start..line_end(bytes, value.end);
                start = lines.end;
                let path = header.iter().cloned().chain(own).collect();
                let kind = Kind::Pair {
                    header_keys: header.len(),
                    value,
                };
                found.push(Statement { lines, path, kind });
            }
        }
    }
    Some(found)
}

/// Returns the start of the comment lines that stand directly above a line.
pub(crate) fn comment_start(text: &str, line: usize, not_before: usize) -> usize {
    let mut start = line;
    while start > not_before {
        let above = text[..start - 1]
            .rfind('\n')
            .map_or(0, |newline| newline + 1)
            .max(not_before);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    start
}

/// Returns whether the line that ends at this offset is blank; the start of the text is no line.
pub(crate) fn blank_line_before(text: &str, at: usize) -> Option<usize> {
    if at == 0 || text.as_bytes()[at - 1] != b'\n' {
        return None;
    }
    let start = text[..at - 1].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..at].trim().is_empty().then_some(start)
}

/// Returns a line of the text with everything that may be a secret replaced by `…`, and where a
/// column (bytes from the line's start) is in it, in characters.
pub(crate) fn masked_line(text: &str, offset: usize) -> (String, usize) {
    let offset = offset.min(text.len());
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |newline| offset + newline);
    let bytes = text.as_bytes();
    let mut shown = String::new();
    let mut caret = None;
    let mut line = Line::default();
    let mut at = 0;
    while at < end {
        let (next, piece) = token(text, bytes, at, &mut line);
        let visible = next.min(end);
        if at <= offset && offset < next.max(at + 1) && caret.is_none() && visible > start {
            caret = Some(shown.chars().count() + inner_column(&piece, text, at.max(start), offset));
        }
        if visible > start {
            match &piece {
                Piece::Plain => shown.push_str(text[at.max(start)..visible].trim_end_matches('\r')),
                Piece::Hidden { open, close } => {
                    if at >= start {
                        shown.push_str(open);
                    }
                    shown.push('…');
                    if next <= end {
                        shown.push_str(close);
                    }
                }
            }
        }
        at = next;
    }
    let caret = caret.unwrap_or_else(|| shown.chars().count());
    (shown, caret)
}

enum Piece {
    Plain,
    Hidden {
        open: &'static str,
        close: &'static str,
    },
}

fn inner_column(piece: &Piece, text: &str, from: usize, offset: usize) -> usize {
    match piece {
        Piece::Plain if offset >= from => text[from..offset].chars().count(),
        Piece::Plain | Piece::Hidden { .. } => 0,
    }
}

/// What was seen of the current line.
#[derive(Default)]
struct Line {
    /// The last byte that is no blank.
    before: Option<u8>,
    /// The line begins with `[` and has no string yet.
    header: bool,
    /// A string ended in this line, so a word here may be a piece of one.
    string: bool,
}

/// Returns the end of the token that begins at `at`, and how it may be shown.
fn token(text: &str, bytes: &[u8], at: usize, line: &mut Line) -> (usize, Piece) {
    let before = line.before;
    if !matches!(bytes[at], b' ' | b'\t' | b'\r') {
        line.before = Some(bytes[at]);
    }
    match bytes[at] {
        b'"' | b'\'' => {
            *line = Line {
                string: true,
                header: false,
                ..*line
            };
            let end = string_end(bytes, at);
            let rest = &text[at..];
            let quote = match bytes[at] {
                b'"' if rest.starts_with("\"\"\"") => "\"\"\"",
                b'"' => "\"",
                _ if rest.starts_with("'''") => "'''",
                _ => "'",
            };
            let closed = end >= at + 2 * quote.len() && text[..end].ends_with(quote);
            let close = if closed { quote } else { "" };
            (end, Piece::Hidden { open: quote, close })
        }
        b'#' if !line.string => {
            let end = text[at..]
                .find('\n')
                .map_or(text.len(), |length| at + length);
            (end, Piece::Plain)
        }
        b'\n' => {
            *line = Line::default();
            (at + 1, Piece::Plain)
        }
        byte if byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_-".contains(&byte) => {
            let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || !c.is_ascii();
            let end = text[at..]
                .find(|c| !in_word(c))
                .map_or(text.len(), |length| at + length);
            let behind = text[end..].trim_start_matches([' ', '\t']).bytes().next();
            let is_key = matches!(before, None | Some(b'{' | b',' | b'.' | b'['))
                && matches!(behind, Some(b'=' | b'.'))
                && !line.string;
            let inner_key = matches!(before, Some(b'{' | b',')) && behind == Some(b'=');
            let known = matches!(&text[at..end], "true" | "false" | "inf" | "nan");
            let number = text[at..end]
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'_');
            if known || number || line.header || is_key || inner_key {
                (end, Piece::Plain)
            } else {
                (
                    end,
                    Piece::Hidden {
                        open: "",
                        close: "",
                    },
                )
            }
        }
        byte => {
            line.header |= byte == b'[' && before.is_none();
            let width = text[at..].chars().next().map_or(1, char::len_utf8);
            (at + width, Piece::Plain)
        }
    }
}

fn keys(text: &str) -> Option<Vec<String>> {
    let keys = toml_edit::Key::parse(text.trim()).ok()?;
    Some(keys.iter().map(|key| key.get().to_owned()).collect())
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// Returns the offset after the next line end.
fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| at + length + 1)
}

/// Finds a byte outside of strings.
fn find(bytes: &[u8], mut at: usize, wanted: u8) -> Option<usize> {
    while at < bytes.len() {
        match bytes[at] {
            byte if byte == wanted => return Some(at),
            b'"' | b'\'' => at = string_end(bytes, at),
            b'\n' => return None,
            _ => at += 1,
        }
    }
    None
}

/// Returns the end of the value that begins here, without blanks and comments behind it.
fn value_end(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth, mut end) = (from, 0_usize, from);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = string_end(bytes, at);
                end = at;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'#' if depth == 0 => break,
            b'#' => {
                at = line_end(bytes, at);
                continue;
            }
            b'\n' if depth == 0 => break,
            _ => {}
        }
        if !bytes[at].is_ascii_whitespace() {
            end = at + 1;
        }
        at += 1;
    }
    end
}

/// Returns the end of the string that begins here; an unfinished one ends with its line.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let long = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if long { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            b'\n' if !long => return at,
            byte if byte == quote && !long => return at + 1,
            _ if long && bytes[at..].starts_with(&[quote; 3]) => {
                // Up to two quotes may stand directly before the closing ones.
                let run = bytes[at..]
                    .iter()
                    .take(5)
                    .take_while(|byte| **byte == quote)
                    .count();
                return at + run;
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> String {
        let statements = statements(text).unwrap();
        let lines = statements.iter().map(|statement| {
            format!(
                "{} <- {:?}\n",
                statement.path.join("/"),
                &text[statement.lines.clone()]
            )
        });
        lines.collect()
    }

    #[test]
    fn statements_end_behind_brackets_strings_and_comments() {
        let text = "a = [ # ]\n 1,\n]\n# c\n[x.\"y.z\"] # h\nb.c = \"\"\"\n[no]\n\"\"\" # t\nd = { e = '}' }";
        insta::assert_snapshot!(outline(text), @r#"
        a <- "a = [ # ]\n 1,\n]\n"
        x/y.z <- "[x.\"y.z\"] # h\n"
        x/y.z/b/c <- "b.c = \"\"\"\n[no]\n\"\"\" # t\n"
        x/y.z/d <- "d = { e = '}' }"
        "#);
    }

    fn masked(text: &str, mark: &str) -> String {
        let (line, caret) = masked_line(text, text.find(mark).unwrap());
        format!("{line}\n{}^", " ".repeat(caret))
    }

    #[test]
    fn strings_and_bare_words_are_hidden_and_the_caret_moves_along() {
        insta::assert_snapshot!(masked("t = \"hunter2\" y", "y"), @r#"
        t = "…" …
                ^
        "#);
        insta::assert_snapshot!(masked("t = sk-hunter2", "sk-"), @"
        t = …
            ^
        ");
        insta::assert_snapshot!(masked("t = \"hunter2", "\"h"), @r#"
        t = "…
            ^
        "#);
        insta::assert_snapshot!(masked("t = \"\"\"\nhunter2\nsecret\"\"\" x", "x"), @r#"
        …""" …
             ^
        "#);
        insta::assert_snapshot!(masked("t = { a = 'x', b = true, c 3 }", "3"), @"
        t = { a = '…', b = true, … 3 }
                                   ^
        ");
    }
}
