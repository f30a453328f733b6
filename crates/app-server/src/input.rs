//! The lines of the client: read by a thread of its own, cut at their limit, one of them waiting.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;

/// Longest line, its end not counted.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// Lines that may wait for the router, which keeps none waiting: each may be long.
const QUEUE: usize = 1;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// As it came, without its end.
    Whole(Vec<u8>),
    /// Longer than a line may be; what it said is gone.
    TooLong,
}

/// Starts to read stdin; the channel closes at its end.
pub(crate) fn start() -> io::Result<mpsc::Receiver<Line>> {
    let (sender, lines) = mpsc::channel(QUEUE);
    // A blocked read cannot be cut short: the end of the process ends the thread.
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || read_all(io::stdin().lock(), &sender))?;
    Ok(lines)
}

fn read_all(mut input: impl BufRead, lines: &mpsc::Sender<Line>) {
    // What cannot be read any more has ended.
    while let Ok(Some(line)) = next_line(&mut input, MAX_LINE) {
        let is_empty = matches!(&line, Line::Whole(bytes) if bytes.trim_ascii().is_empty());
        if !is_empty && lines.blocking_send(line).is_err() {
            return;
        }
    }
}

fn next_line(input: &mut impl BufRead, limit: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let n_bytes = limit as u64 + 1;
    input.by_ref().take(n_bytes).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(Line::Whole(line)));
    }
    if line.len() <= limit {
        // The last line, without its end.
        return Ok(Some(Line::Whole(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let mut input = text.as_bytes();
        let next = || next_line(&mut input, 4).unwrap();
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_line_that_is_too_long_takes_nothing_of_its_neighbours_along() {
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        assert_eq!(
            lines("a\n12345\nb\n"),
            [whole("a"), Line::TooLong, whole("b")]
        );
        assert_eq!(
            lines("1234\n\n1234"),
            [whole("1234"), whole(""), whole("1234")]
        );
        assert_eq!(lines("12345"), [Line::TooLong]);
        assert_eq!(lines("123456789"), [Line::TooLong]);
    }
}
