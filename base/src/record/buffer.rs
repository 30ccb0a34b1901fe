//! Building records: encoded, compressed and hashed by whoever has the data, stamped by whoever knows the place.

use super::{
    CHECKED_BYTES, MAX_KIND, MAX_PAYLOAD_BYTES, RECORD_ALIGNMENT, RECORD_HEADER_BYTES, RecordHeader,
};
use crate::checksum::{content_hash, place_seed, seeded_hash};
use crate::compress::{Codec, compress};
use crate::{Compression, Error, Result};

/// The raw length in front of a compressed payload.
const RAW_LEN_BYTES: usize = 4;

/// What a writer knows of its records only at the last moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Commit or edit number.
    pub number: u64,
    /// Commit version.
    pub version: u64,
    /// The highest number known durable.
    pub mark: u64,
}

/// Where a record stands inside a [`RecordBuffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes from the start of the buffer.
    pub offset: usize,
    /// Length of the whole record without padding, in bytes.
    pub record_len: usize,
}

/// Records that are encoded, compressed and hashed, and wait for number and place.
#[derive(Debug, Default)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
}

impl RecordBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for records of `bytes` more, headers and padding included, in one allocation.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Appends a record whose payload `write` appends to the vector it is given.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for a payload above [`MAX_PAYLOAD_BYTES`]; the buffer is unchanged then.
    pub fn push(
        &mut self,
        kind: u8,
        compression: Compression,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Pushed> {
        debug_assert!((1..=MAX_KIND).contains(&kind));
        let offset = self.bytes.len();
        let body = offset + RECORD_HEADER_BYTES;
        self.bytes.resize(body, 0);
        write(&mut self.bytes);
        let raw_len = self.bytes.len() - body;
        if raw_len > MAX_PAYLOAD_BYTES {
            self.bytes.truncate(offset);
            return Err(Error::LimitExceeded {
                what: "record payload in bytes",
                limit: MAX_PAYLOAD_BYTES as u64,
                got: raw_len as u64,
            });
        }
        let mut codec = Codec::None;
        let packed = compress(self.bytes.get(body..).unwrap_or_default(), compression);
        // The raw length in front counts as well: a tiny payload would grow.
        if let Some((found, packed)) = packed.filter(|(_, packed)| packed.len() + RAW_LEN_BYTES < raw_len) {
            codec = found;
            self.bytes.truncate(body);
            self.bytes.extend_from_slice(&(raw_len as u32).to_le_bytes());
            self.bytes.extend_from_slice(&packed);
        }
        let hash = content_hash(self.bytes.get(body..).unwrap_or_default());
        Ok(self.close(offset, kind, codec, hash))
    }

    /// Appends a record that stood in another place, its payload as it was stored there: nothing is compressed or
    /// hashed anew. The caller has verified `stored` with [`RecordHeader::verify_payload`] of `header`; number,
    /// version and mark of `header` are not taken over.
    pub fn push_stored(&mut self, header: &RecordHeader, stored: &[u8]) -> Pushed {
        debug_assert_eq!(header.verify_payload(stored), Ok(()));
        let offset = self.bytes.len();
        self.bytes.resize(offset + RECORD_HEADER_BYTES, 0);
        self.bytes.extend_from_slice(stored);
        self.close(offset, header.kind, header.codec, header.payload_hash)
    }

    /// Fills in what is known of the header at `offset`, whose payload is the rest of the buffer.
    fn close(&mut self, offset: usize, kind: u8, codec: Codec, payload_hash: u64) -> Pushed {
        let record_len = self.bytes.len() - offset;
        let payload_len = (record_len - RECORD_HEADER_BYTES) as u32;
        self.put(offset, &payload_len.to_le_bytes());
        self.put(offset + 4, &[kind, codec.tag()]);
        self.put(offset + 32, &payload_hash.to_le_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(RECORD_ALIGNMENT), 0);
        Pushed { offset, record_len }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Gives every record its number and place: the buffer will stand at `file_offset` of the file.
    pub fn stamp(&mut self, file_seed: u64, file_offset: u64, stamp: Stamp) {
        debug_assert_eq!(file_offset % RECORD_ALIGNMENT as u64, 0);
        let mut start = 0;
        while let Some(header) = self.bytes.get_mut(start..start + RECORD_HEADER_BYTES) {
            let (checked, check) = header.split_at_mut(CHECKED_BYTES);
            for (at, word) in [(8, stamp.number), (16, stamp.version), (24, stamp.mark)] {
                if let Some(place) = checked.get_mut(at..at + 8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
            let seed = place_seed(file_seed, file_offset + start as u64);
            check.copy_from_slice(&seeded_hash(checked, seed).to_le_bytes());
            let payload_len = checked.first_chunk().map_or(0, |len| u32::from_le_bytes(*len)) as usize;
            start += (RECORD_HEADER_BYTES + payload_len).next_multiple_of(RECORD_ALIGNMENT);
        }
    }

    /// All records with their padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of all records with their padding, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets all records, keeps the allocation.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}
