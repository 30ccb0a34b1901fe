//! Goal: the database does what a map of versions does, whatever is done to it in whatever order.
//! Method: random histories of all operations (transactions that overlap and conflict, snapshots and iterators held over flush
//! and compaction, expiry, reopening after a clean close and after a kill) under limits so small that every boundary is
//! crossed, with background steps interleaved by the seed, against a plain map. One thread: a seed reproduces a run.
//!
//! `KV_SEED=n` runs one history; `KV_MODEL_OPERATIONS=n` says how many operations all histories have together. A history that fails
//! is shrunk before it is shown.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod coverage;
mod operation;
mod oracle;
mod run;
mod shrink;
mod terms;

use std::sync::atomic::{AtomicU64, Ordering};

use operation::History;

/// Operations of one history: long enough for several levels, short enough to be shrunk.
const HISTORY_OPERATIONS: u64 = 2_000;
const OPERATIONS_DEFAULT: u64 = 1_000_000;

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn check(seed: u64) {
    let history = History::random(seed, HISTORY_OPERATIONS);
    if let Err(why) = run::run(&history) {
        let (smaller, why) = shrink::shrink(history, why);
        let lines: Vec<_> = smaller.operations.iter().map(|operation| format!("{operation:?}")).collect();
        let (count, lines) = (lines.len(), lines.join("\n  "));
        let (keep_versions, positional) = (smaller.keep_versions, smaller.positional);
        panic!(
            "KV_SEED={seed} fails: {why}\n{keep_versions} versions kept, positional: {positional}, shrunk to {count}:\n  {lines}"
        );
    }
}

#[test]
fn the_database_does_what_a_map_of_versions_does() {
    if let Some(seed) = number_from("KV_SEED") {
        return check(seed);
    }
    let operations = number_from("KV_MODEL_OPERATIONS").unwrap_or(OPERATIONS_DEFAULT);
    let histories = operations.div_ceil(HISTORY_OPERATIONS);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= histories {
                        return;
                    }
                    check(seed);
                }
            });
        }
    });
    let seen = &coverage::COVERAGE;
    println!("{operations} operations: {seen:?}");
    for counter in [
        &seen.commits,
        &seen.conflicts,
        &seen.flushes,
        &seen.compactions,
        &seen.replays,
        &seen.separated_values,
    ] {
        assert!(
            counter.load(Ordering::Relaxed) > histories / 2,
            "the histories miss what they are made for: {seen:?}"
        );
    }
}
