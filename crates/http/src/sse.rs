//! Server-sent events out of bytes that arrive in any pieces.

use std::time::Duration;

/// One block of a stream: everything between two blank lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field.
    pub event: Option<String>,
    /// The `data` lines, joined by line feeds. `None`: the block had no `data` line at all.
    pub data: Option<String>,
    /// The `id` field of this very block.
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

/// Turns bytes into events.
#[derive(Debug)]
pub struct SseDecoder {}

impl SseDecoder {
    /// 16 MiB.
    pub const DEFAULT_MAX_EVENT: usize = 16 * 1024 * 1024;

    /// Makes a decoder with a limit of 16 MiB per event.
    pub fn new() -> Self {
        todo!()
    }

    /// Makes a decoder with another limit per event.
    pub fn with_max_event(max_event: usize) -> Self {
        let _ = max_event;
        todo!()
    }

    /// Adds bytes. Take all events by [`next_event`](Self::next_event) before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
        todo!()
    }

    /// Returns the next whole event, or `None` until more bytes come.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        todo!()
    }
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new()
    }
}
