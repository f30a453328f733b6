//! A bounded buffer that keeps the beginning and the end of what goes through it.

use std::collections::VecDeque;

/// The first and the last bytes of a stream.
#[derive(Debug, Clone)]
pub struct HeadTail {
    /// Room for each of the two.
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    n_dropped: u64,
}

/// What was kept of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Its beginning; all of it when nothing was dropped.
    pub head: Vec<u8>,
    /// Its end, when something was dropped.
    pub tail: Vec<u8>,
    /// How many bytes between them were dropped.
    pub n_dropped: u64,
}

impl HeadTail {
    /// Makes a buffer that keeps at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            half: limit / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            n_dropped: 0,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend(first);
        let n_over = (self.tail.len() + rest.len()).saturating_sub(self.half);
        let n_old = n_over.min(self.tail.len());
        self.tail.drain(..n_old);
        self.tail.extend(&rest[n_over - n_old..]);
        self.n_dropped += n_over as u64;
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Returns what is kept.
    pub fn kept(&self) -> Kept {
        let mut kept = Kept {
            head: self.head.clone(),
            tail: self.tail.iter().copied().collect(),
            n_dropped: self.n_dropped,
        };
        if kept.n_dropped == 0 {
            kept.head.append(&mut kept.tail);
        }
        kept
    }

    /// Returns what is kept and begins anew.
    pub fn take(&mut self) -> Kept {
        let kept = self.kept();
        *self = Self::new(self.half * 2);
        kept
    }
}

impl Kept {
    /// Returns the text, with a line that says how much is missing where something is. Bytes that
    /// are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        if self.n_dropped == 0 {
            return head.into_owned();
        }
        let tail = String::from_utf8_lossy(&self.tail);
        format!("{head}{}{tail}", self.gap())
    }

    /// Returns the line that stands in the text for what was dropped; empty when nothing was.
    pub fn gap(&self) -> String {
        match self.n_dropped {
            0 => String::new(),
            n_dropped => format!("\n… {n_dropped} bytes omitted …\n"),
        }
    }

    /// Returns the length of the whole stream in bytes.
    pub fn n_bytes(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.n_dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(limit: usize, pieces: &[&str]) -> String {
        let mut buffer = HeadTail::new(limit);
        for piece in pieces {
            buffer.push(piece.as_bytes());
        }
        buffer.kept().text()
    }

    #[test]
    fn beginning_and_end_stay_and_the_middle_is_counted() {
        let rows: [(&[&str], &str); 6] = [
            (&[], ""),
            (&["abc"], "abc"),
            (&["abcd", "efgh"], "abcdefgh"),
            (&["abcd", "efghi"], "abcd\n… 1 bytes omitted …\nfghi"),
            (&["abcdefghijklm"], "abcd\n… 5 bytes omitted …\njklm"),
            (
                &["a", "b", "cdefghijkl", "m"],
                "abcd\n… 5 bytes omitted …\njklm",
            ),
        ];
        for (pieces, expected) in rows {
            assert_eq!(text(8, pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_buffer_that_was_taken_begins_anew() {
        let mut buffer = HeadTail::new(8);
        buffer.push(b"abcdefghijklm");
        assert_eq!(buffer.take().n_bytes(), 13);
        assert!(buffer.is_empty());
        buffer.push(b"x");
        assert_eq!(buffer.take().text(), "x");
    }
}
