//! Writing a sealed segment at once: for values that move, out of a segment that is collected or a log that is
//! recovered.

use std::path::Path;
use std::sync::Arc;

use base::header::FileIdentity;
use base::log::LogFile;
use base::record::{RecordBuffer, Stamp, padded};
use base::vfs::Vfs;
use base::{Compression, Result, ValuePointer, Version};

use crate::segment::Segment;
use crate::value::{PushedValue, push_value};

/// Writes are gathered up to this many bytes; larger records go out by themselves.
const WRITE_BYTES: usize = 256 << 10;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The sealed length: that of the file, in bytes.
    pub bytes: u64,
    /// How many values.
    pub values: u64,
    /// Length of all value records with padding, in bytes.
    pub value_record_bytes: u64,
}

/// Writes a new sealed segment. Dropped without [`SegmentWriter::finish`] it removes its file. After an error it is only
/// good for dropping.
#[derive(Debug)]
#[must_use = "without finish() the file is removed"]
pub struct SegmentWriter {
    vfs: Arc<dyn Vfs>,
    log: LogFile,
    record: RecordBuffer,
    pending: Vec<u8>,
    values: u64,
    value_record_bytes: u64,
    finished: bool,
}

impl SegmentWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// When it exists, or the system's.
    pub fn create(vfs: &Arc<dyn Vfs>, path: &Path, identity: FileIdentity) -> Result<Self> {
        Ok(Self {
            log: crate::create(&**vfs, path, identity, 0)?,
            vfs: Arc::clone(vfs),
            record: RecordBuffer::new(),
            pending: Vec::new(),
            values: 0,
            value_record_bytes: 0,
            finished: false,
        })
    }

    /// Adds a value; where it will be read. The pointer is good once the segment is finished.
    ///
    /// # Errors
    /// [`base::Error::LimitExceeded`] as of [`push_value`], or the system's.
    pub fn add(
        &mut self,
        key: &[u8],
        version: Version,
        value: &[u8],
        compression: Compression,
    ) -> Result<ValuePointer> {
        self.record.clear();
        let pushed = push_value(&mut self.record, key, value, compression)?;
        self.place(pushed, version)
    }

    /// Copies a value from another segment, stored as it is there; it is verified in full before.
    ///
    /// # Errors
    /// Those of [`Segment::get`] for the value there, and the system's for the writing here.
    pub fn copy(
        &mut self,
        from: &Segment,
        pointer: &ValuePointer,
        key: &[u8],
        version: Version,
    ) -> Result<ValuePointer> {
        let found = from.checked_value(pointer, key, version)?;
        self.record.clear();
        let pushed = self.record.push_stored(&found.header, &found.stored);
        let (record_len, value_len) = (pointer.record_len, pointer.value_len);
        self.place(PushedValue { offset: pushed.offset, record_len, value_len }, version)
    }

    /// Stamps the one record in the buffer and puts it behind all others.
    fn place(&mut self, pushed: PushedValue, version: Version) -> Result<ValuePointer> {
        if self.pending.len() + self.record.len() > WRITE_BYTES {
            self.write_pending()?;
        }
        let offset = self.byte_len();
        let stamp = Stamp { number: 0, version: version.0, mark: 0 };
        if self.record.len() > WRITE_BYTES {
            self.log.append(&mut self.record, stamp)?;
        } else {
            self.record.stamp(self.log.seed(), offset, stamp);
            self.pending.extend_from_slice(self.record.as_bytes());
        }
        let PushedValue { record_len, value_len, .. } = pushed;
        self.values += 1;
        self.value_record_bytes += padded(u64::from(record_len));
        let segment = self.log.header().identity.file_number;
        Ok(ValuePointer { segment, offset, record_len, value_len })
    }

    fn write_pending(&mut self) -> Result<()> {
        self.log.append_stamped(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// The length of the segment so far, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.log.position() + self.pending.len() as u64
    }

    /// Writes what is left and makes the file durable; its name is durable when the caller syncs the directory.
    ///
    /// # Errors
    /// The system's; the file is removed then.
    pub fn finish(mut self) -> Result<SegmentSummary> {
        self.write_pending()?;
        self.log.sync()?;
        self.finished = true;
        Ok(SegmentSummary {
            bytes: self.byte_len(),
            values: self.values,
            value_record_bytes: self.value_record_bytes,
        })
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        // A second panic, while one unwinds, would be the end of the process.
        if !self.finished && !std::thread::panicking() {
            // Best effort: a file that no edit names is swept at the next open.
            let _left_over = self.vfs.remove(self.log.file().path());
        }
    }
}
