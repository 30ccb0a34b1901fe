//! The keys that one commit writes, in the form in which others check against them.
//!
//! ```text
//! n × | fingerprint u64 | end u64 |   n × key       in place when short, else one allocation, which all who check share
//! ```
//! `end` is where the key ends in the bytes of all keys.

use std::sync::Arc;

use crate::fingerprint::fingerprint;

const PLACE_BYTES: usize = 16;
/// The longest that is kept in place, in bytes: one key of 30 bytes.
const SHORT_BYTES_MAX: usize = 46;

/// The keys of one commit: sorted, each once, hashed; made before the commit's lock and never changed. A clone shares
/// them.
#[derive(Clone, Debug)]
pub struct WrittenKeys {
    bytes: Bytes,
    count: usize,
}

/// A commit of one short key needs no allocation, which took more instructions than laying the key out.
#[derive(Clone, Debug)]
enum Bytes {
    Short { len: u8, bytes: [u8; SHORT_BYTES_MAX] },
    Shared(Arc<[u8]>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Shared(bytes) => bytes,
        }
    }
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
        let byte_len = count * PLACE_BYTES + key_bytes;
        let mut short = [0; SHORT_BYTES_MAX];
        if let Some(bytes) = short.get_mut(..byte_len) {
            fill(bytes, keys, count);
            return Self { bytes: Bytes::Short { len: byte_len as u8, bytes: short }, count };
        }
        let mut bytes = vec![0; byte_len];
        fill(&mut bytes, keys, count);
        Self { bytes: Bytes::Shared(bytes.into()), count }
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
        let shared = match &self.bytes {
            Bytes::Short { .. } => 0,
            Bytes::Shared(bytes) => bytes.len(),
        };
        shared + size_of::<Self>()
    }

    fn places(&self) -> &[[u8; PLACE_BYTES]] {
        self.bytes.as_slice().as_chunks().0.get(..self.count).unwrap_or_default()
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
        let keys = self.bytes.as_slice().get(self.count * PLACE_BYTES..).unwrap_or_default();
        keys.get(start as usize..end_of(index) as usize).unwrap_or_default()
    }
}

/// Lays `count` keys out in `bytes`, which are as many as they take.
fn fill<'a>(bytes: &mut [u8], keys: impl Iterator<Item = &'a [u8]>, count: usize) {
    let Some((places, mut rest)) = bytes.split_at_mut_checked(count * PLACE_BYTES) else { return };
    let mut end = 0;
    for (key, place) in keys.zip(places.as_chunks_mut::<PLACE_BYTES>().0) {
        let Some((here, behind)) = rest.split_at_mut_checked(key.len()) else { return };
        here.copy_from_slice(key);
        rest = behind;
        end += key.len() as u64;
        let (hash, end_bytes) = place.split_at_mut(8);
        hash.copy_from_slice(&fingerprint(key).to_le_bytes());
        end_bytes.copy_from_slice(&end.to_le_bytes());
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

    /// Goal: it does not show where the bytes are. Method: one and two keys of every length around the border, the empty set, and
    /// clones that outlive what they are from.
    #[test]
    fn short_and_long_keys_read_the_same() {
        for len in 0..=SHORT_BYTES_MAX + 2 {
            let (first, second) = (vec![1; len], vec![2; len.max(1)]);
            let one = WrittenKeys::one(&first).clone();
            assert!(one.iter().eq([&first[..]]), "{len}");
            assert_eq!(matches!(one.bytes, Bytes::Short { .. }), len + PLACE_BYTES <= SHORT_BYTES_MAX);
            let two = WrittenKeys::new([&second[..], &first]).clone();
            assert!(two.iter().eq([&first[..], &second]), "{len}");
            assert_eq!(two.fingerprints().collect::<Vec<_>>(), [fingerprint(&first), fingerprint(&second)]);
        }
        assert_eq!(WrittenKeys::new([]).iter().count(), 0);
    }
}
