//! The wait after a failure: what the server asked for, else 1, 2, 4 … 60 s.

use std::time::Duration;

use tokio::time::Instant;

const MAX: Duration = Duration::from_secs(60);

/// How often something failed since it last worked, and until when it is not tried again.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    n_failures: u32,
    until: Option<Instant>,
}

impl BackOff {
    /// Whether it is too early for another try.
    pub(crate) fn is_waiting(&self) -> bool {
        self.until.is_some_and(|time| Instant::now() < time)
    }

    /// Notes a failure, and the wait that the server asked for.
    pub(crate) fn failed(&mut self, after: Option<Duration>) {
        let doubled = Duration::from_secs(1 << self.n_failures.min(6));
        self.n_failures += 1;
        self.until = Some(Instant::now() + after.unwrap_or(doubled).min(MAX));
    }
}
