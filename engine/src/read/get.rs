//! Point reads: sources newest first, the first hit wins.

use std::path::Path;
use std::sync::Arc;

use arc_swap::Guard;
use base::{Result, SharedEntry, SharedPayload, Version};
use bytes::Bytes;
use sstable::key_hash;

use crate::view::{SegmentHandle, View};

/// A hit: the newest version at or below the asked one. It may be a tombstone or expired. It keeps what it needs to read
/// its value, however long it is held.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it holds.
    pub entry: SharedEntry,
    /// The segment of a separated value.
    segment: Option<Arc<SegmentHandle>>,
}

impl Found {
    /// The value of this version of `user_key`; `None` for a tombstone. Shares memory where it can.
    ///
    /// # Errors
    /// Damage, or the system's.
    pub fn value(&self, user_key: &[u8]) -> Result<Option<Bytes>> {
        value_of(&self.entry, self.segment.as_ref(), user_key)
    }
}

/// The value of an entry whose pointer, if it has one, leads into `segment`.
pub(super) fn value_of(
    entry: &SharedEntry,
    segment: Option<&Arc<SegmentHandle>>,
    user_key: &[u8],
) -> Result<Option<Bytes>> {
    match (&entry.payload, segment) {
        (SharedPayload::Inline(value), _) => Ok(Some(value.clone())),
        (SharedPayload::Separated(pointer), Some(handle)) => {
            handle.get(pointer, user_key, entry.version).map(Some)
        }
        (SharedPayload::Tombstone | SharedPayload::Separated(_), _) => Ok(None),
    }
}

/// The state of an engine at one moment, for short use: while it is held, nothing that it reads is let go.
#[derive(Debug)]
pub struct CurrentView<'a> {
    view: Guard<Arc<View>>,
    directory: &'a Path,
}

impl<'a> CurrentView<'a> {
    pub(crate) fn new(view: Guard<Arc<View>>, directory: &'a Path) -> Self {
        Self { view, directory }
    }

    /// The newest version of `user_key` at or below `at`; a tombstone or an expired entry is returned as such.
    ///
    /// # Errors
    /// Damage, or the system's.
    #[inline]
    pub fn entry(&self, user_key: &[u8], at: Version) -> Result<Option<SharedEntry>> {
        find(&self.view, user_key, at)
    }

    /// The value of an entry of `user_key` that this view has given; `None` for a tombstone. Shares memory where it can.
    ///
    /// # Errors
    /// Damage, or the system's.
    #[inline]
    pub fn value(&self, entry: SharedEntry, user_key: &[u8]) -> Result<Option<Bytes>> {
        match entry.payload {
            SharedPayload::Inline(value) => Ok(Some(value)),
            SharedPayload::Separated(pointer) => {
                self.view.load(self.directory, &pointer, user_key, entry.version).map(Some)
            }
            SharedPayload::Tombstone => Ok(None),
        }
    }

    /// An entry of this view, with what it needs to read its value later.
    ///
    /// # Errors
    /// Damage, when its segment is not part of the database.
    pub fn keep(&self, entry: SharedEntry) -> Result<Found> {
        let segment = match entry.payload {
            SharedPayload::Separated(pointer) => {
                Some(Arc::clone(self.view.segment(self.directory, pointer.segment)?))
            }
            SharedPayload::Tombstone | SharedPayload::Inline(_) => None,
        };
        Ok(Found { entry, segment })
    }
}

/// Newer versions always stand above older ones, so the search ends at the first source that has any.
fn find(view: &View, user_key: &[u8], at: Version) -> Result<Option<SharedEntry>> {
    // Once for all: the filters of tables take the same hash as memtables do.
    let hash = key_hash(user_key);
    for memtable in &view.memtables {
        if let Some(found) = memtable.get_hashed(user_key, hash, at) {
            return Ok(Some(found));
        }
    }
    for (index, level) in view.tables.levels.iter().enumerate() {
        if level.is_empty() {
            continue;
        }
        if index == 0 {
            for table in level.iter().filter(|table| table.covers(user_key)) {
                if let Some(found) = table.table()?.get_hashed(user_key, hash, at)? {
                    return Ok(Some(found));
                }
            }
        } else if let Some(table) = view.tables.covering(index, user_key)
            && let Some(found) = table.table()?.get_hashed(user_key, hash, at)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
