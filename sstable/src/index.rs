//! From a key to its data block: the index, written in partitions and read whole or one partition at a time.
//!
//! Data blocks have ordinals, counted from 0 in key order; partitions are numbered after them. A table with a small
//! index keeps all separators in memory; a large one keeps one separator per partition and loads partitions as blocks.

use base::codec::{Decoder, Malformed, put_varint};
use base::{Compression, InternalKey, InternalKeyBuf, Result};
use bytes::Bytes;

use crate::block::{BlockBuilder, Layout, common_prefix_len};
use crate::fences::Fences;
use crate::format::Handle;
use crate::sink::Sink;
use crate::source::{Source, Unit};

/// A partition is as long as this many data blocks.
const PARTITION_BLOCKS: usize = 4;

/// Collects separators and writes partitions.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    partition_bytes: usize,
    partition: BlockBuilder,
    first_separator: InternalKeyBuf,
    first_block: u64,
    top: BlockBuilder,
    partitions: u64,
    blocks: u64,
    last_key: InternalKeyBuf,
    raw: Vec<u8>,
    sealed_bytes: u64,
}

impl IndexBuilder {
    pub(crate) fn new(block_bytes: usize) -> Self {
        Self {
            partition_bytes: block_bytes * PARTITION_BLOCKS,
            partition: BlockBuilder::default(),
            first_separator: InternalKeyBuf::default(),
            first_block: 0,
            top: BlockBuilder::default(),
            partitions: 0,
            blocks: 0,
            last_key: InternalKeyBuf::default(),
            raw: Vec::new(),
            sealed_bytes: 0,
        }
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(crate) fn partitions(&self) -> u64 {
        self.partitions
    }

    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.sealed_bytes
    }

    /// About how many bytes are collected and not written.
    pub(crate) fn pending_bytes(&self) -> u64 {
        (self.partition.byte_len() + self.top.byte_len()) as u64
    }

    /// Adds the next data block.
    pub(crate) fn add(
        &mut self,
        first: InternalKey<'_>,
        last: InternalKey<'_>,
        handle: Handle,
        sink: &mut Sink,
    ) -> Result<()> {
        let separator = if self.blocks == 0 {
            InternalKey::first_of(first.user_key)
        } else {
            separate(self.last_key.as_ref(), first)
        };
        if self.partition.is_empty() {
            self.first_separator.assign(separator);
            self.first_block = self.blocks;
        }
        self.partition.add(separator, |out| handle.encode(out));
        self.blocks += 1;
        self.last_key.assign(last);
        if self.partition.byte_len() >= self.partition_bytes { self.flush(sink) } else { Ok(()) }
    }

    fn flush(&mut self, sink: &mut Sink) -> Result<()> {
        if self.partition.is_empty() {
            return Ok(());
        }
        self.partition.finish_into(&mut self.raw);
        let handle = sink.seal(&self.raw, Compression::None)?;
        self.sealed_bytes += u64::from(handle.sealed_bytes);
        self.partitions += 1;
        self.top.add(self.first_separator.as_ref(), |out| {
            handle.encode(out);
            put_varint(out, self.first_block);
        });
        Ok(())
    }

    /// Writes the last partition and the top; `None` when there are no blocks.
    pub(crate) fn finish(&mut self, sink: &mut Sink) -> Result<Option<Handle>> {
        self.flush(sink)?;
        if self.top.is_empty() {
            return Ok(None);
        }
        self.top.finish_into(&mut self.raw);
        let handle = sink.seal(&self.raw, Compression::None)?;
        self.sealed_bytes += u64::from(handle.sealed_bytes);
        Ok(Some(handle))
    }
}

/// The shortest key that is above `last` and not above `next`.
fn separate<'a>(last: InternalKey<'_>, next: InternalKey<'a>) -> InternalKey<'a> {
    if last.user_key == next.user_key {
        return next;
    }
    let shared = common_prefix_len(last.user_key, next.user_key);
    InternalKey::first_of(next.user_key.get(..=shared).unwrap_or(next.user_key))
}

