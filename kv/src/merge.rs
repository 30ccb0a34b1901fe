//! What a transaction sees: what is committed, with its own writes on top, in key order from both ends.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use base::{Direction, KeyBounds, UnixSeconds, Version};
use bytes::Bytes;
use engine::{EngineScan, ScanItem};
use txn::{Pending, WriteSet};

use crate::{Item, Result};

/// A scan, merged with the writes of the transaction that reads.
#[derive(Debug)]
pub(crate) struct Merged {
    scan: EngineScan,
    /// Taken from the scan, not shown yet.
    front: Option<ScanItem>,
    back: Option<ScanItem>,
    own: Option<OwnWrites>,
    all_versions: bool,
    /// Where and when the transaction reads.
    version: Version,
    time: UnixSeconds,
}

impl Merged {
    pub(crate) fn new(
        scan: EngineScan,
        own: Option<OwnWrites>,
        all_versions: bool,
        at: (Version, UnixSeconds),
    ) -> Self {
        Self { scan, front: None, back: None, own, all_versions, version: at.0, time: at.1 }
    }

    /// The next item, if it has been read and is not to be compared with anything.
    #[inline]
    pub(crate) fn take_read(&mut self, direction: Direction) -> Option<Item> {
        if self.own.is_some() {
            return None;
        }
        self.scan.take_read(direction).map(Item::scanned)
    }

    /// The next item.
    pub(crate) fn step(&mut self, direction: Direction) -> Result<Option<Item>> {
        match (direction, &self.own) {
            (_, None) => Ok(self.scan.step(direction)?.map(Item::scanned)),
            (Direction::Forward, Some(_)) => self.next(),
            (Direction::Backward, Some(_)) => self.next_back(),
        }
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let Some(own) = &mut self.own else { return Ok(None) };
        loop {
            if self.front.is_none() {
                // Where the ends meet, what the other end has taken and not shown is the last item.
                self.front = self.scan.next()?.or_else(|| self.back.take());
            }
            let order = match (&self.front, own.first()) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(stored), Some((key, _))) => stored.user_key().cmp(key),
            };
            if order == Ordering::Less {
                return Ok(self.front.take().map(Item::scanned));
            }
            if order == Ordering::Equal && !self.all_versions {
                self.front = None;
            }
            let Some((key, pending)) = own.take_first() else { return Ok(None) };
            if self.all_versions || pending.as_entry().is_live(self.time) {
                return Ok(Some(Item::own(key, &pending, self.version)));
            }
        }
    }

    fn next_back(&mut self) -> Result<Option<Item>> {
        let Some(own) = &mut self.own else { return Ok(None) };
        loop {
            if self.back.is_none() {
                self.back = self.scan.next_back()?.or_else(|| self.front.take());
            }
            let order = match (&self.back, own.last()) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (Some(stored), Some((key, _))) => stored.user_key().cmp(key),
            };
            // Of all versions, the transaction's own is the newest: going backward it comes after the others.
            if order == Ordering::Greater || (order == Ordering::Equal && self.all_versions) {
                return Ok(self.back.take().map(Item::scanned));
            }
            if order == Ordering::Equal {
                self.back = None;
            }
            let Some((key, pending)) = own.take_last() else { return Ok(None) };
            if self.all_versions || pending.as_entry().is_live(self.time) {
                return Ok(Some(Item::own(key, &pending, self.version)));
            }
        }
    }
}

/// The part of a write set that was not shown yet. Later writes of the transaction are not in it.
#[derive(Debug)]
pub(crate) struct OwnWrites {
    writes: Arc<WriteSet>,
    start: Bound<Bytes>,
    end: Bound<Bytes>,
}

impl OwnWrites {
    /// `None` when there is nothing to merge.
    pub(crate) fn new(writes: &Arc<WriteSet>, bounds: &KeyBounds) -> Option<Self> {
        writes.bounds(bounds).next()?;
        let shared = |bound: &Bound<Vec<u8>>| bound.as_ref().map(|key| Bytes::copy_from_slice(key));
        Some(Self { writes: Arc::clone(writes), start: shared(&bounds.start), end: shared(&bounds.end) })
    }

    fn left(&self) -> txn::PendingRange<'_> {
        self.writes.range(self.start.as_ref().map(|key| &**key), self.end.as_ref().map(|key| &**key))
    }

    fn first(&self) -> Option<(&[u8], Pending<'_>)> {
        self.left().next()
    }

    fn last(&self) -> Option<(&[u8], Pending<'_>)> {
        self.left().next_back()
    }

    fn take_first(&mut self) -> Option<(Bytes, Pending<'_>)> {
        let key = Bytes::copy_from_slice(self.first()?.0);
        self.start = Bound::Excluded(key.clone());
        let pending = self.writes.get(&key)?;
        Some((key, pending))
    }

    fn take_last(&mut self) -> Option<(Bytes, Pending<'_>)> {
        let key = Bytes::copy_from_slice(self.last()?.0);
        self.end = Bound::Excluded(key.clone());
        let pending = self.writes.get(&key)?;
        Some((key, pending))
    }
}
