//! Lists the records of one log, hopping from header to header.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::header::{DatabaseId, FileIdentity};
use base::record::{Located, Scanner, read_payload, share_payload};
use base::vfs::{Access, BytesFile, File, Vfs};
use base::{Error, Result};
use bytes::Bytes;
use sstable::TableAccess;

use crate::directory::NumberedFile;

/// A commit record, and the value records that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct CommitRecord {
    pub(crate) located: Located,
    /// Indices into [`LogSurvey::values`].
    pub(crate) values: Range<usize>,
}

impl CommitRecord {
    pub(crate) fn number(&self) -> u64 {
        self.located.header.number
    }

    /// Where the record ends, in bytes from the start of the file.
    pub(crate) fn end(&self) -> u64 {
        self.located.offset + self.located.header.record_bytes()
    }
}

/// Everything that one log holds.
#[derive(Debug)]
pub(crate) struct LogSurvey {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    /// The whole file, where it is mapped.
    mapped: Option<Bytes>,
    /// The number in its name.
    pub(crate) file_number: u64,
    pub(crate) is_vlog: bool,
    pub(crate) commits: Vec<CommitRecord>,
    pub(crate) values: Vec<Located>,
    /// The highest mark in any valid header, behind damage too.
    pub(crate) highest_mark: u64,
    /// The highest commit number and version in any valid header, behind damage too.
    pub(crate) highest_number: u64,
    pub(crate) highest_version: u64,
    /// Where the first record would start that is not there.
    pub(crate) end: u64,
    /// The length of what was written, as far as it shows, in bytes.
    pub(crate) seen_len: u64,
}

/// Reads the headers of one log of a generation.
///
/// # Errors
/// [`Error::Corruption`] when the file is missing or is not the log that it should be, or the system's.
pub(crate) fn survey(
    vfs: &dyn Vfs,
    directory: &Path,
    log: NumberedFile,
    database_id: DatabaseId,
    access: TableAccess,
) -> Result<LogSurvey> {
    let path = log.path(directory);
    let opened = vfs.open(&path, Access::Read);
    let file = opened.map_err(|error| match error.is_not_found() {
        true => Error::corruption(&path, 0, "the log is missing, and its commits are not in tables"),
        false => error,
    })?;
    // Nobody writes to this life of the file any more, and it is only cut after the commits are in tables.
    let mapped = match access {
        TableAccess::Mapped => Some(file.map()?),
        TableAccess::Positional => None,
    };
    if let (Some(bytes), NumberedFile::Wal(_)) = (&mapped, log) {
        // All of it is needed; of a value log, where values are, hardly more than the headers.
        file.read_ahead(0, bytes.len() as u64);
    }
    let file = mapped.clone().map_or(file, |bytes| BytesFile::shared(path.clone(), bytes));
    let identity = FileIdentity { database_id, file_number: log.number() };
    let is_vlog = matches!(log, NumberedFile::ValueLog(_));
    let scanner = if is_vlog {
        vlog::scanner(Arc::clone(&file), identity)?
    } else {
        wal::scanner(Arc::clone(&file), identity)?
    };
    let mut found = LogSurvey {
        path,
        file,
        mapped,
        file_number: log.number(),
        is_vlog,
        commits: Vec::new(),
        values: Vec::new(),
        highest_mark: 0,
        highest_number: 0,
        highest_version: 0,
        end: scanner.offset(),
        seen_len: scanner.offset(),
    };
    found.walk(scanner)?;
    Ok(found)
}

impl LogSurvey {
    /// The file.
    pub(crate) fn name(&self) -> NumberedFile {
        if self.is_vlog {
            NumberedFile::ValueLog(self.file_number)
        } else {
            NumberedFile::Wal(self.file_number)
        }
    }

    /// The verified payload of a record; shared with the map, where there is one.
    pub(crate) fn payload(&self, located: &Located) -> Result<Bytes> {
        match &self.mapped {
            Some(bytes) => share_payload(bytes, &self.path, located),
            None => read_payload(&*self.file, located).map(Bytes::from),
        }
    }

    fn walk(&mut self, mut scanner: Scanner) -> Result<()> {
        let mut first_value = 0;
        while let Some(located) = scanner.next_header()? {
            self.note(&located);
            match located.header.kind {
                wal::KIND_COMMIT => {
                    let values = first_value..self.values.len();
                    first_value = self.values.len();
                    self.commits.push(CommitRecord { located, values });
                }
                vlog::KIND_VALUE if self.is_vlog => self.values.push(located),
                _ => {
                    let what = format!("record kind {} does not belong here", located.header.kind);
                    return Err(Error::corruption(&self.path, located.offset, what));
                }
            }
        }
        self.end = scanner.offset();
        // Behind the end only marks and numbers count: evidence of what was durable or given out.
        while let Some(located) = scanner.resync()? {
            self.note(&located);
        }
        Ok(())
    }

    fn note(&mut self, located: &Located) {
        let header = &located.header;
        self.highest_mark = self.highest_mark.max(header.mark);
        self.highest_number = self.highest_number.max(header.number);
        self.highest_version = self.highest_version.max(header.version);
        self.seen_len = self.seen_len.max(located.offset + header.record_bytes());
    }
}
