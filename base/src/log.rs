//! An append-only file of records with one writer: what the write-ahead log and the value log have in common.
//!
//! The file may be longer than what was written: space is reserved ahead, and a retired log may be taken over for a
//! new one, whose new salt makes all stale bytes invalid.
//!
//! A sync of blocks that are reserved but were never written makes the file system change its own records too, which costs
//! about as much again as the data. So whoever syncs often writes zeros ahead ([`LogFile::write_ahead`]).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Result;
use crate::header::{CONTENT_START, FileHeader, FileIdentity, FileKind};
use crate::record::RecordBuffer;
use crate::seeded::{self, Bug};
use crate::vfs::{Access, File, Vfs};

/// Zeros are written this far ahead at most, in bytes.
const AHEAD_BYTES_MAX: u64 = 1 << 20;
/// And this far at least, in bytes, so that a small log stays small.
const AHEAD_BYTES_MIN: u64 = 64 << 10;
/// Zeros are written again when less than this is left of them, in bytes.
const AHEAD_BYTES_LOW: u64 = 16 << 10;

/// A log that is being written. One thread appends at a time; any thread may read the counters.
#[derive(Debug)]
pub struct LogFile {
    file: Arc<dyn File>,
    header: FileHeader,
    seed: u64,
    written: AtomicU64,
    allocated: AtomicU64,
    prepared: AtomicU64,
}

impl LogFile {
    /// Creates a new log, writes its header and reserves `allocate_bytes` behind it. Not synced.
    ///
    /// # Errors
    /// When the file exists, the disk is full, or the system's. No file is left behind then.
    pub fn create(
        vfs: &dyn Vfs,
        path: &Path,
        kind: FileKind,
        format_version: u16,
        identity: FileIdentity,
        allocate_bytes: u64,
    ) -> Result<Self> {
        let header = FileHeader::new(vfs, kind, format_version, identity)?;
        let file = vfs.create(path)?;
        Self::start(file, header, allocate_bytes).inspect_err(|_| abandon(vfs, path))
    }

    /// Takes over a retired log of any name for a new one: renames it and writes a header with a new salt. Not synced,
    /// neither file nor directory. The log must never have been mapped.
    ///
    /// # Errors
    /// The system's. The retired log may be gone then.
    pub fn recycle(
        vfs: &dyn Vfs,
        retired: &Path,
        path: &Path,
        kind: FileKind,
        format_version: u16,
        identity: FileIdentity,
    ) -> Result<Self> {
        let header = FileHeader::new(vfs, kind, format_version, identity)?;
        vfs.rename(retired, path)?;
        vfs.open(path, Access::ReadWrite)
            .and_then(|file| Self::start(file, header, 0))
            .inspect_err(|_| abandon(vfs, path))
    }

    fn start(file: Arc<dyn File>, header: FileHeader, allocate_bytes: u64) -> Result<Self> {
        file.write_all_at(0, &header.encode())?;
        // What an earlier life has left was written once.
        let prepared = file.len()?;
        let wanted = CONTENT_START.saturating_add(allocate_bytes);
        if allocate_bytes > 0 && file.len()? < wanted {
            file.allocate(wanted)?;
        }
        let allocated = file.len()?;
        Ok(Self {
            seed: header.seed(),
            header,
            file,
            written: AtomicU64::new(CONTENT_START),
            allocated: AtomicU64::new(allocated),
            prepared: AtomicU64::new(prepared),
        })
    }

    /// The seed for stamping records of this file.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The header of the file.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// The file, for reading what was written.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Where the next record goes, in bytes from the start of the file.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Bytes for which disk space is reserved, from the start of the file.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Acquire)
    }

    /// Reserves disk space for the first `len` bytes of the file.
    ///
    /// # Errors
    /// [`crate::Error::NoSpace`] when the disk cannot hold it; nothing has changed then.
    pub fn allocate(&self, len: u64) -> Result<()> {
        if len > self.allocated() {
            self.file.allocate(len)?;
            self.allocated.fetch_max(len, Ordering::AcqRel);
        }
        Ok(())
    }

    /// How much of the file has been written, by records, by zeros ahead or by an earlier life; in bytes from its start.
    #[must_use]
    pub fn prepared(&self) -> u64 {
        self.prepared.load(Ordering::Acquire)
    }

    /// Writes zeros into the reserved space behind the records, when those of the last time are nearly used up: the farther
    /// ahead the longer the log, and never beyond what is reserved. To be called by the one who appends, before a sync.
    ///
    /// # Errors
    /// The system's.
    pub fn write_ahead(&self) -> Result<()> {
        let (position, prepared) = (self.position(), self.prepared());
        let end = (position + position.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX)).min(self.allocated());
        if prepared >= position + AHEAD_BYTES_LOW || prepared >= end {
            return Ok(());
        }
        let zeros = vec![0; (end - prepared) as usize];
        self.file.write_all_at(prepared, &zeros)?;
        self.prepared.store(end, Ordering::Release);
        Ok(())
    }

    /// Appends records that were stamped with this log's seed and [`LogFile::position`].
    ///
    /// # Errors
    /// The system's. How much was written is unknown then: the caller must not append again.
    pub fn append_stamped(&self, records: &[u8]) -> Result<()> {
        let at = self.position();
        seeded::ignoring(Bug::IgnoreLogWriteError, self.file.write_all_at(at, records))?;
        let end = at + records.len() as u64;
        self.written.store(end, Ordering::Release);
        self.allocated.fetch_max(end, Ordering::AcqRel);
        self.prepared.fetch_max(end, Ordering::AcqRel);
        Ok(())
    }

    /// Stamps and appends; where the records start.
    ///
    /// # Errors
    /// As [`LogFile::append_stamped`].
    pub fn append(&self, records: &mut RecordBuffer, stamp: crate::record::Stamp) -> Result<u64> {
        let at = self.position();
        records.stamp(self.seed, at, stamp);
        self.append_stamped(records.as_bytes())?;
        Ok(at)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// The system's; never to be retried.
    pub fn sync(&self) -> Result<()> {
        if seeded::is(Bug::RetryFailedSync) {
            return self.file.sync().or_else(|_| self.file.sync());
        }
        seeded::ignoring(Bug::IgnoreLogSyncError, self.file.sync())
    }

    /// Cuts the file to what was written.
    ///
    /// # Errors
    /// The system's.
    pub fn cut(&self) -> Result<()> {
        let len = self.position();
        self.file.set_len(len)?;
        self.allocated.store(len, Ordering::Release);
        self.prepared.store(len, Ordering::Release);
        Ok(())
    }
}

/// Removes a log that could not be started, so that it does not hold space on a disk that may be full. Best effort: the
/// first error is the one that matters.
fn abandon(vfs: &dyn Vfs, path: &Path) {
    let _left_over = vfs.remove(path);
}
