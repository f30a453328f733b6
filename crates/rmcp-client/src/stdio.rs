//! rmcp's transport over a child's stdin and stdout: one JSON message per line.
//!
//! Why not rmcp's own: a line that is too long must fail the call that waits for it (rmcp drops the line
//! and the call waits for its limit), results must stay verbatim ([`Tap`]), and whoever supervises the
//! process must learn why reading ended.
//! Noise on stdout is tolerated: servers print banners there. Memory is bounded by [`MAX_LINE`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::wire::Tap;

/// The longest line a server may send.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

/// So much of the begin and of the end of a too long line is kept to find out what it answered.
const KEPT_END: usize = 512;

/// A buffer that once held a long line is given back when it is larger than this.
const KEPT_CAPACITY: usize = 256 * 1024;

type Reader = BufReader<Pin<Box<dyn AsyncRead + Send>>>;
type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// The two pipes of one server.
pub(crate) struct StdioTransport {
    reader: Reader,
    line: Line,
    // The lock only queues writers: rmcp sends from several tasks, and a message must stay in one piece.
    writer: Arc<Mutex<Option<Writer>>>,
    tap: Arc<Tap>,
    /// Messages that must go up before the next line is read.
    faults: Vec<ServerJsonRpcMessage>,
    /// Tells whoever supervises the process that stdout has ended.
    end_of_stdout: CancellationToken,
}

impl StdioTransport {
    pub(crate) fn new(
        stdout: impl AsyncRead + Send + 'static,
        stdin: impl AsyncWrite + Send + 'static,
        tap: Arc<Tap>,
        end_of_stdout: CancellationToken,
    ) -> Self {
        let stdout: Pin<Box<dyn AsyncRead + Send>> = Box::pin(stdout);
        let stdin: Writer = Box::pin(stdin);
        Self {
            reader: BufReader::with_capacity(64 * 1024, stdout),
            line: Line::default(),
            writer: Arc::new(Mutex::new(Some(stdin))),
            tap,
            faults: Vec::new(),
            end_of_stdout,
        }
    }

    /// Fails the request that a too long line answered; all open ones when that cannot be told.
    fn fail_too_long(&mut self, length: usize) {
        let why =
            format!("the answer is {length} bytes on one line, the limit is {MAX_LINE} bytes");
        let unanswered = self.tap.unanswered();
        let answered = self.line.ids().find(|id| unanswered.contains(id));
        let failed = match answered {
            Some(id) => vec![id],
            None if self.line.may_be_an_answer() => unanswered,
            None => return,
        };
        for id in failed {
            if let Ok(message) = serde_json::from_value(Tap::fault(&id, &why)) {
                self.faults.push(message);
            }
        }
    }
}

impl Transport<RoleClient> for StdioTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.tap.outgoing(&message);
        let writer = Arc::clone(&self.writer);
        async move {
            let mut bytes = serde_json::to_vec(&message)?;
            bytes.push(b'\n');
            let mut writer = writer.lock().await;
            let writer = writer
                .as_mut()
                .ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "stdin is closed"))?;
            writer.write_all(&bytes).await?;
            writer.flush().await
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            if let Some(fault) = self.faults.pop() {
                return Some(fault);
            }
            match self.line.read_from(&mut self.reader).await {
                Read::Line => {
                    let message = self.tap.incoming(self.line.text());
                    self.line.clear();
                    // What is no message is noise: a banner, a stray log line.
                    if let Ok(message) = message {
                        return Some(message);
                    }
                }
                Read::TooLong(length) => {
                    self.fail_too_long(length);
                    self.line.clear();
                }
                Read::End => {
                    self.end_of_stdout.cancel();
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        // Dropping stdin tells a well-behaved server to end. A writer that is stuck keeps it, and the
        // stop ladder of the process ends both.
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.take();
        }
        Ok(())
    }
}

/// What one attempt to read a line gave.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Line,
    /// The line was skipped; its whole length.
    TooLong(usize),
    /// End of file or a broken pipe.
    End,
}

