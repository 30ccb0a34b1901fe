//! Goal: the segments that free most for least are collected, within the allowance. Method: a table of cases, and
//! random candidates against the rules.

use proptest::prelude::*;
use vlog::{Candidate, VictimPolicy, choose_victims};

const POLICY: VictimPolicy =
    VictimPolicy { min_dead_ratio: 0.5, small_segment_bytes: 0, rewrite_bytes_max: u64::MAX };

fn candidate(segment: u64, total_bytes: u64, dead_bytes: u64, table_bytes: u64) -> Candidate {
    Candidate { segment, total_bytes, dead_bytes, table_bytes }
}

#[test]
fn victims_are_ordered_by_bytes_freed_per_byte_rewritten() {
    let candidates = [
        candidate(1, 1000, 499, 0),
        candidate(2, 1000, 500, 0),
        candidate(3, 1000, 900, 0),
        candidate(4, 1000, 900, 10_000),
        candidate(5, 1000, 1000, 0),
        candidate(6, 10_000, 9000, 0),
        candidate(7, 1000, 0, 0),
    ];
    assert_eq!(choose_victims(&candidates, &POLICY), [5, 3, 6, 2, 4]);
    assert_eq!(choose_victims(&[], &POLICY), []);
    assert_eq!(choose_victims(&candidates, &VictimPolicy { min_dead_ratio: 1.0, ..POLICY }), [5]);
    assert_eq!(choose_victims(&candidates, &VictimPolicy { min_dead_ratio: f64::NAN, ..POLICY }), []);
}

#[test]
fn the_allowance_is_kept_but_the_best_victim_always_goes() {
    // They rewrite 100, 200 and 500 bytes.
    let candidates = [candidate(1, 1000, 900, 0), candidate(2, 1000, 800, 0), candidate(3, 1000, 500, 0)];
    let within =
        |rewrite_bytes_max| choose_victims(&candidates, &VictimPolicy { rewrite_bytes_max, ..POLICY });
    assert_eq!(within(800), [1, 2, 3]);
    assert_eq!(within(799), [1, 2]);
    assert_eq!(within(600), [1, 2]);
    assert_eq!(within(200), [1]);
    assert_eq!(within(0), [1]);
}

#[test]
fn small_segments_are_merged_but_never_one_alone() {
    let policy = VictimPolicy { small_segment_bytes: 100, ..POLICY };
    let small = [candidate(1, 99, 0, 0), candidate(2, 50, 0, 0), candidate(3, 100, 0, 0)];
    assert_eq!(choose_victims(&small, &policy), [2, 1]);
    assert_eq!(choose_victims(&small[..1], &policy), []);
    assert_eq!(choose_victims(&[small[0], candidate(4, 1000, 700, 0)], &policy), [4, 1]);
    // Nothing is left of the allowance for the second one.
    let tight = VictimPolicy { rewrite_bytes_max: 60, ..policy };
    assert_eq!(choose_victims(&small, &tight), []);
}

proptest! {
    #[test]
    fn the_rules_hold_for_any_candidates(
        counts in proptest::collection::vec((0u64..2000, 0u64..2000, 0u64..2000), 0..20),
        min_dead_ratio in 0.0f64..1.0,
        small_segment_bytes in 0u64..1000,
        rewrite_bytes_max in 0u64..8000,
    ) {
        let candidates: Vec<Candidate> = (0..)
            .zip(&counts)
            .map(|(segment, &(one, other, tables))| candidate(segment, one.max(other), one.min(other), tables))
            .collect();
        let policy = VictimPolicy { min_dead_ratio, small_segment_bytes, rewrite_bytes_max };
        let victims: Vec<Candidate> =
            choose_victims(&candidates, &policy).iter().map(|&at| candidates[at as usize]).collect();
        let rewritten = |victim: &Candidate| victim.total_bytes - victim.dead_bytes + victim.table_bytes;
        let is_dead = |victim: &Candidate| {
            victim.dead_bytes > 0 && victim.dead_bytes as f64 >= victim.total_bytes as f64 * min_dead_ratio
        };
        let per_byte = |victim: &Candidate| victim.dead_bytes as f64 / rewritten(victim) as f64;

        for victim in &victims {
            prop_assert!(is_dead(victim) || victim.total_bytes < small_segment_bytes);
            prop_assert_eq!(victims.iter().filter(|other| other.segment == victim.segment).count(), 1);
        }
        if victims.len() > 1 {
            prop_assert!(victims.iter().skip(1).map(rewritten).sum::<u64>() <= rewrite_bytes_max);
        }
        for pair in victims.windows(2) {
            match (is_dead(&pair[0]), is_dead(&pair[1])) {
                (true, true) => prop_assert!(per_byte(&pair[0]) >= per_byte(&pair[1])),
                (true, false) => {}
                (false, small) => prop_assert!(!small && pair[0].total_bytes <= pair[1].total_bytes),
            }
        }
        prop_assert!(!victims.is_empty() || !candidates.iter().any(is_dead));
    }
}
