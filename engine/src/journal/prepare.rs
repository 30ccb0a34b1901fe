//! Everything of a commit that can be done before it has a number and a place: encode, compress, hash.

use base::record::{Pushed, RECORD_HEADER_BYTES, RecordBuffer};
use base::{Entry, Error, MAX_KEY_BYTES, Payload, Result, ValuePointer};
use wal::Batch;

use crate::Options;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 30;
/// What one entry costs in a memtable besides its key and value, about.
const MEMTABLE_OVERHEAD_BYTES: usize = 96;

/// The writes of one commit, encoded and hashed; waits for its number and place.
#[derive(Debug)]
pub struct Prepared {
    pub(super) records: RecordBuffer,
    commit: Pushed,
    /// How many separated values precede the commit record.
    pub(super) values: u64,
    memory_bytes: usize,
}

impl Prepared {
    /// How much log space the commit needs, in bytes.
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.records.len()
    }

    /// How much memory the commit will take in the memtable, in bytes, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// True when a value goes to the value log.
    pub(super) fn has_values(&self) -> bool {
        self.values > 0
    }

    /// Where the commit record starts, in bytes from the first record: also the length of the value records.
    pub(super) fn commit_offset(&self) -> u64 {
        self.commit.offset as u64
    }

    /// The payload of the commit record: the encoded batch.
    pub(super) fn batch(&self) -> &[u8] {
        let start = self.commit.offset + RECORD_HEADER_BYTES;
        let end = self.commit.offset + self.commit.record_len;
        self.records.as_bytes().get(start..end).unwrap_or_default()
    }
}

/// Encodes `writes`, which are in any order, with distinct keys. Values at or above the threshold become records of
/// their own; they stand before the commit record, whose pointers are relative to it.
pub(crate) fn prepare<'a>(
    writes: impl Iterator<Item = (&'a [u8], Entry<'a>)>,
    options: &Options,
) -> Result<Prepared> {
    let mut records = RecordBuffer::new();
    let mut separated = Vec::new();
    let mut entries = Vec::new();
    let mut memory_bytes = 0;
    for (key, entry) in writes {
        check_sizes(key, &entry)?;
        memory_bytes += key.len() + MEMTABLE_OVERHEAD_BYTES;
        match entry.payload {
            Payload::Inline(value) if value.len() >= options.value_threshold => {
                let pushed = vlog::push_value(&mut records, key, value, options.value_compression)?;
                separated.push((entries.len(), pushed));
            }
            Payload::Inline(value) => memory_bytes += value.len(),
            Payload::Tombstone => {}
            Payload::Separated(_) => {
                return Err(Error::invalid("value", "a write cannot hold a value pointer"));
            }
        }
        entries.push((key, entry));
    }
    let commit_offset = records.len() as u64;
    for (index, pushed) in &separated {
        let Some((_, entry)) = entries.get_mut(*index) else { continue };
        entry.payload = Payload::Separated(ValuePointer {
            segment: 0,
            offset: commit_offset - pushed.offset as u64,
            record_len: pushed.record_len,
            value_len: pushed.value_len,
        });
    }
    let mut batch = Batch::new();
    for (key, entry) in &entries {
        batch.push(key, entry);
    }
    let commit = wal::push_commit(&mut records, &batch)?;
    Ok(Prepared { records, commit, values: separated.len() as u64, memory_bytes })
}

fn check_sizes(key: &[u8], entry: &Entry<'_>) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        let (limit, got) = (MAX_KEY_BYTES as u64, key.len() as u64);
        return Err(Error::LimitExceeded { what: "key length in bytes", limit, got });
    }
    if entry.value_len() > MAX_VALUE_BYTES as u64 {
        let (limit, got) = (MAX_VALUE_BYTES as u64, entry.value_len());
        return Err(Error::LimitExceeded { what: "value length in bytes", limit, got });
    }
    Ok(())
}
