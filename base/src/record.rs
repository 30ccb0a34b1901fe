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

use std::sync::Arc;

use crate::checksum::{content_hash, place_seed, seeded_hash};
use crate::compress::{Codec, compress, decompress};
use crate::vfs::File;
use crate::{Compression, Error, Result};

/// The length of a record header, in bytes.
pub const RECORD_HEADER_BYTES: usize = 48;
/// Records start at multiples of this, in bytes.
pub const RECORD_ALIGNMENT: usize = 8;
/// The largest stored payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 31;

const CHECKED_BYTES: usize = 40;
const MAX_KIND: u8 = 15;
const WINDOW_BYTES: usize = 64 << 10;

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
        if word(CHECKED_BYTES) != seeded_hash(checked, place_seed(file_seed, offset)) {
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
        if content_hash(stored) != self.payload_hash {
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
    starts: Vec<usize>,
}

impl RecordBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        if let Some((found, packed)) = compress(self.bytes.get(body..).unwrap_or_default(), compression) {
            codec = found;
            self.bytes.truncate(body);
            self.bytes.extend_from_slice(&(raw_len as u32).to_le_bytes());
            self.bytes.extend_from_slice(&packed);
        }
        let payload = self.bytes.get(body..).unwrap_or_default();
        let (payload_len, hash) = (payload.len(), content_hash(payload));
        self.put(offset, &(payload_len as u32).to_le_bytes());
        self.put(offset + 4, &[kind, codec.tag()]);
        self.put(offset + 32, &hash.to_le_bytes());
        let record_len = self.bytes.len() - offset;
        self.bytes.resize(self.bytes.len().next_multiple_of(RECORD_ALIGNMENT), 0);
        self.starts.push(offset);
        Ok(Pushed { offset, record_len })
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Gives every record its number and place: the buffer will stand at `file_offset` of the file.
    pub fn stamp(&mut self, file_seed: u64, file_offset: u64, stamp: Stamp) {
        debug_assert_eq!(file_offset % RECORD_ALIGNMENT as u64, 0);
        for &start in &self.starts {
            let Some(header) = self.bytes.get_mut(start..start + RECORD_HEADER_BYTES) else { continue };
            let (checked, check) = header.split_at_mut(CHECKED_BYTES);
            for (at, word) in [(8, stamp.number), (16, stamp.version), (24, stamp.mark)] {
                if let Some(place) = checked.get_mut(at..at + 8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
            let seed = place_seed(file_seed, file_offset + start as u64);
            check.copy_from_slice(&seeded_hash(checked, seed).to_le_bytes());
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
        self.starts.clear();
    }
}

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// At the end of the file, or at zeros.
    Clean,
    /// At bytes that are no record, or at a record that is cut short or damaged.
    Torn {
        /// Length of the file up to the end of its last good record, in bytes.
        valid_len: u64,
    },
}

/// A record header and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where the record starts, in bytes from the start of the file.
    pub offset: u64,
    /// Its header.
    pub header: RecordHeader,
}

/// Walks the records of a file from header to header; reads payloads only on demand.
#[derive(Debug)]
pub struct Scanner {
    file: Arc<dyn File>,
    seed: u64,
    offset: u64,
    end: u64,
    tail: Option<Tail>,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    /// Scans `file` from `start` up to its present length. `file_seed` is that of its header.
    ///
    /// # Errors
    /// The system's, when the length cannot be read.
    pub fn new(file: Arc<dyn File>, file_seed: u64, start: u64) -> Result<Self> {
        let end = file.len()?;
        Ok(Self { file, seed: file_seed, offset: start, end, tail: None, window: Vec::new(), window_at: 0 })
    }

    /// The next record, or `None` at the end; [`Scanner::tail`] then tells which end.
    ///
    /// # Errors
    /// The system's. Bytes that are no record end the scan, they are not an error here.
    pub fn next_header(&mut self) -> Result<Option<Located>> {
        if self.tail.is_some() {
            return Ok(None);
        }
        let offset = self.offset;
        let Some(header) = self.header_at(offset)? else {
            self.tail =
                Some(if self.is_zero_at(offset)? { Tail::Clean } else { Tail::Torn { valid_len: offset } });
            return Ok(None);
        };
        if self.end - offset < RECORD_HEADER_BYTES as u64 + u64::from(header.payload_len) {
            self.tail = Some(Tail::Torn { valid_len: offset });
            return Ok(None);
        }
        self.offset = offset.saturating_add(header.record_bytes()).min(self.end);
        Ok(Some(Located { offset, header }))
    }

    /// The next record with its verified payload; a damaged payload ends the scan as torn.
    ///
    /// # Errors
    /// The system's.
    pub fn next_record(&mut self) -> Result<Option<(Located, Vec<u8>)>> {
        let Some(located) = self.next_header()? else { return Ok(None) };
        match self.payload(&located) {
            Ok(payload) => Ok(Some((located, payload))),
            Err(error) if error.is_corruption() => {
                self.tail = Some(Tail::Torn { valid_len: located.offset });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads and verifies the payload of a record of this file.
    ///
    /// # Errors
    /// [`Error::Corruption`] when it is damaged, or the system's.
    pub fn payload(&self, located: &Located) -> Result<Vec<u8>> {
        read_payload(&*self.file, located)
    }

    /// How the scan ended; `None` while it goes on.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// Where the next record would start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Looks behind the end of the scan for a further valid record header, and goes on from there; `None` when
    /// there is none up to the end of the file. What is found is evidence of damage, not data.
    ///
    /// # Errors
    /// The system's.
    pub fn resync(&mut self) -> Result<Option<Located>> {
        let step = RECORD_ALIGNMENT as u64;
        // A torn record's own valid header counts as well: its mark is trustworthy.
        let mut at = self.offset.next_multiple_of(step);
        if self.tail.is_none() {
            return self.next_header();
        }
        while at + RECORD_HEADER_BYTES as u64 <= self.end {
            if let Some(header) = self.header_at(at)? {
                self.offset = (at + step).min(self.end);
                return Ok(Some(Located { offset: at, header }));
            }
            at += step;
        }
        self.offset = self.end;
        Ok(None)
    }

    fn header_at(&mut self, offset: u64) -> Result<Option<RecordHeader>> {
        if self.end.saturating_sub(offset) < RECORD_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let seed = self.seed;
        let bytes = self.peek(offset, RECORD_HEADER_BYTES)?;
        Ok(RecordHeader::decode(bytes, seed, offset))
    }

    fn is_zero_at(&mut self, offset: u64) -> Result<bool> {
        let len = self.end.saturating_sub(offset).min(RECORD_HEADER_BYTES as u64) as usize;
        Ok(self.peek(offset, len)?.iter().all(|&byte| byte == 0))
    }

    /// `len` bytes at `offset`, which lie inside the file, through a window that reads ahead.
    fn peek(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let inside =
            offset >= self.window_at && offset + len as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            let want = (self.end - offset).min(WINDOW_BYTES.max(len) as u64) as usize;
            self.window.resize(want, 0);
            self.window_at = offset;
            if let Err(error) = self.file.read_exact_at(offset, &mut self.window) {
                self.window.clear();
                return Err(error);
            }
        }
        let from = (offset - self.window_at) as usize;
        Ok(self.window.get(from..from + len).unwrap_or_default())
    }
}

/// Reads and verifies the payload of the record at `located` of `file`.
///
/// # Errors
/// [`Error::Corruption`] when it is damaged, or the system's.
pub fn read_payload(file: &dyn File, located: &Located) -> Result<Vec<u8>> {
    let start = located.offset + RECORD_HEADER_BYTES as u64;
    let available = file.len()?.saturating_sub(start);
    if u64::from(located.header.payload_len) > available {
        return Err(Error::corruption(file.path(), located.offset, "record payload is cut short"));
    }
    let mut stored = vec![0; located.header.payload_len as usize];
    file.read_exact_at(start, &mut stored)?;
    located.header.open_payload(&stored).map_err(|what| Error::corruption(file.path(), located.offset, what))
}
