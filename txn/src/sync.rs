//! The shared variables of the snapshot registry: those of `std`, or those of the model checker.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

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
