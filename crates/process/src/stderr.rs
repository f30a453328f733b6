//! The last words of a program: a bounded tail of its stderr.
//!
//! The pipe is read for as long as it is open, whether or not anybody looks: a program that talks
//! much must never block on a full pipe.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

const MAX_BYTES: usize = 64 * 1024;
const MAX_LINES: usize = 200;

/// The end of what a program wrote on stderr: at most 64 KiB and 200 lines.
///
/// It is untrusted text: escape sequences are still in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StderrTail {
    /// The text, without the last line break; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// How many bytes before it were dropped.
    pub n_dropped: u64,
}

/// The tail while it grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct TailBuffer(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    bytes: VecDeque<u8>,
    n_dropped: u64,
}

impl TailBuffer {
    /// Reads until the end of file.
    pub(crate) async fn drain(self, mut pipe: impl AsyncRead + Unpin) {
        let mut piece = vec![0; 8 * 1024];
        while let Ok(n_read @ 1..) = pipe.read(&mut piece).await {
            self.push(&piece[..n_read]);
        }
    }

    /// Returns what is there now.
    pub(crate) fn tail(&self) -> StderrTail {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tail()
    }

    fn push(&self, piece: &[u8]) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n_over = (ring.bytes.len() + piece.len()).saturating_sub(MAX_BYTES);
        let n_old = n_over.min(ring.bytes.len());
        ring.bytes.drain(..n_old);
        ring.bytes.extend(&piece[n_over - n_old..]);
        ring.n_dropped += n_over as u64;
    }
}

impl Ring {
    fn tail(&self) -> StderrTail {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let end = bytes.trim_ascii_end().len();
        let start = bytes[..end]
            .iter()
            .rposition({
                let mut n_breaks = 0;
                move |byte| {
                    n_breaks += usize::from(*byte == b'\n');
                    n_breaks == MAX_LINES
                }
            })
            .map_or(0, |line_break| line_break + 1);
        StderrTail {
            text: String::from_utf8_lossy(&bytes[start..end]).into_owned(),
            n_dropped: self.n_dropped + start as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(pieces: &[&[u8]]) -> StderrTail {
        let buffer = TailBuffer::default();
        for piece in pieces {
            buffer.push(piece);
        }
        buffer.tail()
    }

    #[test]
    fn little_text_is_kept_whole() {
        let tail = tail_of(&[b"a\n", b"b \xff\n"]);
        assert_eq!(tail.text, "a\nb \u{fffd}");
        assert_eq!(tail.n_dropped, 0);
    }

    #[test]
    fn only_the_last_lines_stay() {
        let lines: Vec<String> = (1..=500).map(|n| format!("line {n}\n")).collect();
        let pieces: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let tail = tail_of(&pieces);
        assert!(tail.text.starts_with("line 301\n"), "{}", tail.text);
        assert!(tail.text.ends_with("line 500"));
        assert_eq!(tail.text.lines().count(), MAX_LINES);
        let n_all: usize = lines.iter().map(String::len).sum();
        assert_eq!(tail.n_dropped, (n_all - tail.text.len() - 1) as u64);
    }

    #[test]
    fn one_endless_line_is_bounded() {
        let piece: &[u8] = &[b'x'; 10_000];
        let tail = tail_of(&[piece; 100]);
        assert_eq!(tail.text.len(), MAX_BYTES);
        assert_eq!(tail.n_dropped, 1_000_000 - MAX_BYTES as u64);
        let huge = vec![b'y'; MAX_BYTES * 3];
        assert_eq!(tail_of(&[b"old", &huge]).text, "y".repeat(MAX_BYTES));
    }
}
