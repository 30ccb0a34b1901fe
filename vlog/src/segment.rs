//! Reading values by pointer.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::compress::Codec;
use base::header::{CONTENT_START, FileHeader, FileIdentity, FileKind};
use base::log::LogFile;
use base::prefetch::prefetch_to_read;
use base::record::{Located, RECORD_HEADER_BYTES, RecordHeader};
use base::vfs::{Access, BytesFile, File, ReadAhead, Vfs};
use base::{Direction, Error, Result, ValuePointer, Version};
use bytes::{Buf, Bytes};

use crate::format::{FORMAT_VERSION, KIND_VALUE};
use crate::value::split;

/// A record as long as this is asked for before it is read, or the system would read it from the disk page by page, in bytes.
const LONG_RECORD_BYTES: u32 = 32 << 10;

/// One `.vlog` file, for reading. Shared by all readers; never written through.
#[derive(Debug)]
pub struct Segment {
    number: u64,
    seed: u64,
    file: Arc<dyn File>,
    /// The file behind the map, which can be asked to read ahead.
    backing: Option<Arc<dyn File>>,
    source: Source,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    /// The sealed part of the file, in memory or mapped.
    Mapped(Bytes),
    /// Positional reads; the file is known to be at least this long, in bytes, and may have grown since.
    Positional { known_len: AtomicU64 },
}

/// Bytes of a segment: where they lie in the map, or read.
pub(crate) enum Piece<'a> {
    InPlace { map: &'a Bytes, bytes: &'a [u8] },
    Read(Bytes),
}

impl Deref for Piece<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::InPlace { bytes, .. } => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

impl Piece<'_> {
    /// What follows the first `len` bytes, at most all.
    fn behind(self, len: usize) -> Self {
        match self {
            Self::InPlace { map, bytes } => {
                Self::InPlace { map, bytes: bytes.get(len..).unwrap_or_default() }
            }
            Self::Read(mut bytes) => {
                bytes.advance(len.min(bytes.len()));
                Self::Read(bytes)
            }
        }
    }

    /// A part of these bytes that shares their memory. All threads that read a segment write the count of its map: once
    /// for a value, and no more.
    fn share(&self, part: &[u8]) -> Bytes {
        match self {
            Self::InPlace { map, .. } => map.slice_ref(part),
            Self::Read(bytes) => bytes.slice_ref(part),
        }
    }
}

/// A record that holds the value it should, its payload verified.
pub(crate) struct CheckedValue<'a> {
    pub(crate) header: RecordHeader,
    /// The payload as it is stored.
    pub(crate) stored: Piece<'a>,
    /// The value itself.
    pub(crate) value: Bytes,
}

impl Segment {
    /// Opens a sealed segment; its first `sealed_len` bytes are mapped, and nothing behind them counts. Values that are
    /// not compressed are then read without a copy.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the file is not the segment `expected`, or shorter than `sealed_len`;
    /// [`Error::Unsupported`] when a newer release wrote it; or the system's.
    pub fn open_mapped(vfs: &dyn Vfs, path: &Path, expected: FileIdentity, sealed_len: u64) -> Result<Self> {
        let file = vfs.open(path, Access::Read)?;
        let header = read_header(&*file, expected)?;
        let map = file.map()?;
        let sealed = usize::try_from(sealed_len).ok().filter(|len| *len <= map.len());
        let Some(sealed) = sealed else {
            let what = format!("segment of {sealed_len} bytes is cut short");
            return Err(Error::corruption(path, map.len() as u64, what));
        };
        Ok(Self { backing: Some(file), ..Self::over_map(path, &header, map.slice(..sealed)) })
    }

    /// Opens a segment for positional reads: each value costs one read, and nothing is mapped.
    ///
    /// # Errors
    /// As [`Segment::open_mapped`].
    pub fn open_positional(vfs: &dyn Vfs, path: &Path, expected: FileIdentity) -> Result<Self> {
        let file = vfs.open(path, Access::Read)?;
        let header = read_header(&*file, expected)?;
        Ok(Self::over_file(file, &header))
    }

    /// Reads a log that still grows: each value costs one positional read. Also right after the log is cut, and after
    /// its file is removed.
    #[must_use]
    pub fn over_log(log: &LogFile) -> Self {
        Self::over_file(Arc::clone(log.file()), log.header())
    }

