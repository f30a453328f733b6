//! Ending this process by a signal, so that whoever started it sees the signal and not a number.

use nix::sys::signal::{SigHandler, Signal, raise, signal};

/// Ends this process as if nobody had caught the signal. Returns only when that failed.
pub fn end_by_signal(number: i32) {
    let Ok(wanted) = Signal::try_from(number) else {
        return;
    };
    #[expect(
        unsafe_code,
        reason = "sigaction is unsafe for handlers; the default action is none"
    )]
    // SAFETY: `SigDfl` runs no code of ours, so nothing can be re-entered.
    let restored = unsafe { signal(wanted, SigHandler::SigDfl) };
    if restored.is_ok() {
        let _ = raise(wanted);
    }
}
