//! What a transaction wants to write: sorted, so that its own scans see it and its commit comes out in key order.
//!
//! Keys and values are copied once, into an arena; writes are numbered as they come. As long as their keys ascend, as
//! those of a load often do, the numbers are the order; the first key that does not makes an index of them.

use std::cmp::Ordering;
use std::ops::Bound;

use base::{Entry, KeyBounds, Payload, UnixSeconds};

use crate::WrittenKeys;
use crate::byte_arena::{ByteArena, Span};
use crate::key_order::{KeyOrder, Place};

/// What one pending write costs beside its key and value, in bytes: its slot, its number, and the slack of their vectors.
const PENDING_OVERHEAD_BYTES: usize = 176;
/// Overwritten bytes below this are not worth a copy of the rest.
const DEAD_BYTES_MIN: usize = 64 << 10;

/// A write that is not committed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending<'a> {
    /// The value; `None` deletes the key.
    pub value: Option<&'a [u8]>,
    /// A byte for the user's own use.
    pub user_meta: u8,
    /// When it expires; `None` = never.
    pub expires_at: Option<UnixSeconds>,
    /// Older versions of the key are not to be seen or kept.
    pub hides_older: bool,
}

impl<'a> Pending<'a> {
    /// A value without metadata.
    #[must_use]
    pub fn value(value: &'a [u8]) -> Self {
        Self { value: Some(value), ..Self::tombstone() }
    }

    /// A deletion.
    #[must_use]
    pub fn tombstone() -> Self {
        Self { value: None, user_meta: 0, expires_at: None, hides_older: false }
    }

    /// The same, in the form in which entries are stored.
    #[must_use]
    pub fn as_entry(&self) -> Entry<'a> {
        Entry {
            payload: self.value.map_or(Payload::Tombstone, Payload::Inline),
            user_meta: self.user_meta,
            expires_at: self.expires_at,
            hides_older: self.hides_older,
        }
    }
}

/// The write of one key.
#[derive(Clone, Debug)]
struct Slot {
    /// The first bytes of the key, so that few comparisons look at the rest.
    head: u64,
    /// Where key and value stand, one behind the other.
    span: Span,
    key_len: usize,
    value_len: Option<usize>,
    expires_at: Option<UnixSeconds>,
    user_meta: u8,
    hides_older: bool,
}

impl Slot {
    fn byte_len(&self) -> usize {
        self.key_len + self.value_len.unwrap_or(0)
    }
}

/// The pending writes of one transaction by key; the last write of a key wins.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    arena: ByteArena,
    slots: Vec<Slot>,
    /// `None` while the keys have come in order.
    order: Option<KeyOrder>,
    /// What was overwritten and still takes room in the arena, in bytes.
    dead_bytes: usize,
}

impl WriteSet {
    /// Nothing to write yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most how much [`WriteSet::byte_len`] grows when `pending` is written under `key`, in bytes.
    #[must_use]
    pub fn cost_bytes(key: &[u8], pending: &Pending<'_>) -> usize {
        PENDING_OVERHEAD_BYTES + key.len() + pending.value.map_or(0, <[u8]>::len)
    }

    /// Writes `pending` under `key`, in place of an earlier write of this transaction.
    pub fn set(&mut self, key: &[u8], pending: &Pending<'_>) {
        let slot = Slot {
            head: head_of(key),
            span: self.arena.push(key, pending.value.unwrap_or_default()),
            key_len: key.len(),
            value_len: pending.value.map(<[u8]>::len),
            expires_at: pending.expires_at,
            user_meta: pending.user_meta,
            hides_older: pending.hides_older,
        };
        if self.order.is_none()
            && self.slots.last().is_none_or(|last| self.compare(last, slot.head, key).is_lt())
        {
            return self.slots.push(slot);
        }
        let place = self.lower_bound(key);
        match self.number_at(place).and_then(|number| Some((number, self.slots.get(number as usize)?))) {
            Some((number, present)) if self.key(present) == key => self.replace(number, slot),
            _ => {
                let number = self.slots.len() as u32;
                self.order.get_or_insert_with(|| KeyOrder::ascending(number)).insert(place, number);
                self.slots.push(slot);
            }
        }
    }

