//! The prompt: what was typed, what came on stdin, and how both become one text.
//!
//! The texts and the framing are those that wrappers of the reference know. Trap: node gives a child a
//! socket where a shell gives it a pipe, so "something is piped in" is any stdin that is not a
//! character device; a terminal, `/dev/null` and a closed stdin are character devices.

use std::io::IsTerminal;
use std::time::Duration;

use codex_process::Output;

use crate::input::{in_thread, read_at_most};

/// More than any model takes; what a `yes` in front of us writes ends here.
const LIMIT_MIB: u64 = 64;

/// After this long without an end of stdin, a note says how to go on without it.
const PATIENCE: Duration = Duration::from_secs(3);

/// So long may a caller take to hand over a prompt that nobody needs any more.
const DISCARD_LIMIT: Duration = Duration::from_secs(2);

const WAITING_NOTE: &str =
    "Still reading from stdin; to run without it, add `< /dev/null` to the command.\n";

/// Where the prompt comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PromptSource {
    /// Typed; stdin is added when something is piped in.
    Argument(String),
    /// All of stdin.
    Stdin,
}

/// Why there is no prompt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// stdin held nothing but white space.
    #[error("No prompt provided via stdin.")]
    Empty,
    /// stdin cannot be read.
    #[error("Failed to read prompt from stdin: {0}")]
    Unreadable(std::io::Error),
}

/// What stdin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdin {
    Terminal,
    Nothing,
    Data,
}

impl PromptSource {
    /// Returns the source that the positional argument names; `-` and nothing mean stdin.
    pub(crate) fn from_argument(argument: Option<String>) -> Self {
        match argument {
            Some(text) if text != "-" => Self::Argument(text),
            Some(_) | None => Self::Stdin,
        }
    }

    /// Reads what has to be read and returns the prompt.
    pub(crate) async fn read(self, out: &Output) -> Result<String, PromptError> {
        match (self, stdin_kind()) {
            (Self::Argument(text), Stdin::Terminal | Stdin::Nothing) => Ok(text),
            (Self::Argument(text), Stdin::Data) => {
                out.talk("Reading additional input from stdin...\n").await;
                let mut bytes = std::pin::pin!(read_stdin());
                let bytes = tokio::select! {
                    bytes = &mut bytes => bytes,
                    () = tokio::time::sleep(PATIENCE) => {
                        out.talk(WAITING_NOTE).await;
                        bytes.await
                    }
                };
                Ok(with_stdin(&text, &bytes?))
            }
            (Self::Stdin, kind) => {
                if kind != Stdin::Terminal {
                    out.talk("Reading prompt from stdin...\n").await;
                }
                alone(&read_stdin().await?)
            }
        }
    }
}

/// Takes what is piped in and forgets it.
///
/// A program that starts us writes its prompt whatever becomes of us. A pipe that closes under it is
/// its error, and one that it raises instead of ours: the public SDKs would not tell why a run failed.
/// Blocks for [`DISCARD_LIMIT`] at most.
pub fn discard_prompt() {
    if stdin_kind() != Stdin::Data {
        return;
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let forget = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // Nobody listens any more when the limit has passed.
        let _ = sender.send(());
    };
    if std::thread::Builder::new().spawn(forget).is_ok() {
        let _ = receiver.recv_timeout(DISCARD_LIMIT);
    }
}

fn stdin_kind() -> Stdin {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Stdin::Terminal;
    }
    match is_data(stdin) {
        true => Stdin::Data,
        false => Stdin::Nothing,
    }
}

/// Whether it is a file or a stream, and no device.
#[cfg(unix)]
fn is_data(stdin: std::io::Stdin) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    let copy = stdin.as_fd().try_clone_to_owned();
    let metadata = copy.and_then(|fd| std::fs::File::from(fd).metadata());
    metadata.is_ok_and(|facts| {
        let kind = facts.file_type();
        kind.is_file() || kind.is_fifo() || kind.is_socket()
    })
}

/// `NUL` ends at once.
#[cfg(not(unix))]
fn is_data(_stdin: std::io::Stdin) -> bool {
    true
}

/// Reads all of stdin.
async fn read_stdin() -> Result<Vec<u8>, PromptError> {
    let read = || read_at_most(std::io::stdin().lock(), LIMIT_MIB);
    let bytes = in_thread("stdin", read).await;
    bytes.flatten().map_err(PromptError::Unreadable)
}

/// Returns the typed text with the piped one as a block below it.
fn with_stdin(argument: &str, stdin: &[u8]) -> String {
    let text = decode(stdin);
    if text.trim().is_empty() {
        return argument.to_owned();
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    format!("{argument}\n\n<stdin>\n{text}\n</stdin>")
}

/// Returns the piped text as the whole prompt.
fn alone(stdin: &[u8]) -> Result<String, PromptError> {
    let text = decode(stdin);
    if text.trim().is_empty() {
        Err(PromptError::Empty)
    } else {
        Ok(text)
    }
}

/// Decodes UTF-8 and, behind a byte order mark, UTF-16; what does not decode becomes U+FFFD.
fn decode(bytes: &[u8]) -> String {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(argument: &str, stdin: &[u8]) -> String {
        with_stdin(argument, stdin)
    }

    #[test]
    fn dash_and_nothing_mean_stdin() {
        let source =
            |argument: Option<&str>| PromptSource::from_argument(argument.map(str::to_owned));
        assert_eq!(source(None), PromptSource::Stdin);
        assert_eq!(source(Some("-")), PromptSource::Stdin);
        assert_eq!(source(Some("--")), PromptSource::Argument("--".to_owned()));
    }

    #[test]
    fn piped_text_becomes_a_block() {
        assert_eq!(both("do", b"data"), "do\n\n<stdin>\ndata\n</stdin>");
    }

    #[test]
    fn one_trailing_newline_goes_and_only_one() {
        assert_eq!(both("do", b"a\n\n"), "do\n\n<stdin>\na\n\n</stdin>");
        assert_eq!(both("do", b"a\r\n"), "do\n\n<stdin>\na\r\n</stdin>");
    }

    #[test]
    fn empty_or_blank_stdin_adds_nothing() {
        assert_eq!(both("do", b""), "do");
        assert_eq!(both("do", b" \n"), "do");
    }

    #[test]
    fn stdin_alone_is_taken_as_it_is() {
        assert_eq!(alone(b" x y \n\n").unwrap(), " x y \n\n");
    }

    #[test]
    fn blank_stdin_alone_is_no_prompt() {
        assert_eq!(
            alone(b" \n").unwrap_err().to_string(),
            "No prompt provided via stdin."
        );
        assert_eq!(
            alone(b"\xEF\xBB\xBF").unwrap_err().to_string(),
            "No prompt provided via stdin."
        );
    }

    #[test]
    fn byte_order_marks_choose_the_encoding() {
        let rows: [(&[u8], &str); 6] = [
            ("ü".as_bytes(), "ü"),
            (b"\xEF\xBB\xBFa", "a"),
            (b"\xFF\xFEa\0\xFC\0", "aü"),
            (b"\xFE\xFF\0a\x20\xAC", "a€"),
            (b"\xFF\xFE\x3D\xD8\x00\xDE", "😀"),
            (b"\xFF\xFEa\0b", "a\u{FFFD}"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(decode(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn other_bytes_are_decoded_with_loss() {
        assert_eq!(decode(b"a\xFFb"), "a\u{FFFD}b");
        assert_eq!(decode(b"\xFF\xFE\x00\xD8"), "\u{FFFD}");
    }
}
