//! `DISCARD`: the value log's own record of how much of each segment is dead.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base::codec::{Decoder, Malformed, put_varint};
use base::header::{CONTENT_START, DatabaseId, FileHeader, FileIdentity, FileKind};
use base::record::{RECORD_HEADER_BYTES, RecordBuffer, Scanner, Stamp};
use base::vfs::{Access, BytesFile, File, Vfs, write_atomically};
use base::{Compression, Error, Result};

use crate::format::{KIND_LEDGER, LEDGER_FORMAT_VERSION};

/// The name of the ledger's file.
pub const LEDGER_FILE_NAME: &str = "DISCARD";

/// How much of a segment is dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentDead {
    /// The sealed length of the segment, in bytes.
    pub total_bytes: u64,
    /// All of it but the records of living values with their padding, in bytes.
    pub dead_bytes: u64,
}

impl SegmentDead {
    /// The records of living values with their padding, in bytes.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.dead_bytes)
    }
}

/// The dead bytes of all segments, as of one edit of the manifest. Written seldom and replaced whole; the tables can
/// rebuild it, so missing or damaged it is a loss of time only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The number of the manifest edit that it belongs to.
    pub edit_number: u64,
    /// By segment number.
    pub segments: BTreeMap<u64, SegmentDead>,
}

impl Ledger {
    /// Reads the ledger of a database; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Corruption`] when it is damaged or of another database, [`Error::Unsupported`] when a newer release
    /// wrote it, or the system's.
    pub fn read(vfs: &dyn Vfs, directory: &Path, database_id: DatabaseId) -> Result<Option<Self>> {
        match vfs.open(&directory.join(LEDGER_FILE_NAME), Access::Read) {
            Ok(file) => Self::from_file(file, Some(database_id)).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a ledger that is in memory, of any database.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::from_file(BytesFile::shared("ledger in memory", bytes), None)
    }

    fn from_file(file: Arc<dyn File>, database_id: Option<DatabaseId>) -> Result<Self> {
        let path = file.path().to_path_buf();
        let header = FileHeader::read(&*file, FileKind::Discard, LEDGER_FORMAT_VERSION)?;
        let database_id = database_id.unwrap_or(header.identity.database_id);
        header.expect(&path, FileIdentity { database_id, file_number: 0 })?;
        let mut scanner = Scanner::new(Arc::clone(&file), header.seed(), CONTENT_START)?;
        let damaged = |offset, what: &'static str| Error::corruption(&path, offset, what);
        let (located, payload) =
            scanner.next_record()?.ok_or_else(|| damaged(CONTENT_START, "ledger is cut short or damaged"))?;
        if located.header.kind != KIND_LEDGER {
            return Err(damaged(located.offset, "ledger holds a record of another kind"));
        }
        if scanner.offset() != file.len()? {
            return Err(damaged(scanner.offset(), "bytes after the ledger"));
        }
        let segments = decode(&payload).map_err(|error| {
            let at = located.offset + (RECORD_HEADER_BYTES + error.offset) as u64;
            damaged(at, error.what)
        })?;
        Ok(Self { edit_number: located.header.number, segments })
    }

    /// Replaces the ledger of a database: after a crash there is the old one or this one. Durable when it returns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when more of a segment is dead than it holds, or the system's.
    pub fn write(&self, vfs: &dyn Vfs, directory: &Path, database_id: DatabaseId) -> Result<()> {
        if self.segments.values().any(|segment| segment.dead_bytes > segment.total_bytes) {
            return Err(Error::invalid("ledger of dead bytes", "more of a segment is dead than it holds"));
        }
        let identity = FileIdentity { database_id, file_number: 0 };
        let header = FileHeader::new(vfs, FileKind::Discard, LEDGER_FORMAT_VERSION, identity)?;
        let mut records = RecordBuffer::new();
        records.push(KIND_LEDGER, Compression::None, |out| self.encode(out))?;
        records.stamp(header.seed(), CONTENT_START, Stamp { number: self.edit_number, ..Default::default() });
        let bytes = [&header.encode(), records.as_bytes()].concat();
        write_atomically(vfs, &directory.join(LEDGER_FILE_NAME), &bytes)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.segments.len() as u64);
        for (number, segment) in &self.segments {
            put_varint(out, *number);
            put_varint(out, segment.total_bytes);
            put_varint(out, segment.dead_bytes);
        }
    }
}

fn decode(payload: &[u8]) -> Result<BTreeMap<u64, SegmentDead>, Malformed> {
    let mut decoder = Decoder::new(payload);
    let mut segments = BTreeMap::new();
    for _ in 0..decoder.varint("segment count")? {
        let number = decoder.varint("segment number")?;
        let total_bytes = decoder.varint("total bytes of a segment")?;
        let dead_bytes = decoder.varint("dead bytes of a segment")?;
        if segments.last_key_value().is_some_and(|(last, _)| *last >= number) {
            return Err(decoder.malformed("segments of the ledger are out of order"));
        }
        if dead_bytes > total_bytes {
            return Err(decoder.malformed("more of a segment is dead than it holds"));
        }
        segments.insert(number, SegmentDead { total_bytes, dead_bytes });
    }
    decoder.finish("bytes after the last segment")?;
    Ok(segments)
}
