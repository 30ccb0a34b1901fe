//! The keys that one commit writes, in the form in which others check against them.

use crate::fingerprint::fingerprint;

/// Where a key ends in the common buffer, and its fingerprint.
#[derive(Clone, Copy, Debug)]
struct Place {
    end: usize,
    fingerprint: u64,
}

/// The keys of one commit: sorted, each once, hashed; made before the commit's lock and never changed.
#[derive(Clone, Debug, Default)]
pub struct WrittenKeys {
    bytes: Box<[u8]>,
    places: Box<[Place]>,
}

impl WrittenKeys {
    /// Takes `keys` in any order; ascending is fastest.
    #[must_use]
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut keys: Vec<&[u8]> = keys.into_iter().collect();
        keys.sort_unstable(); // one pass when they are sorted already
        keys.dedup();
        let mut end = 0;
        let place = |key: &&[u8]| {
            end += key.len();
            Place { end, fingerprint: fingerprint(key) }
        };
        Self { places: keys.iter().map(place).collect(), bytes: keys.concat().into() }
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All keys, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.key(index))
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>() + size_of::<Self>()
    }

    pub(crate) fn fingerprints(&self) -> impl ExactSizeIterator<Item = u64> {
        self.places.iter().map(|place| place.fingerprint)
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
        let end_of = |index: usize| self.places.get(index).map_or(0, |place| place.end);
        let start = index.checked_sub(1).map_or(0, end_of);
        self.bytes.get(start..end_of(index)).unwrap_or_default()
    }
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
