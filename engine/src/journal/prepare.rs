//! Everything of a commit that can be done before it has a number and a place: encode, compress, hash.

use base::record::{Pushed, RECORD_ALIGNMENT, RECORD_HEADER_BYTES, RecordBuffer};
use base::{Entry, Error, MAX_KEY_BYTES, Payload, Result, ValuePointer};

use crate::Options;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 30;
/// What one entry costs in a memtable besides its key and value, about.
const MEMTABLE_OVERHEAD_BYTES: usize = 96;
/// At most what a record takes besides its payload, with padding and with the number of writes, in bytes.
const RECORD_BYTES_MAX: usize = RECORD_HEADER_BYTES + RECORD_ALIGNMENT + 10;
/// At most what the encoding of a pointer takes, in bytes.
const POINTER_BYTES_MAX: usize = 32;

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
    writes: impl Iterator<Item = (&'a [u8], Entry<'a>)> + Clone,
    options: &Options,
) -> Result<Prepared> {
    let is_separated = |entry: &Entry<'_>| matches!(entry.payload, Payload::Inline(value) if value.len() >= options.value_threshold);
    let sizes = Sizes::of(writes.clone(), is_separated)?;
    let mut records = RecordBuffer::new();
    records.reserve(sizes.log_bytes);
    let mut pushed = Vec::with_capacity(sizes.separated);
    if sizes.separated > 0 {
        for (key, entry) in writes.clone() {
            if let Payload::Inline(value) = entry.payload
                && is_separated(&entry)
            {
                pushed.push(vlog::push_value(&mut records, key, value, options.value_compression)?);
            }
        }
    }
    let commit_offset = records.len() as u64;
    let mut places = pushed.iter();
    let placed = writes.map(|(key, entry)| {
        let place = if is_separated(&entry) { places.next() } else { None };
        (key, place.map_or(entry, |place| pointing(entry, commit_offset, place)))
    });
    let commit = wal::push_writes(&mut records, sizes.count, placed)?;
    Ok(Prepared { records, commit, values: sizes.separated as u64, memory_bytes: sizes.memory_bytes })
}

/// How large a commit will be.
#[derive(Default)]
struct Sizes {
    count: usize,
    separated: usize,
    memory_bytes: usize,
    /// At most what its records take.
    log_bytes: usize,
}

impl Sizes {
    fn of<'a>(
        writes: impl Iterator<Item = (&'a [u8], Entry<'a>)>,
        is_separated: impl Fn(&Entry<'_>) -> bool,
    ) -> Result<Self> {
        let mut sizes = Self { log_bytes: RECORD_BYTES_MAX, ..Self::default() };
        for (key, entry) in writes {
            check_sizes(key, &entry)?;
            if matches!(entry.payload, Payload::Separated(_)) {
                return Err(Error::invalid("value", "a write cannot hold a value pointer"));
            }
            sizes.count += 1;
            sizes.memory_bytes += key.len() + MEMTABLE_OVERHEAD_BYTES;
            sizes.log_bytes += wal::write_len_max(key, &entry);
            if is_separated(&entry) {
                sizes.separated += 1;
                sizes.log_bytes += RECORD_BYTES_MAX + key.len() + POINTER_BYTES_MAX;
            } else {
                sizes.memory_bytes += entry.value_len() as usize;
            }
        }
        Ok(sizes)
    }
}

/// `entry` with the place of its value, counted back from the commit record, instead of the value.
fn pointing<'a>(entry: Entry<'a>, commit_offset: u64, place: &vlog::PushedValue) -> Entry<'a> {
    let pointer = ValuePointer {
        segment: 0,
        offset: commit_offset - place.offset as u64,
        record_len: place.record_len,
        value_len: place.value_len,
    };
    Entry { payload: Payload::Separated(pointer), ..entry }
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
