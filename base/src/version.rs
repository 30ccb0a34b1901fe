//! Commit timestamps.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The timestamp of a commit. 0 means "never written"; the first commit has 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// Before every commit.
    pub const ZERO: Self = Self(0);
    /// After every commit: reading at it sees the newest.
    pub const MAX: Self = Self(u64::MAX);

    /// The next version, or `None` after the last one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A version that one thread publishes and others read: the newest commit that readers may see.
///
/// All accesses are sequentially consistent: the registration of snapshots depends on a total order of
/// this variable and of the slots (see `txn`).
#[derive(Debug, Default)]
pub struct SharedVersion(AtomicU64);

impl SharedVersion {
    /// Starts at `version`.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self(AtomicU64::new(version.0))
    }

    /// The version now published.
    #[must_use]
    pub fn load(&self) -> Version {
        Version(self.0.load(Ordering::SeqCst))
    }

    /// Publishes `version`. Never lowers what is published.
    pub fn publish(&self, version: Version) {
        self.0.fetch_max(version.0, Ordering::SeqCst);
    }
}