/// One entry of an index block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) separator: InternalKeyBuf,
    pub(crate) handle: Handle,
    /// The ordinal of a partition's first data block; 0 in a partition.
    pub(crate) first_block: u64,
}

/// Reads every entry of an index block; `is_top` says which of the two kinds it is.
pub(crate) fn read_entries(raw: &[u8], is_top: bool) -> std::result::Result<Vec<IndexEntry>, Malformed> {
    let layout = Layout::parse(raw)?;
    let mut entries = Vec::with_capacity(layout.count());
    for number in 0..layout.count() {
        let slot = layout.slot(raw, number)?;
        let mut decoder = Decoder::new(raw.get(slot.payload).unwrap_or_default());
        let handle = Handle::decode(&mut decoder)?;
        let first_block = if is_top { decoder.varint("first block of a partition")? } else { 0 };
        decoder.finish("bytes after an index entry")?;
        let suffix = raw.get(slot.suffix).unwrap_or_default();
        let user_key = [layout.prefix(raw), suffix].concat();
        let separator = InternalKeyBuf { user_key, version: slot.version };
        entries.push(IndexEntry { separator, handle, first_block });
    }
    Ok(entries)
}

/// The index of an open table.
#[derive(Debug)]
pub(crate) struct Index {
    fences: Fences,
    block_count: usize,
    depth: Depth,
}

#[derive(Debug)]
enum Depth {
    /// Fences point to data blocks.
    Whole,
    /// Fences point to partitions; here is the ordinal of each one's first data block.
    Top(Vec<usize>),
}

/// The index partition that a cursor used last.
#[derive(Debug, Default)]
pub(crate) struct LastPartition(Option<(usize, Bytes)>);

impl Index {
    /// An index without blocks.
    pub(crate) fn empty() -> Self {
        Self { fences: Fences::default(), block_count: 0, depth: Depth::Whole }
    }

    /// Reads the top index and, when `whole`, every partition.
    pub(crate) fn open(source: &Source, top: Handle, block_count: usize, whole: bool) -> Result<Self> {
        let damaged = |what| source.damaged(top, Malformed { offset: 0, what });
        let raw = source.read(top)?;
        let partitions = read_entries(&raw, true).map_err(|error| source.damaged(top, error))?;
        let mut fences = Fences::default();
        let mut firsts = Vec::with_capacity(partitions.len());
        let mut blocks = 0;
        for partition in &partitions {
            let first = usize::try_from(partition.first_block).unwrap_or(usize::MAX);
            let follows = firsts.last().is_none_or(|before| *before < first);
            if !follows || first >= block_count || (firsts.is_empty() && first != 0) {
                return Err(damaged("the blocks of partitions are out of order"));
            }
            firsts.push(first);
            if !whole {
                fences.push(partition.separator.as_ref(), partition.handle).map_err(damaged)?;
                continue;
            }
            let raw = source.read(partition.handle)?;
            let entries =
                read_entries(&raw, false).map_err(|error| source.damaged(partition.handle, error))?;
            if blocks != first {
                return Err(damaged("a partition does not begin where the one before it ends"));
            }
            blocks += entries.len();
            for entry in entries {
                fences.push(entry.separator.as_ref(), entry.handle).map_err(damaged)?;
            }
        }
        if whole && blocks != block_count {
            return Err(damaged("the index and the properties differ in the number of blocks"));
        }
        let depth = if whole { Depth::Whole } else { Depth::Top(firsts) };
        Ok(Self { fences: fences.finish(), block_count, depth })
    }

    pub(crate) fn block_count(&self) -> usize {
        self.block_count
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.fences.memory_bytes()
    }

    /// Where data block `ordinal` is, if that can be told without reading.
    #[inline]
    pub(crate) fn resident_handle(&self, ordinal: usize) -> Option<Handle> {
        match self.depth {
            Depth::Whole => self.fences.handle(ordinal),
            Depth::Top(_) => None,
        }
    }

