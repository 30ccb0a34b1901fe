//! Transactions over a toy database, in random interleavings, judged by a checker that knows nothing of how conflicts
//! are found. And the checker judged: with one fault put in at a time, it must object.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped is a failed test")]

mod support;

use support::{Fault, Scenario, run};

fn violations(fault: Fault, seeds: std::ops::Range<u64>) -> Vec<String> {
    let faulty = seeds.map(|seed| run(fault, seed));
    faulty.filter_map(|outcome| outcome.violation).collect()
}

/// Goal: every run is strictly serializable, with snapshots that stay whole while old versions are removed.
/// Method: hundreds of seeded runs through the real crate; each history replayed in commit order.
#[test]
fn no_run_violates_serializability() {
    let mut total = Scenario::default();
    for seed in 0..400 {
        let outcome = run(Fault::None, seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        total.add(&outcome.scenario);
    }
    // A run that never conflicts, never overlaps or never forgets would prove nothing.
    assert!(total.committed > 4_000 && total.refused > 4_000, "{total:?}");
    assert!(total.versions_removed > 2_000 && total.read_only > 2_000, "{total:?}");
}

/// Goal: the test above can fail. Method: each fault that databases have had, one at a time.
#[test]
fn every_fault_is_noticed() {
    for fault in Fault::ALL {
        let noticed = violations(fault, 0..150);
        assert!(!noticed.is_empty(), "{fault:?} went unnoticed");
    }
}
