//! An open table: point reads, and the doors to cursors, ranges and checks.

use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;

use base::codec::Malformed;
use base::header::{FileHeader, FileKind};
use base::seal::TRAILER_BYTES;
use base::vfs::{Access, BytesFile, File, OsVfs, Vfs};
use base::{Direction, Entry, Error, InternalKey, KeyBounds, Result, SharedEntry, SharedPayload, Version};
use bytes::Bytes;

use crate::block::{Layout, Lookup};
use crate::filter::{Filter, key_hash};
use crate::format::{FOOTER_BYTES, FORMAT_VERSION, Footer, SectionId};
use crate::index::{Index, LastPartition};
use crate::properties::PropertiesSection;
use crate::source::{Raw, Source, Unit};
use crate::{Properties, Range, ReadOptions, TableCursor};

/// Values of at least this many bytes are shared with the map or the cached block by point reads.
const SHARED_MIN_BYTES: usize = 1024;

/// An immutable sorted table. Cheap to clone, safe to share.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) parts: Arc<Parts>,
}

/// What all clones and cursors of a table share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) source: Source,
    pub(crate) header: FileHeader,
    pub(crate) footer: Footer,
    pub(crate) section: PropertiesSection,
    pub(crate) index: Index,
    pub(crate) filter: Option<Filter>,
}

