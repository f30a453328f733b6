//! What Windows tells a program in a console before it ends it.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

use super::Ending;

/// Waits for a signal that ends this process.
#[derive(Debug)]
pub struct Signals {
    interrupt: CtrlC,
    terminate: CtrlBreak,
    hang_up: CtrlClose,
}

impl Signals {
    /// Catches the signals from now on.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            terminate: ctrl_break()?,
            hang_up: ctrl_close()?,
        })
    }

    /// Returns the next signal.
    pub async fn next(&mut self) -> Ending {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Ending::Interrupt,
            Some(()) = self.terminate.recv() => Ending::Terminate,
            Some(()) = self.hang_up.recv() => Ending::HangUp,
            else => std::future::pending().await,
        }
    }
}
