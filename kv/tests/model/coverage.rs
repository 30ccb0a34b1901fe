//! Counts what the histories came to, so that a test that no longer tests anything is seen.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often the histories came to what they are made for.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) replays: AtomicU64,
    pub(crate) separated_values: AtomicU64,
}

pub(crate) static COVERAGE: Coverage = Coverage {
    commits: AtomicU64::new(0),
    conflicts: AtomicU64::new(0),
    flushes: AtomicU64::new(0),
    compactions: AtomicU64::new(0),
    replays: AtomicU64::new(0),
    separated_values: AtomicU64::new(0),
};

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
