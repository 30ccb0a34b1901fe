//! The bytes of an open table: finds units by handle, verifies them, and hands out their raw contents.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::codec::Malformed;
use base::header::FileHeader;
use base::seal::Seal;
use base::vfs::{File, ReadAhead};
use base::{Direction, Error, Result};
use bytes::Bytes;

use crate::ahead::{ask_for_end, ask_for_next};
use crate::cache::{BlockCache, BlockKey, next_table_id};
use crate::format::Handle;
use crate::{ReadOptions, TableAccess};

/// A data block or index partition: its place, and its number among all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) ordinal: usize,
    pub(crate) handle: Handle,
}

/// The raw bytes of a unit: where they lie in the map, or shared.
#[derive(Debug)]
pub(crate) enum Raw<'a> {
    InPlace { map: &'a Bytes, raw: &'a [u8] },
    Shared(Bytes),
}

impl Deref for Raw<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::InPlace { raw, .. } => raw,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Raw<'_> {
    /// A part of these bytes that shares their memory.
    #[inline]
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        match self {
            Self::InPlace { map, .. } => map.slice_ref(part),
            Self::Shared(bytes) => bytes.slice_ref(part),
        }
    }

    /// All of these bytes, shared.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::InPlace { map, raw } => map.slice_ref(raw),
            Self::Shared(bytes) => bytes,
        }
    }
}

/// A file and the ways to its bytes.
#[derive(Debug)]
pub(crate) struct Source {
    file: Arc<dyn File>,
    file_bytes: u64,
    seal: Seal,
    map: Option<Bytes>,
    cache: Option<Arc<BlockCache>>,
    table_id: u64,
    verified: VerifiedUnits,
}

/// One bit per unit: its checksum was verified in the map, and it is not compressed.
#[derive(Debug, Default)]
struct VerifiedUnits(Box<[AtomicU64]>);

impl VerifiedUnits {
    fn new(units: usize) -> Self {
        Self((0..units.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    // Relaxed: the bit guards bytes that never change, so nothing is published with it.
    #[inline]
    fn contains(&self, ordinal: usize) -> bool {
        self.0.get(ordinal / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (ordinal % 64) & 1 == 1)
    }

    fn insert(&self, ordinal: usize) {
        if let Some(word) = self.0.get(ordinal / 64) {
            word.fetch_or(1 << (ordinal % 64), Ordering::Relaxed);
        }
    }
}

impl Source {
    pub(crate) fn new(file: Arc<dyn File>, header: &FileHeader, options: &ReadOptions) -> Result<Self> {
        let file_bytes = file.len()?;
        let map = match options.access {
            TableAccess::Mapped => Some(file.map()?),
            TableAccess::Positional => None,
        };
        if map.as_ref().is_some_and(|map| map.len() as u64 != file_bytes) {
            return Err(Error::corruption(file.path(), file_bytes, "the file changed while it was opened"));
        }
        let seal = Seal::new(header);
        let cache = options.cache.clone();
        let verified = VerifiedUnits::default();
        Ok(Self { file, file_bytes, seal, map, cache, table_id: next_table_id(), verified })
    }

    /// Makes room to remember that units were verified; call once their number is known and bounded.
    pub(crate) fn remember_units(&mut self, units: usize) {
        if self.map.is_some() {
            self.verified = VerifiedUnits::new(units);
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Damage inside the unit that `handle` points to.
    #[cold]
    pub(crate) fn damaged(&self, handle: Handle, error: Malformed) -> Error {
        Error::corruption(
            self.path(),
            handle.offset,
            format!("{} ({} bytes into it)", error.what, error.offset),
        )
    }

    #[cold]
    fn outside(&self, handle: Handle) -> Error {
        Error::corruption(self.path(), handle.offset, "a block handle points outside the file")
    }

    #[inline]
    fn mapped(&self, map: &Bytes, handle: Handle) -> Result<std::ops::Range<usize>> {
        let range = handle.is_inside(map.len() as u64).then(|| {
            let start = usize::try_from(handle.offset).unwrap_or(usize::MAX);
            start..start.saturating_add(handle.sealed_bytes as usize)
        });
        range.ok_or_else(|| self.outside(handle))
    }

    /// Asks the memory for the end of a unit that is about to be loaded.
    #[inline]
    pub(crate) fn expect(&self, handle: Handle) {
        if let Some(sealed) = self.sealed_in_map(handle) {
            ask_for_end(sealed);
        }
    }

    /// Asks the memory for what is needed first of a unit that is loaded next in `direction`.
    #[inline]
    pub(crate) fn expect_next(&self, handle: Handle, direction: Direction) {
        if let Some(sealed) = self.sealed_in_map(handle) {
            ask_for_next(sealed, direction);
        }
    }

    /// A reader in order comes to the unit at `handle`: the system reads ahead of it. Positional reads need no such hint.
    #[inline]
    pub(crate) fn read_ahead(&self, ahead: &mut ReadAhead, handle: Handle, direction: Direction) {
        if self.is_mapped() {
            let here = handle.offset..handle.offset.saturating_add(u64::from(handle.sealed_bytes));
            ahead.come_to(&*self.file, self.file_bytes, here, direction);
        }
    }

    #[inline]
    fn sealed_in_map(&self, handle: Handle) -> Option<&[u8]> {
        let map = self.map.as_ref()?;
        let start = usize::try_from(handle.offset).ok()?;
        map.get(start..start.checked_add(handle.sealed_bytes as usize)?)
    }

    /// The raw bytes of a unit, verified now or, in a map, before.
    #[inline]
    pub(crate) fn load(&self, unit: Unit) -> Result<Raw<'_>> {
        if let Some(map) = &self.map
            && self.verified.contains(unit.ordinal)
        {
            let range = self.mapped(map, unit.handle)?;
            let sealed = map.get(range).ok_or_else(|| self.outside(unit.handle))?;
            if let Some(raw) = Seal::in_place(sealed) {
                return Ok(Raw::InPlace { map, raw });
            }
        }
        self.load_unverified(unit)
    }

    fn load_unverified(&self, unit: Unit) -> Result<Raw<'_>> {
        let key = BlockKey { table_id: self.table_id, offset: unit.handle.offset };
        if let Some(cache) = &self.cache
            && let Some(block) = cache.get(key)
        {
            return Ok(Raw::Shared(block));
        }
        if let Some(map) = &self.map {
            let range = self.mapped(map, unit.handle)?;
            let sealed = map.get(range).ok_or_else(|| self.outside(unit.handle))?;
            self.seal.verify(self.path(), unit.handle.offset, sealed)?;
            if let Some(raw) = Seal::in_place(sealed) {
                self.verified.insert(unit.ordinal);
                return Ok(Raw::InPlace { map, raw });
            }
        }
        let block = self.read(unit.handle)?;
        if let Some(cache) = &self.cache {
            cache.insert(key, block.clone());
        }
        Ok(Raw::Shared(block))
    }

    /// Reads, verifies and opens what `handle` points to, past bitmap and cache.
    pub(crate) fn read(&self, handle: Handle) -> Result<Bytes> {
        let sealed = match &self.map {
            Some(map) => map.slice(self.mapped(map, handle)?),
            None if handle.is_inside(self.file_bytes) => {
                let mut sealed = vec![0; handle.sealed_bytes as usize];
                self.file.read_exact_at(handle.offset, &mut sealed)?;
                Bytes::from(sealed)
            }
            None => return Err(self.outside(handle)),
        };
        self.seal.open(self.path(), handle.offset, &sealed)
    }
}
