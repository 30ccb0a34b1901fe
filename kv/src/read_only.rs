//! A database that was opened for reading: a type without write methods, so that refusing them needs no error.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use base::Version;
use bytes::Bytes;
use engine::{RecoveryReport, Stats, Verified};

use crate::handle::Handle;
use crate::{Item, Range, ReadTxn, Result, Scan};

/// A database that was opened with [`crate::Options::open_read_only`]; a cheap handle. Not one byte of its directory is written.
#[derive(Clone)]
pub struct ReadOnlyDb {
    handle: Arc<Handle>,
}

impl ReadOnlyDb {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Runs `f` on a snapshot.
    ///
    /// # Errors
    /// Those of `f`, or [`crate::Error::Closed`].
    pub fn view<T>(&self, f: impl FnOnce(&ReadTxn) -> Result<T>) -> Result<T> {
        f(&self.begin_read()?)
    }

    /// A snapshot.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn begin_read(&self) -> Result<ReadTxn> {
        ReadTxn::begin(&self.handle)
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

    /// All items.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn iter(&self) -> Result<Range> {
        self.scan()?.iter()
    }

    /// The items between two bounds.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<Range> {
        self.scan()?.range(bounds).iter()
    }

    /// The items whose keys start with `prefix`.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        self.scan()?.prefix(prefix).iter()
    }

    /// A builder of iterations.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn scan(&self) -> Result<Scan> {
        Ok(self.begin_read()?.scan())
    }

    /// Reads everything in tables and value segments, and checks it.
    ///
    /// # Errors
    /// What keeps the check from going on; damage is among the findings, not an error.
    pub fn verify(&self) -> Result<Verified> {
        self.verify_with(&mut |_, _| {})
    }

    /// The same; `progress` is told now and then how many bytes of how many are done.
    ///
    /// # Errors
    /// As [`ReadOnlyDb::verify`].
    pub fn verify_with(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified> {
        self.handle.store().verify(progress)
    }

    /// What the database looks like from inside.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.store().engine().stats()
    }

    /// What opening found; commits that were in logs only are in memory now.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        self.handle.store().engine().recovery_report()
    }

    /// The newest version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.handle.store().engine().visible().load()
    }

    /// Ends it for all handles and lets the directory go. Every later operation is [`crate::Error::Closed`].
    ///
    /// # Errors
    /// None at present.
    pub fn close(&self) -> Result<()> {
        self.handle.close()
    }
}

impl fmt::Debug for ReadOnlyDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyDb").field("version", &self.version()).finish_non_exhaustive()
    }
}
