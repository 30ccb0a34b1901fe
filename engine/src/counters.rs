//! What the engine has done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) flushes: Counter,
    pub(crate) compactions: Counter,
    pub(crate) moves: Counter,
    pub(crate) table_bytes_written: Counter,
    pub(crate) compaction_bytes_read: Counter,
    pub(crate) files_removed: Counter,
}
