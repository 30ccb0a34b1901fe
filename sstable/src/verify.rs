//! Checks all of a table against itself: every checksum, order, bound and count.

use base::codec::Malformed;
use base::vfs::ReadAhead;
use base::{Direction, Entry, Error, InternalKey, InternalKeyBuf, Result, Version};

use crate::Properties;
use crate::block::Layout;
use crate::filter::key_hash;
use crate::format::{Handle, SectionId};
use crate::index::{IndexEntry, LastPartition, read_entries};
use crate::table::Parts;

impl crate::Table {
    /// Reads every block anew and checks all that readers rely on: checksums, the order of entries and separators,
    /// the bounds, that index and filter find every key, and that the properties are what the entries say.
    ///
    /// # Errors
    /// [`Error::Corruption`] at the first thing that is not as it should be, and the system's.
    pub fn verify(&self) -> Result<()> {
        let mut check = Check {
            parts: &self.parts,
            found: Properties::default(),
            smallest: Vec::new(),
            last: InternalKeyBuf::default(),
            read_ahead: ReadAhead::default(),
        };
        check.all_blocks()?;
        check.filter_partitions()?;
        check.properties()
    }
}

struct Check<'a> {
    parts: &'a Parts,
    /// What the entries say.
    found: Properties,
    smallest: Vec<u8>,
    last: InternalKeyBuf,
    read_ahead: ReadAhead,
}

impl Check<'_> {
    fn damaged(&self, handle: Handle, what: &'static str) -> Error {
        self.parts.source.damaged(handle, Malformed { offset: 0, what })
    }

    fn entries_of(&self, handle: Handle, is_top: bool) -> Result<Vec<IndexEntry>> {
        let raw = self.parts.source.read(handle)?;
        let entries = Layout::parse(&raw)
            .and_then(|layout| layout.verify_heads(&raw))
            .and_then(|()| read_entries(&raw, is_top));
        entries.map_err(|error| self.parts.source.damaged(handle, error))
    }

    fn all_blocks(&mut self) -> Result<()> {
        let Some(top) = self.parts.footer.section(SectionId::TopIndex) else { return Ok(()) };
        self.found.index_bytes += u64::from(top.sealed_bytes);
        for partition in self.entries_of(top, true)? {
            let blocks = self.entries_of(partition.handle, false)?;
            if partition.first_block != self.found.block_count
                || blocks.first().is_none_or(|block| block.separator != partition.separator)
            {
                return Err(self.damaged(partition.handle, "the top index and its partition differ"));
            }
            self.found.index_bytes += u64::from(partition.handle.sealed_bytes);
            self.found.index_partitions += 1;
            for block in blocks {
                self.block(&block)?;
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &IndexEntry) -> Result<()> {
        let handle = block.handle;
        self.parts.source.read_ahead(&mut self.read_ahead, handle, Direction::Forward);
        let raw = self.parts.source.read(handle)?;
        let damaged = |error| self.parts.source.damaged(handle, error);
        let layout = Layout::parse(&raw).map_err(damaged)?;
        layout.verify_heads(&raw).map_err(damaged)?;
        let is_first_block = self.found.block_count == 0;
        if !is_first_block && block.separator <= self.last {
            return Err(self.damaged(handle, "a separator is not above the block before it"));
        }
        let mut key = InternalKeyBuf::default();
        for number in 0..layout.count() {
            let slot = layout.slot(&raw, number).map_err(|error| self.parts.source.damaged(handle, error))?;
            let payload = raw.get(slot.payload).unwrap_or_default();
            let entry = Entry::decode(payload).map_err(|error| self.parts.source.damaged(handle, error))?;
            key.user_key.clear();
            key.user_key.extend_from_slice(layout.prefix(&raw));
            key.user_key.extend_from_slice(raw.get(slot.suffix).unwrap_or_default());
            key.version = slot.version;
            if number == 0 && key < block.separator {
                return Err(self.damaged(handle, "a separator is above its block"));
            }
            self.entry(handle, key.as_ref(), &entry)?;
            let found = layout.lower_bound(&raw, key.as_ref());
            if found.map_err(|error| self.parts.source.damaged(handle, error))? != number {
                return Err(self.damaged(handle, "the heads of a block do not lead to an entry"));
            }
            if number == 0 || number + 1 == layout.count() {
                self.index_leads_to(handle, key.as_ref())?;
            }
        }
        self.found.block_count += 1;
        self.found.raw_block_bytes += raw.len() as u64;
        self.found.data_bytes += u64::from(handle.sealed_bytes);
        Ok(())
    }

    fn entry(&mut self, handle: Handle, key: InternalKey<'_>, entry: &Entry<'_>) -> Result<()> {
        let is_first = self.found.entries == 0;
        if !is_first && key <= self.last.as_ref() {
            return Err(self.damaged(handle, "entries are out of order"));
        }
        if is_first {
            self.smallest = key.user_key.to_vec();
        }
        let is_new_key = is_first || key.user_key != self.last.user_key;
        if is_new_key && let Some(filter) = &self.parts.filter {
            let hash = key_hash(key.user_key);
            if !filter.may_contain_key(&self.parts.source, key.user_key, hash)? {
                return Err(self.damaged(handle, "the filter denies a key of the table"));
            }
        }
        self.found.count(key, entry, is_new_key);
        self.last.assign(key);
        Ok(())
    }

    fn index_leads_to(&self, handle: Handle, key: InternalKey<'_>) -> Result<()> {
        let ordinal = usize::try_from(self.found.block_count).unwrap_or(usize::MAX);
        let (index, source) = (&self.parts.index, &self.parts.source);
        let found = index.find(source, key)?;
        let counted = index.block(source, ordinal, &mut LastPartition::default())?;
        let is_right = |unit: crate::source::Unit| unit.ordinal == ordinal && unit.handle == handle;
        if found.is_some_and(is_right) && counted.is_some_and(is_right) {
            return Ok(());
        }
        Err(self.damaged(handle, "the index does not lead to a block"))
    }

    fn filter_partitions(&mut self) -> Result<()> {
        let Some(directory) = self.parts.footer.section(SectionId::FilterDirectory) else { return Ok(()) };
        self.parts.source.read(directory)?;
        self.found.filter_bytes += u64::from(directory.sealed_bytes);
        for handle in self.parts.filter.iter().flat_map(|filter| filter.handles()) {
            self.parts.source.read(handle)?;
            self.found.filter_bytes += u64::from(handle.sealed_bytes);
        }
        Ok(())
    }

    fn properties(mut self) -> Result<()> {
        let Some(handle) = self.parts.footer.section(SectionId::Properties) else { return Ok(()) };
        self.parts.source.read(handle)?;
        let section = &self.parts.section;
        // Not a fact about the entries: what was asked for.
        self.found.compression = section.properties.compression;
        if self.found.entries == 0 {
            self.found.min_version = Version::ZERO;
        }
        if self.found != section.properties {
            return Err(self.damaged(handle, "the properties are not what the entries say"));
        }
        if self.smallest != section.smallest || self.last.user_key != section.largest {
            return Err(self.damaged(handle, "the bounds are not those of the entries"));
        }
        Ok(())
    }
}
