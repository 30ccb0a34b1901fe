//! A snapshot.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use base::Version;
use bytes::Bytes;
use txn::Snapshot;

use crate::handle::Handle;
use crate::{Item, Range, Result, Scan};

/// A snapshot of the database: what is committed later, it does not see. It never conflicts and holds up nobody; what it sees is
/// kept while it lives.
#[derive(Clone)]
#[must_use = "a snapshot that nobody reads is of no use"]
pub struct ReadTxn {
    // First, so that it is let go before the handle, which may close the database.
    snapshot: Snapshot,
    handle: Arc<Handle>,
}

impl ReadTxn {
    /// Registers the snapshot; each read loads its view later, which is right in this order only.
    pub(crate) fn begin(handle: &Arc<Handle>) -> Result<Self> {
        let snapshot = handle.store().begin()?;
        Ok(Self { snapshot, handle: Arc::clone(handle) })
    }

    /// The value of `key`; `None` when there is none.
    ///
    /// # Errors
    /// [`crate::Error::InvalidKey`], [`crate::Error::Closed`], or the storage's.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.handle.store().get(&self.snapshot, key.as_ref())
    }

    /// The metadata of `key`; the value is loaded when it is asked for.
    ///
    /// # Errors
    /// As [`ReadTxn::get`].
    pub fn item(&self, key: impl AsRef<[u8]>) -> Result<Option<Item>> {
        self.handle.store().item(&self.snapshot, key.as_ref())
    }

    /// True when `key` has a value. Never loads it.
    ///
    /// # Errors
    /// As [`ReadTxn::get`].
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.handle.store().find(&self.snapshot, key.as_ref())?.is_some())
    }

    /// All items.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn iter(&self) -> Result<Range> {
        self.scan().iter()
    }

    /// The items between two bounds.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<Range> {
        self.scan().range(bounds).iter()
    }

    /// The items whose keys start with `prefix`.
    ///
    /// # Errors
    /// [`crate::Error::Closed`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Range> {
        self.scan().prefix(prefix).iter()
    }

    /// A builder of iterations.
    pub fn scan(&self) -> Scan {
        Scan::new(&self.handle, &self.snapshot)
    }

    /// The version that it reads at.
    #[must_use]
    pub fn version(&self) -> Version {
        self.snapshot.version()
    }
}

impl fmt::Debug for ReadTxn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTxn").field("version", &self.version()).finish_non_exhaustive()
    }
}