impl Table {
    /// Opens the file `path`, mapped and without a cache.
    ///
    /// # Errors
    /// Those of [`Table::open_in`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(&OsVfs, path.as_ref(), ReadOptions::default())
    }

    /// Opens the file `path` of `vfs`. Reads header, footer and small sections, and the index if it is small.
    ///
    /// # Errors
    /// [`Error::Corruption`] when what was read is damaged or belongs to another file, [`Error::Unsupported`] when a
    /// later release wrote it, and the system's.
    pub fn open_in(vfs: &dyn Vfs, path: &Path, options: ReadOptions) -> Result<Self> {
        Self::open_file(vfs.open(path, Access::Read)?, &options)
    }

    /// Opens a table that lies in memory.
    ///
    /// # Errors
    /// Those of [`Table::open_in`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: ReadOptions) -> Result<Self> {
        Self::open_file(BytesFile::shared("(table in memory)", bytes), &options)
    }

    fn open_file(file: Arc<dyn File>, options: &ReadOptions) -> Result<Self> {
        let header = FileHeader::read(file.as_ref(), FileKind::Table, FORMAT_VERSION)?;
        if let Some(identity) = options.expect {
            header.expect(file.path(), identity)?;
        }
        let footer = read_footer(file.as_ref(), &header)?;
        let mut source = Source::new(file, &header, options)?;
        let section = read_properties(&source, &footer)?;
        let properties = &section.properties;
        let unit_count = check_unit_count(&source, properties)?;
        source.remember_units(unit_count);
        let block_count = usize::try_from(properties.block_count).unwrap_or(usize::MAX);
        let index = match footer.section(SectionId::TopIndex) {
            Some(top) => {
                let may_be_whole = properties.index_bytes <= options.resident_index_bytes;
                Index::open(&source, top, block_count, may_be_whole)?
            }
            None if block_count == 0 => Index::empty(),
            None => return Err(Error::corruption(source.path(), 0, "the table has blocks and no index")),
        };
        let filter = match footer.section(SectionId::FilterDirectory) {
            Some(handle) => {
                let filter = Filter::decode(&source.read(handle)?, source.file_bytes());
                Some(filter.map_err(|error| source.damaged(handle, error))?)
            }
            None => None,
        };
        Ok(Self { parts: Arc::new(Parts { source, header, footer, section, index, filter }) })
    }

    /// The newest version of `user_key` at or below `at`, tombstones included.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the bytes that could hold it are damaged, and the system's.
    pub fn get(&self, user_key: &[u8], at: Version) -> Result<Option<SharedEntry>> {
        let section = &self.parts.section;
        if user_key < section.smallest.as_slice() || user_key > section.largest.as_slice() {
            return Ok(None);
        }
        self.get_hashed(user_key, key_hash(user_key), at)
    }

    /// [`Table::get`] with the key's hash, computed once for all tables that are asked. The bounds of the table are not
    /// looked at: whoever has many tables has compared them.
    ///
    /// # Errors
    /// Those of [`Table::get`].
    pub fn get_hashed(&self, user_key: &[u8], hash: u64, at: Version) -> Result<Option<SharedEntry>> {
        let parts = self.parts.as_ref();
        if let Some(filter) = &parts.filter
            && !filter.may_contain_key(&parts.source, user_key, hash)?
        {
            return Ok(None);
        }
        parts.find(InternalKey::new(user_key, at))
    }

    /// The newest value of a plain key; `None` when it is absent or deleted.
    ///
    /// # Errors
    /// Those of [`Table::get`], and [`Error::InvalidArgument`] when the value is in a value log.
    pub fn value(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        match self.get(key.as_ref(), Version::MAX)?.map(|entry| entry.payload) {
            Some(SharedPayload::Inline(value)) => Ok(Some(value)),
            Some(SharedPayload::Tombstone) | None => Ok(None),
            Some(SharedPayload::Separated(_)) => {
                Err(Error::invalid("key", "its value is in a value log: use get() and follow the pointer"))
            }
        }
    }

    /// False when no key with this hash ([`key_hash`]) is in the table. True without a filter.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the filter is damaged, and the system's.
    pub fn may_contain(&self, hash: u64) -> Result<bool> {
        match &self.parts.filter {
            Some(filter) => filter.may_contain(&self.parts.source, hash),
            None => Ok(self.properties().entries > 0),
        }
    }

    /// A cursor over every version of every key, not yet positioned.
    #[must_use]
    pub fn cursor(&self) -> TableCursor {
        TableCursor::new(Arc::clone(&self.parts))
    }

    /// A hint that a cursor of this table will seek `target`, and that something else is done before: what the cursor reads first
    /// is asked of the memory.
    pub fn expect_seek(&self, target: InternalKey<'_>) {
        self.parts.expect_seek(target);
    }

    /// Every version of every key, from either end.
    #[must_use]
    pub fn iter(&self) -> Range {
        Range::new(self, KeyBounds::all())
    }

    /// Every version of the keys inside `bounds`, from either end. Bounds that contain nothing give nothing.
    #[must_use]
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Range {
        let owned = |bound: std::ops::Bound<&K>| bound.map(|key| key.as_ref().to_vec());
        Range::new(self, KeyBounds { start: owned(bounds.start_bound()), end: owned(bounds.end_bound()) })
    }

    /// Every version of the keys that start with `prefix`, from either end.
    #[must_use]
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Range {
        Range::new(self, KeyBounds::prefix(prefix.as_ref()))
    }

    /// What the table holds.
    #[must_use]
    pub fn properties(&self) -> &Properties {
        &self.parts.section.properties
    }

    /// The smallest user key; empty for an empty table.
    #[must_use]
    pub fn smallest(&self) -> &[u8] {
        &self.parts.section.smallest
    }

    /// The largest user key; empty for an empty table.
    #[must_use]
    pub fn largest(&self) -> &[u8] {
        &self.parts.section.largest
    }

    /// The length of the file, in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.parts.source.file_bytes()
    }

    /// The file's name, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.parts.source.path()
    }

    /// Bytes of memory that the open table holds besides cache and map: its index and, unmapped, its filter.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let filter = if self.parts.source.is_mapped() { 0 } else { self.properties().filter_bytes };
        self.parts.index.memory_bytes() + filter
    }
}

impl Parts {
    /// The first entry at or after `target`, if it is one of the same user key.
    #[inline]
    fn find(&self, target: InternalKey<'_>) -> Result<Option<SharedEntry>> {
        let Some(unit) = self.index.find(&self.source, target)? else { return Ok(None) };
        let raw = self.source.load(unit)?;
        fetch_tail(&raw);
        let damaged = |error| self.source.damaged(unit.handle, error);
        let layout = Layout::parse(&raw).map_err(damaged)?;
        match layout.find(&raw, target).map_err(damaged)? {
            Lookup::Here(slot) => shared_entry(&raw, slot.version, slot.payload).map(Some).map_err(damaged),
            Lookup::Absent => Ok(None),
            Lookup::InNextBlock => {
                match self.index.block(&self.source, unit.ordinal + 1, &mut LastPartition::default())? {
                    Some(next) => self.first_of_block(next, target.user_key),
                    None => Ok(None),
                }
            }
        }
    }

