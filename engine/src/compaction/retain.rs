//! Decides which versions a rewrite may drop; pure.
//!
//! Fed the versions of one user key after another, each key from its newest to its oldest version:
//! 1. Every version above the cut stays.
//! 2. At or below the cut stay the versions that some reader sees, and the newest `keep_versions`.
//! 3. The first tombstone, expired entry or hides-older mark at or below the floor ends the key: everything older in the
//!    input goes, however many versions are to be kept.
//! 4. That tombstone itself, or the mark of a value that is not to be kept by rule 2, goes only when nothing outside the
//!    input that is older in read order may hold the key.
//! 5. An expired entry that ends its key is rewritten as a tombstone, and then rule 4 holds for it.

use std::num::NonZeroU32;

use base::{Entry, Retention, Version};

/// What becomes of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// The value is expired for every reader: keep the fact, not the value.
    KeepAsTombstone,
    Drop,
}

/// The rules, applied to a stream of versions.
#[derive(Debug)]
pub(crate) struct Retain<'a> {
    retention: &'a Retention,
    floor: Version,
    keep_versions: u32,
    user_key: Vec<u8>,
    started: bool,
    /// The next newer version of the present key.
    newer: Option<Version>,
    /// How many versions of the present key at or below the cut were met.
    below_cut: u32,
    ended: bool,
}

impl<'a> Retain<'a> {
    pub(crate) fn new(retention: &'a Retention, keep_versions: NonZeroU32) -> Self {
        Self {
            retention,
            floor: retention.floor(),
            keep_versions: keep_versions.get(),
            user_key: Vec::new(),
            started: false,
            newer: None,
            below_cut: 0,
            ended: false,
        }
    }

    /// Judges the next version. `may_hold_older` answers rule 4 for the key, and is asked only when it matters.
    pub(crate) fn judge(
        &mut self,
        user_key: &[u8],
        version: Version,
        entry: &Entry<'_>,
        may_hold_older: impl FnOnce() -> bool,
    ) -> Verdict {
        if !self.started || self.user_key != user_key {
            self.start_key(user_key);
        }
        let newer = self.newer.replace(version);
        if self.ended {
            return Verdict::Drop;
        }
        if version > self.retention.cut {
            return Verdict::Keep;
        }
        self.below_cut += 1;
        let is_gone = entry.is_tombstone() || entry.is_expired(self.retention.oldest_time);
        let is_wanted = self.below_cut <= self.keep_versions || self.retention.sees(newer, version);
        if version <= self.floor && (is_gone || entry.hides_older) {
            self.ended = true;
            return match is_gone {
                false if is_wanted => Verdict::Keep,
                _ if !may_hold_older() => Verdict::Drop,
                true if !entry.is_tombstone() => Verdict::KeepAsTombstone,
                _ => Verdict::Keep,
            };
        }
        if is_wanted { Verdict::Keep } else { Verdict::Drop }
    }

    fn start_key(&mut self, user_key: &[u8]) {
        self.started = true;
        self.user_key.clear();
        self.user_key.extend_from_slice(user_key);
        self.newer = None;
        self.below_cut = 0;
        self.ended = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::UnixSeconds;

    fn judge_all(retain: &mut Retain<'_>, versions: &[(u64, Entry<'_>)], older: bool) -> Vec<Verdict> {
        let judge =
            |(version, entry): &(u64, Entry<'_>)| retain.judge(b"k", Version(*version), entry, || older);
        versions.iter().map(judge).collect()
    }

    #[test]
    fn only_what_readers_see_survives() {
        use Verdict::{Drop, Keep};
        let retention = Retention::new(Version(10), [Version(4)], UnixSeconds(0));
        let value = Entry::inline(b"v");
        let versions = [12, 11, 9, 8, 4, 3].map(|version| (version, value));
        let mut one = Retain::new(&retention, NonZeroU32::MIN);
        assert_eq!(judge_all(&mut one, &versions, true), [Keep, Keep, Keep, Drop, Keep, Drop]);
        let mut two = Retain::new(&retention, NonZeroU32::new(2).unwrap());
        assert_eq!(judge_all(&mut two, &versions, true), [Keep, Keep, Keep, Keep, Keep, Drop]);
    }

    #[test]
    fn a_tombstone_ends_its_key_and_goes_only_when_nothing_older_is_left() {
        use Verdict::{Drop, Keep};
        let retention = Retention::new(Version(10), [Version(6)], UnixSeconds(0));
        let value = Entry::inline(b"v");
        // Above the floor (6): the snapshot at 6 still reads version 5.
        let above = [(8, Entry::tombstone()), (5, value), (4, value)];
        let mut retain = Retain::new(&retention, NonZeroU32::MIN);
        assert_eq!(judge_all(&mut retain, &above, false), [Keep, Keep, Drop]);
        let below = [(9, value), (6, Entry::tombstone()), (5, value)];
        let mut retain = Retain::new(&retention, NonZeroU32::new(9).unwrap());
        assert_eq!(judge_all(&mut retain, &below, false), [Keep, Drop, Drop]);
        let mut retain = Retain::new(&retention, NonZeroU32::new(9).unwrap());
        assert_eq!(judge_all(&mut retain, &below, true), [Keep, Keep, Drop]);
    }

    #[test]
    fn expired_entries_become_tombstones_and_marks_hide_what_is_older() {
        use Verdict::{Drop, Keep, KeepAsTombstone};
        let retention = Retention::new(Version(10), [], UnixSeconds(100));
        let expired = Entry { expires_at: Some(UnixSeconds(100)), ..Entry::inline(b"v") };
        let fresh = Entry { expires_at: Some(UnixSeconds(101)), ..Entry::inline(b"v") };
        let mark = Entry { hides_older: true, ..Entry::inline(b"v") };
        let many = NonZeroU32::new(9).unwrap();
        let run = |versions: &[(u64, Entry<'_>)], older| {
            judge_all(&mut Retain::new(&retention, many), versions, older)
        };
        assert_eq!(run(&[(5, expired), (4, fresh)], true), [KeepAsTombstone, Drop]);
        assert_eq!(run(&[(5, expired), (4, fresh)], false), [Drop, Drop]);
        assert_eq!(run(&[(5, fresh), (4, expired), (3, fresh)], true), [Keep, KeepAsTombstone, Drop]);
        assert_eq!(run(&[(6, fresh), (5, mark), (4, fresh)], false), [Keep, Keep, Drop]);
        // A mark that is one version too many stays only while it may hide something in another table.
        let one = NonZeroU32::MIN;
        let versions = [(6, fresh), (5, mark), (4, fresh)];
        let mut retain = Retain::new(&retention, one);
        assert_eq!(judge_all(&mut retain, &versions, true), [Keep, Keep, Drop]);
        let mut retain = Retain::new(&retention, one);
        assert_eq!(judge_all(&mut retain, &versions, false), [Keep, Drop, Drop]);
    }
}
