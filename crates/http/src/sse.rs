//! Server-sent events out of bytes that arrive in any pieces.
//!
//! This is on the path of every token of an answer: each byte is searched for a line end once, and
//! moved at most a constant number of times. A line ends in LF, CRLF or CR; a CR ends its line at
//! once, and a LF that follows, even in a later piece, belongs to it. Text is decoded per line, so a
//! character may be cut anywhere.

use std::time::Duration;

/// One block of a stream: everything between two blank lines.
///
/// Blocks without `data`, `id` and `retry` are not reported; comments never are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field.
    pub event: Option<String>,
    /// The `data` lines, joined by line feeds. `None`: the block had no `data` line at all, and a
    /// browser would not report it.
    pub data: Option<String>,
    /// The `id` field of this very block; earlier ones are not inherited.
    pub id: Option<String>,
    /// The `retry` field.
    pub retry: Option<Duration>,
}

/// One event is larger than the decoder's limit. The decoder yields nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is larger than {limit} bytes")]
pub struct SseError {
    /// The limit in bytes.
    pub limit: usize,
}

/// Turns bytes into events: [`push`](Self::push) a piece, then take
/// [`next_event`](Self::next_event) until it is `None`.
#[derive(Debug)]
pub struct SseDecoder {
    max_event: usize,
    buffer: Vec<u8>,
    /// Where the current line begins in `buffer`.
    line_start: usize,
    /// Up to where `buffer` was searched for the end of the current line.
    searched: usize,
    /// The last line ended in CR: a LF that comes next belongs to it.
    after_cr: bool,
    at_beginning: bool,
    /// Bytes of the finished lines of the current block.
    n_block: usize,
    block: SseEvent,
    is_dead: bool,
}

impl SseDecoder {
    /// 16 MiB.
    pub const DEFAULT_MAX_EVENT: usize = 16 * 1024 * 1024;

    /// Makes a decoder with a limit of 16 MiB per event.
    pub fn new() -> Self {
        Self::with_max_event(Self::DEFAULT_MAX_EVENT)
    }

    /// Makes a decoder with another limit per event, comments and field names included.
    pub fn with_max_event(max_event: usize) -> Self {
        Self {
            max_event,
            buffer: Vec::new(),
            line_start: 0,
            searched: 0,
            after_cr: false,
            at_beginning: true,
            n_block: 0,
            block: SseEvent::default(),
            is_dead: false,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_dead {
            return;
        }
        // What was consumed goes before the buffer would have to grow: a move costs no more than
        // the bytes that came in since the last one.
        if self.line_start > 0 {
            self.buffer.drain(..self.line_start);
            self.searched -= self.line_start;
            self.line_start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next whole event, or `None` until more bytes come.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        if self.is_dead || !self.skip_byte_order_mark() {
            return None;
        }
        while let Some((start, end)) = self.next_line() {
            if start == end {
                self.n_block = 0;
                let block = std::mem::take(&mut self.block);
                if block.data.is_some() || block.id.is_some() || block.retry.is_some() {
                    return Some(Ok(block));
                }
                continue;
            }
            self.n_block += end - start;
            if self.n_block > self.max_event {
                return Some(Err(self.die()));
            }
            read_field(&mut self.block, &self.buffer[start..end]);
        }
        if self.n_block + (self.buffer.len() - self.line_start) > self.max_event {
            return Some(Err(self.die()));
        }
        None
    }

    /// Drops a byte order mark at the very beginning; returns whether the beginning is known.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.at_beginning {
            return true;
        }
        if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(MARK) {
            self.line_start = MARK.len();
            self.searched = MARK.len();
        }
        self.at_beginning = false;
        true
    }

    /// Returns where the next whole line is, without its end, and steps over it.
    fn next_line(&mut self) -> Option<(usize, usize)> {
        if self.after_cr && self.line_start < self.buffer.len() {
            self.after_cr = false;
            if self.buffer[self.line_start] == b'\n' {
                self.line_start += 1;
                self.searched = self.line_start;
            }
        }
        let Some(offset) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            return None;
        };
        let (start, end) = (self.line_start, self.searched + offset);
        self.after_cr = self.buffer[end] == b'\r';
        self.line_start = end + 1;
        self.searched = end + 1;
        Some((start, end))
    }

    fn die(&mut self) -> SseError {
        let limit = self.max_event;
        *self = Self::with_max_event(limit);
        self.is_dead = true;
        SseError { limit }
    }
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads one line that is not blank into the block.
fn read_field(block: &mut SseEvent, line: &[u8]) {
    let (name, value) = match memchr::memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &b""[..]),
    };
    match name {
        b"data" => match &mut block.data {
            Some(data) => {
                data.push('\n');
                data.push_str(&String::from_utf8_lossy(value));
            }
            None => block.data = Some(text(value)),
        },
        b"event" => block.event = Some(text(value)),
        b"id" if !value.contains(&0) => block.id = Some(text(value)),
        b"retry" => block.retry = milliseconds(value).or(block.retry),
        // A comment has an empty name; other fields mean nothing to us.
        _ => {}
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads digits only, as the standard wants; `u64::from_str` would take a sign.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = is_number.then(|| std::str::from_utf8(value).ok()?.parse().ok())?;
    number.map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
