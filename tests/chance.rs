//! How property tests draw: the same cases on every run, or `GT_TEST_CASES=N` times as many fresh ones.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// `cases` cases of a fixed seed, shrunk in at most `shrinks` steps. What fails by chance in a run that decides
/// something helps nobody; who hunts sets `GT_TEST_CASES`.
pub fn cases(cases: u32, shrinks: u32) -> ProptestConfig {
    let drawn = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: shrinks,
        max_global_rejects: 1 << 16,
        ..ProptestConfig::default()
    };
    match std::env::var("GT_TEST_CASES").ok().and_then(|text| text.parse::<u32>().ok()) {
        Some(times) => ProptestConfig { cases: cases.saturating_mul(times), ..drawn },
        None => ProptestConfig { cases, rng_seed: RngSeed::Fixed(20_260_101), ..drawn },
    }
}
