//! Builds a table from entries that come in order, in one pass and in bounded memory.

use std::path::Path;
use std::sync::Arc;

use base::header::{FileHeader, FileIdentity, FileKind};
use base::seal::{MAX_RAW_BYTES, TRAILER_BYTES};
use base::vfs::{OsVfs, Vfs};
use base::{Compression, Entry, Error, InternalKey, InternalKeyBuf, MAX_KEY_BYTES, Result, Version};
use bytes::Bytes;

use crate::block::BlockBuilder;
use crate::filter::FilterBuilder;
use crate::format::{FOOTER_BYTES, FORMAT_VERSION, Footer, PAGE_BYTES, SectionId};
use crate::index::IndexBuilder;
use crate::properties::PropertiesSection;
use crate::sink::Sink;
use crate::{BuildOptions, Properties};

/// The longest entry without its key, in bytes: key, entry and the block around them fit in one sealed unit.
const MAX_ENTRY_BYTES: usize = MAX_RAW_BYTES - 2 * MAX_KEY_BYTES - 1024;

/// What is left free before a block so that it lies in one page, at most: a sixteenth of the page. Blocks of few large
/// entries end far from the page's end, and are not worth it.
const RUN_GAP_MAX_BYTES: u64 = PAGE_BYTES / 16;

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The smallest user key; empty for an empty table.
    pub smallest: Vec<u8>,
    /// The largest user key; empty for an empty table.
    pub largest: Vec<u8>,
    /// The length of the file, in bytes.
    pub file_bytes: u64,
    /// What the table holds.
    pub properties: Properties,
}

/// Builds a table. Dropped before [`Builder::finish`], it removes its file.
#[derive(Debug)]
pub struct Builder {
    options: BuildOptions,
    header: FileHeader,
    sink: Sink,
    block: BlockBuilder,
    block_first: InternalKeyBuf,
    last: InternalKeyBuf,
    index: IndexBuilder,
    filter: FilterBuilder,
    section: PropertiesSection,
    /// The raw bytes of the block that is being sealed, kept for its allocation.
    raw: Vec<u8>,
    /// Where the last data block ends.
    block_end: u64,
}

/// The header of a table in memory: no earlier file can be mistaken for it, so it needs no salt, and equal input
/// gives equal bytes.
pub(crate) fn memory_header() -> FileHeader {
    FileHeader {
        kind: FileKind::Table,
        format_version: FORMAT_VERSION,
        key_id: 0,
        identity: FileIdentity::default(),
        salt: [0; 16],
    }
}

impl Builder {
    /// Builds the file `path`, which must not exist; for use without an engine.
    ///
    /// # Errors
    /// The system's.
    pub fn create(path: impl AsRef<Path>, options: BuildOptions) -> Result<Self> {
        Self::create_in(Arc::new(OsVfs), path.as_ref(), FileIdentity::default(), options)
    }

    /// Builds the file `path` of `vfs`, which must not exist, with the identity that its header is to bear.
    ///
    /// # Errors
    /// The system's.
    pub fn create_in(
        vfs: Arc<dyn Vfs>,
        path: &Path,
        identity: FileIdentity,
        options: BuildOptions,
    ) -> Result<Self> {
        let header = FileHeader::new(vfs.as_ref(), FileKind::Table, FORMAT_VERSION, identity)?;
        Ok(Self::new(Sink::create(vfs, path, &header)?, header, options))
    }

    /// Builds in memory; ends with [`Builder::finish_bytes`].
    #[must_use]
    pub fn in_memory(options: BuildOptions) -> Self {
        let header = memory_header();
        Self::new(Sink::in_memory(&header), header, options)
    }

