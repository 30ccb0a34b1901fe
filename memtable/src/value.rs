//! Values that leave the memtable: small ones copied, large ones shared.

use std::sync::Arc;

use bytes::Bytes;

use crate::link::Ref;
use crate::memtable::Memtable;
use crate::record::Record;

/// From this length on, in bytes, sharing is cheaper than copying, and worth keeping the memtable alive.
const SHARED_MIN_BYTES: usize = 1024;

/// A value that stays where it is, and the memtable with it.
struct SharedValue {
    memtable: Arc<Memtable>,
    record: Ref<Record>,
}

impl AsRef<[u8]> for SharedValue {
    fn as_ref(&self) -> &[u8] {
        self.memtable.value(self.record).unwrap_or_default()
    }
}

/// The inline value of a record of `memtable`, copied or shared; `None` when it has none.
pub(crate) fn share_value(memtable: &Arc<Memtable>, record: Ref<Record>) -> Option<Bytes> {
    let value = memtable.value(record)?;
    Some(if value.len() < SHARED_MIN_BYTES {
        Bytes::copy_from_slice(value)
    } else {
        Bytes::from_owner(SharedValue { memtable: Arc::clone(memtable), record })
    })
}
