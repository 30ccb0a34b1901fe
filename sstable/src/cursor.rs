//! A position in a table that moves both ways.

use std::ops::Range;
use std::sync::Arc;

use base::{Cursor, Direction, Entry, EntryRef, InternalKey, Payload, Result, Version};
use bytes::Bytes;

use crate::block::Layout;
use crate::index::LastPartition;
use crate::source::Unit;
use crate::table::Parts;

/// A position in a table. Owns what it needs, so it outlives the [`Table`](crate::Table) that made it.
#[derive(Debug)]
pub struct TableCursor {
    parts: Arc<Parts>,
    last_partition: LastPartition,
    block: Option<OpenBlock>,
    here: Option<Here>,
    /// The user key here; between steps it keeps the prefix of the open block.
    key: Vec<u8>,
}

#[derive(Debug)]
struct OpenBlock {
    unit: Unit,
    raw: Bytes,
    layout: Layout,
    prefix_len: usize,
}

/// Where the cursor stands in the open block; checked, so that looking at it cannot fail.
#[derive(Debug)]
struct Here {
    number: usize,
    version: Version,
    payload: Range<usize>,
}

/// Which end of a block to enter it from.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

/// A suffix of up to so many bytes is copied with what follows it in the block, and then cut: no call is made for it.
const SHORT_SUFFIX_BYTES: usize = 16;

/// Puts the suffix at `suffix` of `raw` behind the first `prefix_len` bytes of `key`.
#[inline]
fn set_suffix(key: &mut Vec<u8>, prefix_len: usize, raw: &[u8], suffix: Range<usize>) {
    key.truncate(prefix_len);
    let bytes = raw.get(suffix.start..).unwrap_or_default();
    match bytes.first_chunk::<SHORT_SUFFIX_BYTES>() {
        Some(chunk) if suffix.len() <= SHORT_SUFFIX_BYTES => {
            key.extend_from_slice(chunk);
            key.truncate(prefix_len + suffix.len());
        }
        _ => key.extend_from_slice(raw.get(suffix).unwrap_or_default()),
    }
}

impl TableCursor {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        Self { parts, last_partition: LastPartition::default(), block: None, here: None, key: Vec::new() }
    }

    /// Loads a block, unless it is the one that is open.
    fn open_block(&mut self, unit: Unit) -> Result<()> {
        if self.block.as_ref().is_some_and(|block| block.unit.ordinal == unit.ordinal) {
            return Ok(());
        }
        self.block = None;
        let raw = self.parts.source.load(unit)?.into_bytes();
        let layout = Layout::parse(&raw).map_err(|error| self.parts.damaged(unit, error))?;
        let prefix = layout.prefix(&raw);
        self.key.clear();
        self.key.extend_from_slice(prefix);
        let prefix_len = prefix.len();
        self.block = Some(OpenBlock { unit, raw, layout, prefix_len });
        Ok(())
    }

    /// Stands on entry `number` of the open block.
    #[inline]
    fn stand(&mut self, number: usize) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        let damaged = |error| self.parts.damaged(block.unit, error);
        let slot = block.layout.slot(&block.raw, number).map_err(damaged)?;
        let payload = block.raw.get(slot.payload.clone()).unwrap_or_default();
        Entry::decode(payload).map_err(damaged)?;
        set_suffix(&mut self.key, block.prefix_len, &block.raw, slot.suffix);
        self.here = Some(Here { number, version: slot.version, payload: slot.payload });
        Ok(())
    }

    /// Stands at one end of data block `ordinal`; unpositioned when there is no such block.
    fn enter(&mut self, ordinal: usize, end: End) -> Result<()> {
        let next = self.parts.index.block(&self.parts.source, ordinal, &mut self.last_partition)?;
        let Some(unit) = next else { return Ok(()) };
        self.open_block(unit)?;
        let count = self.block.as_ref().map_or(0, |block| block.layout.count());
        match end {
            End::First => self.stand(0),
            End::Last => self.stand(count.saturating_sub(1)),
        }
    }

    /// The block and number of the first entry at or after `target`; the number may be one past the block's last.
    fn locate(&mut self, target: InternalKey<'_>) -> Result<Option<(usize, usize)>> {
        let Some(unit) = self.parts.index.find(&self.parts.source, target)? else { return Ok(None) };
        self.open_block(unit)?;
        let Some(block) = &self.block else { return Ok(None) };
        let number = block.layout.lower_bound(&block.raw, target);
        Ok(Some((unit.ordinal, number.map_err(|error| self.parts.damaged(unit, error))?)))
    }

    fn count(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.layout.count())
    }

    fn ordinal(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.unit.ordinal)
    }

    fn payload(&self) -> Option<&[u8]> {
        let here = self.here.as_ref()?;
        self.block.as_ref()?.raw.get(here.payload.clone())
    }
}

