//! The database as its users hold it.

use std::fmt;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;

use base::{Entry, Version};
use bytes::Bytes;
use engine::{RecoveryReport, Stats, Step, Verified};

use crate::background::Who;
use crate::handle::Handle;
use crate::retry::update;
use crate::{Item, Options, Range, ReadTxn, Result, Scan, SetOptions, WriteBatch, WriteTxn};

/// An open database; a cheap handle, to be cloned and shared between threads.
///
/// [`Db::close`] ends it for all handles. The last handle to go (transactions and iterators count too) does the same, but cannot
/// report what went wrong.
#[derive(Clone)]
pub struct Db {
    handle: Arc<Handle>,
}

impl Db {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Opens the database in the directory `path` with default settings; creates it when there is none.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// Runs `f` on a snapshot.
    ///
    /// ```
    /// # fn main() -> kv::Result<()> {
    /// # let db = kv::Options::new().open_in_memory()?;
    /// # db.set("a", "1")?; db.set("b", "2")?;
    /// let both = db.view(|txn| Ok((txn.get("a")?, txn.get("b")?)))?;
    /// # assert_eq!(both, (Some("1".into()), Some("2".into())));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `f`, or [`crate::Error::Closed`].
    pub fn view<T>(&self, f: impl FnOnce(&ReadTxn) -> Result<T>) -> Result<T> {
        f(&self.begin_read()?)
    }

    /// Runs `f` in a transaction and commits it. After a conflict it runs `f` again, up to [`Options::max_retries`] times; `f` should
    /// therefore have no effects but those on the transaction. When `f` fails, nothing is written.
    ///
    /// ```
    /// # fn main() -> kv::Result<()> {
    /// # let db = kv::Options::new().open_in_memory()?;
    /// let count = db.update(|txn| {
    ///     let before = txn.get("count")?.map_or(0, |value| value.len());
    ///     txn.set("count", vec![1; before + 1])?;
    ///     Ok(before + 1)
    /// })?;
    /// # assert_eq!(count, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `f`; [`crate::Error::Conflict`] when every attempt lost; those of [`WriteTxn::commit`].
    pub fn update<T>(&self, f: impl FnMut(&mut WriteTxn) -> Result<T>) -> Result<T> {
        update(&self.handle, f)
    }

    /// A snapshot.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn begin_read(&self) -> Result<ReadTxn> {
        ReadTxn::begin(&self.handle)
    }

    /// A transaction; unlike [`Db::update`] it is not run again after a conflict.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn begin_write(&self) -> Result<WriteTxn> {
        WriteTxn::begin(&self.handle)
    }

    /// The value of `key`; `None` when there is none.
    ///
    /// # Errors
    /// As [`ReadTxn::get`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.handle.store().get_now(key.as_ref())
    }

    /// The metadata of `key`; the value is loaded when it is asked for.
    ///
    /// # Errors
    /// As [`ReadTxn::get`].
    pub fn item(&self, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        self.handle.store().item_now(key.as_ref())
    }

    /// True when `key` has a value. Never loads it.
    ///
    /// # Errors
    /// As [`ReadTxn::get`].
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.handle.store().find_now(key.as_ref())?.is_some())
    }

    /// Writes `value` under `key`: a commit of its own, which depends on nothing and never conflicts.
    ///
    /// # Errors
    /// As [`WriteTxn::set`] and [`WriteTxn::commit`].
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Version> {
        self.handle.store().commit_one(key.as_ref(), Entry::inline(value.as_ref()))
    }

    /// The same, with expiry or metadata.
    ///
    /// # Errors
    /// As [`Db::set`].
    pub fn set_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        how: &SetOptions,
    ) -> Result<Version> {
        let store = self.handle.store();
        store.commit_one(key.as_ref(), how.pending(value.as_ref(), || store.now()).as_entry())
    }

    /// Deletes `key`, whether or not it exists: a commit of its own.
    ///
    /// # Errors
    /// As [`Db::set`].
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<Version> {
        self.handle.store().commit_one(key.as_ref(), Entry::tombstone())
    }

    /// All items of a snapshot of its own.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn iter(&self) -> Result<Range> {
        self.scan()?.iter()
    }

    /// The items between two bounds, of a snapshot of its own.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<Range> {
        self.scan()?.range(bounds).iter()
    }

    /// The items whose keys start with `prefix`, of a snapshot of its own.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        self.scan()?.prefix(prefix).iter()
    }

    /// A builder of iterations, over a snapshot that is taken now.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn scan(&self) -> Result<Scan> {
        Ok(Scan::new(&self.handle, &self.handle.store().begin()?))
    }

    /// A batch of writes that is not one transaction: it has no limit of size.
    pub fn write_batch(&self) -> WriteBatch {
        WriteBatch::new(&self.handle)
    }

    /// Makes every commit that has returned durable, whatever durability it asked for.
    ///
    /// # Errors
    /// [`crate::Error::Closed`], or the failure of the sync, which stops all writing.
    pub fn sync(&self) -> Result<()> {
        let store = self.handle.store();
        store.check_open()?;
        store.engine().sync().map_err(|error| store.explain(error))
    }

    /// Writes everything that is in memory to tables, and waits for it. Not needed for durability.
    ///
    /// # Errors
    /// [`crate::Error::Closed`], or the storage's.
    pub fn flush(&self) -> Result<()> {
        self.handle.store().check_open()?;
        self.handle.store().flush(Who::Anybody)
    }

    /// Rewrites everything into the last level, and waits for it: what is deleted, expired or no longer seen gives its space
    /// back. It happens by itself too, little by little.
    ///
    /// # Errors
    /// [`crate::Error::Closed`], or the storage's.
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        let store = self.handle.store();
        store.engine().request_compaction()?;
        store.work_until(Who::Anybody, || Ok(!store.engine().is_compacting()))
    }

    /// Does one piece of background work, if any is due; for databases without maintenance threads.
    ///
    /// # Errors
    /// [`crate::Error::Closed`], or the failure of that piece of work.
    pub fn step(&self) -> Result<Step> {
        self.handle.store().step(Who::Anybody)
    }

    /// Reads everything in tables and value segments, and checks it. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// What keeps the check from going on; damage is among the findings, not an error.
    pub fn verify(&self) -> Result<Verified> {
        self.verify_with(&mut |_, _| {})
    }

    /// The same; `progress` is told now and then how many bytes of how many are done.
    ///
    /// # Errors
    /// As [`Db::verify`].
    pub fn verify_with(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified> {
        self.handle.store().verify(progress)
    }

    /// What the database looks like from inside, and what it has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.store().engine().stats()
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        self.handle.store().engine().recovery_report()
    }

    /// The newest version that a transaction which begins now would see.
    #[must_use]
    pub fn version(&self) -> Version {
        self.handle.store().engine().visible().load()
    }

    /// Ends the database for all handles: waits for its threads, writes everything to tables, and lets the directory go. Every later
    /// operation, on any handle, is [`crate::Error::Closed`]. Calling it again returns what the first call did.
    ///
    /// # Errors
    /// The storage's; whatever was acknowledged is as safe as its durability promised, and the directory is let go in any
    /// case.
    pub fn close(&self) -> Result<()> {
        self.handle.close()
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("version", &self.version()).finish_non_exhaustive()
    }
}
