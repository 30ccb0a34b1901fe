//! Reading a whole log without a database around it: for tools, tests and other programs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::header::{CONTENT_START, FileHeader, FileIdentity, FileKind};
use base::record::{Located, RECORD_HEADER_BYTES, Scanner, Tail};
use base::vfs::{Access, BytesFile, File, Vfs};
use base::{Error, Result};

use crate::batch::BatchReader;
use crate::format::{FORMAT_VERSION, KIND_COMMIT};

/// Yields the commits of a log in their order, up to its end, or to the first record that is cut short or damaged;
/// [`Reader::tail`] tells which. After an error there is nothing more.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    identity: FileIdentity,
    scanner: Scanner,
    failed: bool,
}

/// One commit of a log; its payload is verified, not yet decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number, consecutive over all logs of a database.
    pub number: u64,
    /// The version that it gives to all of its writes.
    pub version: u64,
    /// The highest commit number known durable when it was written.
    pub mark: u64,
    /// Where its record starts, in bytes from the start of the file.
    pub offset: u64,
    /// Its writes, as [`crate::Batch::encode`] wrote them.
    pub payload: Vec<u8>,
    path: PathBuf,
}

impl Commit {
    /// The writes of the commit.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the payload is not that of a commit, or one of its writes is malformed. All are
    /// looked at before this returns, so no commit is ever seen by half.
    pub fn batch(&self) -> Result<BatchReader<'_>> {
        let damaged = |error: base::codec::Malformed| {
            let at = self.offset + (RECORD_HEADER_BYTES + error.offset) as u64;
            Error::corruption(&self.path, at, error.what)
        };
        let reader = BatchReader::decode(&self.payload).map_err(damaged)?;
        for entry in reader.clone() {
            entry.map_err(damaged)?;
        }
        Ok(reader)
    }
}

impl Reader {
    /// Opens the log at `path`, of any database and number.
    ///
    /// # Errors
    /// [`Error::Corruption`] when the file is no log, [`Error::Unsupported`] when a newer release wrote it, or the
    /// system's.
    pub fn open(vfs: &dyn Vfs, path: &Path) -> Result<Self> {
        Self::over(vfs.open(path, Access::Read)?)
    }

    /// Reads a log that is in memory.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::over(BytesFile::shared("log in memory", bytes))
    }

    fn over(file: Arc<dyn File>) -> Result<Self> {
        let header = FileHeader::read(&*file, FileKind::Wal, FORMAT_VERSION)?;
        Ok(Self {
            path: file.path().to_path_buf(),
            identity: header.identity,
            scanner: Scanner::new(file, header.seed(), CONTENT_START)?,
            failed: false,
        })
    }

    /// The database that the log belongs to, and its number.
    #[must_use]
    pub fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// How the log ended; `None` while there is more to read, and after an error.
    #[must_use]
    pub fn tail(&self) -> Option<Tail> {
        self.scanner.tail()
    }

    fn commit(&self, located: Located, payload: Vec<u8>) -> Result<Commit> {
        let Located { offset, header } = located;
        if header.kind != KIND_COMMIT {
            return Err(Error::corruption(&self.path, offset, "record in a write-ahead log is no commit"));
        }
        Ok(Commit {
            number: header.number,
            version: header.version,
            mark: header.mark,
            offset,
            payload,
            path: self.path.clone(),
        })
    }
}

impl Iterator for Reader {
    type Item = Result<Commit>;

    fn next(&mut self) -> Option<Result<Commit>> {
        if self.failed {
            return None;
        }
        let found = self.scanner.next_record().transpose()?;
        let commit = found.and_then(|(located, payload)| self.commit(located, payload));
        self.failed = commit.is_err();
        Some(commit)
    }
}

impl std::iter::FusedIterator for Reader {}
