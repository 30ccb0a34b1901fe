//! A page: some items of a scan that were read together, and share what they stand on.
//!
//! What one item costs alone - a key of its own, a hold on the block of its value, a hold on its segment - a page pays once
//! for many. An item is a place in a page; whoever keeps an item keeps the page: the keys of its neighbours and the blocks
//! of their values, [`BYTES_MAX`] or one value more.

use std::sync::Arc;

use base::{
    Entry, EntryRef, Error, InternalKey, Payload, Result, UnixSeconds, ValuePointer, Version, append_key,
};
use bytes::Bytes;

use crate::view::SegmentHandle;

/// A page is full when what it holds and keeps alive is as long as this, in bytes.
const BYTES_MAX: usize = 64 << 10;
/// How many blocks are searched for one that the page holds already: as many as sources that take turns.
const RECENT_BLOCKS: usize = 4;
/// The separated values of so many items are read ahead together.
const ITEMS_TO_READ_AHEAD: usize = 4;
/// No more than this of them, in bytes: the reader may stop, and longer values are asked for one by one.
const VALUES_AHEAD_BYTES_MAX: u64 = 4 << 20;
/// A value that is asked for makes the processor fetch the one so many items on.
const VALUES_AHEAD: usize = 1;
/// The length of a key for which memory is taken ahead, in bytes.
const USUAL_KEY_BYTES: usize = 24;

/// Items in the order in which a scan shows them.
#[derive(Debug, Default)]
pub(super) struct Page {
    keys: Vec<u8>,
    items: Vec<Slot>,
    /// What inline values lie in.
    blocks: Vec<Bytes>,
    /// Inline values whose memory cannot be shared, one after another.
    copies: Vec<u8>,
    /// The segments of separated values.
    segments: Vec<(u64, Arc<SegmentHandle>)>,
    kept_bytes: usize,
    /// Where the key of the last item begins.
    last_start: usize,
    keys_only: bool,
}

/// One item; its key ends at `key_end` and begins where the one before it ends.
#[derive(Clone, Copy, Debug)]
struct Slot {
    version: Version,
    place: Place,
    expires_at: Option<UnixSeconds>,
    key_end: u32,
    user_meta: u8,
    hides_older: bool,
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Tombstone,
    Block {
        block: u32,
        start: u32,
        len: u32,
    },
    Copy {
        start: u32,
        len: u32,
    },
    Segment(ValuePointer),
    /// In a table or a memtable, and not wanted.
    Elsewhere {
        len: u32,
    },
}

impl Page {
    /// An empty page, for keys only or with their values.
    pub(super) fn new(keys_only: bool) -> Self {
        Self { keys_only, ..Self::default() }
    }

