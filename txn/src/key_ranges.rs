//! A set of keys as disjoint ranges: what scans have visited, however often and in whatever pieces.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::WrittenKeys;

/// What one range costs beside the bytes of its two keys, in bytes: two vectors and its share of a tree node.
const RANGE_OVERHEAD_BYTES: usize = 96;

/// Disjoint ranges that do not touch, each from its start (included) to its end (excluded, `None` = no end).
///
/// Every kind of bound comes down to this form, because a byte string has an immediate successor: itself and a
/// zero byte.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRanges {
    ends_by_start: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    byte_len: usize,
}

impl KeyRanges {
    /// Adds all keys between the bounds, joining ranges that overlap or touch. Bounds without a key between them
    /// add nothing.
    pub(crate) fn insert(&mut self, start: Bound<&[u8]>, end: Bound<&[u8]>) {
        let mut start = match start {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) => key.to_vec(),
            Bound::Excluded(key) => successor(key),
        };
        let mut end = match end {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(successor(key)),
            Bound::Excluded(key) => Some(key.to_vec()),
        };
        if end.as_ref().is_some_and(|end| *end <= start) {
            return;
        }
        if let Some((earlier_start, earlier_end)) = self.last_from(&start)
            && earlier_end.is_none_or(|earlier_end| earlier_end >= start.as_slice())
        {
            start = earlier_start.to_vec();
        }
        while let Some(absorbed) = self.first_touching(&start, end.as_deref()) {
            end = later_end(end, self.remove(&absorbed));
        }
        self.byte_len += range_bytes(&start, end.as_deref());
        self.ends_by_start.insert(start, end);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends_by_start.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends_by_start.is_empty()
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.byte_len
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// True when one of `keys` lies in one of the ranges.
    pub(crate) fn touch(&self, keys: &WrittenKeys) -> bool {
        if keys.len() <= self.len() {
            keys.iter().any(|key| self.contains(key))
        } else {
            self.ends_by_start.iter().any(|(start, end)| keys.has_any_between(start, end.as_deref()))
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.last_from(key).is_some_and(|(_, end)| end.is_none_or(|end| key < end))
    }

    /// The last range that starts at or before `key`.
    fn last_from(&self, key: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
        let before = self.ends_by_start.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        before.last().map(|(start, end)| (start.as_slice(), end.as_deref()))
    }

    /// The start of the first range that starts at or after `start` and not behind `end`.
    fn first_touching(&self, start: &[u8], end: Option<&[u8]>) -> Option<Vec<u8>> {
        let end = end.map_or(Bound::Unbounded, Bound::Included);
        self.ends_by_start
            .range::<[u8], _>((Bound::Included(start), end))
            .next()
            .map(|(start, _)| start.clone())
    }

    fn remove(&mut self, start: &[u8]) -> Option<Vec<u8>> {
        let end = self.ends_by_start.remove(start).flatten();
        self.byte_len -= range_bytes(start, end.as_deref());
        end
    }
}

/// The first key behind `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn later_end(one: Option<Vec<u8>>, other: Option<Vec<u8>>) -> Option<Vec<u8>> {
    Some(one?.max(other?))
}

fn range_bytes(start: &[u8], end: Option<&[u8]>) -> usize {
    RANGE_OVERHEAD_BYTES + start.len() + end.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use super::*;
    use proptest::prelude::*;

    fn bound(kind: u8, key: &[u8]) -> Bound<&[u8]> {
        match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    }

    fn short_key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0u8, 1, 255]), 0..3)
    }

    proptest! {
        /// Goal: the set holds exactly the keys between the bounds. Method: every key of up to three bytes over a
        /// small alphabet, against the standard library's notion of a range.
        #[test]
        fn holds_exactly_the_keys_between_the_bounds(
            inserted in prop::collection::vec((0u8..3, short_key(), 0u8..3, short_key()), 0..8),
        ) {
            let mut ranges = KeyRanges::default();
            for (start_kind, start, end_kind, end) in &inserted {
                ranges.insert(bound(*start_kind, start), bound(*end_kind, end));
            }
            let letters = [None, Some(0u8), Some(1), Some(255)];
            for key in letters.iter().flat_map(|a| letters.iter().map(move |b| (a, b))).flat_map(|(a, b)| {
                letters.iter().map(move |c| [*a, *b, *c].into_iter().flatten().collect::<Vec<u8>>())
            }) {
                let expected = inserted.iter().any(|(start_kind, start, end_kind, end)| {
                    let bounds = (bound(*start_kind, start), bound(*end_kind, end));
                    RangeBounds::<[u8]>::contains(&bounds, key.as_slice())
                });
                prop_assert_eq!(ranges.contains(&key), expected, "key {:?}", key);
                prop_assert_eq!(ranges.touch(&WrittenKeys::new([key.as_slice()])), expected);
            }
            let starts: Vec<_> = ranges.ends_by_start.iter().collect();
            for pair in starts.windows(2) {
                prop_assert!(pair[0].1.as_ref().is_some_and(|end| end < pair[1].0), "ranges touch: {:?}", pair);
            }
            let bytes: usize = starts.iter().map(|(start, end)| range_bytes(start, end.as_deref())).sum();
            prop_assert_eq!(ranges.byte_len(), bytes);
        }
    }

    #[test]
    fn a_scan_in_pieces_is_one_range() {
        let mut ranges = KeyRanges::default();
        for first in 0..200u8 {
            ranges.insert(Bound::Included(&[first]), Bound::Excluded(&[first + 1]));
        }
        assert_eq!(ranges.len(), 1);
        ranges.insert(Bound::Unbounded, Bound::Unbounded);
        assert_eq!((ranges.len(), ranges.byte_len()), (1, RANGE_OVERHEAD_BYTES));
    }
}
