//! A position in a table that moves both ways.

use std::ops::Range;
use std::sync::Arc;

use base::codec::Malformed;
use base::vfs::ReadAhead;
use base::{Cursor, Direction, Entry, EntryRef, InternalKey, Payload, PlainRef, Result, Version, Visit};
use bytes::Bytes;

use crate::ahead::Ahead;
use crate::block::Layout;
use crate::block::layout::Record;
use crate::index::LastPartition;
use crate::source::Unit;
use crate::table::Parts;

/// A position in a table. Owns what it needs, so it outlives the [`Table`](crate::Table) that made it.
#[derive(Debug)]
pub struct TableCursor {
    parts: Arc<Parts>,
    last_partition: LastPartition,
    read_ahead: ReadAhead,
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
    ahead: Ahead,
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

/// A suffix of up to so many bytes is copied with what follows it in the block: no call is made for it.
const SHORT_SUFFIX_BYTES: usize = 16;

/// Room for a key behind the prefix of a block.
fn make_room(key: &mut Vec<u8>, prefix_len: usize) {
    if key.len() < prefix_len + SHORT_SUFFIX_BYTES {
        key.resize(prefix_len + SHORT_SUFFIX_BYTES, 0);
    }
}

/// Puts the suffix of `record` behind the prefix in `key`, where [`make_room`] has been called; all of the key.
#[inline(always)] // A part of the loop over a block.
fn place_suffix<'a>(key: &'a mut Vec<u8>, prefix_len: usize, record: &Record<'_>) -> &'a [u8] {
    let room = key.get_mut(prefix_len..).and_then(<[u8]>::first_chunk_mut::<SHORT_SUFFIX_BYTES>);
    match (record.bytes.first_chunk(), room) {
        (Some(chunk), Some(room)) if record.suffix_len <= SHORT_SUFFIX_BYTES => *room = *chunk,
        _ => place_long_suffix(key, prefix_len, record.split().0),
    }
    key.get(..prefix_len + record.suffix_len).unwrap_or_default()
}

fn place_long_suffix(key: &mut Vec<u8>, prefix_len: usize, suffix: &[u8]) {
    key.truncate(prefix_len);
    key.extend_from_slice(suffix);
    make_room(key, prefix_len);
}

impl OpenBlock {
    /// Stands on `record`: no more than its key stays in `key`, where there is room.
    #[inline]
    fn stand(&self, key: &mut Vec<u8>, number: usize, record: &Record<'_>) -> Here {
        let key_len = place_suffix(key, self.prefix_len, record).len();
        key.truncate(key_len);
        let slot = record.slot();
        Here { number, version: slot.version, payload: slot.payload }
    }

    /// Shows the entries from `number` on; gives the one that was refused, `None` when there are no more in that direction.
    ///
    /// The direction is known when this is compiled: it would be asked for several times an entry.
    #[inline]
    fn walk<const FORWARD: bool>(
        &mut self,
        parts: &Parts,
        key: &mut Vec<u8>,
        number: usize,
        visit: &mut impl Visit,
    ) -> std::result::Result<Option<Here>, Malformed> {
        let direction = if FORWARD { Direction::Forward } else { Direction::Backward };
        make_room(key, self.prefix_len);
        self.ahead.turn(direction);
        let (raw, layout, block) = (&*self.raw, self.layout, Some(&self.raw));
        let mut number = number;
        // Nothing comes behind the first one.
        let mut last_word = match direction {
            Direction::Forward => u64::MAX,
            Direction::Backward => 0,
        };
        while number < layout.count() {
            let record = layout.record(raw, number)?;
            if self.ahead.come_to(direction, raw, layout.entries_end(), record.at) {
                parts.expect_next(self.unit.ordinal, direction);
            }
            let (_, payload) = record.split();
            let word = record.suffix_word();
            let is_further = match direction {
                Direction::Forward => last_word < word,
                Direction::Backward => last_word > word,
            };
            last_word = word;
            let found = InternalKey::new(place_suffix(key, self.prefix_len, &record), record.version);
            let goes_on = match Entry::plain_value(payload) {
                Some(value) => visit.plain(&PlainRef { key: found, value, block, is_further }),
                None => {
                    let entry = Entry::decode(payload)?;
                    visit.entry(&EntryRef { key: found, entry, block, is_further })
                }
            };
            if !goes_on {
                return Ok(Some(self.stand(key, number, &record)));
            }
            number = match direction {
                Direction::Forward => number + 1,
                // What is before the first is above every number.
                Direction::Backward => number.wrapping_sub(1),
            };
        }
        Ok(None)
    }
}

impl TableCursor {
    pub(crate) fn new(parts: Arc<Parts>) -> Self {
        let (last_partition, read_ahead) = (LastPartition::default(), ReadAhead::default());
        Self { parts, last_partition, read_ahead, block: None, here: None, key: Vec::new() }
    }

    /// Loads a block, unless it is the one that is open.
    fn open_block(&mut self, unit: Unit) -> Result<()> {
        if self.block.as_ref().is_some_and(|block| block.unit.ordinal == unit.ordinal) {
            return Ok(());
        }
        self.block = None;
        self.parts.source.expect(unit.handle);
        let raw = self.parts.source.load(unit)?.into_bytes();
        let layout = Layout::parse(&raw).map_err(|error| self.parts.damaged(unit, error))?;
        let prefix = layout.prefix(&raw);
        self.key.clear();
        self.key.extend_from_slice(prefix);
        let prefix_len = prefix.len();
        let ahead = Ahead::nothing(Direction::Forward);
        self.block = Some(OpenBlock { unit, raw, layout, prefix_len, ahead });
        Ok(())
    }

    /// Stands on entry `number` of the open block.
    #[inline]
    fn stand(&mut self, number: usize) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        let damaged = |error| self.parts.damaged(block.unit, error);
        let record = block.layout.record(&block.raw, number).map_err(damaged)?;
        Entry::decode(record.split().1).map_err(damaged)?;
        make_room(&mut self.key, block.prefix_len);
        self.here = Some(block.stand(&mut self.key, number, &record));
        Ok(())
    }

    /// Stands at one end of data block `ordinal`; unpositioned when there is no such block.
    fn enter(&mut self, ordinal: usize, end: End) -> Result<()> {
        let next = self.parts.index.block(&self.parts.source, ordinal, &mut self.last_partition)?;
        let Some(unit) = next else { return Ok(()) };
        let direction = match end {
            End::First => Direction::Forward,
            End::Last => Direction::Backward,
        };
        self.parts.source.read_ahead(&mut self.read_ahead, unit.handle, direction);
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
        self.read_ahead.restart();
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

    fn expect_seek(&self, target: InternalKey<'_>) {
        self.parts.expect_seek(target);
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
    fn walk(&mut self, direction: Direction, visit: &mut impl Visit) -> Result<()> {
        let (Some(here), Some(block)) = (self.here.take(), &mut self.block) else { return Ok(()) };
        let (parts, key, number) = (&*self.parts, &mut self.key, here.number);
        let walked = match direction {
            Direction::Forward => block.walk::<true>(parts, key, number, visit),
            Direction::Backward => block.walk::<false>(parts, key, number, visit),
        };
        self.here = walked.map_err(|error| self.parts.damaged(block.unit, error))?;
        if self.here.is_some() {
            return Ok(());
        }
        let ordinal = block.unit.ordinal;
        match (direction, ordinal.checked_sub(1)) {
            (Direction::Forward, _) => self.enter(ordinal + 1, End::First),
            (Direction::Backward, Some(before)) => self.enter(before, End::Last),
            (Direction::Backward, None) => Ok(()),
        }
    }
}