    fn new(sink: Sink, header: FileHeader, options: BuildOptions) -> Self {
        let options = options.clamped();
        let mut section = PropertiesSection::default();
        section.properties.compression = options.compression;
        Self {
            index: IndexBuilder::new(options.block_bytes),
            filter: FilterBuilder::new(options.filter_bits_per_key, options.filter_partition_keys),
            options,
            header,
            sink,
            block: BlockBuilder::default(),
            block_first: InternalKeyBuf::default(),
            last: InternalKeyBuf::default(),
            section,
            raw: Vec::new(),
            block_end: 0,
        }
    }

    /// Adds an entry, which must be above all before.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when it is not, [`Error::LimitExceeded`] for a key above [`MAX_KEY_BYTES`] or an
    /// entry of more than about 63 MiB; both leave the builder as it was. The system's, after which every call fails.
    pub fn add(&mut self, key: InternalKey<'_>, entry: &Entry<'_>) -> Result<()> {
        let is_first = self.section.properties.entries == 0;
        if !is_first && key <= self.last.as_ref() {
            return Err(out_of_order(self.last.as_ref(), key));
        }
        check_limit("key length in bytes", key.user_key.len(), MAX_KEY_BYTES)?;
        let entry_len = entry.encoded_len();
        check_limit("entry length in bytes", entry_len, MAX_ENTRY_BYTES)?;
        if !self.block.is_empty() && self.block.byte_len_with(key.user_key, entry_len) > self.block_capacity()
        {
            self.flush_block()?;
        }
        let is_new_key = is_first || key.user_key != self.last.user_key;
        if is_new_key {
            self.filter.add(key.user_key, &mut self.sink)?;
        }
        if is_first {
            self.section.smallest = key.user_key.to_vec();
        }
        if self.block.is_empty() {
            self.block_first.assign(key);
        }
        self.block.add(key, |out| entry.encode(out));
        self.section.properties.count(key, entry, is_new_key);
        self.last.assign(key);
        Ok(())
    }

    /// Adds a plain key and its value; the key must be above all before.
    ///
    /// # Errors
    /// Those of [`Builder::add`].
    pub fn insert(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.add(InternalKey::new(key.as_ref(), Version::ZERO), &Entry::inline(value.as_ref()))
    }

    /// About how long the file would be if it were finished now, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        let pending = self.block.byte_len() as u64 + self.index.pending_bytes() + self.filter.pending_bytes();
        self.sink.offset() + pending + FOOTER_BYTES as u64
    }

    /// Entries added so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.section.properties.entries
    }

    /// The user key of the entry added last.
    #[must_use]
    pub fn last_user_key(&self) -> Option<&[u8]> {
        (self.entries() > 0).then_some(self.last.user_key.as_slice())
    }

    /// True when blocks are made to lie in whole pages: they are read where they lie, and are as long as pages.
    fn keeps_pages(&self) -> bool {
        self.options.compression == Compression::None
            && (self.options.block_bytes as u64).is_multiple_of(PAGE_BYTES)
    }

    /// Raw bytes of a block, at most, unless one entry is longer.
    fn block_capacity(&self) -> usize {
        self.options.block_bytes - if self.keeps_pages() { TRAILER_BYTES } else { 0 }
    }

    fn flush_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.block.finish_into(&mut self.raw);
        if self.keeps_pages() {
            // The first block after something else begins a run; those behind it follow with small gaps.
            let is_in_run = self.sink.offset() == self.block_end;
            let gap_max = if is_in_run { RUN_GAP_MAX_BYTES } else { PAGE_BYTES };
            self.sink.keep_in_page(self.raw.len() + TRAILER_BYTES, gap_max);
        }
        let handle = self.sink.seal(&self.raw, self.options.compression)?;
        self.block_end = self.sink.offset();
        self.section.properties.raw_block_bytes += self.raw.len() as u64;
        self.section.properties.data_bytes += u64::from(handle.sealed_bytes);
        self.index.add(self.block_first.as_ref(), self.last.as_ref(), handle, &mut self.sink)
    }

    /// Completes the table and makes its bytes durable; its name is the caller's to make durable
    /// ([`Vfs::sync_dir`]).
    ///
    /// # Errors
    /// The system's; the file is removed then.
    pub fn finish(mut self) -> Result<Summary> {
        let summary = self.complete()?;
        self.sink.finish()?;
        Ok(summary)
    }

    /// Completes a table in memory.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when this builder writes a file.
    pub fn finish_bytes(mut self) -> Result<Bytes> {
        self.complete()?;
        self.sink.into_bytes()
    }

    fn complete(&mut self) -> Result<Summary> {
        self.flush_block()?;
        let mut footer = Footer::default();
        if let Some(handle) = self.index.finish(&mut self.sink)? {
            footer.sections.push((SectionId::TopIndex, handle));
        }
        if let Some(handle) = self.filter.finish(&mut self.sink)? {
            footer.sections.push((SectionId::FilterDirectory, handle));
        }
        self.section.largest.clone_from(&self.last.user_key);
        let properties = &mut self.section.properties;
        properties.block_count = self.index.blocks();
        properties.index_partitions = self.index.partitions();
        properties.index_bytes = self.index.sealed_bytes();
        properties.filter_bytes = self.filter.sealed_bytes();
        let handle = self.sink.seal(&self.section.encode(), Compression::None)?;
        footer.sections.push((SectionId::Properties, handle));
        let footer_offset = self.sink.offset();
        self.sink.append(&footer.encode(&self.header, footer_offset))?;
        Ok(Summary {
            smallest: self.section.smallest.clone(),
            largest: self.section.largest.clone(),
            file_bytes: self.sink.offset(),
            properties: self.section.properties.clone(),
        })
    }
}