    /// Makes an empty page of this one, which keeps its memory.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.items.clear();
        self.blocks.clear();
        self.copies.clear();
        self.segments.clear();
        self.kept_bytes = 0;
    }

    /// Takes memory for so many items of usual length.
    pub(super) fn reserve(&mut self, items: usize) {
        self.items.reserve(items);
        self.keys.reserve(items * USUAL_KEY_BYTES);
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// True when it holds `items`, or keeps as much memory alive as it may.
    #[inline]
    pub(super) fn is_full(&self, items: usize) -> bool {
        self.items.len() >= items || self.kept_bytes + self.keys.len() >= BYTES_MAX
    }

    /// The item that was added last.
    #[inline]
    pub(super) fn last(&self) -> Option<InternalKey<'_>> {
        let slot = self.items.last()?;
        Some(InternalKey::new(self.keys.get(self.last_start..)?, slot.version))
    }

    /// Adds `found`, with its value unless only keys are wanted.
    #[inline(always)] // A part of the loop over a block, with what is known there of the entry.
    pub(super) fn push(&mut self, found: &EntryRef<'_>) {
        let EntryRef { key, entry, block, is_further: _ } = found;
        if let (Payload::Inline(value), Some(block), false) = (&entry.payload, block, self.keys_only) {
            // The rule, by itself: the slot is made where it will lie.
            let place = self.share(value, block);
            return self.add(*key, entry, place);
        }
        let place = match &entry.payload {
            Payload::Tombstone => Place::Tombstone,
            Payload::Separated(pointer) => Place::Segment(*pointer),
            Payload::Inline(value) if self.keys_only => Place::Elsewhere { len: value.len() as u32 },
            Payload::Inline(value) => self.copy(value),
        };
        self.add(*key, entry, place);
    }

    #[inline(always)] // As a call, the slot goes through memory twice.
    fn add(&mut self, key: InternalKey<'_>, entry: &Entry<'_>, place: Place) {
        self.last_start = self.keys.len();
        append_key(&mut self.keys, key.user_key);
        self.items.push(Slot {
            version: key.version,
            place,
            expires_at: entry.expires_at,
            key_end: self.keys.len() as u32,
            user_meta: entry.user_meta,
            hides_older: entry.hides_older,
        });
    }

    /// Takes back the item that was added last.
    pub(super) fn pop(&mut self) {
        self.items.pop();
        self.keys.truncate(self.last_start);
        let before = self.items.len().checked_sub(2).and_then(|before| self.items.get(before));
        self.last_start = before.map_or(0, |slot| slot.key_end as usize);
    }

    /// True when segment `number` is kept alive.
    pub(super) fn keeps_segment(&self, number: u64) -> bool {
        self.segment(number).is_some()
    }

    /// Keeps segment `number`, into which an item points, alive.
    pub(super) fn keep_segment(&mut self, number: u64, segment: Arc<SegmentHandle>) {
        self.segments.push((number, segment));
    }

    fn segment(&self, number: u64) -> Option<&Arc<SegmentHandle>> {
        self.segments.iter().rev().find(|(kept, _)| *kept == number).map(|(_, segment)| segment)
    }

    /// Has the system read ahead what the separated values lie in, where many of them lie close together. Those that do not
    /// would take a call each, which is as long as to read one that is in memory.
    pub(super) fn read_values_ahead(&self) {
        if self.items.len() < ITEMS_TO_READ_AHEAD || self.keys_only {
            return;
        }
        for (number, segment) in &self.segments {
            let pointers = self.items.iter().filter_map(|slot| match &slot.place {
                Place::Segment(pointer) if pointer.segment == *number => Some(pointer),
                _ => None,
            });
            let (mut start, mut end, mut bytes) = (u64::MAX, 0, 0);
            for pointer in pointers {
                let record_len = u64::from(pointer.record_len);
                start = start.min(pointer.offset);
                end = end.max(pointer.offset.saturating_add(record_len));
                bytes += record_len;
            }
            if start < end && end - start <= bytes.saturating_mul(2) {
                segment.read_ahead(start, (end - start).min(VALUES_AHEAD_BYTES_MAX));
            }
        }
    }

    /// Asks the processor for the separated value of item `at`, if there is such an item.
    #[inline]
    fn prefetch_value(&self, at: usize) {
        if let Some(Slot { place: Place::Segment(pointer), .. }) = self.items.get(at)
            && let Some(handle) = self.segment(pointer.segment)
        {
            handle.prefetch(pointer);
        }
    }

    /// The key of item `at`.
    #[inline]
    pub(super) fn key(&self, at: usize) -> Option<InternalKey<'_>> {
        let slot = self.items.get(at)?;
        let before = at.checked_sub(1).and_then(|before| self.items.get(before));
        let start = before.map_or(0, |slot| slot.key_end as usize);
        Some(InternalKey::new(self.keys.get(start..slot.key_end as usize)?, slot.version))
    }

    #[inline]
    fn share(&mut self, value: &[u8], block: &Bytes) -> Place {
        let is_same = self.blocks.last().is_some_and(|kept| kept.as_ptr() == block.as_ptr());
        let at = if is_same { self.blocks.len() - 1 } else { self.keep_block(block) };
        let start = value.as_ptr().addr().wrapping_sub(block.as_ptr().addr());
        Place::Block { block: at as u32, start: start as u32, len: value.len() as u32 }
    }

    /// The place of a block among those that are kept.
    fn keep_block(&mut self, block: &Bytes) -> usize {
        let first = self.blocks.len().saturating_sub(RECENT_BLOCKS);
        let recent = self.blocks.get(first..).unwrap_or_default();
        if let Some(at) = recent.iter().rposition(|kept| kept.as_ptr() == block.as_ptr()) {
            return first + at;
        }
        self.blocks.push(block.clone());
        self.kept_bytes += block.len();
        self.blocks.len() - 1
    }

    fn copy(&mut self, value: &[u8]) -> Place {
        let start = self.copies.len() as u32;
        self.copies.extend_from_slice(value);
        self.kept_bytes += value.len();
        Place::Copy { start, len: value.len() as u32 }
    }
}

