//! The time of day as a value, so that a test can hold it still.

use jiff::Timestamp;

/// Tells the time: the machine's, or one that never moves.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    System,
    Fixed(Timestamp),
}

impl Clock {
    /// Returns the machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a clock that always shows the same time.
    pub fn fixed(at: Timestamp) -> Self {
        Self(Source::Fixed(at))
    }

    /// Returns the current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the clock"
    )]
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::System => Timestamp::now(),
            Source::Fixed(at) => at,
        }
    }
}
