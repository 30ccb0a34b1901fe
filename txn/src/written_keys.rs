//! The keys that one commit writes, in the form in which others check against them.
//!
//! ```text
//! n × | fingerprint u64 | end u64 |   n × key       one allocation, which all who check share
//! ```
//! `end` is where the key ends in the bytes of all keys.

use std::sync::Arc;

use crate::fingerprint::fingerprint;

const PLACE_BYTES: usize = 16;

/// The keys of one commit: sorted, each once, hashed; made before the commit's lock and never changed. A clone shares
/// them.
#[derive(Clone, Debug)]
pub struct WrittenKeys {
    bytes: Arc<[u8]>,
    count: usize,
}

impl WrittenKeys {
    /// Takes `keys` in any order; ascending is fastest.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut keys: Vec<&[u8]> = keys.into_iter().collect();
        keys.sort_unstable(); // one pass when they are sorted already
        keys.dedup();
        let key_bytes = keys.iter().map(|key| key.len()).sum();
        Self::from_sorted(keys.iter().copied(), keys.len(), key_bytes)
    }

    /// The key of a commit that writes only one.
    #[must_use]
    pub fn one(key: &[u8]) -> Self {
        Self::from_sorted(std::iter::once(key), 1, key.len())
    }

    /// Takes `count` ascending, distinct keys of `key_bytes` bytes together.
    pub(crate) fn from_sorted<'a>(
        keys: impl Iterator<Item = &'a [u8]>,
        count: usize,
        key_bytes: usize,
    ) -> Self {
        let mut bytes = Vec::with_capacity(count * PLACE_BYTES + key_bytes);
        bytes.resize(count * PLACE_BYTES, 0);
        for (index, key) in keys.take(count).enumerate() {
            bytes.extend_from_slice(key);
            let end = (bytes.len() - count * PLACE_BYTES) as u64;
            if let Some(place) = bytes.as_chunks_mut::<PLACE_BYTES>().0.get_mut(index) {
                let (hash, end_bytes) = place.split_at_mut(8);
                hash.copy_from_slice(&fingerprint(key).to_le_bytes());
                end_bytes.copy_from_slice(&end.to_le_bytes());
            }
        }
        Self { bytes: bytes.into(), count }
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All keys, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.key(index))
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }

    fn places(&self) -> &[[u8; PLACE_BYTES]] {
        self.bytes.as_chunks().0.get(..self.count).unwrap_or_default()
    }

    pub(crate) fn fingerprints(&self) -> impl ExactSizeIterator<Item = u64> {
        self.places().iter().map(|place| number(place.first_chunk()))
    }

    /// True when a key lies from `start` (included) to `end` (excluded, `None` = no end).
    pub(crate) fn has_any_between(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) < start { low = middle + 1 } else { high = middle }
        }
        low < self.len() && end.is_none_or(|end| self.key(low) < end)
    }

    fn key(&self, index: usize) -> &[u8] {
        let end_of = |index: usize| self.places().get(index).map_or(0, |place| number(place.last_chunk()));
        let start = index.checked_sub(1).map_or(0, end_of);
        let keys = self.bytes.get(self.count * PLACE_BYTES..).unwrap_or_default();
        keys.get(start as usize..end_of(index) as usize).unwrap_or_default()
    }
}

fn number(bytes: Option<&[u8; 8]>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_sorted_and_once() {
        let keys = WrittenKeys::new([&b"b"[..], b"", b"ab", b"b", b"a"]);
        assert_eq!(keys.iter().collect::<Vec<_>>(), [&b""[..], b"a", b"ab", b"b"]);
        assert_eq!(keys.fingerprints().collect::<Vec<_>>(), [&b""[..], b"a", b"ab", b"b"].map(fingerprint));
        assert!(!keys.is_empty() && WrittenKeys::new([]).is_empty());
        assert!(WrittenKeys::one(b"b").iter().eq([b"b"]));
    }

    #[test]
    fn ranges_are_half_open() {
        let keys = WrittenKeys::new([&b"b"[..], b"d"]);
        let between = |start: &[u8], end: Option<&[u8]>| keys.has_any_between(start, end);
        assert!(between(b"b", Some(b"b\0")) && between(b"a", Some(b"c")) && between(b"", None));
        assert!(!between(b"a", Some(b"b")) && !between(b"b\0", Some(b"d")) && !between(b"d\0", None));
        assert!(!WrittenKeys::new([]).has_any_between(b"", None));
    }
}
