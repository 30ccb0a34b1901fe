//! The writes of one commit: collected, encoded, and read back.

use base::codec::{Decoder, Malformed, put_prefixed, put_varint, varint_len};
use base::record::{Pushed, RecordBuffer};
use base::{Compression, Entry, Result};

use crate::format::{KIND_COMMIT, MIN_ENTRY_BYTES};

/// The most that the length of a key or an entry takes, in bytes.
const LEN_BYTES_MAX: usize = 5;

/// The writes of one commit, encoded as they come. The order is kept, and a key may come more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    count: usize,
    entries: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write. A pointer in `entry` is relative, see [`crate::relative_pointer`].
    pub fn push(&mut self, key: &[u8], entry: &Entry<'_>) {
        put_write(&mut self.entries, key, entry);
        self.count += 1;
    }

    /// How many writes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes [`Batch::encode`] appends.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        varint_len(self.count as u64) + self.entries.len()
    }

    /// Appends the payload of the commit record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.byte_len());
        put_varint(out, self.count as u64);
        out.extend_from_slice(&self.entries);
    }

    /// The writes, as they would be read back.
    #[must_use]
    pub fn iter(&self) -> BatchReader<'_> {
        BatchReader { entries: Decoder::new(&self.entries), left: self.count }
    }

    /// Forgets all writes, keeps the allocation.
    pub fn clear(&mut self) {
        self.count = 0;
        self.entries.clear();
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Result<(&'a [u8], Entry<'a>), Malformed>;
    type IntoIter = BatchReader<'a>;

    fn into_iter(self) -> BatchReader<'a> {
        self.iter()
    }
}

/// Appends `batch` to `buffer` as one commit record.
///
/// # Errors
/// [`base::Error::LimitExceeded`] when the payload is above [`base::record::MAX_PAYLOAD_BYTES`].
pub fn push_commit(buffer: &mut RecordBuffer, batch: &Batch) -> Result<Pushed> {
    buffer.push(KIND_COMMIT, Compression::None, |out| batch.encode(out))
}

/// Appends one commit record of `count` writes to `buffer`, without a [`Batch`] between. Pointers are relative, as in
/// [`Batch::push`].
///
/// # Errors
/// As [`push_commit`].
pub fn push_writes<'a>(
    buffer: &mut RecordBuffer,
    count: usize,
    writes: impl Iterator<Item = (&'a [u8], Entry<'a>)>,
) -> Result<Pushed> {
    buffer.push(KIND_COMMIT, Compression::None, |out| {
        put_varint(out, count as u64);
        let mut put = 0;
        for (key, entry) in writes {
            put_write(out, key, &entry);
            put += 1;
        }
        debug_assert_eq!(put, count);
    })
}

/// At most how many bytes a write takes in a commit record.
#[must_use]
pub fn write_len_max(key: &[u8], entry: &Entry<'_>) -> usize {
    2 * LEN_BYTES_MAX + key.len() + entry.encoded_len()
}

fn put_write(out: &mut Vec<u8>, key: &[u8], entry: &Entry<'_>) {
    put_prefixed(out, key);
    put_varint(out, entry.encoded_len() as u64);
    entry.encode(out);
}

/// Reads the writes of a commit back, in their order. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct BatchReader<'a> {
    entries: Decoder<'a>,
    left: usize,
}

impl<'a> BatchReader<'a> {
    /// Starts at the first write of the payload of a commit record.
    ///
    /// # Errors
    /// [`Malformed`] when `payload` announces more writes than it has room for, or holds bytes but no writes.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut entries = Decoder::new(payload);
        let count = entries.varint("entry count")?;
        // Callers reserve memory by this number, so it is bounded by what the payload could hold.
        let left = usize::try_from(count)
            .ok()
            .filter(|count| *count <= entries.remaining() / MIN_ENTRY_BYTES)
            .ok_or_else(|| entries.malformed("entry count is above what the batch could hold"))?;
        if left == 0 {
            entries.finish("bytes after the last entry")?;
        }
        Ok(Self { entries, left })
    }

    /// How many writes are left, if none of them is malformed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    /// True when no writes are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn entry(&mut self) -> Result<(&'a [u8], Entry<'a>), Malformed> {
        let key = self.entries.prefixed("entry key")?;
        let encoded = self.entries.prefixed("entry body")?;
        let start = self.entries.position() - encoded.len();
        let entry = Entry::decode(encoded)
            .map_err(|error| Malformed { offset: start + error.offset, what: error.what })?;
        if self.left == 1 {
            self.entries.finish("bytes after the last entry")?;
        }
        Ok((key, entry))
    }
}

impl<'a> Iterator for BatchReader<'a> {
    type Item = Result<(&'a [u8], Entry<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let entry = self.entry();
        self.left = if entry.is_ok() { self.left - 1 } else { 0 };
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends the reading early.
        (self.left.min(1), Some(self.left))
    }
}

impl std::iter::FusedIterator for BatchReader<'_> {}
