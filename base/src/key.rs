//! The order of stored keys: user key ascending, then version descending, so that the newest version of a
//! key comes first.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::Version;

/// The longest user key, in bytes.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// A user key and the version of the commit that wrote it; borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InternalKey<'a> {
    /// The key as the user gave it.
    pub user_key: &'a [u8],
    /// The commit that wrote it.
    pub version: Version,
}

impl<'a> InternalKey<'a> {
    /// Pairs a key with a version.
    #[must_use]
    pub fn new(user_key: &'a [u8], version: Version) -> Self {
        Self { user_key, version }
    }

    /// The first position of `user_key`: where its newest version would stand.
    #[must_use]
    pub fn first_of(user_key: &'a [u8]) -> Self {
        Self { user_key, version: Version::MAX }
    }

    /// The last position of `user_key`: after all of its versions.
    #[must_use]
    pub fn last_of(user_key: &'a [u8]) -> Self {
        Self { user_key, version: Version::ZERO }
    }

    /// An owned copy.
    #[must_use]
    pub fn to_buf(self) -> InternalKeyBuf {
        InternalKeyBuf { user_key: self.user_key.to_vec(), version: self.version }
    }
}

/// The order of two user keys: that of slices. The first 16 bytes, where most keys differ, are compared without a call.
#[inline]
#[must_use]
pub fn order_of_keys(left: &[u8], right: &[u8]) -> Ordering {
    match (left.first_chunk::<16>(), right.first_chunk::<16>()) {
        (Some(a), Some(b)) if a != b => u128::from_be_bytes(*a).cmp(&u128::from_be_bytes(*b)),
        _ => left.cmp(right),
    }
}

/// Appends `key` to `buffer`, as `extend_from_slice` does, but without a call for a key of 16 bytes.
#[inline(always)] // A part of the loops that copy keys.
pub fn append_key(buffer: &mut Vec<u8>, key: &[u8]) {
    match <&[u8; 16]>::try_from(key) {
        Ok(whole) => buffer.extend_from_slice(whole),
        Err(_) => append_other_key(buffer, key),
    }
}

/// Of another length. A usual one, of 8 to 32 bytes, is copied as its first and its last bytes, which overlap: two copies of lengths that
/// the compiler knows.
fn append_other_key(buffer: &mut Vec<u8>, key: &[u8]) {
    let start = buffer.len();
    if let (Some(first), Some(last), true) =
        (key.first_chunk::<16>(), key.last_chunk::<16>(), key.len() <= 32)
    {
        buffer.extend_from_slice(first);
        buffer.truncate(start + key.len() - 16);
        buffer.extend_from_slice(last);
    } else if let (Some(first), Some(last), true) =
        (key.first_chunk::<8>(), key.last_chunk::<8>(), key.len() <= 16)
    {
        buffer.extend_from_slice(first);
        buffer.truncate(start + key.len() - 8);
        buffer.extend_from_slice(last);
    } else {
        buffer.extend_from_slice(key);
    }
}

impl Ord for InternalKey<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        order_of_keys(self.user_key, other.user_key).then_with(|| other.version.cmp(&self.version))
    }
}

impl PartialOrd for InternalKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A user key and its version; owned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct InternalKeyBuf {
    /// The key as the user gave it.
    pub user_key: Vec<u8>,
    /// The commit that wrote it.
    pub version: Version,
}

impl InternalKeyBuf {
    /// A borrowed view.
    #[must_use]
    pub fn as_ref(&self) -> InternalKey<'_> {
        InternalKey { user_key: &self.user_key, version: self.version }
    }

    /// Overwrites this key, keeping its allocation.
    pub fn assign(&mut self, key: InternalKey<'_>) {
        self.user_key.clear();
        append_key(&mut self.user_key, key.user_key);
        self.version = key.version;
    }
}

impl Ord for InternalKeyBuf {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for InternalKeyBuf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A range of user keys; owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBounds {
    /// Where it begins.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyBounds {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// Every key that starts with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let end = prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(prefix.to_vec()), end }
    }

    /// True when `key` is not before the start.
    #[must_use]
    pub fn admits_start(&self, key: &[u8]) -> bool {
        match &self.start {
            Bound::Unbounded => true,
            Bound::Included(start) => key >= start.as_slice(),
            Bound::Excluded(start) => key > start.as_slice(),
        }
    }

    /// True when `key` is not past the end.
    #[must_use]
    pub fn admits_end(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
        }
    }

    /// True when `key` lies inside.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.admits_start(key) && self.admits_end(key)
    }
}

/// The smallest key above every key that starts with `prefix`; `None` when there is no such key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != 0xff)? + 1;
    let mut end = prefix.get(..keep)?.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_are_appended_and_compared_as_slices_are() {
        let bytes: Vec<u8> = (0..40).collect();
        for len in 0..=bytes.len() {
            let key = &bytes[..len];
            let mut buffer = b"before".to_vec();
            append_key(&mut buffer, key);
            assert_eq!(buffer, [b"before", key].concat());
            for other_len in 0..=bytes.len() {
                for changed in 0..=other_len {
                    let mut other = bytes[..other_len].to_vec();
                    if let Some(byte) = other.get_mut(changed) {
                        *byte ^= 0x81;
                    }
                    assert_eq!(order_of_keys(key, &other), key.cmp(&other));
                    assert_eq!(order_of_keys(&other, key), other.as_slice().cmp(key));
                }
            }
        }
    }

    #[test]
    fn newest_version_of_a_key_comes_first() {
        let newer = InternalKey::new(b"a", Version(9));
        let older = InternalKey::new(b"a", Version(3));
        let longer = InternalKey::new(b"aa", Version(99));
        assert!(newer < older && older < longer);
        assert!(InternalKey::first_of(b"a") < newer && older < InternalKey::last_of(b"a"));
    }

    #[test]
    fn prefix_end_is_the_tight_upper_bound() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
        let bounds = KeyBounds::prefix(b"a\xff");
        assert!(bounds.contains(b"a\xff") && bounds.contains(b"a\xff\xff") && !bounds.contains(b"b"));
    }
}
