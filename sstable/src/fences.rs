//! Separators in memory, and the search among them.
//!
//! Each separator is reduced to a head: the 8 bytes after what all separators begin with, as a number. A table over
//! the heads' leading bits narrows a search to a few of them; whole keys are compared only where heads tie.

use base::{InternalKey, Version};

use crate::block::common_prefix_len;
use crate::format::Handle;

/// The radix table has at most this many buckets.
const BUCKETS_MAX: usize = 1 << 16;

/// Sorted separators with a handle each.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    keys: Vec<u8>,
    /// The end of each key in `keys`.
    key_ends: Vec<u32>,
    /// Empty when every separator has the highest version, which is the rule.
    versions: Vec<Version>,
    /// Head and handle side by side: a search that found the one needs the other.
    posts: Vec<Post>,
    /// What all separators begin with.
    prefix: Vec<u8>,
    lowest_head: u64,
    shift: u32,
    /// `buckets[b]` is the number of heads in buckets below `b`.
    buckets: Vec<u32>,
}

/// One separator as the search sees it.
#[derive(Clone, Copy, Debug)]
struct Post {
    head: u64,
    handle: Handle,
}

/// A bucket of up to this many separators is counted through, which is done before a branch of a binary search is guessed
/// wrong once.
const COUNTED_POSTS: usize = 8;

#[inline]
fn head(suffix: &[u8]) -> u64 {
    if let Some(chunk) = suffix.first_chunk() {
        return u64::from_be_bytes(*chunk);
    }
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(suffix) {
        *to = *from;
    }
    u64::from_be_bytes(padded)
}

impl Fences {
    /// Adds a separator.
    ///
    /// # Errors
    /// In words, when it is not above all before, or the separators are longer than they can be.
    pub(crate) fn push(&mut self, separator: InternalKey<'_>, handle: Handle) -> Result<(), &'static str> {
        // The search and the size of its table count on the order.
        if self.len().checked_sub(1).is_some_and(|last| self.separator(last) >= separator) {
            return Err("separators are out of order");
        }
        if separator.version != Version::MAX && self.versions.is_empty() {
            self.versions.resize(self.posts.len(), Version::MAX);
        }
        if separator.version != Version::MAX || !self.versions.is_empty() {
            self.versions.push(separator.version);
        }
        self.keys.extend_from_slice(separator.user_key);
        // The head is known when all separators are.
        self.posts.push(Post { head: 0, handle });
        self.key_ends.push(u32::try_from(self.keys.len()).map_err(|_| "the index is larger than can be")?);
        Ok(())
    }

    /// Makes the separators searchable.
    #[must_use]
    pub(crate) fn finish(mut self) -> Self {
        let count = self.posts.len();
        let Some(last) = count.checked_sub(1) else { return self };
        let prefix_len = common_prefix_len(self.key(0), self.key(last));
        self.prefix = self.key(0).get(..prefix_len).unwrap_or_default().to_vec();
        let heads: Vec<u64> =
            (0..count).map(|at| head(self.key(at).get(prefix_len..).unwrap_or_default())).collect();
        self.lowest_head = heads.first().copied().unwrap_or_default();
        let span = heads.last().copied().unwrap_or_default().saturating_sub(self.lowest_head);
        // About as many buckets as separators, over the span that the heads really cover.
        let bucket_bits = count.next_power_of_two().min(BUCKETS_MAX).trailing_zeros();
        self.shift = (64 - span.leading_zeros()).saturating_sub(bucket_bits);
        let bucket_count = (span >> self.shift) as usize + 1;
        self.buckets = Vec::with_capacity(bucket_count + 1);
        for (at, (post, head)) in self.posts.iter_mut().zip(heads).enumerate() {
            post.head = head;
            let bucket = (head.saturating_sub(self.lowest_head) >> self.shift) as usize;
            while self.buckets.len() <= bucket {
                self.buckets.push(at as u32);
            }
        }
        self.buckets.resize(bucket_count + 1, count as u32);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.posts.len()
    }

    pub(crate) fn handle(&self, at: usize) -> Option<Handle> {
        self.posts.get(at).map(|post| post.handle)
    }

    /// Bytes of memory held.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let held = self.keys.capacity()
            + (self.key_ends.capacity() + self.buckets.capacity()) * size_of::<u32>()
            + self.versions.capacity() * size_of::<u64>()
            + self.posts.capacity() * size_of::<Post>();
        held as u64
    }

