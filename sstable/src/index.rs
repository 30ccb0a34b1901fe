//! From a key to its data block: the index, written in partitions and read whole or one partition at a time.
//!
//! Data blocks have ordinals, counted from 0 in key order; partitions are numbered after them. An open table keeps one
//! separator per partition and loads partitions as blocks. One with a small index reads all separators into memory once it is
//! looked into often: to read them takes a millisecond for a table of 64 MiB, which the first read after an open would wait for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

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
/// All separators are read after one lookup by partition for so many blocks: the lookups that it saves from then on cost about as
/// much as those before.
const BLOCKS_PER_LOOKUP: usize = 16;

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
    let mut entries = Vec::with_capacity(Layout::parse(raw)?.count());
    for_each_entry(raw, is_top, |separator, handle, first_block| {
        let separator = InternalKeyBuf { user_key: separator.user_key.to_vec(), version: separator.version };
        entries.push(IndexEntry { separator, handle, first_block });
        Ok(())
    })?;
    Ok(entries)
}

/// Shows the entries of an index block one by one.
fn for_each_entry(
    raw: &[u8],
    is_top: bool,
    mut take: impl FnMut(InternalKey<'_>, Handle, u64) -> std::result::Result<(), Malformed>,
) -> std::result::Result<(), Malformed> {
    let layout = Layout::parse(raw)?;
    let prefix = layout.prefix(raw);
    let mut user_key = prefix.to_vec();
    for number in 0..layout.count() {
        let slot = layout.slot(raw, number)?;
        let mut decoder = Decoder::new(raw.get(slot.payload).unwrap_or_default());
        let handle = Handle::decode(&mut decoder)?;
        let first_block = if is_top { decoder.varint("first block of a partition")? } else { 0 };
        decoder.finish("bytes after an index entry")?;
        user_key.truncate(prefix.len());
        user_key.extend_from_slice(raw.get(slot.suffix).unwrap_or_default());
        take(InternalKey::new(&user_key, slot.version), handle, first_block)?;
    }
    Ok(())
}

/// The index of an open table.
#[derive(Debug)]
pub(crate) struct Index {
    /// One separator for each partition.
    top: Fences,
    /// The ordinal of each partition's first data block.
    firsts: Vec<usize>,
    /// One separator for each data block, once they are read.
    whole: OnceLock<Fences>,
    /// How many lookups are left before they are; 0 when they were, or never will be.
    lookups_left: AtomicUsize,
    block_count: usize,
}

/// The index partition that a cursor used last.
#[derive(Debug, Default)]
pub(crate) struct LastPartition(Option<(usize, Bytes)>);

impl Index {
    /// An index without blocks.
    pub(crate) fn empty() -> Self {
        Self {
            top: Fences::default(),
            firsts: Vec::new(),
            whole: OnceLock::new(),
            lookups_left: AtomicUsize::new(0),
            block_count: 0,
        }
    }

    /// Reads the top index; every partition, too, when it has been used enough, if `may_be_whole`.
    pub(crate) fn open(source: &Source, top: Handle, block_count: usize, may_be_whole: bool) -> Result<Self> {
        let raw = source.read(top)?;
        let mut fences = Fences::default();
        let mut firsts: Vec<usize> = Vec::new();
        let read = for_each_entry(&raw, true, |separator, handle, first_block| {
            let first = usize::try_from(first_block).unwrap_or(usize::MAX);
            let follows = firsts.last().is_none_or(|before| *before < first);
            if !follows || first >= block_count || (firsts.is_empty() && first != 0) {
                return Err(Malformed { offset: 0, what: "the blocks of partitions are out of order" });
            }
            firsts.push(first);
            fences.push(separator, handle).map_err(|what| Malformed { offset: 0, what })
        });
        read.map_err(|error| source.damaged(top, error))?;
        let lookups_left = if may_be_whole { block_count.div_ceil(BLOCKS_PER_LOOKUP) } else { 0 };
        Ok(Self {
            top: fences.finish(),
            firsts,
            whole: OnceLock::new(),
            lookups_left: AtomicUsize::new(lookups_left),
            block_count,
        })
    }

    pub(crate) fn block_count(&self) -> usize {
        self.block_count
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.top.memory_bytes() + self.whole.get().map_or(0, Fences::memory_bytes)
    }

    /// Where data block `ordinal` is, if that can be told without reading.
    #[inline]
    pub(crate) fn resident_handle(&self, ordinal: usize) -> Option<Handle> {
        self.whole.get()?.handle(ordinal)
    }

    /// Where [`Index::find`] leads, if that can be told without reading.
    #[inline]
    pub(crate) fn resident_find(&self, target: InternalKey<'_>) -> Option<Handle> {
        let whole = self.whole.get()?;
        whole.handle(whole.find(target))
    }

    /// The block in which `target` is, if it is anywhere; the first entry at or after it may be the first of the
    /// next block. `None` only in an empty table.
    #[inline]
    pub(crate) fn find(&self, source: &Source, target: InternalKey<'_>) -> Result<Option<Unit>> {
        let Some(whole) = self.whole.get() else { return self.find_by_partition(source, target) };
        let ordinal = whole.find(target);
        Ok(whole.handle(ordinal).map(|handle| Unit { ordinal, handle }))
    }

    #[cold]
    fn find_by_partition(&self, source: &Source, target: InternalKey<'_>) -> Result<Option<Unit>> {
        self.count_lookup(source)?;
        let at = self.top.find(target);
        let Some(handle) = self.top.handle(at) else { return Ok(None) };
        let raw = source.load(Unit { ordinal: self.block_count + at, handle })?;
        self.find_in_partition(&raw, target, self.firsts.get(at).copied().unwrap_or_default())
            .map(Some)
            .map_err(|error| source.damaged(handle, error))
    }

    /// Reads all partitions when it is time to.
    ///
    /// # Errors
    /// Damage, which is told once: from then on it fails those lookups only that need the partition. Or the system's; the next
    /// lookup tries again.
    fn count_lookup(&self, source: &Source) -> Result<()> {
        let next = |left: usize| left.checked_sub(1);
        if self.lookups_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) != Ok(1) {
            return Ok(());
        }
        let whole = self.read_partitions(source).inspect_err(|error| {
            if !error.is_corruption() {
                self.lookups_left.store(1, Ordering::Relaxed);
            }
        })?;
        let _only_once = self.whole.set(whole);
        Ok(())
    }

    fn read_partitions(&self, source: &Source) -> Result<Fences> {
        let mut fences = Fences::default();
        for (at, first) in self.firsts.iter().enumerate() {
            let Some(handle) = self.top.handle(at) else { break };
            let damaged = |what| Malformed { offset: 0, what };
            if fences.len() != *first {
                let what = damaged("a partition does not begin where the one before it ends");
                return Err(source.damaged(handle, what));
            }
            let raw = source.load(Unit { ordinal: self.block_count + at, handle })?;
            for_each_entry(&raw, false, |separator, handle, _| {
                fences.push(separator, handle).map_err(damaged)
            })
            .map_err(|error| source.damaged(handle, error))?;
        }
        if fences.len() != self.block_count {
            let what = "the index and the properties differ in the number of blocks";
            return Err(base::Error::corruption(source.path(), 0, what));
        }
        Ok(fences.finish())
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
        if let Some(whole) = self.whole.get() {
            return Ok(whole.handle(ordinal).map(|handle| Unit { ordinal, handle }));
        }
        let at = self.firsts.partition_point(|first| *first <= ordinal).saturating_sub(1);
        let first_block = self.firsts.get(at).copied().unwrap_or_default();
        let Some(handle) = self.top.handle(at) else { return Ok(None) };
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
