//! How the property tests are run: 10,000 cases from a fixed seed, so that two runs try the same.
//!
//! `PROPTEST_RNG_SEED=7 cargo test -p codex-config properties` tries others.

use proptest::test_runner::{Config, RngSeed};

/// Returns the settings of every property test.
pub(crate) fn config() -> Config {
    let mut config = Config {
        cases: 10_000,
        failure_persistence: None,
        ..Config::default()
    };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}