    fn key(&self, at: usize) -> &[u8] {
        let end = |at: usize| self.key_ends.get(at).map_or(0, |end| *end as usize);
        let start = at.checked_sub(1).map_or(0, end);
        self.keys.get(start..end(at)).unwrap_or_default()
    }

    fn separator(&self, at: usize) -> InternalKey<'_> {
        InternalKey::new(self.key(at), self.versions.get(at).copied().unwrap_or(Version::MAX))
    }

    /// The last separator at or before `target`; the first one when all are behind it.
    #[inline]
    pub(crate) fn find(&self, target: InternalKey<'_>) -> usize {
        let Some(suffix) = target.user_key.strip_prefix(self.prefix.as_slice()) else {
            let before_all = target.user_key < self.prefix.as_slice();
            return if before_all { 0 } else { self.len().saturating_sub(1) };
        };
        let wanted = head(suffix);
        let Some(distance) = wanted.checked_sub(self.lowest_head) else { return 0 };
        let bucket = usize::try_from(distance >> self.shift).unwrap_or(usize::MAX);
        let edge = |bucket: usize| self.buckets.get(bucket).map_or(self.len(), |at| *at as usize);
        let low = edge(bucket);
        let high = edge(bucket.saturating_add(1));
        let window = self.posts.get(low..high).unwrap_or_default();
        let below = low
            + if window.len() <= COUNTED_POSTS {
                window.iter().map(|post| usize::from(post.head < wanted)).sum()
            } else {
                window.partition_point(|post| post.head < wanted)
            };
        if self.posts.get(below).is_none_or(|post| post.head != wanted) {
            return below.saturating_sub(1);
        }
        self.find_among_ties(target, wanted, below)
    }

    fn find_among_ties(&self, target: InternalKey<'_>, wanted: u64, below: usize) -> usize {
        let ties = self.posts.get(below..).unwrap_or_default();
        let (mut low, mut high) = (below, below + ties.partition_point(|post| post.head == wanted));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.separator(middle) <= target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Goal: the search equals a plain one. Method: random separators over small and full alphabets.
        #[test]
        fn find_equals_partition_point(
            prefix in proptest::collection::vec(any::<u8>(), 0..4),
            keys in proptest::collection::btree_set(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..12), 1..120),
            exact in any::<bool>(),
            targets in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..12), 20),
        ) {
            let version = |at: usize| if exact && at.is_multiple_of(3) { Version(5) } else { Version::MAX };
            let keys: Vec<Vec<u8>> = keys.into_iter().map(|key| [prefix.as_slice(), &key].concat()).collect();
            let mut fences = Fences::default();
            for (at, key) in keys.iter().enumerate() {
                let handle = Handle { offset: at as u64, sealed_bytes: 1 };
                prop_assert_eq!(fences.push(InternalKey::new(key, version(at)), handle), Ok(()));
            }
            let handle = Handle { offset: 0, sealed_bytes: 1 };
            for (at, key) in keys.iter().enumerate() {
                // Neither twice nor behind a larger one: `finish` would size its table by it.
                prop_assert!(fences.push(InternalKey::new(key, version(at)), handle).is_err());
            }
            let fences = fences.finish();
            let more = keys.iter().cloned().chain(targets.iter().map(|key| [prefix.as_slice(), key].concat()));
            for key in more.chain(targets.clone()) {
                for target_version in [Version::ZERO, Version(5), Version(6), Version::MAX] {
                    let target = InternalKey::new(&key, target_version);
                    let above = (0..keys.len())
                        .filter(|at| InternalKey::new(&keys[*at], version(*at)) <= target)
                        .count();
                    prop_assert_eq!(fences.find(target), above.saturating_sub(1));
                }
            }
        }
    }
}