/// One version of one key: a place in a page. Cheap to clone and to drop; it keeps the page in memory, about 64 KiB or one
/// value more, so copy what is kept for long.
#[derive(Clone, Debug)]
pub struct ScanItem {
    page: Arc<Page>,
    at: usize,
}

impl ScanItem {
    /// Item `at` of `page`, which there is.
    #[inline]
    pub(super) fn new(page: &Arc<Page>, at: usize) -> Self {
        Self { page: Arc::clone(page), at }
    }

    #[inline]
    fn slot(&self) -> Option<&Slot> {
        self.page.items.get(self.at)
    }

    #[inline]
    fn internal_key(&self) -> InternalKey<'_> {
        self.page.key(self.at).unwrap_or(InternalKey::first_of(&[]))
    }

    /// The key.
    #[inline]
    #[must_use]
    pub fn user_key(&self) -> &[u8] {
        self.internal_key().user_key
    }

    /// The commit that wrote it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.internal_key().version
    }

    /// The byte for the user's own use.
    #[must_use]
    pub fn user_meta(&self) -> u8 {
        self.slot().map_or(0, |slot| slot.user_meta)
    }

    /// When it expires; `None` = never.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixSeconds> {
        self.slot()?.expires_at
    }

    /// True when older versions of the key are not to be seen or kept.
    #[must_use]
    pub fn hides_older(&self) -> bool {
        self.slot().is_some_and(|slot| slot.hides_older)
    }

    /// True for a deletion.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.slot().is_some_and(|slot| matches!(slot.place, Place::Tombstone))
    }

    /// The length of the value in bytes, wherever it is; 0 for a deletion.
    #[must_use]
    pub fn value_len(&self) -> u64 {
        match self.slot().map(|slot| slot.place) {
            Some(Place::Block { len, .. } | Place::Copy { len, .. } | Place::Elsewhere { len }) => {
                u64::from(len)
            }
            Some(Place::Segment(pointer)) => u64::from(pointer.value_len),
            Some(Place::Tombstone) | None => 0,
        }
    }

    /// True when the scan was asked for keys only: the value cannot be had.
    #[inline]
    #[must_use]
    pub fn is_key_only(&self) -> bool {
        self.page.keys_only
    }

    /// The value where it lies in the page; `None` when it is elsewhere: in the value log, or not wanted. Costs no more than a
    /// look, while [`ScanItem::value`] counts a share of the block.
    #[inline]
    #[must_use]
    pub fn value_ref(&self) -> Option<&[u8]> {
        let (bytes, start, len) = match self.slot()?.place {
            Place::Block { block, start, len } => (&**self.page.blocks.get(block as usize)?, start, len),
            Place::Copy { start, len } => (self.page.copies.as_slice(), start, len),
            Place::Tombstone | Place::Segment(_) | Place::Elsewhere { .. } => return None,
        };
        bytes.get(start as usize..start as usize + len as usize)
    }

    /// The value; `None` for a tombstone. Shares memory where it can.
    ///
    /// # Errors
    /// Damage, or the system's; that only keys were asked for.
    #[inline]
    pub fn value(&self) -> Result<Option<Bytes>> {
        match self.slot().map(|slot| slot.place) {
            None | Some(Place::Tombstone) => Ok(None),
            Some(Place::Block { block, .. }) => {
                let block = self.page.blocks.get(block as usize);
                Ok(block.zip(self.value_ref()).map(|(block, value)| block.slice_ref(value)))
            }
            Some(Place::Copy { .. }) => Ok(self.value_ref().map(Bytes::copy_from_slice)),
            Some(Place::Segment(pointer)) => self.load_from_segment(&pointer),
            Some(Place::Elsewhere { .. }) => Err(not_wanted()),
        }
    }

    fn load_from_segment(&self, pointer: &ValuePointer) -> Result<Option<Bytes>> {
        self.page.prefetch_value(self.at + VALUES_AHEAD);
        let segment = self.page.segment(pointer.segment).ok_or_else(not_wanted)?;
        let key = self.internal_key();
        segment.segment()?.get(pointer, key.user_key, key.version).map(Some)
    }
}

#[cold]
fn not_wanted() -> Error {
    Error::invalid("scan", "it was asked for keys only")
}