    /// Reads a segment that is in memory, of any database and number.
    ///
    /// # Errors
    /// [`Error::Corruption`] when `bytes` are no segment, [`Error::Unsupported`] when a newer release wrote them.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        let (path, bytes) = (Path::new("segment in memory"), bytes.into());
        let header = FileHeader::decode(&bytes, path, FileKind::ValueLog, FORMAT_VERSION)?;
        Ok(Self::over_map(path, &header, bytes))
    }

    fn over_map(path: &Path, header: &FileHeader, map: Bytes) -> Self {
        let file = BytesFile::shared(path, map.clone());
        let (number, seed) = (header.identity.file_number, header.seed());
        Self { number, seed, file, backing: None, source: Source::Mapped(map) }
    }

    fn over_file(file: Arc<dyn File>, header: &FileHeader) -> Self {
        let (number, seed) = (header.identity.file_number, header.seed());
        let source = Source::Positional { known_len: AtomicU64::new(0) };
        Self { number, seed, file, backing: None, source }
    }

    /// The number in the segment's file name.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file, by the name it was opened with.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The value at `pointer`, which must belong to `user_key` at `version`. Every read verifies the record header and
    /// the checksum over key and value. Shares the map when the segment is mapped and the value is not compressed.
    ///
    /// # Errors
    /// [`Error::Corruption`] when anything else than this value is there, or the system's.
    pub fn get(&self, pointer: &ValuePointer, user_key: &[u8], version: Version) -> Result<Bytes> {
        self.checked_value(pointer, user_key, version).map(|found| found.value)
    }

    /// Asks the processor for the record at `pointer`, which is read soon; a hint without effect on what is read. Only a
    /// mapped segment can follow it.
    #[inline]
    pub fn prefetch(&self, pointer: &ValuePointer) {
        let Source::Mapped(map) = &self.source else { return };
        let Ok(start) = usize::try_from(pointer.offset) else { return };
        let end = start.saturating_add(pointer.record_len as usize);
        prefetch_to_read(map.get(start..end).unwrap_or_default());
    }

    /// A hint that `len` bytes at `offset` are read soon, so that the system begins to read them from the disk; only a
    /// mapped segment needs it.
    pub fn read_ahead(&self, offset: u64, len: u64) {
        if let Some(file) = &self.backing {
            file.read_ahead(offset, len);
        }
    }

    /// A reader in order comes to a record; the system reads ahead of it.
    pub(crate) fn come_to(&self, ahead: &mut ReadAhead, located: &Located) {
        if let (Some(file), Source::Mapped(map)) = (&self.backing, &self.source) {
            let here = located.offset..located.offset.saturating_add(located.header.record_bytes());
            ahead.come_to(&**file, map.len() as u64, here, Direction::Forward);
        }
    }

    pub(crate) fn checked_value(
        &self,
        pointer: &ValuePointer,
        user_key: &[u8],
        version: Version,
    ) -> Result<CheckedValue<'_>> {
        let damaged = |what: &'static str| self.damaged(pointer.offset, what);
        if pointer.segment != self.number {
            return Err(damaged("pointer leads to another segment"));
        }
        if pointer.record_len >= LONG_RECORD_BYTES {
            self.read_ahead(pointer.offset, u64::from(pointer.record_len));
        }
        let record = self.record(pointer)?;
        let header = RecordHeader::decode(&record, self.seed, pointer.offset)
            .ok_or_else(|| damaged("pointer leads to no record, or its header is damaged"))?;
        if header.kind != KIND_VALUE {
            return Err(damaged("pointer leads to a record that is no value"));
        }
        if RECORD_HEADER_BYTES as u64 + u64::from(header.payload_len) != u64::from(pointer.record_len) {
            return Err(damaged("record length differs from that of the pointer"));
        }
        if header.version != version.0 {
            return Err(damaged("value belongs to another version"));
        }
        let stored = record.behind(RECORD_HEADER_BYTES);
        let (key_matches, value) =
            self.open_value(pointer.offset, &header, &stored, |key| key == user_key)?;
        if !key_matches {
            return Err(damaged("value belongs to another key"));
        }
        if value.len() as u64 != u64::from(pointer.value_len) {
            return Err(damaged("value length differs from that of the pointer"));
        }
        Ok(CheckedValue { header, stored, value })
    }

    /// Verifies the payload of the value record at `offset`; what `look` makes of its key, and the value.
    pub(crate) fn open_value<T>(
        &self,
        offset: u64,
        header: &RecordHeader,
        stored: &Piece<'_>,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<(T, Bytes)> {
        let damaged = |what: &'static str| self.damaged(offset, what);
        let split = |payload| split(payload).map_err(|error| damaged(error.what));
        match header.codec {
            Codec::None => {
                header.verify_payload(stored).map_err(damaged)?;
                let (key, value_start) = split(stored)?;
                Ok((look(key), stored.share(stored.get(value_start..).unwrap_or_default())))
            }
            Codec::Lz4 | Codec::Zstd => {
                let payload = Bytes::from(header.open_payload(stored).map_err(damaged)?);
                let (key, value_start) = split(&payload)?;
                Ok((look(key), payload.slice(value_start..)))
            }
        }
    }

    /// The bytes that `pointer` spans: at least a record header, and all inside the file.
    fn record(&self, pointer: &ValuePointer) -> Result<Piece<'_>> {
        if (pointer.record_len as usize) < RECORD_HEADER_BYTES || pointer.offset < CONTENT_START {
            return Err(self.damaged(pointer.offset, "pointer spans no record"));
        }
        self.bytes_at(pointer.offset, pointer.record_len as usize)
    }

    /// `len` bytes of the file; the length is compared with the file's before memory is taken.
    pub(crate) fn bytes_at(&self, offset: u64, len: usize) -> Result<Piece<'_>> {
        let beyond = || self.damaged(offset, "pointer leads beyond the end of the segment");
        let end = offset.checked_add(len as u64).ok_or_else(beyond)?;
        match &self.source {
            Source::Mapped(map) => {
                let start = usize::try_from(offset).map_err(|_| beyond())?;
                let end = usize::try_from(end).map_err(|_| beyond())?;
                Ok(Piece::InPlace { map, bytes: map.get(start..end).ok_or_else(beyond)? })
            }
            Source::Positional { known_len } => {
                // Relaxed: the length guards an allocation, the read itself decides.
                if end > known_len.load(Ordering::Relaxed) {
                    known_len.store(self.file.len()?, Ordering::Relaxed);
                    if end > known_len.load(Ordering::Relaxed) {
                        return Err(beyond());
                    }
                }
                let mut bytes = vec![0; len];
                self.file.read_exact_at(offset, &mut bytes)?;
                Ok(Piece::Read(Bytes::from(bytes)))
            }
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    pub(crate) fn damaged(&self, offset: u64, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::corruption(self.path(), offset, what)
    }
}

fn read_header(file: &dyn File, expected: FileIdentity) -> Result<FileHeader> {
    let header = FileHeader::read(file, FileKind::ValueLog, FORMAT_VERSION)?;
    header.expect(file.path(), expected)?;
    Ok(header)
}