    /// Asks the memory for the block that is entered next from block `ordinal`.
    #[inline(never)]
    pub(crate) fn expect_next(&self, ordinal: usize, direction: Direction) {
        let next = match direction {
            Direction::Forward => ordinal.checked_add(1),
            Direction::Backward => ordinal.checked_sub(1),
        };
        if let Some(handle) = next.and_then(|next| self.index.resident_handle(next)) {
            self.source.expect_next(handle, direction);
        }
    }

    /// Asks the memory for the block that a seek of `target` opens first.
    pub(crate) fn expect_seek(&self, target: InternalKey<'_>) {
        if let Some(handle) = self.index.resident_find(target) {
            self.source.expect(handle);
        }
    }

    /// The damage of one unit, as an error of this file.
    pub(crate) fn damaged(&self, unit: Unit, error: Malformed) -> Error {
        self.source.damaged(unit.handle, error)
    }

    /// The first entry of a block, if it is one of `user_key`.
    #[cold]
    fn first_of_block(&self, unit: Unit, user_key: &[u8]) -> Result<Option<SharedEntry>> {
        let raw = self.source.load(unit)?;
        let damaged = |error| self.source.damaged(unit.handle, error);
        let layout = Layout::parse(&raw).map_err(damaged)?;
        let slot = layout.slot(&raw, 0).map_err(damaged)?;
        if user_key.strip_prefix(layout.prefix(&raw)) != raw.get(slot.suffix) {
            return Ok(None);
        }
        shared_entry(&raw, slot.version, slot.payload).map(Some).map_err(damaged)
    }
}

#[inline]
fn shared_entry(
    raw: &Raw<'_>,
    version: Version,
    payload: std::ops::Range<usize>,
) -> std::result::Result<SharedEntry, Malformed> {
    let entry = Entry::decode(raw.get(payload).unwrap_or_default())?;
    Ok(SharedEntry::new(version, entry, |value| hand_out(raw, value)))
}

/// Reads a byte of each cache line at the end of a block, where its tail, heads and offsets are: they are all needed, one
/// after the other, and so the memory fetches them at once.
#[inline]
fn fetch_tail(raw: &[u8]) {
    let at = |back: usize| raw.len().checked_sub(back).and_then(|at| raw.get(at));
    std::hint::black_box([at(1), at(65), at(129), at(193)].map(|byte| byte.copied()));
}

/// An inline value as a result: a small one is copied, because the count of a shared map or block is written by all
/// threads that read it, and because a few bytes would keep all of it alive.
#[inline]
fn hand_out(raw: &Raw<'_>, value: &[u8]) -> Bytes {
    if value.len() < SHARED_MIN_BYTES { Bytes::copy_from_slice(value) } else { raw.share(value) }
}

fn read_footer(file: &dyn File, header: &FileHeader) -> Result<Footer> {
    let file_bytes = file.len()?;
    let Some(offset) = file_bytes.checked_sub(FOOTER_BYTES as u64) else {
        return Err(Error::corruption(file.path(), file_bytes, "the file is shorter than a footer"));
    };
    let mut bytes = [0; FOOTER_BYTES];
    file.read_exact_at(offset, &mut bytes)?;
    Footer::decode(&bytes, header, file.path(), offset)
}

fn read_properties(source: &Source, footer: &Footer) -> Result<PropertiesSection> {
    let Some(handle) = footer.section(SectionId::Properties) else {
        return Err(Error::corruption(source.path(), 0, "the table has no properties"));
    };
    PropertiesSection::decode(&source.read(handle)?).map_err(|error| source.damaged(handle, error))
}

/// How many data blocks and index partitions there are, once that is known to be possible.
fn check_unit_count(source: &Source, properties: &Properties) -> Result<usize> {
    let most = source.file_bytes() / TRAILER_BYTES as u64;
    let units =
        properties.block_count.checked_add(properties.index_partitions).filter(|units| *units <= most);
    units.and_then(|units| usize::try_from(units).ok()).ok_or_else(|| {
        Error::corruption(source.path(), 0, "the properties claim more blocks than the file can hold")
    })
}