    /// Deletes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.set(key, &Pending::tombstone());
    }

    /// What this transaction wrote under `key`; a tombstone is an answer too.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Pending<'_>> {
        let slot = self.slot_at(self.lower_bound(key))?;
        (self.key(slot) == key).then(|| self.pending(slot))
    }

    /// All writes, by key ascending; double-ended.
    pub fn iter(&self) -> PendingRange<'_> {
        PendingRange { set: self, front: Place::default(), back: self.end() }
    }

    /// The writes between two bounds, by key ascending; double-ended. Nothing when the bounds are crossed.
    pub fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> PendingRange<'_> {
        let front = match start {
            Bound::Unbounded => Place::default(),
            Bound::Included(key) => self.lower_bound(key),
            Bound::Excluded(key) => self.upper_bound(key),
        };
        let back = match end {
            Bound::Unbounded => self.end(),
            Bound::Included(key) => self.upper_bound(key),
            Bound::Excluded(key) => self.lower_bound(key),
        };
        PendingRange { set: self, front, back: back.max(front) }
    }

    /// The writes inside `bounds`, by key ascending; double-ended.
    pub fn bounds(&self, bounds: &KeyBounds) -> PendingRange<'_> {
        self.range(bounds.start.as_ref().map(Vec::as_slice), bounds.end.as_ref().map(Vec::as_slice))
    }

    /// How many keys are written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.arena.len() + self.slots.len() * PENDING_OVERHEAD_BYTES
    }

    /// Forgets everything, for a new attempt.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The keys, in the form in which other transactions check against them.
    #[must_use]
    pub fn written_keys(&self) -> WrittenKeys {
        let key_bytes = self.slots.iter().map(|slot| slot.key_len).sum();
        WrittenKeys::from_sorted(self.iter().map(|(key, _)| key), self.len(), key_bytes)
    }

    fn replace(&mut self, number: u32, slot: Slot) {
        if let Some(present) = self.slots.get_mut(number as usize) {
            self.dead_bytes += present.byte_len();
            *present = slot;
        }
        let live_bytes = self.arena.len() - self.dead_bytes;
        if self.dead_bytes > live_bytes.max(DEAD_BYTES_MIN) {
            self.drop_dead();
        }
    }

    /// Copies what is not overwritten.
    fn drop_dead(&mut self) {
        let old = std::mem::take(&mut self.arena);
        for slot in &mut self.slots {
            slot.span = self.arena.push(old.get(slot.span, 0, slot.byte_len()), &[]);
        }
        self.dead_bytes = 0;
    }

    fn key(&self, slot: &Slot) -> &[u8] {
        self.arena.get(slot.span, 0, slot.key_len)
    }

    fn pending(&self, slot: &Slot) -> Pending<'_> {
        Pending {
            value: slot.value_len.map(|len| self.arena.get(slot.span, slot.key_len, len)),
            user_meta: slot.user_meta,
            expires_at: slot.expires_at,
            hides_older: slot.hides_older,
        }
    }

    /// The order of a slot and a key, whose head is `head`.
    #[inline]
    fn compare(&self, slot: &Slot, head: u64, key: &[u8]) -> Ordering {
        slot.head.cmp(&head).then_with(|| self.key(slot).cmp(key))
    }

    fn lower_bound(&self, key: &[u8]) -> Place {
        let head = head_of(key);
        self.partition_point(|slot| self.compare(slot, head, key).is_lt())
    }

    fn upper_bound(&self, key: &[u8]) -> Place {
        let head = head_of(key);
        self.partition_point(|slot| self.compare(slot, head, key).is_le())
    }

    fn partition_point(&self, is_before: impl Fn(&Slot) -> bool) -> Place {
        match &self.order {
            Some(order) => {
                order.partition_point(|number| self.slots.get(number as usize).is_some_and(&is_before))
            }
            None => Place::in_one_run(self.slots.partition_point(is_before)),
        }
    }

    fn end(&self) -> Place {
        self.order.as_ref().map_or(Place::in_one_run(self.slots.len()), KeyOrder::end)
    }

    fn number_at(&self, place: Place) -> Option<u32> {
        match &self.order {
            Some(order) => order.get(place),
            None => place.offset_in_one_run().try_into().ok(),
        }
    }

    fn slot_at(&self, place: Place) -> Option<&Slot> {
        self.slots.get(self.number_at(place)? as usize)
    }

    fn after(&self, place: Place) -> Place {
        match &self.order {
            Some(order) => order.after(place),
            None => Place::in_one_run(place.offset_in_one_run() + 1),
        }
    }

    fn before(&self, place: Place) -> Option<Place> {
        match &self.order {
            Some(order) => order.before(place),
            None => place.offset_in_one_run().checked_sub(1).map(Place::in_one_run),
        }
    }
}

/// The first eight bytes of `key` as a number that sorts as they do; equal ones say nothing.
#[inline]
fn head_of(key: &[u8]) -> u64 {
    if let Some(chunk) = key.first_chunk() {
        return u64::from_be_bytes(*chunk);
    }
    let mut padded = [0; 8];
    padded.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(padded)
}

/// A part of a [`WriteSet`].
#[derive(Clone, Debug)]
pub struct PendingRange<'a> {
    set: &'a WriteSet,
    front: Place,
    back: Place,
}

impl<'a> PendingRange<'a> {
    #[inline]
    fn at(&self, place: Place) -> Option<(&'a [u8], Pending<'a>)> {
        let slot = self.set.slot_at(place)?;
        Some((self.set.key(slot), self.set.pending(slot)))
    }
}

impl<'a> Iterator for PendingRange<'a> {
    type Item = (&'a [u8], Pending<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        let here = self.at(self.front);
        self.front = self.set.after(self.front);
        here
    }
}

impl DoubleEndedIterator for PendingRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = self.set.before(self.back)?;
        self.at(self.back)
    }
}

impl<'a> IntoIterator for &'a WriteSet {
    type Item = (&'a [u8], Pending<'a>);
    type IntoIter = PendingRange<'a>;

    fn into_iter(self) -> PendingRange<'a> {
        self.iter()
    }
}
