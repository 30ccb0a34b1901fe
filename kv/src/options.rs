//! Settings: plain data, checked once at open.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use base::Compression;
use base::clock::{Clock, SystemClock};
use base::vfs::{MemVfs, OsVfs, Vfs};
use engine::{Durability, Engine, Environment, TableAccess};

use crate::handle::Handle;
use crate::maintenance::OpeningThreads;
use crate::store::Settings;
use crate::{Db, Error, ReadOnlyDb, Result};

/// Tables are not split smaller than this for want of memory, in bytes.
const TABLE_MIN: u64 = 256 << 10;
/// The smallest memory budget that can work, in bytes.
const MEMORY_MIN: usize = 1 << 20;
/// The largest, in bytes.
const MEMORY_MAX: usize = 1 << 40;
/// Larger memtables make a recovery long and no write faster, in bytes.
const MEMTABLE_MAX: usize = 256 << 20;
/// More threads than this only wait for each other.
const THREADS_MAX: usize = 64;
/// The bounds of the size at which a write batch commits what it has, in bytes.
const BATCH_MIN: usize = 4 << 10;
const BATCH_MAX: usize = 4 << 20;

/// How a database is opened. Every setting has a default that suits most.
///
/// ```
/// # fn main() -> kv::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data");
/// let db = kv::Options::new().memory_budget(64 << 20).durability(kv::Durability::Buffered).open(path)?;
/// # db.close()
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    memory_budget: usize,
    durability: Durability,
    compression: Compression,
    value_threshold: usize,
    keep_versions: NonZeroU32,
    block_bytes: usize,
    table_bytes: u64,
    access: TableAccess,
    max_retries: u32,
    maintenance_threads: usize,
    engine: Option<engine::Options>,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        let engine = engine::Options::default();
        Self {
            memory_budget: 256 << 20,
            durability: Durability::Sync,
            compression: engine.bottom_compression,
            value_threshold: engine.value_threshold,
            keep_versions: engine.keep_versions,
            block_bytes: engine.block_bytes,
            table_bytes: engine.table_bytes,
            access: engine.access,
            max_retries: 16,
            maintenance_threads: 2,
            engine: None,
            vfs: Arc::new(OsVfs),
            clock: Arc::new(SystemClock),
        }
    }

    /// Limits so small that a few hundred operations cross every boundary, and no threads; for tests.
    pub fn tiny() -> Self {
        Self::new().memory_budget(8 << 20).maintenance_threads(0).with_engine_options(engine::Options::tiny())
    }

    /// All memory that the database uses, in bytes: memtables three eighths, and an eighth kept for their reuse; block cache an
    /// eighth; transactions and what is remembered for them three eighths. 1 MiB to 1 TiB, default 256 MiB. Raise it to load faster, to
    /// cache more, and for larger transactions. Pages of mapped files are the system's and not counted.
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// What a commit promises when nothing else is said. Default [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The compression of large values, and of tables in the last level, which hold most of the rest. Default none: blocks and values
    /// are then read where they lie in the mapped files. With lz4, compressible data takes about 0.6 of the space and a point read two
    /// to three times as long; zstd goes further in both. A change counts for what is written from then on.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Values at least this long are kept apart from their keys, in bytes; 1 to 1 MiB, default 1 KiB. Raise it when values are
    /// small and scans matter.
    pub fn value_threshold(mut self, bytes: usize) -> Self {
        self.value_threshold = bytes;
        self
    }

    /// How many of a key's newest versions are kept for [`crate::Scan::all_versions`], besides those that open transactions see.
    /// Default 1.
    pub fn keep_versions(mut self, versions: NonZeroU32) -> Self {
        self.keep_versions = versions;
        self
    }

    /// The size of a table's block before compression, in bytes; 64 to 1 MiB, default 4 KiB. Raise it for scans and better
    /// compression.
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes;
        self
    }

    /// The size at which tables are split, in bytes; 1 KiB to 8 GiB, default 32 MiB. With a small memory budget they are split at
    /// an eighth of it, because building a table takes memory for all of its keys.
    pub fn table_bytes(mut self, bytes: u64) -> Self {
        self.table_bytes = bytes;
        self
    }

    /// How often [`Db::update`] runs a transaction again after conflicts. Default 16.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// How many threads do background work; 0 to 64, default 2. Without any, it is done when a commit has to wait for it, by
    /// `flush`, `compact` and `close`, and by [`Db::step`].
    pub fn maintenance_threads(mut self, threads: usize) -> Self {
        self.maintenance_threads = threads;
        self
    }

    /// How tables and value segments are read: mapped into memory (the default), or by position, for those who distrust maps.
    pub fn access(mut self, access: TableAccess) -> Self {
        self.access = access;
        self
    }

    /// Where the time comes from by which values expire. Default the system's clock.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where files live. Default the operating system's.
    pub fn with_vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
    }

    /// Every setting of the engine, in place of those that are derived here from the memory budget and of compression, value
    /// threshold, kept versions, sizes and access; for tests and for measuring.
    pub fn with_engine_options(mut self, options: engine::Options) -> Self {
        self.engine = Some(options);
        self
    }

    /// Opens the database in the directory `path`; creates it when there is none.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the setting that cannot work. [`Error::Storage`]: the directory is in use, damaged, not a
    /// database, of a newer format, or the system refuses; no file was changed then.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Db> {
        let settings = self.settings()?;
        let helpers = OpeningThreads(settings.maintenance_threads);
        let (options, environment) = (self.engine_options()?, self.environment());
        let engine = Engine::open_with(path.as_ref(), options, environment, &helpers)?;
        Ok(Db::new(Handle::new(engine, self.clock, settings, true)?))
    }

    /// Opens the database in the directory `path` for reading; writes not one byte. Others may do the same at the same time, and
    /// nobody may write.
    ///
    /// # Errors
    /// As [`Options::open`], and when there is no database.
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<ReadOnlyDb> {
        let settings = self.settings()?;
        let engine = Engine::open_read_only(path.as_ref(), self.engine_options()?, self.environment())?;
        Ok(ReadOnlyDb::new(Handle::new(engine, self.clock, settings, false)?))
    }

    /// Opens an empty database that lives in memory, and is gone when its last handle is. Nothing else differs.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the setting that cannot work.
    pub fn open_in_memory(self) -> Result<Db> {
        self.with_vfs(Arc::new(MemVfs::new())).open("/memory")
    }

    fn environment(&self) -> Environment {
        Environment { vfs: Arc::clone(&self.vfs), clock: Arc::clone(&self.clock) }
    }

    fn settings(&self) -> Result<Settings> {
        within("memory_budget", self.memory_budget, MEMORY_MIN, MEMORY_MAX)?;
        within("maintenance_threads", self.maintenance_threads, 0, THREADS_MAX)?;
        let transactions = self.memory_budget / 8 * 3;
        let recent_bytes = transactions / 8;
        let memtable_bytes = self.engine_options()?.memtable_bytes;
        Ok(Settings {
            durability: self.durability,
            max_retries: self.max_retries,
            maintenance_threads: self.maintenance_threads,
            batch_bytes: (memtable_bytes / 8).min(transactions / 16).clamp(BATCH_MIN, BATCH_MAX),
            transaction_bytes: transactions - recent_bytes,
            recent_bytes,
        })
    }

    /// The engine's settings, derived from the memory budget.
    fn engine_options(&self) -> Result<engine::Options> {
        let derived = || {
            let memtable_bytes = (self.memory_budget / 8).min(MEMTABLE_MAX);
            engine::Options {
                memtable_bytes,
                write_buffer_bytes: 3 * memtable_bytes,
                idle_arena_bytes: memtable_bytes,
                cache_bytes: self.memory_budget / 8,
                value_threshold: self.value_threshold,
                keep_versions: self.keep_versions,
                block_bytes: self.block_bytes,
                // Building a table takes memory for the hashes of all its keys.
                table_bytes: self.table_bytes.min((self.memory_budget as u64 / 8).max(TABLE_MIN)),
                bottom_compression: self.compression,
                value_compression: self.compression,
                access: self.access,
                ..engine::Options::default()
            }
        };
        let options = self.engine.clone().unwrap_or_else(derived);
        options.validate().map_err(|error| match error {
            // Told by the name of the setting that it is derived from.
            base::Error::InvalidArgument { what: "bottom_compression", why } => {
                Error::option("compression", why)
            }
            base::Error::InvalidArgument { what, why } => Error::option(what, why),
            other => Error::Storage(other),
        })?;
        Ok(options)
    }
}

fn within(name: &'static str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::option(name, format!("{value} is out of range; it must be {low} to {high}")))
}
