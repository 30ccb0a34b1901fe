//! What can go wrong with bytes at rest. Few kinds, told apart by what the caller can do; facts are fields.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of everything that touches stored bytes.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the storage below. Cheap to clone, because one failed group write is told to many waiters.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb ("write", "sync").
        op: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The system's own error.
        source: Arc<io::Error>,
    },
    /// The disk, or a limit set on it, is full. Nothing was lost; free space and try again.
    #[error("no space left to {op} {}: free disk space and try again", path.display())]
    NoSpace {
        /// What was attempted.
        op: &'static str,
        /// The file concerned.
        path: PathBuf,
    },
    /// The bytes are not what was written: damage, never used as if they were good.
    #[error("{} is damaged at byte {offset}: {what}", file.display())]
    Corruption {
        /// The damaged file.
        file: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// What was wrong.
        what: Cow<'static, str>,
    },
    /// The file is of a format version that this release does not know.
    #[error(
        "{} has format version {found}, this release knows versions up to {newest_known}: use a newer release",
        file.display()
    )]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u16,
        /// The newest version that this release reads.
        newest_known: u16,
    },
    /// The file is sealed with a data key that was not given, or the key given is another one.
    #[error("{} needs data key {key_id}, which is not available: open with the right master key", file.display())]
    WrongKey {
        /// The sealed file.
        file: PathBuf,
        /// The data key that it names.
        key_id: u32,
    },
    /// Another process holds the directory.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The path holds something that is not a database of ours.
    #[error("{} is not a database: {why}", path.display())]
    NotADatabase {
        /// The directory.
        path: PathBuf,
        /// What was found instead.
        why: Cow<'static, str>,
    },
    /// An earlier write or sync failed; reads go on, writes need a reopen.
    #[error("writing stopped after an earlier failure: {cause}; reopen the database to write again")]
    Halted {
        /// The first failure.
        cause: Arc<Error>,
    },
    /// A defect of this library, or of code that was given to it. What was under way may have been left half done.
    #[error("{during} panicked, which is a defect; reopen the database to write again")]
    Panicked {
        /// What was under way.
        during: &'static str,
    },
    /// A size or count is above what is allowed.
    #[error("{what} is {got}, the limit is {limit}")]
    LimitExceeded {
        /// What was too large.
        what: &'static str,
        /// The limit, in the unit of `what`.
        limit: u64,
        /// The amount given.
        got: u64,
    },
    /// An argument that cannot work.
    #[error("{what}: {why}")]
    InvalidArgument {
        /// The argument or option.
        what: &'static str,
        /// What is wrong and what would be right.
        why: Cow<'static, str>,
    },
}

impl Error {
    /// Wraps an error of the operating system, telling a full disk from the rest.
    pub fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { op, path: path.to_path_buf() }
            }
            _ => Self::Io { op, path: path.to_path_buf(), source: Arc::new(source) },
        }
    }

    /// Damage at `offset` of `file`.
    pub fn corruption(file: &Path, offset: u64, what: impl Into<Cow<'static, str>>) -> Self {
        Self::Corruption { file: file.to_path_buf(), offset, what: what.into() }
    }

    /// An argument that cannot work, and why.
    pub fn invalid(what: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidArgument { what, why: why.into() }
    }

    /// True for damage.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corruption { .. })
    }

    /// True when the bytes themselves cannot be read, however often it is tried: damage, a newer format, a missing key.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Corruption { .. } | Self::Unsupported { .. } | Self::WrongKey { .. })
    }

    /// True when the disk is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// True when the system failed to change something: what is on disk is in doubt then. A full disk is not meant, reading is
    /// not, and creating a file is not: that there is no new file, for want of descriptors perhaps, puts nothing in doubt.
    #[must_use]
    pub fn is_write_failure(&self) -> bool {
        const HARMLESS: [&str; 7] = ["read", "open", "map", "measure", "list", "look up", "create"];
        matches!(self, Self::Io { op, .. } if !HARMLESS.contains(op))
    }

    /// True when a file or directory does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
