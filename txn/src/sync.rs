//! The shared variables of the snapshot registry: those of `std`, or those of the model checker.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use std::sync::OnceLock;

#[cfg(not(loom))]
pub(crate) use base::SharedVersion;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

/// [`base::SharedVersion`] over the model checker's variable.
#[cfg(loom)]
#[derive(Debug)]
pub struct SharedVersion(AtomicU64);

#[cfg(loom)]
impl SharedVersion {
    /// Starts at `version`.
    #[must_use]
    pub fn new(version: base::Version) -> Self {
        Self(AtomicU64::new(version.0))
    }

    /// The version now published.
    #[must_use]
    pub fn load(&self) -> base::Version {
        base::Version(self.0.load(Ordering::SeqCst))
    }

    /// Publishes `version`. Never lowers what is published.
    pub fn publish(&self, version: base::Version) {
        self.0.fetch_max(version.0, Ordering::SeqCst);
    }
}

/// [`std::sync::OnceLock`] with a flag of the model checker's, which has to know that what was set is seen whole.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    cell: std::sync::OnceLock<T>,
    is_set: AtomicBool,
}

#[cfg(loom)]
impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { cell: std::sync::OnceLock::new(), is_set: AtomicBool::new(false) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.cell.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let outcome = self.cell.set(value);
        if outcome.is_ok() {
            self.is_set.store(true, Ordering::Release);
        }
        // As with the real one, whoever loses the race sees the winner's value.
        while !self.is_set.load(Ordering::Acquire) {
            loom::thread::yield_now();
        }
        outcome
    }
}
