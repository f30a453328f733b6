//! Secrets that are typed are not shown.

/// A terminal that does not echo, until this is dropped.
#[cfg(unix)]
pub(crate) struct Quiet(rustix::termios::Termios);

#[cfg(unix)]
impl Quiet {
    pub(crate) fn begin() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
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
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Nothing is hidden where we do not know how.
#[cfg(not(unix))]
pub(crate) struct Quiet;

#[cfg(not(unix))]
impl Quiet {
    pub(crate) fn begin() -> Option<Self> {
        None
    }
}
