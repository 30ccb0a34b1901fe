//! What a transaction has read, so that its commit can tell whether that is still true.

use std::collections::HashSet;
use std::ops::Bound;

use base::KeyBounds;

use crate::WrittenKeys;
use crate::fingerprint::{FingerprintHashing, fingerprint};
use crate::key_ranges::KeyRanges;

/// What one point costs in the hash table, in bytes: 8, a control byte, and the slack of its load factor.
const POINT_BYTES: usize = 16;

/// The keys and ranges that a transaction has read.
///
/// Record a key whether it was found or not: "not there" is an answer that a later commit can make false. Record
/// a range as far as it was really visited: up to its bound when the scan ran out, else up to the key it stopped
/// at, both directions alike. Reads that the transaction's own writes answer completely need no record.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    points: HashSet<u64, FingerprintHashing>,
    ranges: KeyRanges,
}

impl ReadSet {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `key` was looked up, found or not.
    #[inline]
    pub fn point(&mut self, key: &[u8]) {
        self.points.insert(fingerprint(key));
    }

    /// Records that every key from `start` to `end` was visited. Joins what overlaps or touches.
    pub fn range(&mut self, start: Bound<&[u8]>, end: Bound<&[u8]>) {
        self.ranges.insert(start, end);
    }

    /// Records that every key inside `bounds` was visited.
    pub fn bounds(&mut self, bounds: &KeyBounds) {
        self.range(as_slice(&bounds.start), as_slice(&bounds.end));
    }

    /// How many points and ranges are recorded, after joining.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len() + self.ranges.len()
    }

    /// True when nothing was read: then nothing can be in conflict with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.points.len() * POINT_BYTES + self.ranges.byte_len()
    }

    /// Forgets everything, for a new attempt.
    pub fn clear(&mut self) {
        self.points.clear();
        self.ranges.clear();
    }

    /// The fingerprints of all points.
    pub(crate) fn points(&self) -> impl ExactSizeIterator<Item = u64> {
        self.points.iter().copied()
    }

    pub(crate) fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// True when one of `keys` was looked up.
    pub(crate) fn has_point_in(&self, keys: &WrittenKeys) -> bool {
        !self.points.is_empty() && keys.fingerprints().any(|written| self.points.contains(&written))
    }

    /// True when one of `keys` lies in a range that was visited.
    pub(crate) fn has_range_over(&self, keys: &WrittenKeys) -> bool {
        self.has_ranges() && self.ranges.touch(keys)
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
