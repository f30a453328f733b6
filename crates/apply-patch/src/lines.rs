//! The content of a file as lines that remember how they ended.

const BOM: &[u8] = b"\xEF\xBB\xBF";
const LF: &[u8] = b"\n";
const CRLF: &[u8] = b"\r\n";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Without its end.
    pub(crate) text: Vec<u8>,
    /// `\n`, `\r\n`, or nothing on a last line without an end.
    end: &'static [u8],
}

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines {
    has_bom: bool,
    /// Whether the last line has an end; an empty file will get one.
    ends_with_line_end: bool,
    lines: Vec<Line>,
}

impl Lines {
    pub(crate) fn read(content: &[u8]) -> Self {
        let text = content.strip_prefix(BOM).unwrap_or(content);
        let lines: Vec<Line> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(line)
            .collect();
        Self {
            has_bom: text.len() != content.len(),
            ends_with_line_end: lines.last().is_none_or(|line| !line.end.is_empty()),
            lines,
        }
    }

    pub(crate) fn all(&self) -> &[Line] {
        &self.lines
    }

    /// Puts new lines in the place of old ones. A new line ends as its neighbours do.
    pub(crate) fn splice(&mut self, from: usize, n_old: usize, new: Vec<NewLine>) {
        let old = self.lines[from..from + n_old].to_vec();
        let mut end = self.end_near(from);
        let new = new.into_iter().map(|line| match line {
            NewLine::Old(index) => {
                let line = old[index].clone();
                if !line.end.is_empty() {
                    end = line.end;
                }
                line
            }
            NewLine::Text(mut text) => {
                if end == CRLF && text.ends_with(b"\r") {
                    text.pop();
                }
                Line { text, end }
            }
        });
        let new: Vec<Line> = new.collect();
        self.lines.splice(from..from + n_old, new);
    }

    /// Returns the content as bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut content = Vec::new();
        if self.has_bom {
            content.extend(BOM);
        }
        for (index, line) in self.lines.iter().enumerate() {
            content.extend(&line.text);
            let is_last = index + 1 == self.lines.len();
            let end = match (is_last, line.end) {
                (true, _) if !self.ends_with_line_end => b"",
                // A line that was last and is no more.
                (_, b"") => self.end_near(index),
                (_, end) => end,
            };
            content.extend(end);
        }
        content
    }

    /// Returns the line end that is used around a line.
    fn end_near(&self, index: usize) -> &'static [u8] {
        let above = self.lines[..index].iter().rev();
        let mut near = above.chain(&self.lines[index..]);
        near.find(|line| !line.end.is_empty())
            .map_or(LF, |line| line.end)
    }
}

/// A line of the new text.
#[derive(Debug)]
pub(crate) enum NewLine {
    /// The line that stood there, counted from the first that is replaced.
    Old(usize),
    Text(Vec<u8>),
}

fn line(raw: &[u8]) -> Line {
    let end = match raw {
        [.., b'\r', b'\n'] => CRLF,
        [.., b'\n'] => LF,
        _ => b"",
    };
    Line {
        text: raw[..raw.len() - end.len()].to_vec(),
        end,
    }
}
