//! Saying what to iterate over.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use base::{KeyBounds, Version};
use engine::ScanOptions;
use txn::{Snapshot, WriteSet};

use crate::handle::Handle;
use crate::merge::{Merged, OwnWrites};
use crate::range::Shape;
use crate::reads::Reads;
use crate::{Range, Result};

/// A builder of iterations: all live keys, unless it is told otherwise.
///
/// ```
/// # fn main() -> kv::Result<()> {
/// let db = kv::Options::new().open_in_memory()?;
/// for key in ["user/1", "user/2", "user/3", "zone"] {
///     db.set(key, "x")?;
/// }
/// let mut newest_two = Vec::new();
/// for item in db.scan()?.prefix("user/").reverse().keys_only().limit(2).iter()? {
///     newest_two.push(String::from_utf8_lossy(item?.key()).into_owned());
/// }
/// assert_eq!(newest_two, ["user/3", "user/2"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `iter`"]
pub struct Scan {
    handle: Arc<Handle>,
    snapshot: Snapshot,
    bounds: KeyBounds,
    all_versions: bool,
    since: Version,
    shape: Shape,
    own: Option<(Arc<WriteSet>, Reads)>,
}

impl Scan {
    pub(crate) fn new(handle: &Arc<Handle>, snapshot: &Snapshot) -> Self {
        Self {
            handle: Arc::clone(handle),
            snapshot: snapshot.clone(),
            bounds: KeyBounds::all(),
            all_versions: false,
            since: Version::ZERO,
            shape: Shape { reversed: false, keys_only: false, limit: u64::MAX },
            own: None,
        }
    }

    /// The same for a transaction that has writes of its own and whose reads are recorded.
    pub(crate) fn of_transaction(mut self, writes: &Arc<WriteSet>, reads: &Reads) -> Self {
        self.own = Some((Arc::clone(writes), reads.clone()));
        self
    }

    /// Only keys between these bounds, in place of bounds or a prefix given before. Bounds that cross hold nothing.
    pub fn range<K: AsRef<[u8]>>(mut self, bounds: impl RangeBounds<K>) -> Self {
        let owned = |bound: Bound<&K>| bound.map(|key| key.as_ref().to_vec());
        self.bounds = KeyBounds { start: owned(bounds.start_bound()), end: owned(bounds.end_bound()) };
        self
    }

    /// Only keys that start with `prefix`, in place of bounds or a prefix given before.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.bounds = KeyBounds::prefix(prefix.as_ref());
        self
    }

    /// By key descending.
    pub fn reverse(mut self) -> Self {
        self.shape.reversed = true;
        self
    }

    /// Values are not wanted, [`crate::Item::value`] refuses to load them: never touches the value log.
    pub fn keys_only(mut self) -> Self {
        self.shape.keys_only = true;
        self
    }

    /// Every version that is still kept, newest first, deletions and expired ones too; newest last in reverse. How many are kept
    /// besides the newest, [`crate::Options::keep_versions`] says.
    pub fn all_versions(mut self) -> Self {
        self.all_versions = true;
        self
    }

    /// Only what was written after `version`.
    pub fn since(mut self, version: Version) -> Self {
        self.since = version;
        self
    }

    /// At most so many items.
    pub fn limit(mut self, items: u64) -> Self {
        self.shape.limit = items;
        self
    }

    /// Begins the iteration.
    ///
    /// # Errors
    /// [`crate::Error::Closed`]; in a transaction [`crate::Error::LimitExceeded`] when there is no memory left to remember what it
    /// reads.
    pub fn iter(self) -> Result<Range> {
        let Self { handle, snapshot, bounds, all_versions, since, shape, own } = self;
        handle.store().check_open()?;
        let (version, time) = (snapshot.version(), snapshot.time());
        let (own, visit) = match own {
            Some((writes, reads)) => (OwnWrites::new(&writes, &bounds), Some(reads.visit(&bounds)?)),
            None => (None, None),
        };
        let (keys_only, limit) = (shape.keys_only, shape.limit);
        let options = ScanOptions { bounds, version, now: time, all_versions, since, keys_only, limit };
        let scan = handle.store().engine().scan(options);
        let merged = Merged::new(scan, own, all_versions, (version, time));
        Ok(Range::new(handle, snapshot, merged, visit, shape))
    }
}
