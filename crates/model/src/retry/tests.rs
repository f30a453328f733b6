//! The table of contract-model-api 10, row by row.

use super::*;

const LIMITS: RetryLimits = RetryLimits {
    requests: 4,
    streams: 5,
    unbounded_connection: false,
};

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// Feeds the same fault until it is given up: the waits in milliseconds and how it ended.
fn schedule(fault: Fault) -> (Vec<u128>, Decision) {
    let mut budget = RetryBudget::default();
    let mut waits = Vec::new();
    loop {
        match budget.decide(fault, LIMITS, 0.0) {
            Decision::Retry { after, .. } if waits.len() < 50 => waits.push(after.as_millis()),
            end => return (waits, end),
        }
    }
}

#[test]
fn every_row_has_its_waits_and_its_end() {
    let rows: &[(Fault, &[u128], Decision)] = &[
        (Fault::Permanent, &[], Decision::Fail),
        (
            Fault::Unauthorized { renewable: false },
            &[],
            Decision::Fail,
        ),
        (
            Fault::Unauthorized { renewable: true },
            &[0],
            Decision::Fail,
        ),
        (
            Fault::Server { asked: None },
            &[200, 400, 800, 1600],
            Decision::UsedUp,
        ),
        (
            Fault::Server { asked: seconds(7) },
            &[7000; 4],
            Decision::UsedUp,
        ),
        (
            Fault::Server { asked: seconds(61) },
            &[200, 400, 800, 1600],
            Decision::UsedUp,
        ),
        (
            Fault::Unavailable { asked: None },
            &[200, 400, 800, 1600],
            Decision::UsedUp,
        ),
        (
            Fault::Unavailable { asked: seconds(61) },
            &[],
            Decision::TooLong(Duration::from_secs(61)),
        ),
        (
            Fault::RateLimited { asked: seconds(3) },
            &[3000; 4],
            Decision::UsedUp,
        ),
        (
            Fault::RateLimited { asked: seconds(61) },
            &[],
            Decision::TooLong(Duration::from_secs(61)),
        ),
        (
            Fault::RateLimited { asked: None },
            &[1000, 2000],
            Decision::UsedUp,
        ),
        (
            Fault::Unreachable,
            &[500, 1000, 2000, 4000],
            Decision::UsedUp,
        ),
        (Fault::Slow, &[200, 400, 800, 1600], Decision::UsedUp),
        (
            Fault::Stream,
            &[200, 400, 800, 1600, 3200],
            Decision::UsedUp,
        ),
    ];
    for (fault, waits, end) in rows {
        assert_eq!(schedule(*fault), (waits.to_vec(), end.clone()), "{fault:?}");
    }
}

#[test]
fn all_waits_together_stay_within_two_minutes() {
    let (waits, end) = schedule(Fault::RateLimited { asked: seconds(60) });
    assert_eq!((waits, end), (vec![60_000, 60_000], Decision::UsedUp));
}

#[test]
fn counters_add_up_and_do_not_multiply() {
    let mut budget = RetryBudget::default();
    let mut n_tries = 1;
    // The worst order: every broken stream is followed by refusals until those are used up.
    for fault in [
        Fault::Stream,
        Fault::Server { asked: None },
        Fault::Unreachable,
    ]
    .repeat(10)
    {
        if let Decision::Retry { .. } = budget.decide(fault, LIMITS, 0.0) {
            n_tries += 1;
        }
    }
    assert_eq!(n_tries, 1 + 4 + 5);
    assert_eq!(budget.attempts(), n_tries);
}

#[test]
fn a_rate_limit_without_delay_takes_from_the_requests() {
    let few = RetryLimits {
        requests: 1,
        ..LIMITS
    };
    let mut budget = RetryBudget::default();
    let fault = Fault::RateLimited { asked: None };
    assert!(matches!(
        budget.decide(fault, few, 0.0),
        Decision::Retry { max: Some(1), .. }
    ));
    assert_eq!(budget.decide(fault, few, 0.0), Decision::UsedUp);
}

#[test]
fn an_unreachable_provider_is_tried_until_cancelled_when_asked_for() {
    let unbounded = RetryLimits {
        unbounded_connection: true,
        ..LIMITS
    };
    let mut budget = RetryBudget::default();
    let mut last = Duration::ZERO;
    for attempt in 1..=200 {
        match budget.decide(Fault::Unreachable, unbounded, 0.0) {
            Decision::Retry {
                attempt: n,
                max: None,
                after,
            } => {
                assert_eq!(n, attempt);
                last = after;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(last, Duration::from_secs(30));
}

#[test]
fn back_off_varies_by_a_tenth_and_never_exceeds_ten_seconds() {
    assert_eq!(back_off(0, 1.0), Duration::from_millis(220));
    assert_eq!(back_off(0, -1.0), Duration::from_millis(180));
    assert_eq!(back_off(30, 1.0), Duration::from_secs(10));
    for _ in 0..100 {
        assert!((-1.0..=1.0).contains(&random_jitter()));
    }
}
