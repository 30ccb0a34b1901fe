//! What nodes keep of a key beside its record, so that most comparisons do not touch the record.

use base::checksum::content_hash;

/// Eight bytes of `key` behind its first `skip`, as a number that orders like them; short keys are filled up
/// with zeros. Equal heads say nothing about the order of their keys.
#[inline]
pub(crate) fn head_of(key: &[u8], skip: usize) -> u64 {
    let rest = key.get(skip..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(bytes)
        }
    }
}

/// How many bytes the keys between two fences have in common at least; `None` is the end of the key space.
///
/// This, never a guess, is what a node may skip: every key that is routed to it lies between its fences.
pub(crate) fn shared_len(low: Option<&[u8]>, high: Option<&[u8]>) -> usize {
    let (Some(low), Some(high)) = (low, high) else { return 0 };
    low.iter().zip(high).take_while(|(a, b)| a == b).count()
}

/// Sixteen bits of a key's hash: an equal key has them equal, another key seldom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) u16);

impl Fingerprint {
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Self {
        Self::of_hash(content_hash(key))
    }

    /// The fingerprint of a key with this [`content_hash`].
    #[inline]
    pub(crate) fn of_hash(hash: u64) -> Self {
        Self((hash >> 48) as u16)
    }

    /// This fingerprint in each of the four lanes of a word.
    #[inline]
    pub(crate) fn in_all_lanes(self) -> u64 {
        u64::from(self.0) * 0x0001_0001_0001_0001
    }
}

/// The highest bit of each 16-bit lane in which the words agree; exact, no carries between lanes.
#[inline]
pub(crate) fn equal_lanes(a: u64, b: u64) -> u64 {
    const LOW_BITS: u64 = 0x7fff_7fff_7fff_7fff;
    let difference = a ^ b;
    !(((difference & LOW_BITS) + LOW_BITS) | difference | LOW_BITS)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: heads never contradict the order of keys that share the skipped bytes. Method: random keys over
        /// a tiny alphabet, so that ties, prefixes and zero bytes are common.
        #[test]
        fn heads_order_like_keys(a in "[\0a]{0,12}", b in "[\0a]{0,12}", common in "[ab]{0,9}") {
            let (a, b) = (format!("{common}{a}").into_bytes(), format!("{common}{b}").into_bytes());
            let (head_a, head_b) = (head_of(&a, common.len()), head_of(&b, common.len()));
            prop_assert!(head_a == head_b || (head_a < head_b) == (a < b));
        }

        /// Goal: the lane comparison is exact. Method: against one comparison per lane.
        #[test]
        fn equal_lanes_are_found_exactly(a: [u16; 4], b: [u16; 4], same: [bool; 4]) {
            let word = |lanes: [u16; 4]| (0..4).map(|i| u64::from(lanes[i]) << (16 * i)).sum::<u64>();
            let b = std::array::from_fn(|i| if same[i] { a[i] } else { b[i] });
            let expected: u64 = (0..4).filter(|&i| a[i] == b[i]).map(|i| 0x8000 << (16 * i)).sum();
            prop_assert_eq!(equal_lanes(word(a), word(b)), expected);
        }
    }

    #[test]
    fn fences_share_what_all_keys_between_them_share() {
        assert_eq!(shared_len(Some(b"user1"), Some(b"user29")), 4);
        assert_eq!(shared_len(Some(b"user"), Some(b"user29")), 4);
        assert_eq!(shared_len(None, Some(b"user29")), 0);
        assert_eq!(shared_len(Some(b"user"), None), 0);
    }
}
