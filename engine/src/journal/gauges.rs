//! What every commit looks at before it is numbered, kept where no lock is needed to see it.
//!
//! Written by whoever changes what is measured, under the lock of that; read one by one, so that two of them may belong to
//! different moments. Back-pressure can do with that: it is asked again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The load that the journal puts on memory.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    has_started: AtomicBool,
    active_bytes: AtomicUsize,
    active_is_full: AtomicBool,
    frozen: AtomicUsize,
    frozen_bytes: AtomicUsize,
    has_spare: AtomicBool,
}

impl Gauges {
    /// There is a generation to be written.
    pub(super) fn set_started(&self) {
        self.has_started.store(true, Ordering::Release);
    }

    pub(super) fn has_started(&self) -> bool {
        self.has_started.load(Ordering::Acquire)
    }

    pub(super) fn set_active(&self, bytes: usize, is_full: bool) {
        self.active_bytes.store(bytes, Ordering::Relaxed);
        self.active_is_full.store(is_full, Ordering::Relaxed);
    }

    pub(super) fn set_frozen(&self, count: usize, bytes: usize) {
        self.frozen_bytes.store(bytes, Ordering::Relaxed);
        // Behind this count stands the call for a flush, which must find what it is called for.
        self.frozen.store(count, Ordering::Release);
    }

    pub(super) fn set_has_spare(&self, has_spare: bool) {
        self.has_spare.store(has_spare, Ordering::Relaxed);
    }

    /// Memory of all memtables, in bytes.
    pub(super) fn memtable_bytes(&self) -> usize {
        self.active_bytes.load(Ordering::Relaxed) + self.frozen_bytes.load(Ordering::Relaxed)
    }

    /// True while frozen memtables wait for their flush.
    pub(super) fn has_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire) > 0
    }

    /// True when the active memtable is full and there is no other to switch to.
    pub(super) fn lacks_spare(&self) -> bool {
        self.active_is_full.load(Ordering::Relaxed) && !self.has_spare.load(Ordering::Relaxed)
    }
}
