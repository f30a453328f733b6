//! The signals of Unix.
//!
//! Trap: a signal that was ignored when we were started stays ignored (`nohup`, a shell's background
//! job); catching it would undo what the user asked for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ending;

/// Waits for a signal that ends this process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Catches the signals from now on.
    pub fn install() -> io::Result<Self> {
        let ignored = ignored();
        let caught = |kind: SignalKind| match is_ignored(ignored, kind) {
            true => Ok(None),
            false => signal(kind).map(Some),
        };
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
            hang_up: caught(SignalKind::hangup())?,
        })
    }

    /// Returns the next signal.
    pub async fn next(&mut self) -> Ending {
        tokio::select! {
            () = received(&mut self.interrupt) => Ending::Interrupt,
            () = received(&mut self.terminate) => Ending::Terminate,
            () = received(&mut self.hang_up) => Ending::HangUp,
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    // Never caught, or never to come again.
    std::future::pending().await
}

/// Returns the mask of signals that are ignored, where the system tells it.
fn ignored() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return 0;
    };
    mask(&status).unwrap_or(0)
}

fn mask(status: &str) -> Option<u64> {
    let hex = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn is_ignored(mask: u64, kind: SignalKind) -> bool {
    u32::try_from(kind.as_raw_value() - 1).is_ok_and(|bit| mask >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hang_up_is_seen() {
        let mask = mask("Name:\tcodex\nSigIgn:\t0000000000001001\nSigCgt:\t0\n").unwrap();
        assert!(is_ignored(mask, SignalKind::hangup()));
        assert!(!is_ignored(mask, SignalKind::interrupt()));
        assert!(!is_ignored(mask, SignalKind::terminate()));
    }
}
