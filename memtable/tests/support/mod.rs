//! The plain oracle, and a cursor over it that does the obvious thing.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base::{Cursor, Entry, InternalKey, InternalKeyBuf, Version};
use memtable::{Memtable, MemtableCursor};

/// Every version of every key with its value, in a `BTreeMap`.
#[derive(Default)]
pub(crate) struct Oracle {
    entries: BTreeMap<InternalKeyBuf, Vec<u8>>,
}

impl Oracle {
    pub(crate) fn insert(&mut self, key: &[u8], version: u64, value: &[u8]) {
        self.entries.insert(InternalKey::new(key, Version(version)).to_buf(), value.to_vec());
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (InternalKey<'_>, &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value.as_slice()))
    }

    pub(crate) fn get(&self, key: &[u8], at: u64) -> Option<(Version, &[u8])> {
        let (found, value) = self.seek(InternalKey::new(key, Version(at)))?;
        (found.user_key == key).then_some((found.version, value))
    }

    pub(crate) fn seek(&self, target: InternalKey<'_>) -> Option<(InternalKey<'_>, &[u8])> {
        let found = self.entries.range((Bound::Included(target.to_buf()), Bound::Unbounded)).next();
        found.map(|(key, value)| (key.as_ref(), value.as_slice()))
    }

    pub(crate) fn seek_back(&self, target: InternalKey<'_>) -> Option<(InternalKey<'_>, &[u8])> {
        let found = self.entries.range(..=target.to_buf()).next_back();
        found.map(|(key, value)| (key.as_ref(), value.as_slice()))
    }

    pub(crate) fn after(&self, key: InternalKey<'_>) -> Option<(InternalKey<'_>, &[u8])> {
        let found = self.entries.range((Bound::Excluded(key.to_buf()), Bound::Unbounded)).next();
        found.map(|(key, value)| (key.as_ref(), value.as_slice()))
    }

    pub(crate) fn before(&self, key: InternalKey<'_>) -> Option<(InternalKey<'_>, &[u8])> {
        self.entries.range(..key.to_buf()).next_back().map(|(key, value)| (key.as_ref(), value.as_slice()))
    }
}

/// Where the cursor stands, as the oracle says it.
pub(crate) fn here(cursor: &MemtableCursor) -> Option<(InternalKey<'_>, &[u8])> {
    let key = cursor.key()?;
    match cursor.entry().expect("an entry where there is a key").payload {
        base::Payload::Inline(value) => Some((key, value)),
        base::Payload::Tombstone | base::Payload::Separated(_) => panic!("only values were inserted"),
    }
}

pub(crate) fn insert(memtable: &Memtable, key: &[u8], version: u64, value: &[u8]) {
    memtable.writer().insert(InternalKey::new(key, Version(version)), &Entry::inline(value)).unwrap();
}

pub(crate) fn get(memtable: &Memtable, key: &[u8], at: u64) -> Option<(Version, Vec<u8>)> {
    let (version, entry) = memtable.get(key, Version(at))?;
    Some((version, entry.payload_bytes()))
}

trait PayloadBytes {
    fn payload_bytes(&self) -> Vec<u8>;
}

impl PayloadBytes for Entry<'_> {
    fn payload_bytes(&self) -> Vec<u8> {
        match self.payload {
            base::Payload::Inline(value) => value.to_vec(),
            base::Payload::Tombstone | base::Payload::Separated(_) => panic!("only values were inserted"),
        }
    }
}

/// Compares full walks in both directions, and every key at every version that changes its answer.
pub(crate) fn assert_same(memtable: &Arc<Memtable>, oracle: &Oracle) {
    assert_eq!(memtable.entries(), oracle.len() as u64);
    let mut cursor = memtable.cursor();
    cursor.first().unwrap();
    for expected in oracle.iter() {
        assert_eq!(here(&cursor), Some(expected));
        cursor.next().unwrap();
    }
    assert_eq!(here(&cursor), None);
    cursor.last().unwrap();
    for expected in oracle.iter().rev() {
        assert_eq!(here(&cursor), Some(expected));
        cursor.prev().unwrap();
    }
    assert_eq!(here(&cursor), None);
    for (key, value) in oracle.iter() {
        let expected = Some((key.version, value.to_vec()));
        assert_eq!(get(memtable, key.user_key, key.version.0), expected);
        if let Some(below) = key.version.0.checked_sub(1) {
            let expected = oracle.get(key.user_key, below).map(|(version, value)| (version, value.to_vec()));
            assert_eq!(get(memtable, key.user_key, below), expected);
        }
    }
}
