//! A read-write transaction.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::{Arc, OnceLock};

use base::Version;
use bytes::Bytes;
use engine::Durability;
use txn::{Conflict, Pending, Snapshot, WriteSet};

use crate::budget::Reservation;
use crate::commit::Basis;
use crate::handle::Handle;
use crate::key::{check_key, check_value};
use crate::reads::Reads;
use crate::{Error, Item, Range, Result, Scan, SetOptions};

/// A strictly serializable transaction: it reads one snapshot and its own writes, and commits only if what it has read, point
/// reads and scanned ranges alike, is still true then.
///
/// Writes are kept in memory and touch nothing before [`WriteTxn::commit`]. Dropping it rolls back.
#[must_use = "writes are lost unless they are committed"]
pub struct WriteTxn {
    // First, so that it is let go before the handle, which may close the database.
    snapshot: Snapshot,
    /// Made at the first read: many transactions only write.
    reads: OnceLock<Reads>,
    /// Shared with the iterators that were made since the last write, which keep what they were made with.
    writes: Arc<WriteSet>,
    reserved: Reservation,
    handle: Arc<Handle>,
}

impl WriteTxn {
    pub(crate) fn begin(handle: &Arc<Handle>) -> Result<Self> {
        let store = handle.store();
        Ok(Self {
            snapshot: store.begin_read_write()?,
            reads: OnceLock::new(),
            writes: Arc::new(WriteSet::new()),
            reserved: Reservation::new(store.budget()),
            handle: Arc::clone(handle),
        })
    }

    /// The value of `key`; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::InvalidKey`], [`Error::Closed`], [`Error::LimitExceeded`] when there is no memory left to remember what was read,
    /// or the storage's.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        let key = key.as_ref();
        match self.own(key) {
            Some(pending) => Ok(pending.and_then(|pending| pending.value.map(Bytes::copy_from_slice))),
            None => {
                self.reads().point(key)?;
                self.handle.store().get(&self.snapshot, key)
            }
        }
    }

    /// The metadata of `key`; the value is loaded when it is asked for.
    ///
    /// # Errors
    /// As [`WriteTxn::get`].
    pub fn item(&self, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        let key = key.as_ref();
        match self.own(key) {
            Some(pending) => {
                let own = |pending| Item::own(Bytes::copy_from_slice(key), &pending, self.version());
                Ok(pending.map(own))
            }
            None => {
                self.reads().point(key)?;
                self.handle.store().item(&self.snapshot, key)
            }
        }
    }

    /// True when `key` has a value. Never loads it.
    ///
    /// # Errors
    /// As [`WriteTxn::get`].
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        match self.own(key) {
            Some(pending) => Ok(pending.is_some()),
            None => {
                self.reads().point(key)?;
                Ok(self.handle.store().find(&self.snapshot, key)?.is_some())
            }
        }
    }

    fn reads(&self) -> &Reads {
        self.reads.get_or_init(|| Reads::new(self.handle.store().budget()))
    }

    /// What its own writes say of `key`: nothing, that it has no value, or its value.
    fn own(&self, key: &[u8]) -> Option<Option<Pending<'_>>> {
        let pending = self.writes.get(key)?;
        Some(Some(pending).filter(|pending| pending.as_entry().is_live(self.snapshot.time())))
    }

    /// All items.
    ///
    /// # Errors
    /// As [`Scan::iter`].
    pub fn iter(&self) -> Result<Range> {
        self.scan().iter()
    }

    /// The items between two bounds.
    ///
    /// # Errors
    /// As [`Scan::iter`].
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<Range> {
        self.scan().range(bounds).iter()
    }

    /// The items whose keys start with `prefix`.
    ///
    /// # Errors
    /// As [`Scan::iter`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        self.scan().prefix(prefix).iter()
    }

    /// A builder of iterations. They show the writes made before this call, and not those made after it; what they visit until the
    /// commit is checked at the commit.
    pub fn scan(&self) -> Scan {
        Scan::new(&self.handle, &self.snapshot).of_transaction(&self.writes, self.reads())
    }

    /// Writes `value` under `key`. Copies both.
    ///
    /// # Errors
    /// [`Error::InvalidKey`]; [`Error::LimitExceeded`] for a value above 1 GiB, or when the memory of all transactions together is
    /// used up; [`Error::Closed`].
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.set_with(key, value, &SetOptions::new())
    }

    /// Writes `value` under `key`, with expiry or metadata.
    ///
    /// # Errors
    /// As [`WriteTxn::set`].
    pub fn set_with(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        how: &SetOptions,
    ) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        check_value(value)?;
        self.room_for(key, value.len())?;
        let pending = how.pending(value, || self.handle.store().now());
        Arc::make_mut(&mut self.writes).set(key, &pending);
        Ok(())
    }

    /// Deletes `key`, whether or not it exists.
    ///
    /// # Errors
    /// As [`WriteTxn::set`].
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        self.room_for(key, 0)?;
        Arc::make_mut(&mut self.writes).delete(key);
        Ok(())
    }

    /// Reserves what the write costs twice: here, and as the commit's copy.
    fn room_for(&mut self, key: &[u8], value_len: usize) -> Result<()> {
        self.handle.store().check_open()?;
        check_key(key)?;
        let cost = WriteSet::cost_bytes(key, &Pending::tombstone()).saturating_add(value_len);
        self.reserved.grow_to(self.writes.byte_len().saturating_add(cost).saturating_mul(2))
    }

    /// The version that it reads at.
    #[must_use]
    pub fn version(&self) -> Version {
        self.snapshot.version()
    }

    /// Commits with the durability of the database. Returns the version of the commit; without writes, the version that it
    /// read at.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction changed what this one had read; [`Error::Unknown`] when writing failed;
    /// [`Error::Closed`], or the storage's, when nothing was written.
    pub fn commit(self) -> Result<Version> {
        let durability = self.handle.store().settings().durability;
        self.commit_with(durability)
    }

    /// Commits with this durability.
    ///
    /// # Errors
    /// As [`WriteTxn::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<Version> {
        self.try_commit(durability)?.map_err(|_| Error::Conflict)
    }

    /// The same, with a conflict told apart: what it was lost to is worth waiting for.
    pub(crate) fn try_commit(self, durability: Durability) -> Result<Result<Version, Conflict>> {
        let store = self.handle.store();
        store.check_open()?;
        if self.writes.is_empty() {
            // What one snapshot shows was true at that snapshot: there is nothing to check.
            return Ok(Ok(self.version()));
        }
        let reads = self.reads.get().map(Reads::take).unwrap_or_default();
        let basis = Basis { reads: &reads, version: self.version() };
        let writes = self.writes.iter().map(|(key, pending)| (key, pending.as_entry()));
        store.commit(writes, self.writes.written_keys(), &basis, durability)
    }

    /// Gives up; nothing was written.
    pub fn rollback(self) {}
}

impl fmt::Debug for WriteTxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTxn")
            .field("version", &self.version())
            .field("writes", &self.writes.len())
            .finish_non_exhaustive()
    }
}
