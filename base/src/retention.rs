//! What readers may still see: the one answer by which versions are forgotten.
//!
//! The registry of snapshots makes it, compaction obeys it. It lives here because neither knows the other.

use crate::seeded::{self, Bug};
use crate::{UnixSeconds, Version};

/// Which versions some reader, present or future, may still ask for.
///
/// A future reader reads at `cut` or above, and at `oldest_time` or later; a present one at `cut` or above, or at
/// one of `snapshots`. The default keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Every version above it stays, and so does the newest one at or below it of each key.
    pub cut: Version,
    /// The versions below `cut` that are being read; ascending, without duplicates.
    pub snapshots: Vec<Version>,
    /// Nobody judges expiry at an earlier time.
    pub oldest_time: UnixSeconds,
}

impl Retention {
    /// Brings `registered`, in any order, into the form above.
    #[must_use]
    pub fn new(
        cut: Version,
        registered: impl IntoIterator<Item = Version>,
        oldest_time: UnixSeconds,
    ) -> Self {
        // Whoever reads at the cut or above sees, of the versions at or below the cut, what the cut itself sees.
        let mut snapshots: Vec<_> = registered.into_iter().filter(|version| *version < cut).collect();
        snapshots.retain(|_| !seeded::is(Bug::ForgetHeldSnapshots));
        snapshots.sort_unstable();
        snapshots.dedup();
        Self { cut, snapshots, oldest_time }
    }

    /// The lowest version that anybody reads at. Of a version that shadows all older ones (a tombstone, an
    /// expired entry, a hides-older mark) at or below the floor, nobody sees the older ones.
    #[must_use]
    pub fn floor(&self) -> Version {
        self.snapshots.first().map_or(self.cut, |lowest| self.cut.min(*lowest))
    }

    /// True when a reader may get `version` of a key whose next newer version is `newer` (`None` = there is none).
    #[must_use]
    pub fn sees(&self, newer: Option<Version>, version: Version) -> bool {
        if version > self.cut {
            return true;
        }
        let Some(newer) = newer else { return true };
        if self.cut < newer {
            return true;
        }
        let from = self.snapshots.partition_point(|snapshot| *snapshot < version);
        self.snapshots.get(from).is_some_and(|snapshot| *snapshot < newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn retention(cut: u64, registered: &[u64]) -> Retention {
        Retention::new(Version(cut), registered.iter().copied().map(Version), UnixSeconds(0))
    }

    /// What a reader at `at` gets of a key with these versions.
    fn read(versions: &[u64], at: u64) -> Option<u64> {
        versions.iter().copied().filter(|version| *version <= at).max()
    }

    proptest! {
        /// Goal: `sees` is exactly "some reader gets it". Method: ask each possible reader of a small world.
        #[test]
        fn sees_exactly_what_some_reader_gets(
            cut in 0u64..12,
            registered in prop::collection::vec(0u64..14, 0..5),
            versions in prop::collection::btree_set(1u64..14, 1..8),
        ) {
            let retention = retention(cut, &registered);
            let versions: Vec<u64> = versions.into_iter().collect();
            let readers: Vec<u64> = (cut..=14).chain(registered.iter().copied()).collect();
            for (index, version) in versions.iter().enumerate() {
                let newer = versions.get(index + 1).copied().map(Version);
                let read_by_some = readers.iter().any(|at| read(&versions, *at) == Some(*version));
                prop_assert_eq!(retention.sees(newer, Version(*version)), read_by_some, "version {}", version);
            }
            prop_assert_eq!(Some(retention.floor().0), readers.iter().copied().min());
        }
    }

    #[test]
    fn registered_versions_are_sorted_and_those_at_the_cut_are_the_cut() {
        let retention = retention(9, &[7, 12, 3, 9, 7]);
        assert_eq!(retention.snapshots, [Version(3), Version(7)]);
        assert_eq!(retention.floor(), Version(3));
    }

    /// Goal: the boundary numbers are ordinary numbers. A snapshot of the empty database, at 0, once was not
    /// honoured by a peer's compaction.
    #[test]
    fn boundary_versions_are_honoured() {
        let first = retention(1, &[0]);
        assert_eq!(first.floor(), Version::ZERO);
        assert!(first.sees(None, Version(1)));
        let last = retention(u64::MAX - 1, &[0, 1]);
        assert!(last.sees(Some(Version(2)), Version(1)));
        assert!(!last.sees(Some(Version(3)), Version(2)));
        assert!(last.sees(Some(Version::MAX), Version(u64::MAX - 1)));
        assert!(last.sees(Some(Version::MAX), Version(2)));
    }

    #[test]
    fn the_default_keeps_everything() {
        let all = Retention::default();
        assert!(all.sees(Some(Version(2)), Version(1)) && all.floor() == Version::ZERO);
        assert_eq!(all.oldest_time, UnixSeconds(0));
    }
}