fn check_limit(what: &'static str, got: usize, limit: usize) -> Result<()> {
    if got <= limit {
        return Ok(());
    }
    Err(Error::LimitExceeded { what, limit: limit as u64, got: got as u64 })
}

#[cold]
fn out_of_order(before: InternalKey<'_>, got: InternalKey<'_>) -> Error {
    let show =
        |key: InternalKey<'_>| format!("\"{}\" at version {}", key.user_key.escape_ascii(), key.version);
    Error::invalid("order of keys", format!("{} was added after {}", show(got), show(before)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, Table};

    /// The handles of all data blocks of a table of `count` entries with values of `value_bytes`, and the file's length.
    fn blocks(count: u32, value_bytes: usize) -> (Vec<std::ops::Range<u64>>, u64) {
        let mut builder = Builder::in_memory(BuildOptions::default());
        for number in 0..count {
            builder.insert(number.to_be_bytes(), vec![7; value_bytes]).unwrap();
        }
        let table = Table::from_bytes(builder.finish_bytes().unwrap(), ReadOptions::default()).unwrap();
        table.verify().unwrap();
        let parts = &table.parts;
        let mut last = crate::index::LastPartition::default();
        let blocks = (0..parts.index.block_count()).map(|ordinal| {
            let handle = parts.index.block(&parts.source, ordinal, &mut last).unwrap().unwrap().handle;
            handle.offset..handle.offset + u64::from(handle.sealed_bytes)
        });
        (blocks.collect(), table.file_bytes())
    }

    #[test]
    fn blocks_lie_in_one_page_where_that_costs_little() {
        let page = |offset: u64| offset / PAGE_BYTES;
        let (small, file_bytes) = blocks(100_000, 100);
        assert!(small.len() > 2_000 && small.iter().all(|block| page(block.start) == page(block.end - 1)));
        let data_bytes: u64 = small.iter().map(|block| block.end - block.start).sum();
        assert!(file_bytes < data_bytes + data_bytes / 20, "{file_bytes} for {data_bytes}");

        // Three fit into a page: a quarter of it would be left free.
        let (large, file_bytes) = blocks(10_000, 1_000);
        let data_bytes: u64 = large.iter().map(|block| block.end - block.start).sum();
        assert!(file_bytes < data_bytes + data_bytes / 20, "{file_bytes} for {data_bytes}");
    }
}
