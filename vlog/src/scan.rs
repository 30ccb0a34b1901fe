//! Walking all values of a segment: to list them, to rescue them, to verify them.

use base::header::CONTENT_START;
use base::record::{Located, RECORD_HEADER_BYTES, Scanner, Tail};
use base::vfs::ReadAhead;
use base::{Result, ValuePointer, Version};
use bytes::Bytes;

use crate::format::KIND_VALUE;
use crate::segment::Segment;

/// A value met by a scan, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedValue {
    /// Where it is.
    pub pointer: ValuePointer,
    /// The key that it belongs to.
    pub key: Vec<u8>,
    /// The version that it belongs to.
    pub version: Version,
    /// The number of the commit that wrote it here; 0 when it was moved here.
    pub commit_number: u64,
    /// The value itself; shares the map when the segment is mapped and the value is not compressed.
    pub value: Bytes,
}

/// What a verified segment holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// How many value records.
    pub values: u64,
    /// Length of all value records with padding, in bytes.
    pub value_bytes: u64,
    /// How many records of other kinds: commits.
    pub commits: u64,
}

/// Yields the values of a segment in their order and skips all other records. A value whose payload is damaged is an
/// error, and the scan goes on behind it; at a damaged header it ends, and [`ValueScan::tail`] says so.
#[derive(Debug)]
pub struct ValueScan<'a> {
    segment: &'a Segment,
    scanner: Scanner,
    read_ahead: ReadAhead,
    failed: bool,
}

impl Segment {
    /// Walks the values, up to the present end of the file, or to the sealed length of a mapped segment.
    ///
    /// # Errors
    /// The system's, when the length cannot be read.
    pub fn scan(&self) -> Result<ValueScan<'_>> {
        let scanner = Scanner::new(self.file().clone(), self.seed(), CONTENT_START)?;
        Ok(ValueScan { segment: self, scanner, read_ahead: ReadAhead::default(), failed: false })
    }

    /// Verifies every record of a segment that was sealed at `sealed_len` bytes, and that they fill it to the end.
    ///
    /// # Errors
    /// [`base::Error::Corruption`] at the first damage, or the system's.
    pub fn verify(&self, sealed_len: u64) -> Result<SegmentReport> {
        let len = self.file().len()?;
        if sealed_len > len || sealed_len < CONTENT_START {
            return Err(self.damaged(len, format!("segment of {sealed_len} bytes is cut short")));
        }
        let mut scanner = Scanner::up_to(self.file().clone(), self.seed(), CONTENT_START, sealed_len);
        let (mut report, mut read_ahead) = (SegmentReport::default(), ReadAhead::default());
        while let Some(located) = scanner.next_header()? {
            self.come_to(&mut read_ahead, &located);
            if located.header.kind == KIND_VALUE {
                self.value_at(&located)?;
                report.values += 1;
                report.value_bytes += located.header.record_bytes();
            } else {
                scanner.payload(&located)?;
                report.commits += 1;
            }
        }
        if scanner.offset() != sealed_len {
            return Err(self.damaged(scanner.offset(), "segment holds bytes that are no record"));
        }
        Ok(report)
    }

    fn value_at(&self, located: &Located) -> Result<ScannedValue> {
        let Located { offset, header } = located;
        let stored = self.bytes_at(offset + RECORD_HEADER_BYTES as u64, header.payload_len as usize)?;
        let (key, value) = self.open_value(*offset, header, &stored, <[u8]>::to_vec)?;
        let lengths = (
            u32::try_from(RECORD_HEADER_BYTES as u64 + u64::from(header.payload_len)),
            u32::try_from(value.len()),
        );
        let (Ok(record_len), Ok(value_len)) = lengths else {
            return Err(self.damaged(*offset, "value is longer than a pointer can say"));
        };
        let pointer = ValuePointer { segment: self.number(), offset: *offset, record_len, value_len };
        let version = Version(header.version);
        Ok(ScannedValue { pointer, key, version, commit_number: header.number, value })
    }
}

impl ValueScan<'_> {
    /// How the scan ended; `None` while it goes on, and after an error of the system.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.scanner.tail()
    }
}

impl Iterator for ValueScan<'_> {
    type Item = Result<ScannedValue>;

    fn next(&mut self) -> Option<Result<ScannedValue>> {
        while !self.failed {
            match self.scanner.next_header() {
                Ok(Some(located)) if located.header.kind == KIND_VALUE => {
                    self.segment.come_to(&mut self.read_ahead, &located);
                    return Some(self.segment.value_at(&located));
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl std::iter::FusedIterator for ValueScan<'_> {}