    /// Where [`Index::find`] leads, if that can be told without reading.
    #[inline]
    pub(crate) fn resident_find(&self, target: InternalKey<'_>) -> Option<Handle> {
        match self.depth {
            Depth::Whole => self.fences.handle(self.fences.find(target)),
            Depth::Top(_) => None,
        }
    }

    /// The block in which `target` is, if it is anywhere; the first entry at or after it may be the first of the
    /// next block. `None` only in an empty table.
    #[inline]
    pub(crate) fn find(&self, source: &Source, target: InternalKey<'_>) -> Result<Option<Unit>> {
        let at = self.fences.find(target);
        let Some(handle) = self.fences.handle(at) else { return Ok(None) };
        match &self.depth {
            Depth::Whole => Ok(Some(Unit { ordinal: at, handle })),
            Depth::Top(firsts) => {
                let partition = Unit { ordinal: self.block_count + at, handle };
                let raw = source.load(partition)?;
                self.find_in_partition(&raw, target, firsts.get(at).copied().unwrap_or_default())
                    .map(Some)
                    .map_err(|error| source.damaged(handle, error))
            }
        }
    }

    fn find_in_partition(
        &self,
        raw: &[u8],
        target: InternalKey<'_>,
        first_block: usize,
    ) -> std::result::Result<Unit, Malformed> {
        let layout = Layout::parse(raw)?;
        let lower = layout.lower_bound(raw, target)?;
        let is_exact = lower < layout.count() && {
            let slot = layout.slot(raw, lower)?;
            let suffix = target.user_key.strip_prefix(layout.prefix(raw));
            slot.version == target.version && suffix == raw.get(slot.suffix)
        };
        let number = if is_exact { lower } else { lower.saturating_sub(1) };
        self.partition_unit(raw, layout, number, first_block)
    }

    fn partition_unit(
        &self,
        raw: &[u8],
        layout: Layout,
        number: usize,
        first_block: usize,
    ) -> std::result::Result<Unit, Malformed> {
        let slot = layout.slot(raw, number)?;
        let handle = Handle::decode(&mut Decoder::new(raw.get(slot.payload).unwrap_or_default()))?;
        Ok(Unit { ordinal: first_block + number, handle })
    }

    /// Data block number `ordinal`; `None` past the last one.
    pub(crate) fn block(
        &self,
        source: &Source,
        ordinal: usize,
        last: &mut LastPartition,
    ) -> Result<Option<Unit>> {
        if ordinal >= self.block_count {
            return Ok(None);
        }
        let firsts = match &self.depth {
            Depth::Whole => return Ok(self.fences.handle(ordinal).map(|handle| Unit { ordinal, handle })),
            Depth::Top(firsts) => firsts,
        };
        let at = firsts.partition_point(|first| *first <= ordinal).saturating_sub(1);
        let first_block = firsts.get(at).copied().unwrap_or_default();
        let Some(handle) = self.fences.handle(at) else { return Ok(None) };
        let raw = match &last.0 {
            Some((partition, raw)) if *partition == at => raw.clone(),
            Some(_) | None => {
                let raw = source.load(Unit { ordinal: self.block_count + at, handle })?.into_bytes();
                last.0 = Some((at, raw.clone()));
                raw
            }
        };
        let damaged = |error| source.damaged(handle, error);
        let layout = Layout::parse(&raw).map_err(damaged)?;
        let number = ordinal.saturating_sub(first_block);
        if number >= layout.count() {
            return Err(damaged(Malformed {
                offset: 0,
                what: "a partition has fewer blocks than the top index says",
            }));
        }
        self.partition_unit(&raw, layout, number, first_block).map(Some).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Version;

    #[test]
    fn separators_are_short_and_between() {
        let key = |user_key: &'static [u8], version| InternalKey::new(user_key, Version(version));
        assert_eq!(separate(key(b"apple", 3), key(b"banana", 9)), InternalKey::first_of(b"b"));
        assert_eq!(separate(key(b"app", 3), key(b"apple", 9)), InternalKey::first_of(b"appl"));
        assert_eq!(separate(key(b"app", 3), key(b"app", 2)), key(b"app", 2));
    }
}
