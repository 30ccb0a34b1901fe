//! The manifest file under the writer's hands: a header, then records one behind the other.

use std::path::Path;
use std::sync::Arc;

use base::header::{DatabaseId, FileHeader, FileIdentity, FileKind};
use base::record::{RecordBuffer, Stamp};
use base::seeded::{self, Bug};
use base::vfs::{Access, File, Vfs};
use base::{Compression, Result};

use crate::format::{FORMAT_VERSION, RECORDS_START};

#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<dyn File>,
    seed: u64,
    position: u64,
}

impl Log {
    /// Creates the file at `path` with a header that bears a new salt. Not synced.
    pub(crate) fn create(vfs: &dyn Vfs, path: &Path, database_id: DatabaseId) -> Result<Self> {
        let identity = FileIdentity { database_id, file_number: 0 };
        let header = FileHeader::new(vfs, FileKind::Manifest, FORMAT_VERSION, identity)?;
        let file = vfs.create(path)?;
        file.write_all_at(0, &header.encode())?;
        Ok(Self { file, seed: header.seed(), position: RECORDS_START })
    }

    /// The same file under the name that it was given since, which its errors mention from now on.
    pub(crate) fn renamed(self, vfs: &dyn Vfs, path: &Path) -> Result<Self> {
        let file = vfs.open(path, Access::ReadWrite)?;
        Ok(Self { file, ..self })
    }

    /// Where the next record goes, in bytes.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// A record for the end of the file.
    pub(crate) fn record(&self, kind: u8, payload: &[u8], stamp: Stamp) -> Result<RecordBuffer> {
        let mut record = RecordBuffer::new();
        record.push(kind, Compression::None, |out| out.extend_from_slice(payload))?;
        record.stamp(self.seed, self.position, stamp);
        Ok(record)
    }

    /// Takes disk space for `record`, so that a full disk is noticed before a byte is written.
    pub(crate) fn reserve(&self, record: &RecordBuffer) -> Result<()> {
        self.file.allocate(self.position + record.len() as u64)
    }

    /// Writes `record` at the end of the file. Not synced.
    pub(crate) fn append(&mut self, record: &RecordBuffer) -> Result<()> {
        let written = self.file.write_all_at(self.position, record.as_bytes());
        seeded::ignoring(Bug::IgnoreManifestWriteError, written)?;
        self.position += record.len() as u64;
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) fn sync(&self) -> Result<()> {
        if seeded::is(Bug::SkipManifestSync) { Ok(()) } else { self.file.sync() }
    }
}
