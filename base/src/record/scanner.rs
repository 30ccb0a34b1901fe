//! Finding records again: from header to header, payloads on demand, and behind damage.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{RECORD_ALIGNMENT, RECORD_HEADER_BYTES, RecordHeader};
use crate::compress::Codec;
use crate::vfs::File;
use crate::{Error, Result};

const WINDOW_BYTES: usize = 64 << 10;
/// So many zeros are passed over at once; a multiple of the record alignment.
const ZEROS_BYTES: usize = 4 << 10;

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// At the end of the file, or at zeros. Zeros may also be a part of the file that never reached the disk: only
    /// [`Scanner::resync`] tells whether something follows.
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
        Ok(Self::up_to(file, file_seed, start, end))
    }

    /// Scans `file` from `start` up to `end`, both in bytes from the start of the file, whatever follows there. The
    /// file is at least that long.
    #[must_use]
    pub fn up_to(file: Arc<dyn File>, file_seed: u64, start: u64, end: u64) -> Self {
        let end = end.max(start);
        Self { file, seed: file_seed, offset: start, end, tail: None, window: Vec::new(), window_at: 0 }
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
        self.offset = self.end_of(offset, &header);
        Ok(Some(Located { offset, header }))
    }

    /// The next record with its verified payload; a damaged payload ends the scan as torn.
    ///
    /// # Errors
    /// The system's. The record is met again at the next call.
    pub fn next_record(&mut self) -> Result<Option<(Located, Vec<u8>)>> {
        let Some(located) = self.next_header()? else { return Ok(None) };
        let error = match self.next_payload(&located) {
            Ok(payload) => return Ok(Some((located, payload))),
            Err(error) => error,
        };
        // The next call, and `resync` too, must meet this record again: its header is good, so its mark counts.
        self.offset = located.offset;
        if !error.is_corruption() {
            return Err(error);
        }
        self.tail = Some(Tail::Torn { valid_len: located.offset });
        Ok(None)
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

    /// Looks at the end of the scan and behind it for a further valid record header, and goes on behind that record;
    /// `None` when there is none up to the end of the file. Only the header is valid, the payload need not be: what
    /// is found is evidence of damage and bears a mark, it is not data.
    ///
    /// # Errors
    /// The system's.
    pub fn resync(&mut self) -> Result<Option<Located>> {
        if self.tail.is_none() {
            return self.next_header();
        }
        let step = RECORD_ALIGNMENT as u64;
        let mut offset = self.offset.next_multiple_of(step);
        while self.end.saturating_sub(offset) >= RECORD_HEADER_BYTES as u64 {
            if let Some(header) = self.header_at(offset)? {
                self.offset = self.end_of(offset, &header);
                return Ok(Some(Located { offset, header }));
            }
            offset = self.behind_zeros(offset + step)?;
        }
        self.offset = self.end;
        Ok(None)
    }

    /// The first aligned offset from `offset` on, itself aligned, at which the next bytes up to the alignment are not all zeros:
    /// no header begins with so many. The space that is reserved behind a log is a thousand times as long as a record.
    fn behind_zeros(&mut self, mut offset: u64) -> Result<u64> {
        loop {
            let len = self.end.saturating_sub(offset).min(ZEROS_BYTES as u64) as usize;
            let zeros = leading_zeros(self.peek(offset, len)?);
            let passed = (zeros - zeros % RECORD_ALIGNMENT) as u64;
            offset += passed;
            if zeros < len || passed == 0 {
                return Ok(offset);
            }
        }
    }

    /// Where the record behind the one at `offset` starts. The last record may lack its padding.
    fn end_of(&self, offset: u64, header: &RecordHeader) -> u64 {
        offset.saturating_add(header.record_bytes()).min(self.end)
    }

    /// The payload of the record just found; read together with its neighbours unless it is large.
    fn next_payload(&mut self, located: &Located) -> Result<Vec<u8>> {
        let len = located.header.payload_len as usize;
        if len > WINDOW_BYTES {
            return self.payload(located);
        }
        let opened =
            located.header.open_payload(self.peek(located.offset + RECORD_HEADER_BYTES as u64, len)?);
        opened.map_err(|what| Error::corruption(self.file.path(), located.offset, what))
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

    /// `len` bytes at `offset`, which lie inside the file: where they are, or through a window that reads ahead.
    fn peek(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        if let Some(content) = self.file.in_memory() {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let found = content.get(from.min(content.len())..).and_then(|behind| behind.get(..len));
            return found.ok_or_else(|| {
                let what = format!("the file ends before {len} bytes from here");
                Error::corruption(self.file.path(), offset, what)
            });
        }
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

/// How many zeros `bytes` begins with.
fn leading_zeros(bytes: &[u8]) -> usize {
    // A block at a time, without a branch inside: the compiler compares many bytes at once.
    let (blocks, rest) = bytes.as_chunks::<64>();
    let is_zero = |block: &&[u8; 64]| block.iter().fold(0, |any, byte| any | byte) == 0;
    let passed = blocks.iter().take_while(is_zero).count() * 64;
    let behind = bytes.get(passed..).unwrap_or(rest);
    passed + behind.iter().take_while(|byte| **byte == 0).count()
}

/// As [`read_payload`] of a file that is all in memory: shares it instead of copying where the payload is not compressed.
///
/// # Errors
/// [`Error::Corruption`] when it is damaged; `path` names the file.
pub fn share_payload(bytes: &Bytes, path: &Path, located: &Located) -> Result<Bytes> {
    let damaged = |what| Error::corruption(path, located.offset, what);
    let header = &located.header;
    let start =
        usize::try_from(located.offset).ok().and_then(|offset| offset.checked_add(RECORD_HEADER_BYTES));
    let range = start.and_then(|start| Some(start..start.checked_add(header.payload_len as usize)?));
    let range = range.filter(|range| range.end <= bytes.len());
    let stored = bytes.slice(range.ok_or_else(|| damaged("record payload is cut short"))?);
    if header.codec == Codec::None {
        return header.verify_payload(&stored).map(|()| stored).map_err(damaged);
    }
    header.open_payload(&stored).map(Bytes::from).map_err(damaged)
}

/// Reads and verifies the payload of the record at `located` of `file`.
///
/// # Errors
/// [`Error::Corruption`] when it is damaged, or the system's.
pub fn read_payload(file: &dyn File, located: &Located) -> Result<Vec<u8>> {
    let start = located.offset.saturating_add(RECORD_HEADER_BYTES as u64);
    let available = file.len()?.saturating_sub(start);
    if u64::from(located.header.payload_len) > available {
        return Err(Error::corruption(file.path(), located.offset, "record payload is cut short"));
    }
    let mut stored = vec![0; located.header.payload_len as usize];
    file.read_exact_at(start, &mut stored)?;
    located.header.open_payload(&stored).map_err(|what| Error::corruption(file.path(), located.offset, what))
}
