//! The living tables of all levels, immutable; every structural change makes a new set that shares the rest.

use std::cmp::Reverse;
use std::sync::{Arc, OnceLock};

use base::header::FileIdentity;
use base::vfs::Vfs;
use base::{InternalKey, Result};
use manifest::TableMeta;
use parking_lot::Mutex;
use sstable::{BlockCache, ReadOptions, Table, TableAccess};

use crate::files::LivingFile;
use crate::level_bounds::LevelBounds;
use crate::options::LEVELS;

/// What is needed to open a table.
#[derive(Clone, Debug)]
pub(crate) struct TableOpener {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) access: TableAccess,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) database_id: base::header::DatabaseId,
}

/// A table of the tree. Its file is opened at the first use, so that opening a database does not cost more with more
/// tables, and damage of one table fails the reads of that table only.
#[derive(Debug)]
pub(crate) struct TableHandle {
    pub(crate) meta: TableMeta,
    core: Arc<TableCore>,
}

/// What stays when a table moves to another level.
#[derive(Debug)]
struct TableCore {
    file: LivingFile,
    opener: TableOpener,
    table: OnceLock<Table>,
    opening: Mutex<()>,
}

impl TableHandle {
    pub(crate) fn new(meta: TableMeta, file: LivingFile, opener: TableOpener) -> Self {
        let core = TableCore { file, opener, table: OnceLock::new(), opening: Mutex::new(()) };
        Self { meta, core: Arc::new(core) }
    }

    /// The same table in another level.
    pub(crate) fn moved_to(&self, level: usize) -> Self {
        let meta = TableMeta { level: level as u8, ..self.meta.clone() };
        Self { meta, core: Arc::clone(&self.core) }
    }

    /// The file that holds it.
    pub(crate) fn file(&self) -> &LivingFile {
        &self.core.file
    }

    /// The open table.
    ///
    /// # Errors
    /// Damage of its footer or index, or the system's.
    #[inline]
    pub(crate) fn table(&self) -> Result<&Table> {
        match self.core.table.get() {
            Some(table) => Ok(table),
            None => self.open(),
        }
    }

    /// The table, if it is open.
    pub(crate) fn opened(&self) -> Option<&Table> {
        self.core.table.get()
    }

    #[cold]
    fn open(&self) -> Result<&Table> {
        let core = &*self.core;
        let _one_opener = core.opening.lock();
        if let Some(table) = core.table.get() {
            return Ok(table);
        }
        let identity = FileIdentity { database_id: core.opener.database_id, file_number: self.meta.number };
        let options = ReadOptions::default()
            .access(core.opener.access)
            .cache(Arc::clone(&core.opener.cache))
            .expect(identity);
        let table = Table::open_in(&*core.opener.vfs, core.file.path(), options)?;
        Ok(core.table.get_or_init(|| table))
    }

    pub(crate) fn number(&self) -> u64 {
        self.meta.number
    }

    /// True when `user_key` lies between the table's bounds.
    pub(crate) fn covers(&self, user_key: &[u8]) -> bool {
        self.meta.smallest.as_slice() <= user_key && user_key <= self.meta.largest.as_slice()
    }

    /// True when the table and the closed range share a key, by their bounds.
    pub(crate) fn overlaps(&self, smallest: &[u8], largest: &[u8]) -> bool {
        self.meta.smallest.as_slice() <= largest && smallest <= self.meta.largest.as_slice()
    }
}

/// All levels. L0 is ordered newest first, the others by key.
#[derive(Clone, Debug)]
pub(crate) struct TableSet {
    pub(crate) levels: Vec<Vec<Arc<TableHandle>>>,
    /// Of each level; not used for L0, whose tables overlap.
    bounds: Vec<LevelBounds>,
}

impl TableSet {
    pub(crate) fn new(tables: impl IntoIterator<Item = Arc<TableHandle>>) -> Self {
        let mut levels = vec![Vec::new(); LEVELS];
        for table in tables {
            if let Some(level) = levels.get_mut(usize::from(table.meta.level)) {
                level.push(table);
            }
        }
        let mut set = Self { levels, bounds: Vec::new() };
        set.sort();
        set.bounds = set.levels.iter().map(|level| LevelBounds::new(level)).collect();
        set
    }

    /// A new set without the tables numbered `removed` and with `added`.
    pub(crate) fn with_changes(&self, removed: &[u64], added: &[Arc<TableHandle>]) -> Self {
        let kept = self.iter().filter(|table| !removed.contains(&table.number())).cloned();
        Self::new(kept.chain(added.iter().cloned()))
    }

    fn sort(&mut self) {
        for (index, level) in self.levels.iter_mut().enumerate() {
            if index == 0 {
                level.sort_by_key(|table| (Reverse(table.meta.newest_generation), Reverse(table.number())));
            } else {
                level.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TableHandle>> {
        self.levels.iter().flatten()
    }

    pub(crate) fn level(&self, level: usize) -> &[Arc<TableHandle>] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn level_bytes(&self, level: usize) -> u64 {
        self.level(level).iter().map(|table| table.meta.file_bytes).sum()
    }

    /// The deepest level that holds a table; `None` when there is none.
    pub(crate) fn deepest(&self) -> Option<usize> {
        self.levels.iter().rposition(|level| !level.is_empty())
    }

    /// The table of a level below L0 that may hold `user_key`; for those who have no bounds of the level.
    pub(crate) fn find_in_level(level: &[Arc<TableHandle>], user_key: &[u8]) -> Option<usize> {
        let index = level.partition_point(|table| table.meta.largest.as_slice() < user_key);
        level.get(index).filter(|table| table.meta.smallest.as_slice() <= user_key).map(|_| index)
    }

    /// The table of `level`, below L0, that may hold `user_key`.
    #[inline]
    pub(crate) fn covering(&self, level: usize, user_key: &[u8]) -> Option<&Arc<TableHandle>> {
        self.bounds.get(level)?.find(self.level(level), user_key)
    }

    /// The first table of a level below L0 whose largest key is at or after `target`.
    pub(crate) fn first_at_or_after(level: &[Arc<TableHandle>], target: InternalKey<'_>) -> usize {
        level.partition_point(|table| table.meta.largest.as_slice() < target.user_key)
    }

    /// Every table of `level` that shares keys with the closed range, in the level's order.
    pub(crate) fn overlapping<'a>(
        &'a self,
        level: usize,
        smallest: &'a [u8],
        largest: &'a [u8],
    ) -> impl Iterator<Item = &'a Arc<TableHandle>> {
        self.level(level).iter().filter(move |table| table.overlaps(smallest, largest))
    }
}
