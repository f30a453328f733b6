//! Lines from stdin that are not shown: a callback URL holds a code.
//!
//! A thread of its own reads, since a read of a terminal cannot be cancelled; it ends with the process.

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::sync::mpsc;

/// Longer lines are no callback URL.
const MAX_LINE: usize = 64 * 1024;

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
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if line.len() <= MAX_LINE && sender.blocking_send(line).is_err() {
                    return;
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
                return Some(line);
            }
        }
    }
}

/// A terminal that does not echo, until this is dropped.
#[cfg(unix)]
struct Quiet(rustix::termios::Termios);

#[cfg(unix)]
impl Quiet {
    fn begin() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = io::stdin();
        let old = tcgetattr(&stdin).ok()?;
        let mut quiet = old.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Now, &quiet).ok()?;
        Some(Self(old))
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // Nobody can be told that the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Nothing is hidden where we do not know how.
#[cfg(not(unix))]
struct Quiet;

#[cfg(not(unix))]
impl Quiet {
    fn begin() -> Option<Self> {
        None
    }
}
