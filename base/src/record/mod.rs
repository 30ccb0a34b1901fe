//! Records: the framing of every append-only file (wal, value log, manifest, key registry).
//!
//! ```text
//!  0  payload length  u32   stored bytes, without padding
//!  4  kind            u8    1..=15, the meaning is the file's
//!  5  codec           u8    of the payload; a compressed payload starts with its raw length, u32
//!  6  zero            u16
//!  8  number          u64   commit number, edit number; the file's
//! 16  version         u64   commit version; the file's
//! 24  mark            u64   the highest number known durable when this was written
//! 32  payload hash    u64   xxh3-64 of the stored payload
//! 40  header check    u64   xxh3-64 of bytes 0..40, seeded with the file's seed and this record's offset
//! 48  payload, then zeros up to a multiple of 8
//! ```
//! The header has a checksum of its own, so a scan hops over payloads it does not need; the header check covers
//! the payload hash, so a payload from another place does not pass. A writer can hash and compress a payload
//! before it knows number and place ([`RecordBuffer::push`]), and only stamps the headers under its lock
//! ([`RecordBuffer::stamp`]).
//!
//! Files may be preallocated with zeros, or reused with stale bytes behind the last record: neither validates.

mod buffer;
mod scanner;

use crate::checksum::{agrees, content_hash, place_seed, seeded_hash};
use crate::compress::{Codec, decompress};
use crate::seeded::{self, Bug};

pub use buffer::{Pushed, RecordBuffer, Stamp};
pub use scanner::{Located, Scanner, Tail, read_payload, share_payload};

/// The length of a record header, in bytes.
pub const RECORD_HEADER_BYTES: usize = 48;
/// Records start at multiples of this, in bytes.
pub const RECORD_ALIGNMENT: usize = 8;
/// The largest stored payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 31;

const CHECKED_BYTES: usize = 40;
const MAX_KIND: u8 = 15;

/// A decoded record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Stored payload bytes.
    pub payload_len: u32,
    /// The file's own kind of record.
    pub kind: u8,
    /// How the payload is stored.
    pub codec: Codec,
    /// Commit or edit number.
    pub number: u64,
    /// Commit version.
    pub version: u64,
    /// The highest number known durable when this was written.
    pub mark: u64,
    payload_hash: u64,
}

impl RecordHeader {
    /// The length of the whole record with padding, in bytes.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        padded(RECORD_HEADER_BYTES as u64 + u64::from(self.payload_len))
    }

    /// Reads a header that stands at `offset`; `None` when the bytes are none.
    #[must_use]
    pub fn decode(bytes: &[u8], file_seed: u64, offset: u64) -> Option<Self> {
        let header: &[u8; RECORD_HEADER_BYTES] = bytes.first_chunk()?;
        let word = |at: usize| -> u64 {
            let mut word = [0; 8];
            word.copy_from_slice(header.get(at..at + 8).unwrap_or(&[0; 8]));
            u64::from_le_bytes(word)
        };
        let [l0, l1, l2, l3, kind, codec, 0, 0, ..] = *header else { return None };
        // Cheap tests first: a search for the next record runs this at every aligned offset.
        if kind == 0 || kind > MAX_KIND {
            return None;
        }
        let codec = Codec::from_tag(codec)?;
        let payload_len = u32::from_le_bytes([l0, l1, l2, l3]);
        if payload_len as usize > MAX_PAYLOAD_BYTES {
            return None;
        }
        let checked = header.get(..CHECKED_BYTES)?;
        if !agrees(word(CHECKED_BYTES), seeded_hash(checked, place_seed(file_seed, offset))) {
            return None;
        }
        Some(Self {
            payload_len,
            kind,
            codec,
            number: word(8),
            version: word(16),
            mark: word(24),
            payload_hash: word(32),
        })
    }

    /// Verifies and restores the payload that this header announces.
    ///
    /// # Errors
    /// What is wrong with `stored`, in words.
    pub fn open_payload(&self, stored: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
        self.verify_payload(stored)?;
        match self.codec {
            Codec::None => Ok(stored.to_vec()),
            Codec::Lz4 | Codec::Zstd => self.unpack(stored),
        }
    }

    /// Verifies the payload that this header announces.
    ///
    /// # Errors
    /// What is wrong with `stored`, in words.
    pub fn verify_payload(&self, stored: &[u8]) -> std::result::Result<(), &'static str> {
        if stored.len() != self.payload_len as usize {
            return Err("record payload is cut short");
        }
        if !agrees(self.payload_hash, content_hash(stored)) && !seeded::is(Bug::SkipRecordChecksum) {
            return Err("record payload checksum differs");
        }
        Ok(())
    }

    fn unpack(&self, stored: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
        let (raw_len, packed) = stored.split_first_chunk().ok_or("compressed record is too short")?;
        let raw_len = u32::from_le_bytes(*raw_len) as usize;
        if raw_len > MAX_PAYLOAD_BYTES {
            return Err("record raw length is above the limit");
        }
        decompress(packed, self.codec, raw_len).map_err(|error| error.what)
    }
}

/// `len` rounded up to the record alignment.
#[must_use]
pub fn padded(len: u64) -> u64 {
    len.next_multiple_of(RECORD_ALIGNMENT as u64)
}
