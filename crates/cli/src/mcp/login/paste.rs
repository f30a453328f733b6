//! Lines from stdin that are not shown: a callback URL holds a code.
//!
//! A thread of its own reads, since a read of a terminal cannot be cancelled; it ends with the process.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use tokio::sync::mpsc;

use crate::quiet::Quiet;

/// Longer lines are no callback URL; they come in pieces, and each is refused.
const MAX_LINE: u64 = 64 * 1024;

/// Lines that are being read.
pub(super) struct Pasted {
    lines: mpsc::Receiver<String>,
    _quiet: Option<Quiet>,
}

impl Pasted {
    /// Asks for the callback URL and reads from now on.
    pub(super) fn read(err: &mut dyn Write) -> io::Result<Self> {
        let quiet = Quiet::begin();
        write!(err, "Callback URL (input hidden): ")?;
        err.flush()?;
        if !io::stdin().is_terminal() {
            writeln!(err)?;
        }
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            loop {
                let mut line = String::new();
                match stdin.by_ref().take(MAX_LINE).read_line(&mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) if sender.blocking_send(line).is_err() => return,
                    Ok(_) => {}
                }
            }
        });
        Ok(Self {
            lines,
            _quiet: quiet,
        })
    }

    /// Returns the next line that is not empty; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let line = self.lines.recv().await?;
            if !line.trim().is_empty() {
                return Some(line.trim_end_matches(['\r', '\n']).to_owned());
            }
        }
    }
}
