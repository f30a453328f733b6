//! When a failed try is repeated: the table of contract-model-api 10 as one pure function.
//!
//! The counters of one response add up and never multiply: requests and streams have a budget each,
//! and whatever is tried again takes from one of them. The [`RetryBudget`] outlives a stream that
//! broke after some items were done, because the engine asks again with it.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use crate::Retrying;

/// All waits of one response together.
const TOTAL_WAIT: Duration = Duration::from_secs(120);
/// A provider that asks for more than this is not waited for.
pub(crate) const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(60);
/// Longest wait of our own choice.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);
/// Longest wait between two connections.
const LONGEST_CONNECT_WAIT: Duration = Duration::from_secs(30);
/// Waits after a 429 that says nothing; its length is the number of retries.
const PLAIN_RATE_LIMIT_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// What was already spent on one response.
///
/// Start with the default. Only a budget that came with [`crate::ModelEvent::Interrupted`] is used
/// again, for the request that goes on from there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetryBudget {
    pub(crate) requests: u32,
    pub(crate) streams: u32,
    pub(crate) plain_rate_limits: u32,
    pub(crate) key_renewals: u32,
    pub(crate) waited: Duration,
    /// A retry that is announced and waited for when the next stream begins.
    pub(crate) pending: Option<Retrying>,
}

/// How much may be spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryLimits {
    pub(crate) requests: u32,
    pub(crate) streams: u32,
    pub(crate) unbounded_connection: bool,
}

/// What went wrong, as far as retrying depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Trying again cannot help.
    Permanent,
    /// 401.
    Unauthorized {
        /// Whether the key can be fetched anew.
        renewable: bool,
    },
    /// 408, 500, 502, 504, 529 and their like.
    Server { asked: Option<Duration> },
    /// 503: like the others, but a long delay is believed.
    Unavailable { asked: Option<Duration> },
    /// 429, or `rate_limit_exceeded`.
    RateLimited { asked: Option<Duration> },
    /// Refused, no DNS, reset before the headers.
    Unreachable,
    /// No connection in 10 s, or no headers within the idle limit.
    Slow,
    /// The answer broke off, or the provider failed within it.
    Stream,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Wait, then try again.
    Retry {
        attempt: u32,
        max: Option<u32>,
        after: Duration,
    },
    /// Never tried again.
    Fail,
    /// Would be tried again, but all tries or all waiting time is used up.
    UsedUp,
    /// The provider asks for a wait that is too long.
    TooLong(Duration),
}

impl RetryBudget {
    /// Returns how many tries were made, the one that just failed included.
    pub(crate) fn attempts(&self) -> u32 {
        1 + self.requests + self.streams + self.key_renewals
    }

    /// Decides, and books the retry when there is one. `jitter` is between -1 and 1.
    pub(crate) fn decide(&mut self, fault: Fault, limits: RetryLimits, jitter: f64) -> Decision {
        let decision = self.look_up(fault, limits, jitter);
        let Decision::Retry { after, .. } = decision else {
            return decision;
        };
        let unbounded = fault == Fault::Unreachable && limits.unbounded_connection;
        if !unbounded && self.waited + after > TOTAL_WAIT {
            return Decision::UsedUp;
        }
        match fault {
            Fault::Unauthorized { .. } => self.key_renewals += 1,
            Fault::Stream => self.streams += 1,
            Fault::RateLimited { asked: None } => {
                self.plain_rate_limits += 1;
                self.requests += 1;
            }
            Fault::Permanent
            | Fault::Server { .. }
            | Fault::Unavailable { .. }
            | Fault::RateLimited { .. }
            | Fault::Unreachable
            | Fault::Slow => self.requests += 1,
        }
        if !unbounded {
            self.waited += after;
        }
        decision
    }

    fn look_up(&self, fault: Fault, limits: RetryLimits, jitter: f64) -> Decision {
        match fault {
            Fault::Permanent => Decision::Fail,
            Fault::Unauthorized { renewable } if renewable && self.key_renewals == 0 => {
                Decision::Retry {
                    attempt: 1,
                    max: Some(1),
                    after: Duration::ZERO,
                }
            }
            Fault::Unauthorized { .. } => Decision::Fail,
            Fault::Unavailable { asked: Some(delay) }
            | Fault::RateLimited { asked: Some(delay) }
                if delay > LONGEST_ASKED_WAIT =>
            {
                Decision::TooLong(delay)
            }
            Fault::RateLimited { asked: None } => {
                let allowed = limits.requests.min(PLAIN_RATE_LIMIT_WAITS.len() as u32);
                let wait = PLAIN_RATE_LIMIT_WAITS.get(self.plain_rate_limits as usize);
                match wait {
                    Some(wait) if self.requests < limits.requests => Decision::Retry {
                        attempt: self.plain_rate_limits + 1,
                        max: Some(allowed),
                        after: *wait,
                    },
                    _ => Decision::UsedUp,
                }
            }
            Fault::RateLimited { asked: Some(delay) } => self.request(limits, delay),
            Fault::Server { asked } | Fault::Unavailable { asked } => {
                let asked = asked.filter(|delay| *delay <= LONGEST_ASKED_WAIT);
                let wait = asked.unwrap_or_else(|| back_off(self.requests, jitter));
                self.request(limits, wait)
            }
            Fault::Slow => self.request(limits, back_off(self.requests, jitter)),
            Fault::Unreachable => {
                let doubled = Duration::from_millis(500) * 2u32.pow(self.requests.min(8));
                let wait = doubled.min(LONGEST_CONNECT_WAIT);
                match limits.unbounded_connection {
                    true => Decision::Retry {
                        attempt: self.requests + 1,
                        max: None,
                        after: wait,
                    },
                    false => self.request(limits, wait),
                }
            }
            Fault::Stream if self.streams < limits.streams => Decision::Retry {
                attempt: self.streams + 1,
                max: Some(limits.streams),
                after: back_off(self.streams, jitter),
            },
            Fault::Stream => Decision::UsedUp,
        }
    }

    fn request(&self, limits: RetryLimits, after: Duration) -> Decision {
        if self.requests >= limits.requests {
            return Decision::UsedUp;
        }
        Decision::Retry {
            attempt: self.requests + 1,
            max: Some(limits.requests),
            after,
        }
    }
}

/// Returns `0.2 s * 2^n`, give or take a tenth, at most 10 s.
fn back_off(n: u32, jitter: f64) -> Duration {
    let doubled = Duration::from_millis(200) * 2u32.pow(n.min(16));
    doubled
        .min(LONGEST_BACK_OFF)
        .mul_f64(1.0 + 0.1 * jitter.clamp(-1.0, 1.0))
        .min(LONGEST_BACK_OFF)
}

/// Returns a number between -1 and 1; the standard library's hash seed is random enough to keep
/// clients from coming back in step.
pub(crate) fn random_jitter() -> f64 {
    let bits = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests;
