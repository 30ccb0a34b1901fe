//! What a transaction wants to write: sorted, so that its own scans see it and its commit comes out in key order.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use base::{Entry, KeyBounds, Payload, UnixSeconds};
use bytes::Bytes;

use crate::WrittenKeys;

/// What one pending write costs beside its key and value, in bytes: their handles and its share of a tree node.
const PENDING_OVERHEAD_BYTES: usize = 144;

/// A write that is not committed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The value; `None` deletes the key.
    pub value: Option<Bytes>,
    /// A byte for the user's own use.
    pub user_meta: u8,
    /// When it expires; `None` = never.
    pub expires_at: Option<UnixSeconds>,
    /// Older versions of the key are not to be seen or kept.
    pub hides_older: bool,
}

impl Pending {
    /// A value without metadata.
    #[must_use]
    pub fn value(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::tombstone() }
    }

    /// A deletion.
    #[must_use]
    pub fn tombstone() -> Self {
        Self { value: None, user_meta: 0, expires_at: None, hides_older: false }
    }

    /// A borrowed view, in the form in which entries are stored.
    #[must_use]
    pub fn as_entry(&self) -> Entry<'_> {
        Entry {
            payload: self.value.as_deref().map_or(Payload::Tombstone, Payload::Inline),
            user_meta: self.user_meta,
            expires_at: self.expires_at,
            hides_older: self.hides_older,
        }
    }
}

/// The pending writes of one transaction by key; the last write of a key wins.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    pending: BTreeMap<Bytes, Pending>,
    byte_len: usize,
}

impl WriteSet {
    /// Nothing to write yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most how much [`WriteSet::byte_len`] grows when `pending` is written under `key`, in bytes.
    #[must_use]
    pub fn cost_bytes(key: &[u8], pending: &Pending) -> usize {
        PENDING_OVERHEAD_BYTES + key.len() + pending.value.as_ref().map_or(0, Bytes::len)
    }

    /// Writes `pending` under `key`, in place of an earlier write of this transaction, which is returned.
    pub fn set(&mut self, key: &[u8], pending: Pending) -> Option<Pending> {
        self.byte_len += Self::cost_bytes(key, &pending);
        let replaced = match self.pending.get_mut(key) {
            Some(present) => Some(std::mem::replace(present, pending)),
            None => self.pending.insert(Bytes::copy_from_slice(key), pending),
        };
        if let Some(replaced) = &replaced {
            self.byte_len -= Self::cost_bytes(key, replaced);
        }
        replaced
    }

    /// Deletes `key`. Returns the earlier write of this transaction that it replaces.
    pub fn delete(&mut self, key: &[u8]) -> Option<Pending> {
        self.set(key, Pending::tombstone())
    }

    /// What this transaction wrote under `key`; a tombstone is an answer too.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Pending> {
        self.pending.get(key)
    }

    /// All writes, by key ascending; double-ended.
    pub fn iter(&self) -> PendingRange<'_> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The writes between two bounds, by key ascending; double-ended. Nothing when the bounds are crossed.
    pub fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> PendingRange<'_> {
        // The map panics on crossed bounds; a caller's empty range is not worth that.
        let is_crossed = match (start, end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (
                Bound::Included(start) | Bound::Excluded(start),
                Bound::Included(end) | Bound::Excluded(end),
            ) => start >= end,
        };
        let range = (!is_crossed).then(|| self.pending.range::<[u8], _>((start, end)));
        PendingRange { inner: range.unwrap_or_default() }
    }

    /// The writes inside `bounds`, by key ascending; double-ended.
    pub fn bounds(&self, bounds: &KeyBounds) -> PendingRange<'_> {
        let range = (bounds.start.as_ref().map(Vec::as_slice), bounds.end.as_ref().map(Vec::as_slice));
        self.range(range.0, range.1)
    }

    /// How many keys are written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// True when there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Forgets everything, for a new attempt.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The keys, in the form in which other transactions check against them.
    #[must_use]
    pub fn written_keys(&self) -> WrittenKeys {
        WrittenKeys::new(self.pending.keys().map(|key| &**key))
    }
}

/// A part of a [`WriteSet`]. Keys and values are cheap to clone: they share their memory.
#[derive(Clone, Debug)]
pub struct PendingRange<'a> {
    inner: btree_map::Range<'a, Bytes, Pending>,
}

impl<'a> Iterator for PendingRange<'a> {
    type Item = (&'a Bytes, &'a Pending);

    fn next(&mut self) -> Option<Self::Item> {
        self.inner.next()
    }
}

impl DoubleEndedIterator for PendingRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.inner.next_back()
    }
}

impl<'a> IntoIterator for &'a WriteSet {
    type Item = (&'a Bytes, &'a Pending);
    type IntoIter = PendingRange<'a>;

    fn into_iter(self) -> PendingRange<'a> {
        self.iter()
    }
}
