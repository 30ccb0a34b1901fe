//! Making and finding `.vlog` files that grow: the kind and format version that [`base::log`] leaves open.

use std::path::Path;
use std::sync::Arc;

use base::Result;
use base::header::{CONTENT_START, FileHeader, FileIdentity, FileKind};
use base::log::LogFile;
use base::record::Scanner;
use base::vfs::{File, Vfs};

use crate::format::FORMAT_VERSION;

/// Creates a value log and reserves `allocate_bytes` for its records. Not synced.
///
/// # Errors
/// When the file exists, the disk is full, or the system's.
pub fn create(vfs: &dyn Vfs, path: &Path, identity: FileIdentity, allocate_bytes: u64) -> Result<LogFile> {
    LogFile::create(vfs, path, FileKind::ValueLog, FORMAT_VERSION, identity, allocate_bytes)
}

/// Takes over a retired log for a new value log. It must never have been a segment: those are mapped, and a map must
/// not change under its readers. Not synced, neither file nor directory.
///
/// # Errors
/// The system's.
pub fn recycle(vfs: &dyn Vfs, retired: &Path, path: &Path, identity: FileIdentity) -> Result<LogFile> {
    LogFile::recycle(vfs, retired, path, FileKind::ValueLog, FORMAT_VERSION, identity)
}

/// A scan over all records of a value log, commits included, from the first one.
///
/// # Errors
/// [`base::Error::Corruption`] when the file is not the log that `expected` says, [`base::Error::Unsupported`] when a
/// newer release wrote it, or the system's.
pub fn scanner(file: Arc<dyn File>, expected: FileIdentity) -> Result<Scanner> {
    let header = FileHeader::read(&*file, FileKind::ValueLog, FORMAT_VERSION)?;
    header.expect(file.path(), expected)?;
    Scanner::new(file, header.seed(), CONTENT_START)
}
