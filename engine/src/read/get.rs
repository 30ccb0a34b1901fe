//! Point reads: sources newest first, the first hit wins.

use std::path::Path;
use std::sync::Arc;

use base::{Result, SharedEntry, SharedPayload, Version};
use bytes::Bytes;
use sstable::key_hash;

use crate::table_set::TableSet;
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
            handle.segment()?.get(pointer, user_key, entry.version).map(Some)
        }
        (SharedPayload::Tombstone | SharedPayload::Separated(_), _) => Ok(None),
    }
}

/// Looks for the newest version of `user_key` at or below `at`.
pub(crate) fn get(view: &View, directory: &Path, user_key: &[u8], at: Version) -> Result<Option<Found>> {
    let Some(entry) = find(view, user_key, at)? else { return Ok(None) };
    let segment = match entry.payload {
        SharedPayload::Separated(pointer) => Some(Arc::clone(view.segment(directory, pointer.segment)?)),
        SharedPayload::Tombstone | SharedPayload::Inline(_) => None,
    };
    Ok(Some(Found { entry, segment }))
}

/// Newer versions always stand above older ones, so the search ends at the first source that has any.
fn find(view: &View, user_key: &[u8], at: Version) -> Result<Option<SharedEntry>> {
    for memtable in &view.memtables {
        if let Some(found) = memtable.get_shared(user_key, at) {
            return Ok(Some(found));
        }
    }
    let hash = key_hash(user_key);
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
        } else if let Some(table) =
            TableSet::find_in_level(level, user_key).and_then(|found| level.get(found))
            && let Some(found) = table.table()?.get_hashed(user_key, hash, at)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