impl Cursor for TableCursor {
    #[inline]
    fn key(&self) -> Option<InternalKey<'_>> {
        let here = self.here.as_ref()?;
        Some(InternalKey::new(&self.key, here.version))
    }

    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        // Decoded once before, by `stand`, so this cannot fail.
        Entry::decode(self.payload()?).ok()
    }

    fn inline_value(&self) -> Option<Bytes> {
        match self.entry()?.payload {
            Payload::Inline(value) => Some(self.block.as_ref()?.raw.slice_ref(value)),
            Payload::Tombstone | Payload::Separated(_) => None,
        }
    }

    fn first(&mut self) -> Result<()> {
        self.here = None;
        self.enter(0, End::First)
    }

    fn last(&mut self) -> Result<()> {
        self.here = None;
        match self.parts.index.block_count().checked_sub(1) {
            Some(last) => self.enter(last, End::Last),
            None => Ok(()),
        }
    }

    fn seek(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.here = None;
        match self.locate(target)? {
            Some((_, number)) if number < self.count() => self.stand(number),
            Some((ordinal, _)) => self.enter(ordinal + 1, End::First),
            None => Ok(()),
        }
    }

    fn seek_back(&mut self, target: InternalKey<'_>) -> Result<()> {
        self.here = None;
        let Some((ordinal, number)) = self.locate(target)? else { return Ok(()) };
        if number < self.count() {
            self.stand(number)?;
            if self.key() == Some(target) {
                return Ok(());
            }
            self.here = None;
        }
        match (number.checked_sub(1), ordinal.checked_sub(1)) {
            (Some(before), _) => self.stand(before),
            (None, Some(block_before)) => self.enter(block_before, End::Last),
            (None, None) => Ok(()),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        let Some(here) = self.here.take() else { return Ok(()) };
        if here.number + 1 < self.count() {
            return self.stand(here.number + 1);
        }
        self.enter(self.ordinal() + 1, End::First)
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        let Some(here) = self.here.take() else { return Ok(()) };
        if let Some(before) = here.number.checked_sub(1) {
            return self.stand(before);
        }
        match self.ordinal().checked_sub(1) {
            Some(block_before) => self.enter(block_before, End::Last),
            None => Ok(()),
        }
    }
    fn walk(&mut self, direction: Direction, visit: &mut impl FnMut(&EntryRef<'_>) -> bool) -> Result<()> {
        let (Some(here), Some(block)) = (self.here.take(), &self.block) else { return Ok(()) };
        let damaged = |error| self.parts.damaged(block.unit, error);
        let mut number = here.number;
        while number < block.layout.count() {
            let slot = block.layout.slot(&block.raw, number).map_err(damaged)?;
            let payload = block.raw.get(slot.payload.clone()).unwrap_or_default();
            set_suffix(&mut self.key, block.prefix_len, &block.raw, slot.suffix);
            let key = InternalKey::new(&self.key, slot.version);
            // Each case makes its entry in place: a decoded result that is taken apart and moved costs more than all else here.
            let goes_on = match Entry::plain_value(payload) {
                Some(value) => visit(&EntryRef { key, entry: Entry::inline(value), block: Some(&block.raw) }),
                None => {
                    let entry = Entry::decode(payload).map_err(damaged)?;
                    visit(&EntryRef { key, entry, block: Some(&block.raw) })
                }
            };
            if !goes_on {
                self.here = Some(Here { number, version: slot.version, payload: slot.payload });
                return Ok(());
            }
            number = match direction {
                Direction::Forward => number + 1,
                // What is before the first is above every number.
                Direction::Backward => number.wrapping_sub(1),
            };
        }
        let ordinal = block.unit.ordinal;
        match (direction, ordinal.checked_sub(1)) {
            (Direction::Forward, _) => self.enter(ordinal + 1, End::First),
            (Direction::Backward, Some(before)) => self.enter(before, End::Last),
            (Direction::Backward, None) => Ok(()),
        }
    }
}