/// A line that is being read. It lives outside the future, so that a cancelled read loses nothing.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    /// Total length once the line is too long; then `bytes` holds its begin and `tail` its end.
    skipping: Option<usize>,
    tail: Vec<u8>,
}

impl Line {
    fn text(&self) -> &[u8] {
        self.bytes.trim_ascii()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_CAPACITY);
        self.tail.clear();
        self.skipping = None;
    }

    async fn read_from(&mut self, reader: &mut Reader) -> Read {
        loop {
            // Cancel-safe: nothing is consumed before the bytes are in `self`.
            let available = match reader.fill_buf().await {
                Ok(available) if !available.is_empty() => available,
                Ok(_) | Err(_) => return Read::End,
            };
            let newline = available.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(available.len(), |index| index + 1);
            self.push(&available[..newline.unwrap_or(taken)]);
            reader.consume(taken);
            if newline.is_none() {
                continue;
            }
            if let Some(length) = self.skipping {
                return Read::TooLong(length);
            }
            if self.text().is_empty() {
                self.clear();
                continue;
            }
            return Read::Line;
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.skipping.is_none() {
            self.bytes.extend_from_slice(bytes);
            if self.bytes.len() <= MAX_LINE {
                return;
            }
            self.skipping = Some(self.bytes.len());
            let end = self.bytes.len() - KEPT_END;
            self.tail = self.bytes.split_off(end);
            self.bytes.truncate(KEPT_END);
            self.bytes.shrink_to(KEPT_CAPACITY);
        } else {
            self.skipping = self.skipping.map(|length| length + bytes.len());
            self.tail.extend_from_slice(bytes);
            let surplus = self.tail.len().saturating_sub(KEPT_END);
            self.tail.drain(..surplus);
        }
    }

    /// Whether a too long line is more than noise or a notification.
    fn may_be_an_answer(&self) -> bool {
        let begin = String::from_utf8_lossy(&self.bytes);
        begin.trim_start().starts_with('{') && !begin.contains("\"method\"")
    }

    /// The ids that the two ends of a too long line mention, last one first: the SDKs write the id
    /// either before or after the result.
    fn ids(&self) -> impl Iterator<Item = RequestId> {
        let mentioned = [&self.tail, &self.bytes].map(|end| ids_in(&String::from_utf8_lossy(end)));
        mentioned.into_iter().flatten()
    }
}

fn ids_in(text: &str) -> Vec<RequestId> {
    let numbers = text.split("\"id\":").skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse::<i64>().ok()
    });
    numbers.map(RequestId::Number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(input: Vec<u8>) -> Vec<(Read, String)> {
        let input: Pin<Box<dyn AsyncRead + Send>> = Box::pin(io::Cursor::new(input));
        let mut reader = BufReader::new(input);
        let mut line = Line::default();
        let mut seen = Vec::new();
        loop {
            let read = line.read_from(&mut reader).await;
            if read == Read::End {
                return seen;
            }
            let text = String::from_utf8_lossy(line.text());
            seen.push((read, text.chars().take(20).collect()));
            line.clear();
        }
    }

    #[tokio::test]
    async fn lines_may_end_in_crlf_and_empty_ones_do_not_count() {
        assert_eq!(
            read_all(b"{}\r\n\n  \nabc\nrest".to_vec()).await,
            [
                (Read::Line, "{}".to_owned()),
                (Read::Line, "abc".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn a_too_long_line_is_skipped_and_the_next_one_is_read() {
        let mut input = vec![b'x'; MAX_LINE + 4_000_000];
        input.extend_from_slice(b"\n{}\n");
        let seen = read_all(input).await;
        assert_eq!(seen[0].0, Read::TooLong(MAX_LINE + 4_000_000));
        assert_eq!(seen[1], (Read::Line, "{}".to_owned()));
    }

    #[test]
    fn the_id_is_found_before_and_after_the_result() {
        assert_eq!(
            ids_in(r#"{"jsonrpc":"2.0","id":12,"result":{"#),
            [RequestId::Number(12)]
        );
        assert_eq!(ids_in(r#"xxx"},"id": 7}"#), [RequestId::Number(7)]);
        assert!(ids_in(r#"{"id":"a"}"#).is_empty());
    }
}
